/** Small parts of files that are kept beside their chunks, one entry of the store a file: read once, then in memory. */
import type { KeptModel } from './kept-model';
import { type Part, packParts, unpackParts } from './parts';

/** @template T what the parts of a file are made into */
export interface PartEntries<T> {
  /** Whether a file's parts are in memory. */
  has(path: string): boolean;
  /** What is known of a file's parts; whoever changes it sees that it is saved. */
  of(path: string): Promise<T>;
  /** @throws quota-exceeded, storage-unavailable */
  save(path: string, value: T): Promise<void>;
  /** Forgets what is in memory, not what is stored. */
  forget(path: string): void;
}

/**
 * @param nameOf the name of a file's entry: partsKey() or samplesKey()
 * @param from makes T of parts, and partsOf the parts again; absent: T is Part[]
 */
export function createPartEntries<T>(
  { key, sound, put }: KeptModel,
  nameOf: (model: string, path: string) => string,
  from = (parts: Part[]) => parts as T,
  partsOf = (value: T) => value as readonly Part[],
): PartEntries<T> {
  const known = new Map<string, Promise<T>>();
  return {
    has: (path) => known.has(path),
    of(path) {
      const value =
        known.get(path) ?? sound(nameOf(key, path)).then((entry) => from(entry ? unpackParts(entry.bytes) : []));
      known.set(path, value);
      return value;
    },
    save: (path, value) => put(nameOf(key, path), packParts(partsOf(value))),
    forget: (path) => void known.delete(path),
  };
}
