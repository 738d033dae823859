/** A Source over any HTTP base: a folder URL (trailing slash), or the URL of one .gguf. Nothing is fetched yet. */
import { createHttpRanges, encodePath, type HttpOptions } from './http-ranges';
import type { Source } from './source';

/** @param base its query goes with every file of a folder (signatures stand there); name and password go as a header */
export function createHttpSource(base: string, options: HttpOptions = {}): Source {
  const at = new URL(base);
  const headers = takeCredentials(at);
  const name = at.href;
  const file = decodeURIComponent(at.pathname.split('/').pop()!);
  const ranges = createHttpRanges(
    {
      url(path) {
        if (file) return name;
        const url = new URL(encodePath(path), name);
        url.search = at.search;
        return url.href;
      },
      headers,
    },
    options,
  );
  return {
    ...ranges,
    name,
    revision: null,
    gguf: file || undefined,
    size: async (path, signal) => (file && path !== file ? null : ranges.size(path, signal)),
  };
}

/** fetch() refuses an address with a name and password in it: they are taken out, and become what they stand for. */
function takeCredentials(url: URL): Record<string, string> {
  const { username, password } = url;
  if (!username && !password) return {};
  [url.username, url.password] = ['', ''];
  const bytes = new TextEncoder().encode([username, password].map(decodeURIComponent).join(':'));
  return { Authorization: `Basic ${btoa(String.fromCharCode(...bytes))}` };
}
