/**
 * Where downloaded models are kept: chunks of files in one IndexedDB database, a ledger of models in another, the mark
 * of a load under way in a third, which kernels a device computes with in a fourth (idb-keyval has one object store a
 * database). `entries()` and `values()` would load whole models: never call them on the chunks.
 */
import { del, get, keys, promisifyRequest, set } from 'idb-keyval';
import { NibbleError } from '../errors';
import { type DatabaseOptions, database } from '../platform/database';
import type { LoadAttempt } from '../protocol';
import type { FileVersion } from '../sources/versions';

/** Files are fetched, verified and stored in pieces of 4 MiB, aligned to the file's start. */
export const CHUNK_BYTES = 4 << 20;

/** So many chunks are fetched ahead of the one that is read where the reader has had to wait for one; else one is. */
export const MOST_AHEAD = 2;

export interface Chunk {
  /** hex digest of the bytes as they first arrived */
  sha256: string;
  bytes: Uint8Array<ArrayBuffer>;
  /** checksum of the bytes, by which they are checked; absent of old, and where a store keeps none */
  xxh32?: number;
}

/**
 * A key-value store of chunks. Another kind of storage (a folder of Node's, OPFS) is another implementation, and
 * promises:
 * - what put() was given comes back from get() byte for byte once put() has resolved, in this process and in later
 *   ones, or not at all (undefined): never a part of it. Its digest is compared by whoever asked, not here;
 * - put() copies: its caller may change or give away the bytes when it resolves. What get() brings is the caller's own;
 * - put() takes the place of what was there; delete() of what is not there is no error;
 * - keys are any text (addresses and paths, with /, :, # and ~), told apart by every character. keys() lists exactly
 *   the keys that begin so, in any order; '' lists all;
 * - calls may overlap. Those for one key take effect in the order in which they were made, if each is awaited;
 * - one process, tab or worker writes a model at a time (locks.ts); others may read it meanwhile.
 */
export interface ChunkStore {
  get(key: string): Promise<Chunk | undefined>;
  /** @throws quota-exceeded, storage-unavailable */
  put(key: string, chunk: Chunk): Promise<void>;
  delete(key: string): Promise<void>;
  /** whether what get() brings has the `xxh32` that put() was given */
  readonly keepsChecksum?: boolean;
  /** of all chunks, whole and begun, whose keys begin so */
  keys(prefix: string): Promise<string[]>;
}

/** What a ModelRecord's fields mean; another number where they come to mean something else. */
export const RECORD_FORMAT = 1;

/** What is known of a model on this machine. */
export interface ModelRecord {
  /** RECORD_FORMAT; absent in the records of version 0.1.0, whose fields mean the same */
  format?: number;
  /** the source's name and revision: the key of everything kept for it */
  key: string;
  name: string;
  revision: string | null;
  /**
   * by path; `bytes` null: the server has no such file; chunks: digest by index, '' where not known; digest: of the
   * whole file as its author gives it (Listing); version: as the server told it, where neither a digest nor a manifest
   * says what the file must be (absent in records that are older than it)
   */
  files: Record<
    string,
    { bytes: number | null; chunks: string[]; digest?: string | null; version?: FileVersion | null }
  >;
  /** the folder has a manifest, so the digests are its author's, not those of first arrival */
  manifest: boolean;
  /** `files` names all that a load may ask for: what it does not name is not there */
  closed: boolean;
  /** the file that is made of the others and kept in their place (quantised.ts), and for which choice of the person */
  made?: { path: string; choice: string };
  /** everything that a load needs is here and verified */
  complete: boolean;
  /** how many chunks there were when it became complete */
  kept: number;
  /** ms since 1970 */
  lastUsed: number;
}

/** Whether a later version wrote a record: what it means, and which chunks are its own, is not known here. */
export const isForeign = (record: ModelRecord | undefined): boolean =>
  record?.format !== undefined && record.format !== RECORD_FORMAT;

