/** By what a server tells one version of a file from the next. */
import { NibbleError } from '../errors';

/** As the answers to requests for the file say it; null where none says it, or the page may not read it (CORS). */
export interface FileVersion {
  etag: string | null;
  /** Last-Modified */
  modified: string | null;
  /** of the whole file */
  bytes: number | null;
}

const numberOf = (text: string | null | undefined) => (text ? Number(text) : null);

export function versionOf({ status, headers }: Response): FileVersion {
  const total = /\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1];
  const whole = status === 200 && !headers.get('content-encoding');
  return {
    // weak, or of the file as it went out compressed: the same version, and what arrives here is unpacked
    etag: headers.get('etag')?.replace(/^W\/|(--?|;)(gzip|br|deflate|zstd)(?="$)/g, '') ?? null,
    modified: headers.get('last-modified'),
    bytes: numberOf(total ?? (whole ? headers.get('content-length') : null)),
  };
}

/** Whether it tells one version of a file from another of the same length. */
export const isTold = ({ etag, modified }: FileVersion): boolean => etag !== null || modified !== null;

/**
 * Whether two answers were about one version; null: they have nothing in common that could tell. Where both have an
 * ETag it decides: copies of one file behind one address often bear different dates.
 */
export function isSameVersion(a: FileVersion, b: FileVersion): boolean | null {
  if (a.bytes !== null && b.bytes !== null && a.bytes !== b.bytes) return false;
  if (a.etag !== null && b.etag !== null) return a.etag === b.etag;
  if (a.modified !== null && b.modified !== null) return a.modified === b.modified;
  return null;
}

/** What is known once an answer has said more. */
export const withMore = (known: FileVersion | null, said: FileVersion): FileVersion => ({
  etag: known?.etag ?? said.etag,
  modified: known?.modified ?? said.modified,
  bytes: known?.bytes ?? said.bytes,
});

const CHANGED = 'changed';

/** The error of an answer about another version than those before it. */
export function changedFile(path: string): NibbleError {
  const message = `${path} changed on the server while it was downloaded. What was fetched of it is dropped; load the model again.`;
  return new NibbleError('integrity-mismatch', message, { path, reason: CHANGED });
}

export const isChange = (error: unknown): error is NibbleError =>
  error instanceof NibbleError && error.details.reason === CHANGED;
