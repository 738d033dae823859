/** A Source over any HTTP base: a folder URL (trailing slash), or the URL of one .gguf. Nothing is fetched yet. */
import { ggufParts } from '../formats/gguf-parts';
import { createHttpRanges, encodePath, type HttpOptions } from './http-ranges';
import type { Source } from './source';

export function createHttpSource(base: string, options: HttpOptions = {}): Source {
  const parts = ggufParts(decodeURIComponent(new URL(base).pathname.split('/').pop()!));
  const [file] = parts;
  // the parts of one model stand beside each other
  const beside = (path: string) => base.replace(/[^/?#]*(?=$|[?#])/, encodePath(path));
  const url = (path: string) => (!file ? base + encodePath(path) : parts.length > 1 ? beside(path) : base);
  const ranges = createHttpRanges({ url }, options);
  return {
    ...ranges,
    name: parts.length > 1 ? beside(file) : base,
    revision: null,
    gguf: file || undefined,
    size: async (path, signal) => (file && !parts.includes(path) ? null : ranges.size(path, signal)),
  };
}
