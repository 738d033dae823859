/**
 * Locks that other processes see: files, in the place of a browser's Web Locks (store/locks.ts). `NAME.x` is held by
 * one alone, `NAME.s.ID` by each who shares. A file tells who made it, and is touched as long as that one lives: what a
 * process left that has ended goes when somebody asks for the lock. It also tells which holding it is of: one that was
 * taken for ended, asleep for long, leaves its successor's file alone. What is kept does not depend on them: every
 * chunk has its digest and comes whole; they save fetching it twice, and deleting what is in use.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, unlinkSync } from 'node:fs';
import { link, mkdir, readdir, readFile, rename, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { throwIfAborted } from '../errors';
import type { Acquire } from '../store/locks';
import { cacheFolder } from './cache-folder';
import { fileNameOf } from './file-names';

const POLL_MS = 200;
const TOUCH_MS = 10_000;
/** who has not touched a file for so long has ended, or is on a machine that has: its process cannot be asked for */
const SILENT_MS = 120_000;
/** a file on its way out */
const GONE = '.gone';

interface Holder {
  host: string;
  pid: number;
  thread: number;
  /** of this holding */
  id: string;
}

const mine = (): string => JSON.stringify({ host: hostname(), pid: process.pid, thread: threadId, id: newId() });
const locksIn = (folder: string) => join(folder, 'locks');
const newId = () => randomBytes(6).toString('hex');

/** Whether the process that wrote this still runs; one on another machine, or in another container, cannot be asked. */
function isRunning(text: string): boolean {
  try {
    const { host, pid } = JSON.parse(text) as Holder;
    if (host !== hostname()) return true;
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // not yet written, or somebody else's process
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Whether somebody holds this file; when whoever made it has ended, it goes. */
async function isHeld(path: string): Promise<boolean> {
  try {
    const [text, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
    if (isRunning(text) && Date.now() - mtimeMs < SILENT_MS) return true;
    const aside = `${path}.${newId()}${GONE}`;
    await rename(path, aside);
    // between the look and the move another may have taken the lock: it gets it back
    const other = (await readFile(aside, 'utf8')) !== text;
    if (other) await link(aside, path).catch(() => {});
    await unlink(aside);
    return other;
  } catch (error) {
    // it went by itself, or it cannot be taken away: then it counts
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}

/** Waits a moment. @throws aborted, at once */
async function pause(signal: AbortSignal | undefined): Promise<void> {
  throwIfAborted(signal);
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, POLL_MS);
    signal?.addEventListener('abort', done);
  });
  throwIfAborted(signal);
}

/** Locks in a cache folder. Where that cannot be written, nothing is waited for. */
export function createFileLocks(folder = cacheFolder()): Acquire {
  const within = locksIn(folder);
  /** what stands in the files of what is held here, by path */
  const held = new Map<string, string>();
  const removeAll = () => {
    for (const [path, text] of held) removeNow(path, text);
  };
  let touching: NodeJS.Timeout | undefined;

  /** @returns what stands in the file; null when there is one already @throws when the folder cannot be written */
  async function make(path: string): Promise<string | null> {
    const text = mine();
    try {
      await mkdir(within, { recursive: true });
      await writeFile(path, text, { flag: 'wx' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return null;
      throw error;
    }
    held.set(path, text);
    if (touching) return text;
    process.on('exit', removeAll);
    touching = setInterval(() => {
      const now = new Date();
      for (const [each, own] of held) void touch(each, own, now).catch(() => {});
    }, TOUCH_MS).unref();
    return text;
  }

  /**
   * Releases one holding, at once: the process may end next. What has another's file in its place is released already.
   */
  function remove(path: string, text: string): void {
    if (held.get(path) === text) held.delete(path);
    if (held.size === 0) {
      process.removeListener('exit', removeAll);
      clearInterval(touching);
      touching = undefined;
    }
    removeNow(path, text);
  }

  async function isShared(name: string): Promise<boolean> {
    const files = (await readdir(within)).filter((file) => file.startsWith(`${name}.s.`) && !file.endsWith(GONE));
    const all = await Promise.all(files.map((file) => isHeld(join(within, file))));
    return all.includes(true);
  }

  /** @param other whether somebody holds what does not go together with this file, which is made first */
  async function take(path: string, alone: boolean, other: () => Promise<boolean>, options: LockOptions) {
    const { ifAvailable, signal } = options;
    for (;;) {
      throwIfAborted(signal);
      const text = await make(path);
      if (text) {
        try {
          for (;;) {
            if (!(await other())) return () => remove(path, text);
            if (ifAvailable || !alone) break;
            await pause(signal);
          }
        } catch (error) {
          remove(path, text);
          throw error;
        }
        remove(path, text);
      } else if (!(await isHeld(path))) continue;
      if (ifAvailable) return null;
      await pause(signal);
    }
  }

  return async (name, options) => {
    const file = fileNameOf(name);
    const alone = join(within, `${file}.x`);
    try {
      return options.mode === 'shared'
        ? await take(join(within, `${file}.s.${newId()}`), false, () => isHeld(alone), options)
        : await take(alone, true, () => isShared(file), options);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).errno === undefined) throw error;
      return () => {};
    }
  };
}

/** Shows that the holder lives, where the file is still its own. */
async function touch(path: string, text: string, now: Date): Promise<void> {
  if ((await readFile(path, 'utf8')) === text) await utimes(path, now, now);
}

function removeNow(path: string, text: string): void {
  try {
    if (readFileSync(path, 'utf8') === text) unlinkSync(path);
  } catch {
    // it is gone
  }
}

/** Releases what a thread of this process held that was ended from outside. */
export function releaseLocksOf(thread: number, folder = cacheFolder()): void {
  const within = locksIn(folder);
  for (const file of existsSync(within) ? readdirSync(within) : []) {
    const path = join(within, file);
    try {
      const text = readFileSync(path, 'utf8');
      const holder = JSON.parse(text) as Holder;
      if (holder.host === hostname() && holder.pid === process.pid && holder.thread === thread) removeNow(path, text);
    } catch {
      // another process was faster, or is about to write it
    }
  }
}
