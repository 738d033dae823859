/** The files of a model that are read whole, and how large each may be: asked before a byte of it is kept. Pure. */
import { corrupt } from './json';
import type { FileSize, ReadBytes } from './layout';

/** Any other: DeepSeek-V3's index, the largest in use, has 9 MB. */
const MAX_BYTES = 16e6;
const LIMITS: Readonly<Record<string, number>> = {
  // Gemma's, the largest in use, has 33 MB
  'tokenizer.json': 64e6,
  'chat_template.jinja': 1e6,
};

/** Says which modules of sentence-transformers make vectors of what the model gives. */
export const MODULES = 'modules.json';

/** The most bytes that a file may have; null for weights, which are never read whole. */
export function limitOf(path: string): number | null {
  if (/\.(safetensors|gguf)$/.test(path)) return null;
  return Object.hasOwn(LIMITS, path) ? LIMITS[path] : MAX_BYTES;
}

/** The error for a file of more bytes than its kind ever has. @param bytes how many, where they are known */
export function tooLarge(path: string, limit: number, bytes: number | null = null) {
  const said = bytes === null ? `more than ${limit} bytes, which is` : `${bytes} bytes, where ${limit} are`;
  return corrupt(`${path} has ${said} the most that any model needs`, { path, bytes, limit });
}

/**
 * A small file whole.
 * @returns null when it is not there
 * @throws corrupt-checkpoint when it is too large, and what `size` and `read` throw
 */
export async function readSmall(path: string, read: ReadBytes, size: FileSize): Promise<Uint8Array | null> {
  const bytes = await size(path);
  if (bytes === null) return null;
  const limit = limitOf(path)!;
  if (bytes > limit) throw tooLarge(path, limit, bytes);
  return read(path, 0, bytes);
}
