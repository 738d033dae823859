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
 * and must be what their chunks say when those arrive: else both go, and the load has to be begun anew
 * (part-reader.ts).
 *
 * What these share is in model-files.ts (the record of the files, and what is kept of them) and origin.ts (the source
 * that is asked). Memory: the chunks of chunks.ts and those parts.
 */
import type { Source } from '../sources/source';
import type { ModelStore } from './chunk-store';
import { createChunks } from './chunks';
import { createFileVersions } from './file-versions';
import { createInstalling } from './installing';
import { type FilesOptions, type MakeBytes, openModelFiles } from './model-files';
import { createOrigin } from './origin';
import { createReadAhead } from './read-ahead';
import { createStoredReader } from './stored-reader';

export { isInstalled, modelKey } from './model-files';

export interface StoredSource extends Source {
  /**
   * Set to the weight files, in the order they are read, when that is about to begin: chunks are then fetched ahead,
   * past the end of a file too, and shared without a store too.
   */
  streaming: readonly string[] | null;
  /** Set, before that, to the places from which the first samples are to be (version-samples.ts). */
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
  /** told of bytes that came from the store */
  onStored?: (path: string, bytes: number) => void;
}

/**
 * @param given null: nothing is kept, but what arrives is still verified
 * @throws network, storage-unavailable, aborted; quota-exceeded, here and from size(), before anything is downloaded
 * for which the browser says that it has no room
 */
export async function openStored(
  inner: Source,
  given: ModelStore | null,
  { onStored, ...options }: StoredOptions = {},
): Promise<StoredSource> {
  const files = await openModelFiles(inner, given, options);
  const { record, complete, keeper } = files;
  const origin = createOrigin(inner, options.signal);
  const versions = createFileVersions(files, origin);
  const parts = record.manifest ? null : (await import('./part-reader')).createPartReader(files, origin);
  const chunks = createChunks(files, origin, versions, parts, () => ahead.look(), onStored);
  const { cache, met } = chunks;
  const digests = files.listing && (await import('./file-digests')).createFileDigests(files, cache);
  const hold = digests?.hold ?? cache.hold;
  const ahead = createReadAhead(files, chunks, hold, () => origin.signal.aborted);
  const placesOf = (path: string) => source.places.get(path);
  const reader = createStoredReader(files, origin, versions, parts, cache, hold, ahead, placesOf);
  let saving = Promise.resolve();
  const stop = () => {
    origin.stop();
    return Promise.allSettled([...cache.running, saving, files.keeper.settled()]);
  };
  const source: StoredSource = {
    name: inner.name,
    revision: record.revision,
    gguf: inner.gguf,
    names: inner.names,
    complete,
    original: complete && !record.made,
    anew: files.anew,
    places: new Map(),
    ...reader,
    ...createInstalling(files, versions, digests, met, stop),
    size: versions.size,
    unchanged: versions.unchanged,
    refusal: (path) => inner.refusal?.(path),
    get streaming() {
      return files.streaming;
    },
    set streaming(paths) {
      files.streaming = paths;
      ahead.look();
      // a write that fails is told of by the next one
      if (parts) saving = parts.save().catch(() => {});
    },
    get full() {
      return keeper.full;
    },
    get unwritable() {
      return keeper.unwritable;
    },
    get dropped() {
      return files.dropped;
    },
    async close() {
      await parts?.save().catch(() => {});
      await stop();
      // not before nothing more of it can be written
      for (const path of files.changed) await files.drop(path).catch(() => {});
      if (complete && files.changed.size > 0) await files.saveIncomplete();
      cache.clear();
      await inner.close?.();
    },
  };
  return source;
}
