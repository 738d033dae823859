/** A Source over any HTTP base: a folder URL (trailing slash), or the URL of one .gguf. Nothing is fetched yet. */
import { createHttpRanges, encodePath, type HttpOptions } from './http-ranges';
import type { Source } from './source';

export function createHttpSource(base: string, options: HttpOptions = {}): Source {
  const file = decodeURIComponent(new URL(base).pathname.split('/').pop()!);
  const ranges = createHttpRanges({ url: (path) => (file ? base : base + encodePath(path)) }, options);
  return {
    ...ranges,
    name: base,
    revision: null,
    gguf: file || undefined,
    size: async (path, signal) => (file && path !== file ? null : ranges.size(path, signal)),
  };
}
