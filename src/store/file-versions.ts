/**
 * Whether a file is still the one that was read, or of which something is kept: by its size, by what its server tells
 * of versions (versions.ts), or by samples of its bytes (version-samples.ts), or by the folder's manifest, read once
 * more.
 */
import { MODULES } from '../formats/small-files';
import { changedFile, isChange, isSameVersion } from '../sources/versions';
import { readManifest } from './manifest';
import type { ModelFiles } from './model-files';
import type { Origin } from './origin';
import { firstDifference, type Part } from './parts';
import { isEmpty, partsIn, type Samples } from './version-samples';

export interface FileVersions {
  /**
   * A file's size in bytes, null when there is no such file: as a manifest or a listing says, or its server when it is
   * asked. The first answer goes into the record, and what is kept of another file of that name, or version, goes.
   * @throws network, aborted, quota-exceeded
   */
  size(path: string): Promise<number | null>;
  /**
   * Takes samples of a file whose version nothing else tells, and stores them before what they are to vouch for.
   * @param take changes the samples; false: it did not
   */
  sample(path: string, take: (samples: Samples) => unknown): Promise<void>;
  /** Whether the folder's manifest says otherwise by now. A model that was all here is then here in part. */
  isPublishedAnew(path: string, index: number): Promise<boolean>;
  /** As StoredSource has it. @throws integrity-mismatch (isChange), network, aborted */
  unchanged(): Promise<void>;
}

export function createFileVersions(files: ModelFiles, { source, inTurn, isUntold, signal }: Origin): FileVersions {
  const { record, earlier, sampled } = files;
  /** sizes that are being asked for, by path */
  const asked = new Map<string, Promise<number | null>>();

  /** Whether the place still says the same. */
  async function matches(path: string, parts: readonly Part[]): Promise<boolean> {
    const some = parts.filter((part) => !isEmpty(part));
    // to come to one further on, the file would be downloaded anew
    for (const { start, bytes } of source.inOrder?.(path) ? some.slice(0, 1) : some) {
      const again = await inTurn(() => source.read(path, start, start + bytes.length, signal));
      if (firstDifference([{ start, bytes }], start, again) !== null) return false;
    }
    return true;
  }

  /**
   * A file's size as the source tells it; if the file is no longer of the version that is kept, that counts no more.
   */
  async function askSize(path: string): Promise<number | null> {
    const ask = () => source.size(path, signal);
    source.versions?.set(path, earlier[path]?.version ?? null);
    try {
      return await ask();
    } catch (error) {
      if (!isChange(error)) throw error;
      source.versions!.set(path, null);
      return ask();
    }
  }

  /** What is kept of a file from another visit goes unless it is still the same. */
  async function forgetUnproven(path: string): Promise<void> {
    const before = earlier[path];
    const now = source.versions?.get(path);
    if (!files.store || !before || !now) return;
    let same = before.version ? isSameVersion(before.version, now) : null;
    same ??= await matches(path, await (await import('./earlier-parts')).earlierParts(files, path));
    if (!same) await files.drop(path);
  }

  async function findSize(path: string): Promise<number | null> {
    const listed = files.listing?.files[path];
    if (record.manifest || (record.closed && !listed)) return null;
    // an earlier version did not ask for it, and what is all here is opened without a request
    if (files.complete && path === MODULES) return null;
    if (files.complete) return source.size(path, signal).catch(() => null);
    const bytes = listed ? listed.bytes : await askSize(path);
    const digest = listed?.digest ?? null;
    await files.forgetOther(path, bytes, digest);
    if (bytes && !listed) await forgetUnproven(path);
    record.files[path] = { bytes, chunks: [], digest, version: source.versions?.get(path) };
    files.keeper.behind(files.save()).catch(() => {});
    if (bytes !== null) await files.expect(path, bytes);
    return bytes;
  }

  return {
    async size(path) {
      const known = record.files[path];
      if (known) return known.bytes;
      // once: what is kept may go before the answer, what is fetched after it must not
      const asking = asked.get(path) ?? findSize(path).finally(() => asked.delete(path));
      asked.set(path, asking);
      return asking;
    },
    async sample(path, take) {
      const samples = await sampled.of(path);
      if (take(samples) !== false) await sampled.save(path, samples);
    },
    async isPublishedAnew(path, index) {
      const now = record.manifest ? await readManifest(source, null, signal).catch(() => null) : null;
      if (!now || now.files[path]?.chunks[index] === record.files[path].chunks[index]) return false;
      if (files.complete) await files.saveIncomplete();
      return true;
    },
    async unchanged() {
      if (files.refuted) throw files.refuted;
      const told = [...(source.versions ?? [])].filter(([path, version]) => version && record.files[path]?.bytes);
      try {
        await Promise.all(
          told.map(async ([path]) => {
            if (!isUntold(path)) await inTurn(() => source.confirm!(path, signal));
            if (!(await matches(path, partsIn(await sampled.of(path))))) throw changedFile(path);
          }),
        );
      } catch (error) {
        files.noteChange(error);
        throw error;
      }
    },
  };
}
