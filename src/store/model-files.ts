/**
 * A model's files, as one load knows them: the ledger's record of them, what is kept of them and what of that goes. It
 * owns what chunks, versions, digests and installing share.
 */
import { deleteFile, keptBytes, type ModelRecord, type ModelStore, partsKey, samplesKey } from './chunk-store';
import { createFaults, type Faults } from './faults';
import { createKeeper } from './keeper';
import { createKeptModel, type KeptModel } from './kept-model';
import { createPartEntries, type PartEntries } from './part-entries';
import type { Part } from './parts';
import { partsIn, type Samples, samplesOf } from './samples';

export type MakeBytes = (start: number, end: number) => Promise<Uint8Array<ArrayBuffer>>;

/** A file that is made of others and kept in their place. */
export interface MadeFile {
  path: string;
  of: readonly string[];
  /** brings any of its bytes */
  make: MakeBytes;
}

/** What the ledger had of a model when a load began, and the record that the load goes on with. */
export interface OpenedRecord {
  record: ModelRecord;
  /** of earlier loads; undefined: there was none, or it is a later version's */
  old: ModelRecord | undefined;
  /** what is known from earlier loads, by path: it counts until this one has an answer about the file */
  earlier: ModelRecord['files'];
  /** everything was here when the model was opened */
  complete: boolean;
  /** what was kept had been made for another choice, and was dropped */
  anew: boolean;
}

export interface FilesOptions {
  /** told of the size of every file that belongs to the model, as soon as it is known */
  onSize?: (path: string, bytes: number) => void;
  /** go on without keeping the rest when there is no room for it, or nothing can be written */
  ifRoom?: boolean;
}

export interface ModelFiles extends OpenedRecord {
  readonly kept: KeptModel;
  readonly faults: Faults;
  /** what was read apart from the chunks (read-apart.ts) */
  readonly apart: PartEntries<Part[]>;
  /** of files whose server tells nothing of versions */
  readonly sampled: PartEntries<Samples>;
  /** the weight files in the order they are read, once that is about to begin */
  streaming: readonly string[] | null;
  /** from where the first samples of a file are to be (samples.ts) */
  places: ReadonlyMap<string, readonly [number, number]>;
  made: MadeFile | null;
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

/**
 * @param unwritable why nothing may be written from the beginning; empty: it may
 * @throws quota-exceeded, storage-unavailable
 */
export async function openModelFiles(
  store: ModelStore | null,
  opened: OpenedRecord,
  { onSize, ifRoom = false }: FilesOptions,
  unwritable: string,
): Promise<ModelFiles> {
  const { record, old, earlier, complete, anew } = opened;
  const kept = createKeptModel(store, record.key, createKeeper(store, ifRoom, missingBytes, unwritable));
  const { write } = kept.keeper;
  const apart = createPartEntries<Part[]>(
    kept,
    partsKey,
    (parts) => parts,
    (parts) => parts,
  );
  const sampled = createPartEntries(kept, samplesKey, samplesOf, partsIn);

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
    ...opened,
    kept,
    faults: createFaults(),
    apart,
    sampled,
    streaming: null,
    places: new Map(),
    made: null,
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
      if (store && !complete) await kept.keeper.expect(await missingOf(path, bytes));
    },
    async forgetOther(path, bytes, digest) {
      const before = earlier[path];
      if (!store || (!before && record.files[path])) return;
      if (!before) return files.delete(path);
      const same = before.bytes === bytes && (!before.digest || !digest || before.digest === digest);
      if (!same) await files.drop(path);
    },
    async drop(path) {
      for (const name of [path, old?.made?.path, files.made?.path]) if (name) await files.delete(name);
    },
    async delete(path) {
      if (store) await deleteFile(store, record.key, path);
      apart.forget(path);
      sampled.forget(path);
    },
  };

  for (const [path, { bytes }] of Object.entries(record.files)) {
    if (!complete) await files.forgetOther(path, bytes, null);
    if (bytes !== null) await files.expect(path, bytes);
  }
  // known before this load has come to it: another choice must find it
  if (!complete && !anew && old?.made) {
    record.made = old.made;
    record.files[old.made.path] = earlier[old.made.path];
  }
  // a model that is all here can be read where nothing can be written
  await (complete ? write(() => store!.ledger.put(record)).catch(() => {}) : files.save());
  return files;
}