/** Of models, by key; promises what ChunkStore promises. A record survives structured cloning and JSON. */
export interface Ledger {
  get(key: string): Promise<ModelRecord | undefined>;
  put(record: ModelRecord): Promise<void>;
  delete(key: string): Promise<void>;
  keys(): Promise<string[]>;
}

/** "Loading X", written before anything is allocated. */
export interface LoadMark extends Omit<LoadAttempt, 'message'> {
  /** of the model */
  key: string;
}

/**
 * All that is kept on this machine. Its parts promise what ChunkStore promises, each for itself: between a write to one
 * and a write to another the process may end, and whoever reads then finds what was written first.
 */
export interface ModelStore {
  chunks: ChunkStore;
  ledger: Ledger;
  /** of the load that began last, until it ends */
  loading: {
    get(): Promise<LoadMark | undefined>;
    put(mark: LoadMark): Promise<void>;
    delete(): Promise<void>;
  };
  /** of kernels that were timed and checked, by device (runtime/tuning.ts) */
  tuning: {
    get(device: string): Promise<unknown>;
    put(device: string, record: unknown): Promise<void>;
  };
  /** of saved caches, by name (saved-caches.ts); their pieces are among the chunks */
  saved: {
    get(name: string): Promise<unknown>;
    put(name: string, record: unknown): Promise<void>;
    delete(name: string): Promise<void>;
    keys(): Promise<string[]>;
  };
  /** bytes in use and allowed, as the browser estimates them; null when it does not tell */
  room(): Promise<{ usage: number; quota: number } | null>;
}

export const filePrefix = (model: string, path: string): string => `${model}/${path}#`;
export const chunkKey = (model: string, path: string, index: number): string => filePrefix(model, path) + index;
/** The beginning of a chunk whose download was cut. */
export const begunKey = (model: string, path: string, index: number): string => `${chunkKey(model, path, index)}~`;
/** What was read of a file apart from its chunks (parts.ts). */
export const partsKey = (model: string, path: string): string => `${filePrefix(model, path)}parts`;
/** Parts of a file that show later whether it is still the same (version-samples.ts). */
export const samplesKey = (model: string, path: string): string => `${filePrefix(model, path)}samples`;

/** Whether a key under a file's prefix is that of a whole chunk. */
export const isWhole = (key: string): boolean => /#\d+$/.test(key);

/** Bytes of a file that its whole chunks among `keys` hold. */
export function keptBytes(keys: readonly string[], fileBytes: number): number {
  return keys.reduce((sum, key) => {
    const index = /#(\d+)$/.exec(key)?.[1];
    return index === undefined ? sum : sum + Math.min(CHUNK_BYTES, fileBytes - Number(index) * CHUNK_BYTES);
  }, 0);
}

/** There is one mark: a page has room for one load that goes wrong. */
const MARK = 'loading';

export function createMemoryStore(): ModelStore {
  const table = <T>() => {
    const map = new Map<string, T>();
    return {
      get: async (key: string) => structuredClone(map.get(key)),
      put: async (key: string, value: T) => void map.set(key, structuredClone(value)),
      delete: async (key: string) => void map.delete(key),
      keys: async (prefix = '') => [...map.keys()].filter((key) => key.startsWith(prefix)),
    };
  };
  const ledger = table<ModelRecord>();
  const loading = table<LoadMark>();
  const saved = table<unknown>();
  const tuning = table<unknown>();
  return {
    chunks: { ...table<Chunk>(), keepsChecksum: true },
    ledger: { ...ledger, keys: () => ledger.keys(), put: (record) => ledger.put(record.key, record) },
    loading: {
      get: () => loading.get(MARK),
      put: (mark) => loading.put(MARK, mark),
      delete: () => loading.delete(MARK),
    },
    saved: { ...saved, keys: () => saved.keys() },
    tuning,
    room: async () => null,
  };
}

const megabytes = (bytes: number) => Math.round(bytes / 1e6);

/**
 * What is needed and what is free. Chrome's estimate is a constant above the usage, whatever the disk has (since 2025):
 * where a write is refused although that names room enough, the sentence says so.
 * @param needed bytes that are still to be kept
 */
