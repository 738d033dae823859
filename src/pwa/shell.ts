/** The application's own files, as its build writes them down and its service worker knows them again. */
import { hex } from '../platform/sha256';

export interface Shell {
  /** a digest of all of them */
  version: string;
  /** each file's digest, by its path relative to the service worker */
  files: Record<string, string>;
}

/** Files that few visitors need, and that are large: they are kept when they are first used. What reads PDFs. */
export const isKeptOnUse = (path: string): boolean => path.startsWith('pdf/');

/** What a site's owner may write into a built page: a mirror of the Hub, another policy. Blanks may shift with it. */
const OWNERS = /<meta[^>]*>|\s+/g;

/** SHA-256 of a file, in hexadecimal; of a page without what its site's owner may have changed. */
export async function digestOf(path: string, bytes: BufferSource): Promise<string> {
  const data = path.endsWith('.html')
    ? new TextEncoder().encode(new TextDecoder().decode(bytes).replace(OWNERS, ''))
    : bytes;
  return hex(new Uint8Array(await crypto.subtle.digest('SHA-256', data)));
}
