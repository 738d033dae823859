/**
 * Where downloaded models are kept: chunks of files in one IndexedDB database, a ledger of models in another (idb-keyval
 * has one object store a database). `entries()` and `values()` would load whole models: never call them on the chunks.
 */
import { del, get, keys, promisifyRequest, set, type UseStore } from 'idb-keyval';
import { NibbleError } from '../errors';

/** Files are fetched, verified and stored in pieces of 4 MiB, aligned to the file's start. */
export const CHUNK_BYTES = 4 << 20;

export interface Chunk {
  /** hex digest of the bytes as they first arrived */
  sha256: string;
  bytes: Uint8Array<ArrayBuffer>;
}

/** A key-value store of chunks. Another kind of storage (OPFS, cross-origin storage) is another implementation. */
export interface ChunkStore {
  get(key: string): Promise<Chunk | undefined>;
  /** @throws quota-exceeded, storage-unavailable */
  put(key: string, chunk: Chunk): Promise<void>;
  delete(key: string): Promise<void>;
}

/** What is known of a model on this machine. */
export interface ModelRecord {
  /** the source's name and revision: the key of everything kept for it */
  key: string;
  name: string;
  revision: string | null;
  /** by path; `bytes` null: the server has no such file; chunks: digest by index, '' where not known */
  files: Record<string, { bytes: number | null; chunks: string[] }>;
  /** the folder has a manifest, so the digests are its author's, not those of first arrival */
  manifest: boolean;
  /** everything that a load needs is here and verified */
  complete: boolean;
  /** ms since 1970 */
  lastUsed: number;
}

export interface Ledger {
  get(key: string): Promise<ModelRecord | undefined>;
  put(record: ModelRecord): Promise<void>;
  delete(key: string): Promise<void>;
  keys(): Promise<string[]>;
}

export interface ModelStore {
  chunks: ChunkStore;
  ledger: Ledger;
}

export const chunkKey = (model: string, path: string, index: number) => `${model}/${path}#${index}`;

export function createMemoryStore(): ModelStore {
  const table = <T>() => {
    const map = new Map<string, T>();
    return {
      get: async (key: string) => structuredClone(map.get(key)),
      put: async (key: string, value: T) => void map.set(key, structuredClone(value)),
      delete: async (key: string) => void map.delete(key),
      keys: async () => [...map.keys()],
    };
  };
  const ledger = table<ModelRecord>();
  return { chunks: table<Chunk>(), ledger: { ...ledger, put: (record) => ledger.put(record.key, record) } };
}

/** idb-keyval's store function with relaxed durability: a chunk lost to a power cut is fetched again anyway. */
function database(name: string): UseStore {
  let opened: Promise<IDBDatabase> | undefined;
  const open = () => {
    const request = indexedDB.open(name);
    request.onupgradeneeded = () => request.result.createObjectStore('keyval');
    return promisifyRequest(request);
  };
  return async (mode, callback) => {
    try {
      opened ??= open();
      const db = await opened;
      db.onclose = () => {
        opened = undefined;
      };
      return await callback(db.transaction('keyval', mode, { durability: 'relaxed' }).objectStore('keyval'));
    } catch (error) {
      opened = undefined;
      throw error;
    }
  };
}

async function storageError(cause: unknown, bytes: number): Promise<NibbleError> {
  const { name, message } = cause as DOMException;
  if (name !== 'QuotaExceededError') {
    const text = `The browser’s storage failed (${message}). Reload the page, or load with storage: 'none'.`;
    return new NibbleError('storage-unavailable', text, { reason: name }, { cause });
  }
  const { usage = 0, quota = 0 } = (await navigator.storage?.estimate?.().catch(() => undefined)) ?? {};
  const used = Math.round(usage / 1e6);
  const text = `The browser has no room left for this model: ${used} MB are in use here. Delete a model or free disk space, or load with storage: 'none'.`;
  return new NibbleError(
    'quota-exceeded',
    text,
    { usageBytes: usage, quotaBytes: quota, chunkBytes: bytes },
    { cause },
  );
}

/**
 * Opens the databases.
 * @returns the store, or null and one sentence for the person where the browser gives none (private mode, opaque origin)
 */
export async function openModelStore(prefix = 'nibble'): Promise<{ store: ModelStore | null; reason: string }> {
  const chunks = database(`${prefix}-chunks`);
  const models = database(`${prefix}-models`);
  const guarded = (bytes: number, write: Promise<void>) =>
    write.catch(async (cause) => {
      throw await storageError(cause, bytes);
    });
  const store: ModelStore = {
    chunks: {
      get: (key) => get<Chunk>(key, chunks),
      put: (key, chunk) => guarded(chunk.bytes.length, set(key, chunk, chunks)),
      delete: (key) => del(key, chunks),
    },
    ledger: {
      get: (key) => get<ModelRecord>(key, models),
      put: (record) => guarded(0, set(record.key, record, models)),
      delete: (key) => del(key, models),
      keys: () => keys<string>(models),
    },
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

/** Frees a model's space. Its ledger entry goes last, so that a cut deletion can be repeated. */
export async function deleteModel(store: ModelStore, key: string): Promise<void> {
  const record = await store.ledger.get(key);
  if (!record) return;
  await store.ledger.put({ ...record, complete: false });
  for (const [path, file] of Object.entries(record.files)) {
    for (let i = 0; i * CHUNK_BYTES < (file.bytes ?? 0); i++) await store.chunks.delete(chunkKey(key, path, i));
  }
  await store.ledger.delete(key);
}
