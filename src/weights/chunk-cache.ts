/**
 * The chunks that are in memory or on their way there, a bounded number: the one used longest ago makes room. Its memory
 * is given back at once, but not under somebody who still waits for it or copies from it.
 */
import { chunkKey } from './chunk-store';
import { untilAborted } from './gate';
import { release } from './release';

type Bytes = Uint8Array<ArrayBuffer>;

/** A chunk that is held. */
export interface Held {
  bytes: Promise<Bytes>;
  /** who waits for it or copies from it */
  users: number;
  /** out of the cache: the last user frees it */
  dropped: boolean;
}

export interface ChunkCache {
  has(path: string, index: number): boolean;
  /** The chunk, loaded if need be. One that fails is forgotten: whoever asks again tries again. */
  hold(path: string, index: number): Held;
  /** Runs `task` on a chunk's bytes, which stay until it is done. @throws what loading it throws; aborted */
  use(held: Held, task: (bytes: Bytes) => void | Promise<void>, until?: AbortSignal): Promise<void>;
  drop(path: string, index: number): void;
  clear(): void;
  /** the loads under way */
  readonly running: ReadonlySet<Promise<unknown>>;
}

/** @param most chunks at most */
export function createChunkCache(load: (path: string, index: number) => Promise<Bytes>, most: number): ChunkCache {
  const cache = new Map<string, Held>();
  const running = new Set<Promise<unknown>>();
  const nameOf = (path: string, index: number) => chunkKey('', path, index);

  function free({ bytes, users, dropped }: Held): void {
    if (dropped && users === 0) void bytes.then((array) => release(array)).catch(() => {});
  }

  function drop(name: string): void {
    const held = cache.get(name);
    if (!held) return;
    cache.delete(name);
    held.dropped = true;
    free(held);
  }

  function begin(name: string, path: string, index: number): Held {
    const held: Held = { bytes: load(path, index), users: 0, dropped: false };
    running.add(held.bytes);
    held.bytes
      // a chunk fetched ahead may fail before anybody waits for it
      .catch(() => cache.get(name) === held && cache.delete(name))
      .finally(() => running.delete(held.bytes));
    return held;
  }

  return {
    running,
    has: (path, index) => cache.has(nameOf(path, index)),
    hold(path, index) {
      const name = nameOf(path, index);
      const held = cache.get(name) ?? begin(name, path, index);
      // the newest stands last
      cache.delete(name);
      cache.set(name, held);
      if (cache.size > most) drop(cache.keys().next().value!);
      return held;
    },
    async use(held, task, until) {
      held.users++;
      try {
        await task(await untilAborted(held.bytes, until));
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