export function quotaExceeded(
  needed: number,
  room: { usage: number; quota: number } | null,
  options?: ErrorOptions,
): NibbleError {
  const { usage = 0, quota = 0 } = room ?? {};
  const free = Math.max(0, quota - usage);
  const some = Math.max(1, megabytes(needed));
  const left = !room
    ? ''
    : free < needed
      ? ` and ${megabytes(free)} MB are free`
      : ', and nothing more can be written, though there should be room: the disk may be full';
  const text = `There is no room for this model: ${some} MB more are needed, ${megabytes(usage)} MB are in use here${left}. Delete a model or free disk space, or load with storage: 'if-room' or 'none'.`;
  const details = { neededBytes: needed, usageBytes: usage, quotaBytes: quota, freeBytes: free };
  return new NibbleError('quota-exceeded', text, details, options);
}

async function room() {
  const { usage, quota } = (await navigator.storage?.estimate?.().catch(() => null)) ?? {};
  return usage === undefined || quota === undefined ? null : { usage, quota };
}

async function storageError(cause: unknown, bytes: number): Promise<NibbleError> {
  const { name, message } = cause as DOMException;
  if (name === 'QuotaExceededError') return quotaExceeded(bytes, await room(), { cause });
  const text = `The browser’s storage failed (${message}). Reload the page, or load with storage: 'none'.`;
  return new NibbleError('storage-unavailable', text, { reason: name }, { cause });
}

/**
 * Opens the databases.
 * @returns the store, or null and one sentence for the person where the browser gives none (private mode, opaque
 * origin, another tab that holds them)
 */
export async function openModelStore(
  options: DatabaseOptions = {},
  prefix = 'nibble',
): Promise<{ store: ModelStore | null; reason: string }> {
  const chunks = database(`${prefix}-chunks`, options);
  const models = database(`${prefix}-models`, options);
  const loading = database(`${prefix}-loading`, options);
  const saved = database(`${prefix}-saved`, options);
  const tuning = database(`${prefix}-tuning`, options);
  const guarded = <T>(work: Promise<T>, bytes = 0) =>
    work.catch(async (cause) => {
      throw await storageError(cause, bytes);
    });
  const store: ModelStore = {
    chunks: {
      keepsChecksum: true,
      get: (key) => guarded(get<Chunk>(key, chunks)),
      put: (key, chunk) => guarded(set(key, chunk, chunks), chunk.bytes.length),
      delete: (key) => guarded(del(key, chunks)),
      keys: (prefix) => {
        const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`);
        return guarded(chunks('readonly', (all) => promisifyRequest(all.getAllKeys(range)) as Promise<string[]>));
      },
    },
    ledger: {
      get: (key) => guarded(get<ModelRecord>(key, models)),
      put: (record) => guarded(set(record.key, record, models)),
      delete: (key) => guarded(del(key, models)),
      keys: () => guarded(keys<string>(models)),
    },
    loading: {
      get: () => guarded(get<LoadMark>(MARK, loading)),
      put: (mark) => guarded(set(MARK, mark, loading)),
      delete: () => guarded(del(MARK, loading)),
    },
    saved: {
      get: (name) => guarded(get<unknown>(name, saved)),
      put: (name, record) => guarded(set(name, record, saved)),
      delete: (name) => guarded(del(name, saved)),
      keys: () => guarded(keys<string>(saved)),
    },
    tuning: {
      get: (device) => guarded(get<unknown>(device, tuning)),
      put: (device, record) => guarded(set(device, record, tuning)),
    },
    room,
  };
  try {
    if (!globalThis.crypto?.subtle) throw new Error('the page is not served over https');
    await Promise.all([store.ledger.keys(), store.chunks.get('')]);
    return { store, reason: '' };
  } catch (error) {
    const { message } = error as Error;
    return { store: null, reason: `This browser keeps no data for the page (${message}): the model is not kept.` };
  }
}

/** Deletes all that is kept of one file. */
export async function deleteFile(store: ModelStore, model: string, path: string): Promise<void> {
  for (const key of await store.chunks.keys(filePrefix(model, path))) await store.chunks.delete(key);
}
