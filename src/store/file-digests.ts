/**
 * The SHA-256 of whole files, taken as their chunks pass in the order of the file, and what their author lists. Fetched
 * only where one does.
 */
import { NibbleError } from '../errors';
import { createSha256, type Sha256 } from '../platform/sha256-in-pieces';
import { yieldToEvents } from '../platform/yield-to-events';
import type { ChunkCache, Held } from './chunk-cache';
import { CHUNK_BYTES, chunkKey } from './chunk-store';
import type { ModelFiles } from './model-files';

/** so many are hashed, in a few milliseconds, before others have their turn: answers of the network wait for it */
const PIECE_BYTES = 256 << 10;

interface FileHash {
  hash: Sha256;
  /** the chunk that the hash takes next */
  next: number;
  done: Promise<void>;
}

export interface FileDigests {
  /** A chunk of the cache, which the file's digest takes as it passes, if it is the next one. */
  hold(path: string, index: number): Held;
  /**
   * Compares all files whose author's digest is not that of one chunk, and of which all has been here or is kept.
   * @throws integrity-mismatch, and what is kept of that file goes; network, aborted
   */
  check(): Promise<void>;
}

/** @param files of a model that is not all here */
export function createFileDigests(files: ModelFiles, cache: ChunkCache): FileDigests {
  const { record } = files;
  const begun = new Map<string, FileHash>();

  /** Whether its author's digest says more of a file than the digests of its chunks do. */
  function isListed(path: string): boolean {
    const { digest, bytes } = record.files[path];
    return !record.manifest && digest?.length === 64 && bytes! > CHUNK_BYTES;
  }

  function hold(path: string, index: number): Held {
    const held = cache.hold(path, index);
    if (!isListed(path)) return held;
    const file = begun.get(path) ?? { hash: createSha256(), next: 0, done: Promise.resolve() };
    begun.set(path, file);
    if (file.next !== index) return held;
    file.next++;
    const before = file.done;
    file.done = cache.use(held, async (bytes) => {
      await before;
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
        file.hash.update(bytes.subarray(at, at + PIECE_BYTES));
        await yieldToEvents();
      }
    });
    file.done.catch(() => begun.delete(path));
    return held;
  }

  async function checkFile(path: string): Promise<void> {
    const { bytes, digest } = record.files[path];
    const count = Math.ceil(bytes! / CHUNK_BYTES);
    const here = new Set(await files.names(path));
    const next = begun.get(path)?.next ?? 0;
    for (let i = next; i < count; i++) if (!here.has(chunkKey(files.key, path, i))) return;
    for (let i = next; i < count; i++) await cache.use(hold(path, i), () => {});
    const file = begun.get(path)!;
    await file.done;
    const actual = file.hash.digest();
    begun.delete(path);
    if (actual === digest) return;
    for (const name of [path, files.made?.path]) {
      if (!name) continue;
      await files.delete(name);
      record.files[name].chunks = [];
    }
    files.dropped = true;
    const message = `${path} arrived altered: its SHA-256 is not what its author lists. It was deleted; load the model again.`;
    throw new NibbleError('integrity-mismatch', message, { path, bytes, expected: digest!, actual });
  }

  return {
    hold,
    async check() {
      for (const path of Object.keys(record.files)) if (isListed(path)) await checkFile(path);
    },
  };
}
