/**
 * What a store keeps of one model, by the names of its entries (chunk-store.ts): one of them is read at a time, only
 * what is still as it was stored is given back, and what is written goes through the keeper.
 */
import { limitConcurrency } from '../platform/concurrency';
import { sha256 } from '../platform/sha256';
import { xxh32 } from '../platform/xxh32';
import { type Chunk, filePrefix, type ModelStore } from './chunk-store';
import type { Keeper } from './keeper';

/** so that the browser brings one while the other is put to use; each takes twice its memory meanwhile */
const READS_IN_FLIGHT = 2;

export interface KeptModel {
  /** null: nothing is kept */
  readonly store: ModelStore | null;
  /** of the model */
  readonly key: string;
  readonly keeper: Keeper;
  /** The names of all that is kept of a file. */
  names(path: string): Promise<string[]>;
  /**
   * An entry whose bytes are still those that were stored, else null: then it is deleted.
   * @param fits whether it may have that many bytes
   */
  sound(name: string, fits?: (bytes: number) => boolean): Promise<Chunk | null>;
  /**
   * Stores an entry, as long as the keeper does.
   * @param known its SHA-256, where it is known
   * @throws quota-exceeded, storage-unavailable
   */
  put(name: string, bytes: Uint8Array<ArrayBuffer>, known?: string): Promise<void>;
}

/** Whether its bytes are those that were stored. */
const isSound = async (chunk: Chunk) =>
  chunk.xxh32 === undefined ? (await sha256(chunk.bytes)) === chunk.sha256 : xxh32(chunk.bytes) === chunk.xxh32;

export function createKeptModel(store: ModelStore | null, key: string, keeper: Keeper): KeptModel {
  const limited = limitConcurrency(READS_IN_FLIGHT);
  return {
    store,
    key,
    keeper,
    names: async (path) => store?.chunks.keys(filePrefix(key, path)) ?? [],
    async sound(name, fits = () => true) {
      const kept = store && (await limited(() => store.chunks.get(name)));
      if (!kept) return null;
      if (fits(kept.bytes.length) && (await isSound(kept))) return kept;
      await store.chunks.delete(name);
      return null;
    },
    async put(name, bytes, known) {
      const digest = store && (known ?? (await sha256(bytes)));
      if (!digest || keeper.full) return;
      // of the bytes that the digest is of, not of what they are when their turn comes
      const checksum = store.chunks.keepsChecksum && { xxh32: xxh32(bytes) };
      await keeper.write(() => store.chunks.put(name, { sha256: digest, bytes, ...checksum }));
    },
  };
}
