/**
 * A Source that reads another one in verified chunks of 4 MiB and keeps them in a ModelStore. A chunk is stored as soon
 * as it is here, and so is the beginning of one whose download was cut, so that a load goes on where it stopped; a
 * stored chunk that fails its digest is dropped and fetched again. What a chunk must be is said by the folder's
 * manifest.json, else by its first arrival; what a whole file must be, by its author's digest where the source lists
 * one: checked when all of the file has been here.
 *
 * Where neither says it, a file is of the version that its server tells (versions.ts), or else of the one that samples of
 * it show (samples.ts): both are compared when a later load goes on with what is kept, and when all has been read. What
 * is kept of another version goes, and all that was made of it; a load that is under way has to be begun anew.
 *
 * Where the digests are those of first arrival, small parts that a header needs from all over a file are fetched alone,
 * and must be what their chunks say when those arrive: else both go, and the load has to be begun anew.
 *
 * Memory: at most CACHED chunks and those parts; IN_FLIGHT requests for chunks.
 */
import { NibbleError } from '../errors';
import type { Listing, Source } from '../sources/source';
import {
  CHUNK_BYTES,
  chunkKey,
  deleteFile,
  filePrefix,
  isForeign,
  isWhole,
  type ModelRecord,
  type ModelStore,
  RECORD_FORMAT,
  samplesKey,
} from './chunk-store';
import { createChunks } from './chunks';
import { createFileDigests } from './file-digests';
import { createFileSizes } from './file-sizes';
import { createFileVersions } from './file-versions';
import { readManifest } from './manifest';
import { type FilesOptions, type MakeBytes, type OpenedRecord, openModelFiles } from './model-files';
import { createOrigin } from './origin';
import { createApartReader } from './read-apart';

/** two take 25 MiB more of the renderer while weights stream, and are no faster (bench/load-1gb.md) */
const AHEAD = 1;
/** shorter reads are statistics, which come out of turn: nothing is fetched ahead for them */
const SEQUENTIAL_BYTES = 32 << 10;

export interface StoredSource extends Source {
  /**
   * Set to the weight files, in the order they are read, when that is about to begin: chunks are then fetched ahead,
   * past the end of a file too, and shared without a store too.
   */
  streaming: readonly string[] | null;
  /** Set, before that, to the places from which the first samples are to be (samples.ts). */
  places: ReadonlyMap<string, readonly [number, number]>;
  /** everything was here when the source was opened: no request will be made */
  readonly complete: boolean;
  /** what is kept of the model is the files as they are served, all of them */
  readonly original: boolean;
  /** what was kept had been made for another choice, and was dropped */
  readonly anew: boolean;
  /**
   * From now on a file that is made of others is kept in their place: of those only the chunks that have been read.
   * Their author's digests are compared, as ever, when all of them has been here: so not after a load that was cut.
   * @param bytes its size
   * @param make brings any of its bytes
   */
  keepInstead(path: string, bytes: number, of: readonly string[], make: MakeBytes): Promise<void>;
  /** the browser ran out of room and the load goes on without keeping the rest (`ifRoom`) */
  readonly full: boolean;
  /** the sentence of why nothing can be written, where that is another; else empty */
  readonly unwritable: string;
  /**
   * Asks the server once more about every file that has been read and that nothing else vouches for.
   * @throws integrity-mismatch (isChange) when one has changed meanwhile; network, aborted
   */
  unchanged(): Promise<void>;
  /**
   * Compares files with their author's digests and the server's versions, and says in the ledger that the model is installed. Call it only when
   * all of it has been read. @throws integrity-mismatch, and that file is then no longer kept; network, aborted
   */
  markComplete(): Promise<void>;
  /**
   * Deletes what is kept of a model that is not installed and whose chunks no manifest vouches for, unless it was the
   * source that failed.
   */
  dropUnproven(): Promise<void>;
  /** what had arrived was dropped, and another load may find it whole */
  readonly dropped: boolean;
  /** Stops what is under way; when it resolves, nothing more will be written, and what has changed is dropped. */
  close(): Promise<void>;
}

export interface StoredOptions extends FilesOptions {
  /** what the person chose that decides what is made of the files (keepInstead()); absent: what is kept will do */
  choice?: string;
  signal?: AbortSignal;
  /** told of bytes that came from the store */
  onStored?: (path: string, bytes: number) => void;
}

const FOREIGN =
  'What is kept of this model was stored by a later version of this page or program: it is left as it is, and nothing is kept by this one.';

/** The key under which all that is kept of a source's model is filed. */
export const modelKey = (source: Pick<Source, 'name' | 'revision'>) => `${source.name}@${source.revision ?? ''}`;

interface ChunkPlace {
  path: string;
  index: number;
}

