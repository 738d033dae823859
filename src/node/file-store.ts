/**
 * The store of models in a folder, for Node: the same chunks, records and rules as in a browser (store/chunk-store.ts).
 *
 *   chunks/FILE/12       the digest of a chunk (32 bytes), then its bytes; FILE/key tells which file it is of
 *   models/MODEL.json    what is known of a model      saved/NAME.json   a saved conversation's cache
 *   locks/               who downloads or uses what (file-locks.ts)
 *
 * Every file is written beside its place and then moved there, so that another process finds it whole or not at all.
 */
import { constants } from 'node:fs';
import { access, mkdir, open, readdir, readFile, rm, rmdir, stat, statfs, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NibbleError } from '../errors';
import { type Chunk, type ModelRecord, type ModelStore, quotaExceeded } from '../store/chunk-store';
import { cacheFolder } from './cache-folder';
import { fileNameOf, isFinished, writeWhole } from './file-names';

const DIGEST_BYTES = 32;
/** in a folder of chunks, the key that they begin with */
const KEY = 'key';
/** folders of records */
const OTHERS = ['models', 'saved'];

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;
const isAbsent = (error: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '');

/** @returns undefined when it is not there */
async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

const namesIn = async (folder: string): Promise<string[]> => (await ifThere(readdir(folder))) ?? [];

/** who writes a file is done with it long before */
const ABANDONED_MS = 3_600_000;

/** Deletes what processes that were ended left unfinished in a folder. */
async function tidy(folder: string): Promise<void> {
  for (const name of await namesIn(folder)) {
    const path = join(folder, name);
    const found = isFinished(name) ? undefined : await ifThere(stat(path));
    if (found && Date.now() - found.mtimeMs > ABANDONED_MS) await ifThere(unlink(path));
  }
}

/** @returns whether it is gone: it stays where something is in it */
async function removeEmpty(folder: string): Promise<boolean> {
  try {
    await rmdir(folder);
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST'].includes(codeOf(error) ?? '')) return false;
    if (!isAbsent(error)) throw error;
  }
  return true;
}

/** Deletes what is unfinished since long ago, and folders in which nothing is. */
export async function tidyStore(folder: string): Promise<void> {
  const chunks = join(folder, 'chunks');
  for (const within of [
    ...(await namesIn(chunks)).map((name) => join(chunks, name)),
    chunks,
    ...OTHERS.map((name) => join(folder, name)),
  ]) {
    await tidy(within);
    await removeEmpty(within);
  }
}

/** Whether a folder can be written, or could be made. */
async function canWrite(folder: string): Promise<true | Error> {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
    return true;
  } catch (error) {
    return error as Error;
  }
}

/**
 * @returns the store; null, and one sentence for the person, where the folder can neither be written nor has a model.
 * One that can only be read gives the models that it has whole
 */
export async function openFileStore(folder = cacheFolder()): Promise<{ store: ModelStore | null; reason: string }> {
  const store = createFileStore(folder);
  const writes = await canWrite(folder);
  const some = writes === true || (await store.ledger.keys().catch(() => [])).length > 0;
  if (some) return { store, reason: '' };
  const why = `The cache folder ${folder} cannot be written (${writes.message}): the model is not kept. Set NIBBLE_CACHE to another.`;
  return { store: null, reason: why };
}

