/**
 * A Source that reads another one in verified chunks of 4 MiB and keeps them in a ModelStore. A chunk is stored as soon
 * as it is here, and so is the beginning of one whose download was cut, so that a load goes on where it stopped; a
 * stored chunk that fails its digest is dropped and fetched again (chunks.ts). What a chunk must be is said by the
 * folder's manifest.json, else by its first arrival; what a whole file must be, by its author's digest where the source
 * lists one: checked when all of the file has been here (file-digests.ts).
 *
 * Where neither says it, a file is of the version that its server tells, or else of the one that samples of it show
 * (file-versions.ts): both are compared when a later load goes on with what is kept, and when all has been read. What
 * is kept of another version goes, and all that was made of it; a load that is under way has to be begun anew.
 *
 * Where the digests are those of first arrival, small parts that a header needs from all over a file are fetched alone,
 * and must be what their chunks say when those arrive: else both go, and the load has to be begun anew (read-apart.ts).
 *
 * What these share is in model-files.ts (the record of the files, and what is kept of them) and origin.ts (the source
 * that is asked). Memory: the chunks of chunks.ts and those parts.
 */
import type { Listing, Source } from '../sources/source';
import { deleteFile, isForeign, type ModelRecord, type ModelStore, RECORD_FORMAT } from './chunk-store';
import { createChunks } from './chunks';
import { createFileDigests } from './file-digests';
import { createFileSizes } from './file-sizes';
import { createFileVersions } from './file-versions';
import { createInstalling } from './installing';
import { readManifest } from './manifest';
import { type FilesOptions, type MakeBytes, type OpenedRecord, openModelFiles } from './model-files';
import { createOrigin } from './origin';
import { createApartReader } from './read-apart';
import { createStoredReader } from './stored-reader';

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
   * Compares files with their author's digests and the server's versions, and says in the ledger that the model is
   * installed. Call it only when all of it has been read.
   * @throws integrity-mismatch, and that file is then no longer kept; network, aborted
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
 * @throws network, storage-unavailable, aborted; quota-exceeded, here and from size(), before anything is downloaded
 * for which the browser says that it has no room
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
  const { record, complete, faults } = files;
  const { keeper } = files.kept;
  const origin = createOrigin(inner, signal);
  const versions = createFileVersions(files, origin);
  const size = createFileSizes(files, listing, origin, versions);
  const apart = createApartReader(files, origin);
  const { cache, met } = createChunks(files, origin, versions, apart, onStored);
  const digests = createFileDigests(files, cache);
  let saving = Promise.resolve();
  const stop = () => {
    origin.stop();
    return Promise.allSettled([...cache.running, saving]);
  };
  return {
    name: inner.name,
    revision: record.revision,
    gguf: inner.gguf,
    names: inner.names,
    complete,
    original: complete && !record.made,
    anew: files.anew,
    ...createStoredReader(files, origin, size, versions, apart, cache, digests),
    ...createInstalling(files, choice, versions, digests, met, stop),
    size,
    unchanged: versions.unchanged,
    refusal: (path) => inner.refusal?.(path),
    get places() {
      return files.places;
    },
    set places(places) {
      files.places = places;
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
    async close() {
      await apart.save().catch(() => {});
      await stop();
      // not before nothing more of it can be written
      for (const path of faults.changed) await files.drop(path).catch(() => {});
      if (complete && faults.changed.size > 0) await files.saveIncomplete();
      cache.clear();
      await inner.close?.();
    },
  };
}

/** Whether a model is all here, for that choice. */
export const isInstalled = (record: ModelRecord | undefined, choice: string): boolean =>
  record?.complete === true && !isForeign(record) && (record.made?.choice ?? choice) === choice;
