/** Writes what arrives to a store that may have no room for it, or be none to write to. */
import { NibbleError } from '../errors';
import { limitConcurrency } from '../platform/concurrency';
import { type ModelStore, quotaExceeded } from './chunk-store';

/** the browser copies what it stores, twice: one chunk at a time */
const IN_FLIGHT = 1;

export interface Keeper {
  /** the store takes no more, and the load goes on without it */
  readonly full: boolean;
  /** the sentence of why nothing can be written, where that is another than want of room; else empty */
  readonly unwritable: string;
  /** Writes, unless it is full. @throws quota-exceeded, with all that is missing, unless the rest need not be kept */
  write(put: () => Promise<void>): Promise<void>;
  /**
   * Goes on without waiting for a write, once those before it that were not waited for are done: so one waits at most.
   * @throws what one of those failed with
   */
  behind(written: Promise<void>): Promise<void>;
  /** Waits for all of them. @throws what one of them failed with */
  settled(): Promise<void>;
  /** Tells of bytes that are to be kept. @throws quota-exceeded where the browser says that it has no room for them */
  expect(bytes: number): Promise<void>;
}

/**
 * @param ifRoom the load goes on without keeping the rest when there is no room for it, or nothing can be written
 * @param missing bytes that are still to be kept
 * @param unwritable why nothing may be written from the beginning; empty: it may
 */
export function createKeeper(
  store: ModelStore | null,
  ifRoom: boolean,
  missing: () => Promise<number>,
  unwritable = '',
): Keeper {
  const limited = limitConcurrency(IN_FLIGHT);
  let full = unwritable !== '';
  let expected = 0;
  let room: ReturnType<ModelStore['room']> | undefined;
  /** all writes that were not waited for */
  let writes = Promise.resolve();
  return {
    behind(written) {
      const before = writes;
      // writes are done in their order
      writes = written.then(() => before);
      // told by the next one, or by settled()
      writes.catch(() => {});
      return before;
    },
    settled: () => writes,
    get full() {
      return full;
    },
    get unwritable() {
      return unwritable;
    },
    async write(put) {
      if (full) return;
      try {
        await limited(put);
      } catch (error) {
        if (!(error instanceof NibbleError)) throw error;
        const isQuota = error.code === 'quota-exceeded';
        if (!ifRoom && isQuota) {
          // what was refused is one write of many
          const { usageBytes: usage, quotaBytes: quota } = error.details as Record<string, number>;
          throw quotaExceeded(await missing(), quota ? { usage, quota } : null, { cause: error });
        }
        // a folder that can only be read gives what it has, and keeps no more
        if (ifRoom && error.code === 'storage-unavailable') unwritable = error.message;
        else if (!ifRoom || !isQuota) throw error;
        full = true;
      }
    },
    async expect(bytes) {
      if (!store) return;
      expected += bytes;
      room ??= store.room();
      const allowed = await room;
      if (!allowed || expected <= allowed.quota - allowed.usage) return;
      if (!ifRoom) throw quotaExceeded(expected, allowed);
      full = true;
    },
  };
}
