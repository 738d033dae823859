/**
 * What of a file is compared where an earlier visit kept some of it, and no version or digest tells whether it changed.
 */
import { CHUNK_BYTES, filePrefix } from './chunk-store';
import type { ModelFiles } from './model-files';
import type { Part } from './parts';
import { isWeights } from './progress';
import { isEmpty, partsIn, spreadOver, takeFrom, thinned } from './version-samples';

/** @returns samples of weights, all that is kept of a small file */
export async function earlierParts(files: ModelFiles, path: string): Promise<Part[]> {
  const samples = await files.sampled.of(path);
  if (isWeights(path) && samples.first.some((part) => !isEmpty(part))) return partsIn(samples);
  // a small file, or weights whose matrices no load has come to, or an earlier version of Nibble
  const { length } = filePrefix(files.key, path);
  const parts: Part[] = [];
  for (const name of await files.names(path)) {
    const index = Number.parseInt(name.slice(length), 10);
    const chunk = index >= 0 ? await files.sound(name) : null;
    if (chunk && isWeights(path)) {
      takeFrom(samples, index, chunk.bytes);
      parts.push(...spreadOver(index, chunk.bytes));
    } else if (chunk) parts.push({ start: index * CHUNK_BYTES, bytes: chunk.bytes });
  }
  return [...(isWeights(path) ? thinned(parts) : parts), ...partsIn(samples)];
}