/** The source's files as the ledger has them, and what the place itself says of them where they are not all here. */
async function openRecord(
  inner: Source,
  store: ModelStore | null,
  old: ModelRecord | undefined,
  choice: string,
  signal?: AbortSignal,
): Promise<OpenedRecord & { listing: Listing | null }> {
  const key = modelKey(inner);
  const complete = isInstalled(old, choice);
  const anew = old?.made !== undefined && old.made.choice !== choice;
  const earlier = { ...old?.files };
  if (anew && store) {
    await deleteFile(store, key, old.made!.path);
    delete earlier[old.made!.path];
  }
  const listing = complete ? null : ((await inner.list?.(signal)) ?? null);
  const manifest = complete || inner.gguf ? null : await readManifest(inner, listing, signal);
  const record: ModelRecord = complete
    ? { ...old!, lastUsed: Date.now() }
    : {
        format: RECORD_FORMAT,
        key,
        name: inner.name,
        revision: manifest?.revision ?? listing?.revision ?? inner.revision,
        files: manifest?.files ?? {},
        manifest: manifest !== null,
        closed: manifest !== null || listing !== null,
        complete: false,
        kept: 0,
        lastUsed: Date.now(),
      };
  return { record, old, earlier, complete, anew, listing };
}

/**
 * @param given null: nothing is kept, but what arrives is still verified
 * @throws network, storage-unavailable, aborted; quota-exceeded, here and from size(), before anything is downloaded for
 * which the browser says that it has no room
 */
