/**
 * The chunks that are in memory or on their way there, a bounded number: the one used longest ago makes room, but those
 * that were fetched for a header and could not be kept stay until they are used. Its memory
 * is given back at once, but not under somebody who still waits for it or copies from it.
 */

import { untilAborted } from '../platform/concurrency';
import { release } from '../platform/release';
import { chunkKey } from './chunk-store';

type Bytes = Uint8Array<ArrayBuffer>;

/** A chunk that is held. */
export interface Held {
  bytes: Promise<Bytes>;
  /** they have come */
  here: boolean;
  /** who waits for it or copies from it */
  users: number;
  /** out of the cache: the last user frees it */
  dropped: boolean;
}

export interface ChunkCache {
  has(path: string, index: number): boolean;
  /** Whether a chunk has come, and need not be waited for. */
  isHere(path: string, index: number): boolean;
  /** The chunk, loaded if need be. One that fails is forgotten: whoever asks again tries again. */
  hold(path: string, index: number): Held;
  /** Runs `task` on a chunk's bytes, which stay until it is done. @throws what loading it throws; aborted */
  use(held: Held, task: (bytes: Bytes) => void | Promise<void>, until?: AbortSignal): Promise<void>;
  /** Lets a chunk stay until it is dropped: one that would have to be fetched again. */
  pin(path: string, index: number): void;
  /** Lets a chunk make room for others again. */
  unpin(path: string, index: number): void;
  drop(path: string, index: number): void;
  clear(): void;
  /** the loads under way, and the work for which chunks stay */
  readonly running: ReadonlySet<Promise<unknown>>;
}

/** as many as there are headers that are read side by side, and two more */
const PINNED = 8;

/** Keeps the memory of a chunk that is being loaded until some work with it is done as well. */
export type Stay = (work: Promise<unknown>) => void;

/** @param most chunks at most, beside those that stay */
export function createChunkCache(
  load: (path: string, index: number, stay: Stay) => Promise<Bytes>,
  most: () => number,
): ChunkCache {
  const cache = new Map<string, Held>();
  const pinned = new Set<string>();
  const running = new Set<Promise<unknown>>();
  const nameOf = (path: string, index: number) => chunkKey('', path, index);

  function free({ bytes, users, dropped }: Held): void {
    if (dropped && users === 0) void bytes.then((array) => release(array)).catch(() => {});
  }

  function drop(name: string): void {
    const held = cache.get(name);
    if (!held) return;
    cache.delete(name);
    pinned.delete(name);
    held.dropped = true;
    free(held);
  }

  function begin(name: string, path: string, index: number): Held {
    const stay: Stay = (work) => {
      held.users++;
      track(work, () => {
        held.users--;
        free(held);
      });
    };
    const held: Held = { bytes: load(path, index, stay), here: false, users: 0, dropped: false };
    held.bytes.then(
      () => {
        held.here = true;
      },
      // a chunk fetched ahead may fail before anybody waits for it
      () => {
        if (cache.get(name) !== held) return;
        cache.delete(name);
        pinned.delete(name);
      },
    );
    track(held.bytes);
    return held;
  }

  function track(work: Promise<unknown>, done?: () => void): void {
    running.add(work);
    const over = () => {
      running.delete(work);
      done?.();
    };
    work.then(over, over);
  }

  return {
    running,
    has: (path, index) => cache.has(nameOf(path, index)),
    isHere: (path, index) => cache.get(nameOf(path, index))?.here === true,
    hold(path, index) {
      const name = nameOf(path, index);
      const held = cache.get(name) ?? begin(name, path, index);
      // the newest stands last
      cache.delete(name);
      cache.set(name, held);
      for (const oldest of cache.keys()) {
        if (cache.size - pinned.size <= most()) break;
        if (!pinned.has(oldest)) drop(oldest);
      }
      return held;
    },
    pin(path, index) {
      const name = nameOf(path, index);
      if (cache.has(name) && pinned.size < PINNED) pinned.add(name);
    },
    unpin: (path, index) => void pinned.delete(nameOf(path, index)),
    async use(held, task, until) {
      held.users++;
      try {
        await task(await (held.here ? held.bytes : untilAborted(held.bytes, until)));
      } finally {
        held.users--;
        free(held);
      }
    },
    drop: (path, index) => drop(nameOf(path, index)),
    clear() {
      for (const name of [...cache.keys()]) drop(name);
    },
  };
}