export function createFileStore(folder: string): ModelStore {
  const chunksFolder = join(folder, 'chunks');

  async function guarded<T>(work: Promise<T>, bytes = 0): Promise<T> {
    try {
      return await work;
    } catch (cause) {
      if (['ENOSPC', 'EDQUOT'].includes(codeOf(cause) ?? '')) throw quotaExceeded(bytes, await room(), { cause });
      const why = cause instanceof Error ? cause.message : String(cause);
      const text = `The cache folder ${folder} failed (${why}). Set NIBBLE_CACHE to another, or keep nothing (storage: 'none', --no-cache).`;
      throw new NibbleError('storage-unavailable', text, { folder, reason: codeOf(cause) ?? '' }, { cause });
    }
  }

  /** folders in which nothing is left of a process that was ended in the middle of a file */
  const tidied = new Set<string>();
  const writeKey = (place: { in: string; of: string }) =>
    writeWhole(join(place.in, KEY), (path) => writeFile(path, place.of));

  /** Where a chunk is: those of one file are in one folder. */
  function placeOf(key: string): { in: string; of: string; name: string } {
    const at = key.lastIndexOf('#') + 1;
    return { in: join(chunksFolder, fileNameOf(key.slice(0, at))), of: key.slice(0, at), name: key.slice(at) };
  }

  async function getChunk(key: string): Promise<Chunk | undefined> {
    const place = placeOf(key);
    const file = await ifThere(open(join(place.in, place.name)));
    if (!file) return undefined;
    try {
      const { size } = await file.stat();
      const digest = new Uint8Array(DIGEST_BYTES);
      const bytes = new Uint8Array(Math.max(0, size - DIGEST_BYTES));
      for (const [part, from] of [[digest, 0] as const, [bytes, DIGEST_BYTES] as const]) {
        for (let filled = 0; filled < part.length; ) {
          const { bytesRead } = await file.read(part, filled, part.length - filled, from + filled);
          if (bytesRead === 0) break;
          filled += bytesRead;
        }
      }
      return { sha256: Buffer.from(digest).toString('hex'), bytes };
    } finally {
      await file.close();
    }
  }

  async function putChunk(key: string, { sha256, bytes }: Chunk): Promise<void> {
    const place = placeOf(key);
    const write = () =>
      writeWhole(join(place.in, place.name), async (path) => {
        const file = await open(path, 'w');
        try {
          await file.writeFile(Buffer.from(sha256, 'hex'));
          await file.writeFile(bytes);
        } finally {
          await file.close();
        }
      });
    if (!tidied.has(place.in)) await tidy(place.in);
    tidied.add(place.in);
    // another process may delete the folder, as empty, while this is under way
    for (let attempt = 0; ; attempt++) {
      try {
        if (attempt > 0) await mkdir(place.in, { recursive: true });
        if (!(await ifThere(stat(join(place.in, KEY))))) await writeKey(place);
        return await write();
      } catch (error) {
        if (!isAbsent(error) || attempt === 3) throw error;
      }
    }
  }

  async function deleteChunk(key: string): Promise<void> {
    const place = placeOf(key);
    await ifThere(unlink(join(place.in, place.name)));
    await tidy(place.in);
    const left = await namesIn(place.in);
    if (!left.every((name) => name === KEY)) return;
    await ifThere(unlink(join(place.in, KEY)));
    // another process writes there: the folder stays, and is told of again
    if (!(await removeEmpty(place.in))) await ifThere(writeKey(place));
  }

  async function chunkKeys(prefix: string): Promise<string[]> {
    const at = prefix.lastIndexOf('#') + 1;
    const folders =
      at > 0 ? [placeOf(prefix).in] : (await namesIn(chunksFolder)).map((name) => join(chunksFolder, name));
    const keys: string[] = [];
    for (const each of folders) {
      const of = at > 0 ? prefix.slice(0, at) : await ifThere(readFile(join(each, KEY), 'utf8'));
      if (of === undefined || (at === 0 && !of.startsWith(prefix))) continue;
      for (const name of await namesIn(each)) {
        if (name !== KEY && isFinished(name) && (of + name).startsWith(prefix)) keys.push(of + name);
      }
    }
    return keys;
  }

  /** Records by key, each a file of JSON: one that is damaged is as good as none. */
  function table<T>(name: string) {
    const within = join(folder, name);
    const pathOf = (key: string) => join(within, `${fileNameOf(key)}.json`);
    const read = async (path: string) => {
      const text = await ifThere(readFile(path, 'utf8'));
      try {
        return text === undefined ? undefined : (JSON.parse(text) as { key: string; value: T });
      } catch {
        return undefined;
      }
    };
    return {
      get: (key: string) => guarded(read(pathOf(key)).then((found) => found?.value)),
      async put(key: string, value: T) {
        const text = JSON.stringify({ key, value });
        const write = async () => {
          await mkdir(within, { recursive: true });
          await writeWhole(pathOf(key), (path) => writeFile(path, text));
        };
        await guarded(write(), text.length);
      },
      delete: (key: string) => guarded(rm(pathOf(key), { force: true })),
      async keys() {
        const names = (await guarded(namesIn(within))).filter((each) => each.endsWith('.json'));
        const found = await Promise.all(names.map((each) => guarded(read(join(within, each)))));
        return found.flatMap((record) => (record ? [record.key] : []));
      },
    };
  }

  async function room() {
    try {
      const { bavail, bsize } = await statfs(folder);
      const usage = await bytesIn(folder);
      return { usage, quota: usage + bavail * bsize };
    } catch {
      return null;
    }
  }

  const models = table<ModelRecord>('models');
  return {
    chunks: {
      get: (key) => guarded(getChunk(key)),
      put: (key, chunk) => guarded(putChunk(key, chunk), chunk.bytes.length),
      delete: (key) => guarded(deleteChunk(key)),
      keys: (prefix) => guarded(chunkKeys(prefix)),
    },
    ledger: { ...models, put: (record) => models.put(record.key, record) },
    saved: table<unknown>('saved'),
    tuning: table<unknown>('tuning'),
    // a program is stopped without a word so often that it is no sign of anything
    loading: { get: async () => undefined, put: async () => {}, delete: async () => {} },
    room,
  };
}

/** Of all files below. */
async function bytesIn(folder: string): Promise<number> {
  const entries = (await ifThere(readdir(folder, { recursive: true, withFileTypes: true }))) ?? [];
  const sizes = entries.map(async (entry) => {
    if (!entry.isFile()) return 0;
    const found = await ifThere(stat(join(entry.parentPath ?? entry.path, entry.name)));
    return found?.size ?? 0;
  });
  return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0);
}
