/** What becomes of a load in the ledger: an installed model, one that is made of its files, or nothing. */
import { NibbleError } from '../errors';
import { isWhole, samplesKey } from './chunk-store';
import type { FileDigests } from './file-digests';
import type { FileVersions } from './file-versions';
import type { MakeBytes, ModelFiles } from './model-files';

export interface Installing {
  /** As StoredSource has it. @throws integrity-mismatch where it is kept and was made otherwise */
  keepInstead(path: string, bytes: number, of: readonly string[], make: MakeBytes): Promise<void>;
  /** As StoredSource has it. @throws integrity-mismatch, network, aborted, quota-exceeded, storage-unavailable */
  markComplete(): Promise<void>;
  /** As StoredSource has it. @throws storage-unavailable */
  dropUnproven(): Promise<void>;
}

/**
 * @param met names of the chunks that have been read so far
 * @param stop stops the load; when it resolves, nothing more will be written
 */
export function createInstalling(
  files: ModelFiles,
  versions: FileVersions,
  digests: FileDigests | null,
  met: ReadonlySet<string>,
  stop: () => Promise<unknown>,
): Installing {
  const { record, earlier, complete, store, key } = files;
  /** chunks that were read for headers: of files that others are made of, what is kept */
  let headers: ReadonlySet<string> = new Set();
  return {
    async keepInstead(path, bytes, of, make) {
      files.made = { path, of, make };
      headers = new Set(met);
      if (complete && record.files[path]?.bytes !== bytes) {
        // an older version of this program made another of the same files, such as one without a head of its own
        await store!.ledger.put({ ...record, complete: false });
        files.dropped = true;
        const message = `${path} was made otherwise. Load the model again.`;
        throw new NibbleError('integrity-mismatch', message, { path, bytes });
      }
      if (complete) return;
      await files.forgetOther(path, bytes, null);
      record.files[path] = { bytes, chunks: [], digest: null };
      record.made = { path, choice: files.choice };
      await files.save();
    },
    async markComplete() {
      if (files.refuted) throw files.refuted;
      await files.keeper.settled();
      if (complete) return;
      await versions.unchanged();
      await digests?.check();
      if (!store || files.keeper.full) return;
      for (const path of files.made?.of ?? []) {
        for (const name of await files.names(path)) if (!headers.has(name)) await store.chunks.delete(name);
      }
      for (const path of Object.keys(record.files)) {
        await store.chunks.delete(samplesKey(key, path));
        record.kept += (await files.names(path)).filter(isWhole).length;
      }
      for (const path of Object.keys(earlier)) if (!record.files[path]) await files.delete(path);
      record.complete = true;
      await files.save();
    },
    async dropUnproven() {
      if (complete || record.manifest || files.sourceFailed) return;
      await stop();
      for (const path of Object.keys({ ...earlier, ...record.files })) await files.delete(path);
      for (const file of Object.values(record.files)) file.chunks = [];
      await store?.ledger.delete(key);
      // what the place lists (for no manifest does) says what must arrive
      files.dropped = record.closed;
    },
  };
}
