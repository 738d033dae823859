/** A Source over any HTTP base: a folder URL (trailing slash), or the URL of one .gguf. Nothing is fetched yet. */
import { NibbleError } from '../errors';
import { ggufParts } from '../formats/gguf-parts';
import { encodePath, publicAddress } from './http-errors';
import { createHttpRanges } from './http-ranges';
import type { HttpOptions } from './http-request';
import type { Source } from './source';

/**
 * @param base its query goes with every file of a folder (signatures stand there); name and password go as a header
 * @throws invalid-option when what stands for characters in it (%20) stands for none
 */
export function createHttpSource(base: string, options: HttpOptions = {}): Source {
  const at = new URL(base);
  const decoded = (text: string): string => {
    try {
      return decodeURIComponent(text);
    } catch (cause) {
      const address = publicAddress(base);
      const message = `A % in the address ${address}, or in its name and password, stands for no character. Write %25 for the sign itself.`;
      throw new NibbleError('invalid-option', message, { option: 'model', value: address }, { cause });
    }
  };
  const headers = takeCredentials(at, decoded);
  const parts = ggufParts(decoded(at.pathname.split('/').pop()!));
  const [file] = parts;
  const url = (path: string) => {
    if (file && parts.length === 1) return at.href;
    // the parts of one model stand beside each other
    const url = new URL(encodePath(path), at);
    url.search = at.search;
    return url.href;
  };
  const ranges = createHttpRanges({ url, headers }, options);
  return {
    ...ranges,
    name: parts.length > 1 ? url(file) : at.href,
    revision: null,
    gguf: file || undefined,
    size: async (path, signal) => (file && !parts.includes(path) ? null : ranges.size(path, signal)),
  };
}

/** fetch() refuses an address with a name and password in it: they are taken out, and become what they stand for. */
function takeCredentials(url: URL, decoded: (text: string) => string): Record<string, string> {
  const { username, password } = url;
  if (!username && !password) return {};
  [url.username, url.password] = ['', ''];
  const bytes = new TextEncoder().encode([username, password].map(decoded).join(':'));
  return { Authorization: `Basic ${btoa(String.fromCharCode(...bytes))}` };
}
