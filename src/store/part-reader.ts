/**
 * Small parts of a file that a header needs before the weights around them: fetched alone, kept in one entry, and
 * compared with the chunks that hold them when those arrive. Fetched only where no manifest says what chunks must be.
 */
import { NibbleError } from '../errors';
import { CHUNK_BYTES, chunkKey, partsKey } from './chunk-store';
import type { ModelFiles } from './model-files';
import type { Origin } from './origin';
import { findPart, firstDifference } from './parts';

type Bytes = Uint8Array<ArrayBuffer>;

export interface PartReader {
  /**
   * Bytes [start, end) of a file, fetched if they were not read before; null instead where all of the model is here.
   * @throws network, corrupt-checkpoint, integrity-mismatch, aborted
   */
  read(path: string, start: number, end: number, until?: AbortSignal): Promise<Bytes | null>;
  /**
   * A chunk must say what its parts said. Which of them arrived altered nobody knows: both go.
   * @throws integrity-mismatch
   */
  compare(path: string, index: number, chunk: Uint8Array): Promise<void>;
  /** Stores what is not stored yet. @throws quota-exceeded, storage-unavailable */
  save(): Promise<void>;
}

export function createPartReader(files: ModelFiles, { source, signal }: Origin): PartReader {
  const { key, store, record, parts: entries } = files;
  /** files of which more was read than is stored */
  const unsaved = new Set<string>();
  return {
    async read(path, start, end, until = signal) {
      const parts = await entries.of(path);
      const known = findPart(parts, start, end);
      if (known || files.complete) return known;
      const bytes = await source.read(path, start, end, until).catch((error) => {
        files.sourceFailed = true;
        files.noteChange(error);
        throw error;
      });
      parts.push({ start, bytes: bytes.slice() });
      unsaved.add(path);
      return bytes;
    },
    async compare(path, index, chunk) {
      const at = entries.has(path) ? firstDifference(await entries.of(path), index * CHUNK_BYTES, chunk) : null;
      if (at === null) return;
      const message = `Byte ${at} of ${path} was not the same when it arrived twice. It was deleted; load the model again.`;
      files.refuted = new NibbleError('integrity-mismatch', message, { path, chunk: index, byte: at });
      files.dropped = true;
      entries.forget(path);
      unsaved.delete(path);
      record.files[path].chunks[index] = '';
      for (const name of [partsKey(key, path), chunkKey(key, path, index)]) await store?.chunks.delete(name);
      throw files.refuted;
    },
    async save() {
      for (const path of unsaved) {
        unsaved.delete(path);
        // of one that was deleted meanwhile nothing is known
        if (entries.has(path)) await entries.save(path, await entries.of(path));
      }
    },
  };
}
