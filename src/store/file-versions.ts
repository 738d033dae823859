/**
 * Whether a file is still the one that was read, or of which something is kept: by what its server tells of versions
 * (versions.ts), or by samples of its bytes (samples.ts), or by the folder's manifest, read once more.
 */
import { changedFile, isChange, isSameVersion } from '../sources/versions';
import { CHUNK_BYTES, filePrefix } from './chunk-store';
import { readManifest } from './manifest';
import type { ModelFiles } from './model-files';
import type { Origin } from './origin';
import { firstDifference, type Part } from './parts';
import { isWeights } from './progress';
import {
  beginningOf,
  isEmpty,
  partsIn,
  placesIn,
  type Samples,
  spreadOver,
  takeFirst,
  takeFrom,
  thinned,
} from './samples';

type Bytes = Uint8Array<ArrayBuffer>;

export interface FileVersions {
  /** Takes samples of what a file begins with, where it is not kept and nothing else tells its version. */
  sampleHeader(path: string, bytes: Bytes): Promise<void>;
  /** Takes samples of a chunk that has arrived, where nothing else tells the file's version. */
  sampleArrived(path: string, index: number, chunk: Bytes): Promise<void>;
  /** Takes the first samples from those of two places that lie in a chunk. */
  sampleFirst(path: string, places: readonly number[], index: number, chunk: Bytes): Promise<void>;
  /** A file's size as the source tells it; a version of it that is kept counts no more when the file is of another. */
  askSize(path: string): Promise<number | null>;
  /** What is kept of a file from another visit goes unless it is still the same. */
  dropOther(path: string): Promise<void>;
  /** Whether the folder's manifest says otherwise by now. A model that was all here is then here in part. */
  isPublishedAnew(path: string, index: number): Promise<boolean>;
  /** As StoredSource has it. @throws integrity-mismatch (isChange), network, aborted */
  unchanged(): Promise<void>;
}

export function createFileVersions(files: ModelFiles, { source, inTurn, isUntold, signal }: Origin): FileVersions {
  const { record, earlier, kept, faults, sampled } = files;

  /** What of a file is to be compared: samples of weights, all that is kept of a small file. */
  async function keptParts(path: string): Promise<Part[]> {
    const samples = await sampled.of(path);
    if (isWeights(path) && samples.first.some((part) => !isEmpty(part))) return partsIn(samples);
    // a small file, or weights whose matrices no load has come to, or an earlier version of Nibble
    const { length } = filePrefix(kept.key, path);
    const parts: Part[] = [];
    for (const name of await kept.names(path)) {
      const index = Number.parseInt(name.slice(length), 10);
      const chunk = index >= 0 ? await kept.sound(name) : null;
      if (chunk && isWeights(path)) {
        takeFrom(samples, index, chunk.bytes);
        parts.push(...spreadOver(index, chunk.bytes));
      } else if (chunk) parts.push({ start: index * CHUNK_BYTES, bytes: chunk.bytes });
    }
    return [...(isWeights(path) ? thinned(parts) : parts), ...partsIn(samples)];
  }

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

  /** Takes samples, and stores them before what they are to vouch for. */
  async function sample(path: string, take: (samples: Samples) => void): Promise<void> {
    const samples = await sampled.of(path);
    take(samples);
    await sampled.save(path, samples);
  }

  return {
    async sampleHeader(path, bytes) {
      if (isUntold(path)) await sample(path, (samples) => (samples.header = beginningOf(bytes, 0)));
    },
    async sampleArrived(path, index, chunk) {
      if (isUntold(path)) await sample(path, (samples) => takeFrom(samples, index, chunk));
    },
    async sampleFirst(path, places, index, chunk) {
      const which = placesIn(await sampled.of(path), places, index);
      if (which.length > 0) await sample(path, (samples) => takeFirst(samples, places, which, index, chunk));
    },
    async askSize(path) {
      const ask = () => source.size(path, signal);
      source.versions?.set(path, earlier[path]?.version ?? null);
      try {
        return await ask();
      } catch (error) {
        if (!isChange(error)) throw error;
        source.versions!.set(path, null);
        return ask();
      }
    },
    async dropOther(path) {
      const before = earlier[path];
      const now = source.versions?.get(path);
      if (!kept.store || !before || !now) return;
      const told = before.version && isSameVersion(before.version, now);
      if (!(told ?? (await matches(path, await keptParts(path))))) await files.drop(path);
    },
    async isPublishedAnew(path, index) {
      const now = record.manifest ? await readManifest(source, null, signal).catch(() => null) : null;
      if (!now || now.files[path]?.chunks[index] === record.files[path].chunks[index]) return false;
      if (files.complete) await files.saveIncomplete();
      return true;
    },
    async unchanged() {
      if (faults.refuted) throw faults.refuted;
      const asked = [...(source.versions ?? [])].filter(([path, version]) => version && record.files[path]?.bytes);
      try {
        await Promise.all(
          asked.map(async ([path]) => {
            if (!isUntold(path)) await inTurn(() => source.confirm!(path, signal));
            if (!(await matches(path, partsIn(await sampled.of(path))))) throw changedFile(path);
          }),
        );
      } catch (error) {
        faults.noteChange(error);
        throw error;
      }
    },
  };
}
