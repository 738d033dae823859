/** What a load does about files that cannot be used, and about those that change on their server meanwhile. */
import { type ErrorCode, NibbleError } from '../errors';
import { isChange } from '../sources/versions';
import type { StoredSource } from '../store/stored-source';

/** How often a load begins anew because the server has another version of a file meanwhile. */
export const CHANGES = 3;

const UNSUPPORTED: readonly ErrorCode[] = ['unsupported-architecture', 'unsupported-quantization'];
const UNUSABLE: readonly ErrorCode[] = ['corrupt-checkpoint', ...UNSUPPORTED];

/** Whether a checkpoint's (or an adapter's) files are whole, and it is what they say that cannot be run. */
export const isUnsupported = (error: unknown): boolean =>
  error instanceof NibbleError && UNSUPPORTED.includes(error.code);

/** Whether a checkpoint's (or an adapter's) own bytes are to blame. */
const isUnusable = (error: unknown): boolean => error instanceof NibbleError && UNUSABLE.includes(error.code);

/**
 * What does not fit together may be of two versions.
 * @returns the error that says so, where files have changed meanwhile
 */
export async function changeBehind(source: StoredSource, error: unknown): Promise<NibbleError | undefined> {
  if (!(error instanceof NibbleError)) return undefined;
  if (!isUnusable(error) && ![404, 410].includes(Number(error.details.status))) return undefined;
  const reason: unknown = await source.unchanged().catch((failure) => failure);
  return isChange(reason) ? reason : undefined;
}

/** Drops what arrived broken, which every later load would find again. */
export async function dropUnusable(source: StoredSource, error: unknown): Promise<void> {
  if (isUnusable(error)) await source.dropUnproven().catch(() => {});
}
