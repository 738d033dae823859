/** Small parts of files that are kept beside their chunks, one entry of the store a file: read once, then in memory. */
import type { KeptModel } from './kept-model';
import { type Part, packParts, unpackParts } from './parts';

/** @template T what the parts of a file are made into */
export interface PartEntries<T> {
  /** files of which there is more than is stored */
  readonly unsaved: Set<string>;
  /** Whether a file's parts are in memory. */
  has(path: string): boolean;
  /** What is known of a file's parts; whoever changes it sees that it is saved. */
  of(path: string): Promise<T>;
  /** @throws quota-exceeded, storage-unavailable */
  save(path: string, value: T): Promise<void>;
  /** Forgets what is in memory, not what is stored. */
  forget(path: string): void;
}

/** @param nameOf the name of a file's entry: partsKey() or samplesKey() */
export function createPartEntries<T>(
  kept: KeptModel,
  nameOf: (model: string, path: string) => string,
  from: (parts: Part[]) => T,
  partsOf: (value: T) => readonly Part[],
): PartEntries<T> {
  const known = new Map<string, Promise<T>>();
  const unsaved = new Set<string>();
  const of = (path: string): Promise<T> => {
    const value =
      known.get(path) ??
      kept.sound(nameOf(kept.key, path)).then((entry) => from(entry ? unpackParts(entry.bytes) : []));
    known.set(path, value);
    return value;
  };
  return {
    unsaved,
    has: (path) => known.has(path),
    of,
    save: (path, value) => kept.put(nameOf(kept.key, path), packParts(partsOf(value))),
    forget(path) {
      known.delete(path);
      unsaved.delete(path);
    },
  };
}
