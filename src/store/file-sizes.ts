/** The sizes of a model's files: as a manifest or a listing says them, or as a file's server does when it is asked. */
import type { Listing } from '../sources/source';
import type { FileVersions } from './file-versions';
import type { ModelFiles } from './model-files';
import type { Origin } from './origin';

/**
 * @returns a file's size in bytes, null when there is no such file. The first answer goes into the record, and what is
 * kept of another file of that name goes. @throws network, aborted, quota-exceeded
 */
export function createFileSizes(
  files: ModelFiles,
  listing: Listing | null,
  { source, signal }: Origin,
  versions: FileVersions,
): (path: string) => Promise<number | null> {
  const { record } = files;
  /** sizes that are being asked for, by path */
  const asked = new Map<string, Promise<number | null>>();

  async function find(path: string): Promise<number | null> {
    const listed = listing?.files[path];
    if (record.manifest || (record.closed && !listed)) return null;
    if (files.complete) return source.size(path, signal).catch(() => null);
    const bytes = listed ? listed.bytes : await versions.askSize(path);
    const digest = listed?.digest ?? null;
    await files.forgetOther(path, bytes, digest);
    if (bytes && !listed) await versions.dropOther(path);
    record.files[path] = { bytes, chunks: [], digest, version: source.versions?.get(path) };
    await files.save();
    if (bytes !== null) await files.expect(path, bytes);
    return bytes;
  }

  return async (path) => {
    const known = record.files[path];
    if (known) return known.bytes;
    // once: what is kept may go before the answer, what is fetched after it must not
    const asking = asked.get(path) ?? find(path).finally(() => asked.delete(path));
    asked.set(path, asking);
    return asking;
  };
}