export async function openStored(
  inner: Source,
  given: ModelStore | null,
  { choice: wanted, signal, onStored, ...options }: StoredOptions = {},
): Promise<StoredSource> {
  const found = await given?.ledger.get(modelKey(inner));
  const foreign = isForeign(found);
  const store = foreign ? null : given;
  const old = foreign ? undefined : found;
  const choice = wanted ?? old?.made?.choice ?? '';
  const { listing, ...opened } = await openRecord(inner, store, old, choice, signal);
  const files = await openModelFiles(store, opened, options, foreign ? FOREIGN : '');
  const { record, earlier, complete, kept, faults } = files;
  const { key, keeper } = kept;
  const origin = createOrigin(inner, signal);
  const versions = createFileVersions(files, origin);
  const size = createFileSizes(files, listing, origin, versions);
  const apart = createApartReader(files, origin);
  const { cache, met } = createChunks(files, origin, versions, apart, onStored);
  const digests = createFileDigests(files, cache);
  const { hold } = digests;
  let headers: ReadonlySet<string> = new Set();
  let saving = Promise.resolve();

  /** The chunk that is read after this one, null after the last. */
  function following({ path, index }: ChunkPlace): ChunkPlace | null {
    // what is made asks for what it is made of
    if (path === files.made?.path) return null;
    if ((index + 1) * CHUNK_BYTES < record.files[path].bytes!) return { path, index: index + 1 };
    const order = files.streaming ?? [];
    const next = order[order.indexOf(path) + 1];
    return next && order.includes(path) ? { path: next, index: 0 } : null;
  }

  /** @returns the file's size @throws corrupt-checkpoint when it is less */
  async function expectBytes(path: string, end: number): Promise<number> {
    const bytes = await size(path);
    if (bytes !== null && end <= bytes) return bytes;
    const message = `${path} has ${bytes ?? 'no'} bytes where ${end} are needed. Get the model again.`;
    throw new NibbleError('corrupt-checkpoint', message, { path, bytes, expected: end });
  }

  async function readApart(path: string, start: number, end: number, until?: AbortSignal) {
    const bytes = await expectBytes(path, end);
    const here = cache.has(path, Math.floor(start / CHUNK_BYTES));
    if (record.manifest || bytes <= CHUNK_BYTES || here || inner.inOrder?.(path)) return read(path, start, end, until);
    const known = await apart.known(path, start, end);
    if (known) return known;
    return complete ? read(path, start, end, until) : apart.fetch(path, start, end, until);
  }

  /** Whether a chunk is here, or will be kept once it is. */
  async function hasChunk(path: string, index: number): Promise<boolean> {
    if (cache.has(path, index) || (store && !keeper.full)) return true;
    const name = chunkKey(key, path, index);
    return store !== null && (await store.chunks.keys(name)).includes(name);
  }

  async function read(path: string, start: number, end: number, until?: AbortSignal) {
    const bytes = await expectBytes(path, end);
    // headers of a model that is not kept: whole chunks would be thrown away and fetched twice
    if (
      !complete &&
      !files.streaming &&
      bytes > CHUNK_BYTES &&
      !(await hasChunk(path, Math.floor(start / CHUNK_BYTES)))
    ) {
      const got = await origin.inTurn(() => inner.read(path, start, end, until ?? origin.signal));
      if (start === 0) await versions.sampleHeader(path, got);
      return got;
    }
    const result = new Uint8Array(end - start);
    const sequential = files.streaming !== null && end - start >= SEQUENTIAL_BYTES;
    const places = origin.isUntold(path) ? files.places.get(path) : undefined;
    const first = Math.floor(start / CHUNK_BYTES);
    const last = Math.ceil(end / CHUNK_BYTES);
    const copy = (i: number) =>
      cache.use(
        hold(path, i),
        async (got) => {
          const from = i * CHUNK_BYTES;
          if (places) await versions.sampleFirst(path, places, i, got);
          const part = got.subarray(Math.max(0, start - from), Math.min(got.length, end - from));
          result.set(part, Math.max(0, from - start));
        },
        until,
      );
    let piece = first < last ? copy(first) : null;
    for (let i = first; piece; i++) {
      // claimed before this one is waited for: a later read may be done with it sooner, and drop it
      const after: Promise<void> | null = i + 1 < last ? copy(i + 1) : null;
      after?.catch(() => {});
      let next: ChunkPlace | null = { path, index: i };
      for (let ahead = 0; ahead < AHEAD && next; ahead++) {
        next = sequential || next.index + 1 < last ? following(next) : null;
        if (next) hold(next.path, next.index);
      }
      await piece;
      // what was read in order to its end is not read again
      if (sequential && end >= Math.min((i + 1) * CHUNK_BYTES, bytes)) cache.drop(path, i);
      piece = after;
    }
    if (faults.refuted) throw faults.refuted;
    return result;
  }

  const source: StoredSource = {
    name: inner.name,
    revision: record.revision,
    gguf: inner.gguf,
    names: inner.names,
    complete,
    original: complete && !record.made,
    anew: files.anew,
    get places() {
      return files.places;
    },
    set places(places) {
      files.places = places;
    },
    async keepInstead(path, bytes, of, make) {
      files.made = { path, of, make };
      headers = new Set(met);
      if (complete && record.files[path]?.bytes !== bytes) {
        // an older version of this program made another of the same files, such as one without a head of its own
        await store!.ledger.put({ ...record, complete: false });
        faults.dropped = true;
        throw new NibbleError('integrity-mismatch', `${path} was made otherwise. Load the model again.`, {
          path,
          bytes,
        });
      }
      if (complete) return;
      await files.forgetOther(path, bytes, null);
      record.files[path] = { bytes, chunks: [], digest: null };
      record.made = { path, choice };
      await files.save();
    },
    get streaming() {
      return files.streaming;
    },
    set streaming(paths) {
      files.streaming = paths;
      // a write that fails is told of by the next one
      saving = apart.save().catch(() => {});
    },
    get full() {
      return keeper.full;
    },
    get unwritable() {
      return keeper.unwritable;
    },
    get dropped() {
      return faults.dropped;
    },
    size,
    read,
    readApart,
    refusal: (path) => inner.refusal?.(path),
    unchanged: versions.unchanged,
    async markComplete() {
      if (faults.refuted) throw faults.refuted;
      if (complete) return;
      await versions.unchanged();
      await digests.check();
      if (!store || keeper.full) return;
      for (const path of files.made?.of ?? []) {
        for (const name of await store.chunks.keys(filePrefix(key, path))) {
          if (!headers.has(name)) await store.chunks.delete(name);
        }
      }
      for (const path of Object.keys(record.files)) {
        await store.chunks.delete(samplesKey(key, path));
        record.kept += (await store.chunks.keys(filePrefix(key, path))).filter(isWhole).length;
      }
      for (const path of Object.keys(earlier)) if (!record.files[path]) await files.delete(path);
      record.complete = true;
      await files.save();
    },
    async dropUnproven() {
      if (complete || record.manifest || faults.sourceFailed) return;
      origin.stop();
      await Promise.allSettled([...cache.running, saving]);
      for (const path of Object.keys({ ...earlier, ...record.files })) await files.delete(path);
      for (const file of Object.values(record.files)) file.chunks = [];
      await store?.ledger.delete(key);
      faults.dropped = listing !== null;
    },
    async close() {
      await apart.save().catch(() => {});
      origin.stop();
      await Promise.allSettled([...cache.running, saving]);
      // not before nothing more of it can be written
      for (const path of faults.changed) await files.drop(path).catch(() => {});
      if (complete && faults.changed.size > 0) await files.saveIncomplete();
      cache.clear();
      await inner.close?.();
    },
  };
  return source;
}

/** Whether a model is all here, for that choice. */
export const isInstalled = (record: ModelRecord | undefined, choice: string): boolean =>
  record?.complete === true && !isForeign(record) && (record.made?.choice ?? choice) === choice;
