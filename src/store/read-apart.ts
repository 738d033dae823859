/**
 * Small parts of a file that a header needs before the weights around them: fetched alone, kept in one entry, and
 * compared with the chunks that hold them when those arrive.
 */
import { NibbleError } from '../errors';
import { CHUNK_BYTES, chunkKey, partsKey } from './chunk-store';
import type { ModelFiles } from './model-files';
import type { Origin } from './origin';
import { findPart, firstDifference } from './parts';

type Bytes = Uint8Array<ArrayBuffer>;

export interface ApartReader {
  /** Bytes [start, end) of a file if they were read before, else null. */
  known(path: string, start: number, end: number): Promise<Bytes | null>;
  /** Fetches bytes [start, end) of a file. @throws network, corrupt-checkpoint, integrity-mismatch, aborted */
  fetch(path: string, start: number, end: number, until?: AbortSignal): Promise<Bytes>;
  /**
   * A chunk must say what its parts said. Which of them arrived altered nobody knows: both go.
   * @throws integrity-mismatch
   */
  compare(path: string, index: number, chunk: Uint8Array): Promise<void>;
  /** Stores what is not stored yet. @throws quota-exceeded, storage-unavailable */
  save(): Promise<void>;
}

export function createApartReader(files: ModelFiles, { source, signal }: Origin): ApartReader {
  const { kept, apart, faults } = files;
  return {
    known: async (path, start, end) => findPart(await apart.of(path), start, end),
    async fetch(path, start, end, until = signal) {
      const parts = await apart.of(path);
      const bytes = await source.read(path, start, end, until).catch((error) => {
        faults.noteFailure(error);
        throw error;
      });
      parts.push({ start, bytes: bytes.slice() });
      apart.unsaved.add(path);
      return bytes;
    },
    async compare(path, index, chunk) {
      const at = apart.has(path) ? firstDifference(await apart.of(path), index * CHUNK_BYTES, chunk) : null;
      if (at === null) return;
      const message = `Byte ${at} of ${path} was not the same when it arrived twice. It was deleted; load the model again.`;
      faults.refuted = new NibbleError('integrity-mismatch', message, { path, chunk: index, byte: at });
      faults.dropped = true;
      apart.forget(path);
      files.record.files[path].chunks[index] = '';
      for (const name of [partsKey(kept.key, path), chunkKey(kept.key, path, index)])
        await kept.store?.chunks.delete(name);
      throw faults.refuted;
    },
    async save() {
      for (const path of apart.unsaved) {
        apart.unsaved.delete(path);
        await apart.save(path, await apart.of(path));
      }
    },
  };
}
