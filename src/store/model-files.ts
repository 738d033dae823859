/**
 * A model's files, as one load knows them: the ledger's record of them, what is kept of them and what of that goes, and
 * what was found to be wrong. It owns what chunks, versions, digests and installing share.
 */
import type { NibbleError } from '../errors';
import type { Listing, Source } from '../sources/source';
import { isChange } from '../sources/versions';
import {
  deleteFile,
  isForeign,
  keptBytes,
  type ModelRecord,
  type ModelStore,
  partsKey,
  RECORD_FORMAT,
  samplesKey,
} from './chunk-store';
import { createKeeper } from './keeper';
import { createKeptModel, type KeptModel } from './kept-model';
import { readManifest } from './manifest';
import { createPartEntries, type PartEntries } from './part-entries';
import type { Part } from './parts';
import { partsIn, type Samples, samplesOf } from './version-samples';

export type MakeBytes = (start: number, end: number) => Promise<Uint8Array<ArrayBuffer>>;

/** A file that is made of others and kept in their place. */
export interface MadeFile {
  path: string;
  of: readonly string[];
  /** brings any of its bytes */
  make: MakeBytes;
}

export interface FilesOptions {
  /** what the person chose that decides what is made of the files; absent: what is kept will do */
  choice?: string;
  signal?: AbortSignal;
  /** told of the size of every file that belongs to the model, as soon as it is known */
  onSize?: (path: string, bytes: number) => void;
  /** go on without keeping the rest when there is no room for it, or nothing can be written */
  ifRoom?: boolean;
}

export interface ModelFiles extends KeptModel {
  readonly record: ModelRecord;
  /** what is known from earlier loads, by path: it counts until this one has an answer about the file */
  readonly earlier: ModelRecord['files'];
  /** what the place says of all its files at once; null where it does not, or all was here when the model was opened */
  readonly listing: Listing | null;
  /** everything was here when the model was opened */
  readonly complete: boolean;
  readonly choice: string;
  /** what was kept had been made for another choice, and was dropped */
  readonly anew: boolean;
  /** what was read apart from the chunks (part-reader.ts) */
  readonly parts: PartEntries<Part[]>;
  /** of files whose server tells nothing of versions (file-versions.ts) */
  readonly sampled: PartEntries<Samples>;
  /** the weight files in the order they are read, once that is about to begin */
  streaming: readonly string[] | null;
  made: MadeFile | null;
  /** something was not what had been read before: everything that was made of that may be wrong */
  refuted: NibbleError | null;
  /** what had arrived was dropped, and another load may find it whole */
  dropped: boolean;
  /** it was the source that failed, not what it gave */
  sourceFailed: boolean;
  /** files that have become others since this load began to read them */
  readonly changed: Set<string>;
  /** Notes that a file has changed, if that is what an error says: all that was read of it counts no more. */
  noteChange(error: unknown): void;
  /** Writes the record to the ledger, with what earlier loads knew. @throws storage-unavailable, quota-exceeded */
  save(): Promise<void>;
  /** Says in the ledger that a model which was all here no longer is; where that cannot be written, it is no error. */
  saveIncomplete(): Promise<void>;
  /** Whether a file is kept as it is served. */
  isKept(path: string): boolean;
  /** Tells of a file's size. @throws quota-exceeded, unless the rest need not be kept */
  expect(path: string, bytes: number): Promise<void>;
  /**
   * A file of another size or digest than last time is another file: what is kept of it goes; and so does what is kept
   * of one of which nothing is known, unless a manifest says what it must be.
   */
  forgetOther(path: string, bytes: number | null, digest: string | null): Promise<void>;
  /** Deletes what is kept of a file, and of what was made of it. */
  drop(path: string): Promise<void>;
  /** Deletes what is kept of a file. */
  delete(path: string): Promise<void>;
}

const FOREIGN =
  'What is kept of this model was stored by a later version of this page or program: it is left as it is, and nothing is kept by this one.';

/** The key under which all that is kept of a source's model is filed. */
export const modelKey = (source: Pick<Source, 'name' | 'revision'>) => `${source.name}@${source.revision ?? ''}`;

