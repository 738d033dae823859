/**
 * A Source that reads another one in verified chunks of 4 MiB and keeps them in a ModelStore. A chunk is stored as soon
 * as it is here, so a load that was cut goes on where it stopped; a stored chunk that fails its digest is dropped and
 * fetched again. What a chunk must be is said by the folder's manifest.json, else by its first arrival.
 *
 * Memory: at most CACHED chunks, and three requests in flight.
 */
import { asNibbleError, NibbleError, throwIfAborted } from '../errors';
import { CHUNK_BYTES, chunkKey, deleteModel, type ModelRecord, type ModelStore } from './chunk-store';
import { type Manifest, parseManifest, sha256 } from './manifest';
import type { Source } from './source';

/** the chunk in use, those ahead of it, and one for each kind of statistics that lies elsewhere in the file */
const CACHED = 8;
const IN_FLIGHT = 3;
const AHEAD = 2;
/** shorter reads are statistics, which come out of turn: nothing is fetched ahead for them */
const SEQUENTIAL_BYTES = 32 << 10;

export interface StoredSource extends Source {
  /** Set when weights are about to be read in order: chunks are then fetched ahead, and shared without a store too. */
  streaming: boolean;
  /** everything was here when the source was opened: no request will be made */
  readonly complete: boolean;
  /** Says in the ledger that the model is installed. Call it only when all of it has been read. */
  markComplete(): Promise<void>;
  /** Deletes what is kept of a model that is not installed and whose chunks no manifest vouches for. */
  dropUnproven(): Promise<void>;
}

export interface StoredOptions {
  signal?: AbortSignal;
  /** told of bytes that came from the store */
  onStored?: (path: string, bytes: number) => void;
}

/** The key under which all that is kept of a source's model is filed. */
export const modelKey = (source: Pick<Source, 'name' | 'revision'>) => `${source.name}@${source.revision ?? ''}`;

/**
 * @param store null: nothing is kept, but what arrives is still verified
 * @throws network, storage-unavailable, aborted
 */