/** Whether a model is all here, for that choice. */
export const isInstalled = (record: ModelRecord | undefined, choice: string): boolean =>
  record?.complete === true && !isForeign(record) && (record.made?.choice ?? choice) === choice;

/**
 * Finds a model in the ledger and, where it is not all here, what the place itself says of its files.
 * @param given null: nothing is kept
 * @throws network, aborted, quota-exceeded, storage-unavailable
 */
export async function openModelFiles(
  inner: Source,
  given: ModelStore | null,
  { choice: wanted, signal, onSize, ifRoom = false }: FilesOptions,
): Promise<ModelFiles> {
  const key = modelKey(inner);
  const found = await given?.ledger.get(key);
  const foreign = isForeign(found);
  const store = foreign ? null : given;
  const old = foreign ? undefined : found;
  const made = old?.made;
  const choice = wanted ?? made?.choice ?? '';
  const complete = isInstalled(old, choice);
  const anew = made !== undefined && made.choice !== choice;
  const earlier = { ...old?.files };
  if (anew && store) {
    await deleteFile(store, key, made.path);
    delete earlier[made.path];
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
  const kept = createKeptModel(store, key, createKeeper(store, ifRoom, missingBytes, foreign ? FOREIGN : ''));
  const { write, expect } = kept.keeper;
  const parts = createPartEntries<Part[]>(kept, partsKey);
  const sampled = createPartEntries(kept, samplesKey, samplesOf, partsIn);

  /** of a model that the ledger does not know */
  const leftBehind = store && !old ? store.chunks.keys(`${key}/`) : null;
  leftBehind?.catch(() => {});

  const missingOf = async (path: string, bytes: number) => bytes - keptBytes(await kept.names(path), bytes);

  /** of all files that are known by now */
  async function missingBytes(): Promise<number> {
    let sum = 0;
    for (const [path, { bytes }] of Object.entries(record.files)) {
      if (bytes && files.isKept(path)) sum += await missingOf(path, bytes);
    }
    return sum;
  }

  const files: ModelFiles = {
    ...kept,
    record,
    earlier,
    listing,
    complete,
    choice,
    anew,
    parts,
    sampled,
    streaming: null,
    made: null,
    refuted: null,
    dropped: false,
    sourceFailed: false,
    changed: new Set(),
    noteChange(error) {
      if (!isChange(error)) return;
      files.changed.add(String(error.details.path));
      files.refuted ??= error;
      files.dropped = true;
    },
    async save() {
      const all = record.complete ? record.files : { ...earlier, ...record.files };
      if (store) await write(() => store.ledger.put({ ...record, files: all }));
    },
    async saveIncomplete() {
      await write(() => store!.ledger.put({ ...record, complete: false })).catch(() => {});
    },
    isKept: (path) => store !== null && !files.made?.of.includes(path),
    async expect(path, bytes) {
      onSize?.(path, bytes);
      if (!complete) await expect(await missingOf(path, bytes));
    },
    async forgetOther(path, bytes, digest) {
      const before = earlier[path];
      if (!store || (!before && record.files[path])) return;
      if (!before) return leftBehind && (await leftBehind).length === 0 ? undefined : files.delete(path);
      const same = before.bytes === bytes && (!before.digest || !digest || before.digest === digest);
      if (!same) await files.drop(path);
    },
    async drop(path) {
      for (const name of [path, made?.path, files.made?.path]) if (name) await files.delete(name);
    },
    async delete(path) {
      if (store) await deleteFile(store, key, path);
      parts.forget(path);
      sampled.forget(path);
    },
  };

  for (const [path, { bytes }] of Object.entries(record.files)) {
    if (!complete) await files.forgetOther(path, bytes, null);
    if (bytes !== null) await files.expect(path, bytes);
  }
  // known before this load has come to it: another choice must find it
  if (!complete && !anew && made) {
    record.made = made;
    record.files[made.path] = earlier[made.path];
  }
  // a model that is all here can be read where nothing can be written
  await (complete ? write(() => store!.ledger.put(record)).catch(() => {}) : files.save());
  return files;
}