export async function openStored(
  inner: Source,
  store: ModelStore | null,
  { signal, onStored }: StoredOptions = {},
): Promise<StoredSource> {
  const key = modelKey(inner);
  const old = await store?.ledger.get(key);
  const complete = old?.complete ?? false;
  const manifest = complete || inner.gguf ? null : await readManifest(inner, signal);
  const record: ModelRecord = complete
    ? { ...old!, lastUsed: Date.now() }
    : {
        key,
        name: inner.name,
        revision: manifest?.revision ?? inner.revision,
        files: manifest?.files ?? {},
        manifest: manifest !== null,
        complete: false,
        lastUsed: Date.now(),
      };
  const cache = new Map<string, Promise<Uint8Array<ArrayBuffer>>>();
  const gate = createGate(IN_FLIGHT);
  if (manifest && old) {
    for (const [path, { bytes }] of Object.entries(manifest.files)) await forgetOther(path, bytes);
  }
  await store?.ledger.put(record);

  /** A file whose size is another than last time is another file: its chunks go. */
  async function forgetOther(path: string, bytes: number | null) {
    const before = old?.files[path]?.bytes ?? 0;
    if (before === bytes) return;
    for (let i = 0; i * CHUNK_BYTES < before; i++) await store?.chunks.delete(chunkKey(key, path, i));
  }

  async function size(path: string): Promise<number | null> {
    const known = record.files[path];
    if (known) return known.bytes;
    if (record.manifest) return null;
    if (complete) return inner.size(path, signal).catch(() => null);
    const bytes = await inner.size(path, signal);
    await forgetOther(path, bytes);
    record.files[path] = { bytes, chunks: [] };
    await store?.ledger.put(record);
    return bytes;
  }

  async function stored(path: string, index: number, length: number) {
    const expected = record.files[path].chunks[index];
    const name = chunkKey(key, path, index);
    const kept = await store?.chunks.get(name);
    if (!kept) return null;
    const digest = await sha256(kept.bytes);
    if (kept.bytes.length === length && digest === kept.sha256 && (!expected || digest === expected)) {
      record.files[path].chunks[index] = digest;
      onStored?.(path, length);
      return kept.bytes;
    }
    await store!.chunks.delete(name);
    return null;
  }

  async function load(path: string, index: number): Promise<Uint8Array<ArrayBuffer>> {
    const start = index * CHUNK_BYTES;
    const end = Math.min(start + CHUNK_BYTES, record.files[path].bytes!);
    const kept = await stored(path, index, end - start);
    if (kept) return kept;
    const { chunks } = record.files[path];
    for (let attempt = 0; ; attempt++) {
      const bytes = await gate(() => inner.read(path, start, end, signal));
      // where nothing is kept and nothing is known there is nothing to compare
      const digest = store || chunks[index] ? await sha256(bytes) : null;
      if (!chunks[index] || !digest || digest === chunks[index]) {
        if (digest) {
          await store?.chunks.put(chunkKey(key, path, index), { sha256: digest, bytes });
          chunks[index] = digest;
        }
        return bytes;
      }
      if (attempt > 0) {
        const message = `Bytes ${start}-${end - 1} of ${path} are not what ${record.manifest ? 'its manifest' : 'was first downloaded'} says. Delete the model and download it again, or tell who serves it.`;
        throw new NibbleError('integrity-mismatch', message, {
          path,
          chunk: index,
          expected: chunks[index],
          actual: digest,
        });
      }
    }
  }

  function chunk(path: string, index: number): Promise<Uint8Array<ArrayBuffer>> {
    const name = chunkKey('', path, index);
    let bytes = cache.get(name);
    cache.delete(name);
    if (!bytes) {
      bytes = load(path, index);
      // a chunk fetched ahead may fail before anybody waits for it; whoever asks again tries again
      bytes.catch(() => cache.delete(name));
    }
    cache.set(name, bytes);
    if (cache.size > CACHED) cache.delete(cache.keys().next().value!);
    return bytes;
  }

  async function read(path: string, start: number, end: number, stop?: AbortSignal) {
    const bytes = await size(path);
    if (bytes === null || end > bytes) {
      const message = `${path} has ${bytes ?? 'no'} bytes where ${end} are needed. Get the model again.`;
      throw new NibbleError('corrupt-checkpoint', message, { path, bytes, expected: end });
    }
    // headers of a model that is not kept: whole chunks would be thrown away and fetched twice
    if (!store && !source.streaming && bytes > CHUNK_BYTES) return inner.read(path, start, end, stop ?? signal);
    const result = new Uint8Array(end - start);
    const last = Math.ceil(end / CHUNK_BYTES);
    for (let i = Math.floor(start / CHUNK_BYTES); i < last; i++) {
      throwIfAborted(stop);
      const piece = chunk(path, i);
      const ahead = source.streaming && end - start >= SEQUENTIAL_BYTES ? Math.ceil(bytes / CHUNK_BYTES) : last;
      for (let j = i + 1; j < ahead && j <= i + AHEAD; j++) void chunk(path, j).catch(() => {});
      const from = i * CHUNK_BYTES;
      const got = await untilAborted(piece, stop);
      result.set(got.subarray(Math.max(0, start - from), Math.min(got.length, end - from)), Math.max(0, from - start));
    }
    return result;
  }

  const source: StoredSource = {
    name: inner.name,
    revision: record.revision,
    gguf: inner.gguf,
    streaming: false,
    complete,
    size,
    read,
    async markComplete() {
      record.complete = true;
      await store?.ledger.put(record);
    },
    async dropUnproven() {
      if (store && !complete && !record.manifest) await deleteModel(store, key);
    },
    close() {
      cache.clear();
      inner.close?.();
    },
  };
  return source;
}

async function readManifest(inner: Source, signal?: AbortSignal): Promise<Manifest | null> {
  const bytes = await inner.size('manifest.json', signal);
  return bytes ? parseManifest(await inner.read('manifest.json', 0, bytes, signal)) : null;
}

/** Runs at most `limit` tasks at once, in order of arrival. */
function createGate(limit: number) {
  const waiting: (() => void)[] = [];
  return async <T>(task: () => Promise<T>): Promise<T> => {
    if (limit > 0) limit--;
    else await new Promise<void>((go) => waiting.push(go));
    try {
      return await task();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else limit++;
    }
  };
}

function untilAborted<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const stop = () => reject(new NibbleError('aborted', 'The request was stopped.'));
    if (signal.aborted) return stop();
    signal.addEventListener('abort', stop);
    work
      .then(resolve, (error) => reject(asNibbleError(error, 'network')))
      .finally(() => signal.removeEventListener('abort', stop));
  });
}

/**
 * Waits until this tab alone may download the model. Without Web Locks (an insecure page) there is nothing to wait for.
 * @returns the function that lets the next tab go on
 * @throws aborted
 */
export async function lockModel(key: string, signal?: AbortSignal): Promise<() => void> {
  const locks = globalThis.navigator?.locks;
  if (!locks) return () => {};
  return new Promise((resolve, reject) => {
    locks
      .request(`nibble:${key}`, { signal }, () => new Promise<void>((release) => resolve(release)))
      .catch((error) => reject(asNibbleError(error)));
  });
}
