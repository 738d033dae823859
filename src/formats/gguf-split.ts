/**
 * A GGUF in several files, as llama-gguf-split writes it: `NAME-00001-of-00003.gguf` and so on, the metadata in the
 * first.
 */
import { type GgufTensor, type GgufValue, readGgufHeader } from './gguf-header';
import { ggufParts } from './gguf-parts';
import { corrupt } from './json';
import type { FileSize, ReadBytes } from './layout';

export interface PlacedTensor extends GgufTensor {
  path: string;
}

export interface GgufFiles {
  metadata: Map<string, GgufValue>;
  tensors: PlacedTensor[];
  files: { path: string; bytes: number }[];
}

/**
 * Reads the headers of all files of a model, side by side. @throws corrupt-checkpoint: one is missing, or of another
 * model
 */
export async function readGgufFiles(named: string, read: ReadBytes, size: FileSize): Promise<GgufFiles> {
  const paths = ggufParts(named);
  const count = paths.length;
  const parts = await Promise.all(
    paths.map(async (path, i) => {
      const bytes = await size(path);
      if (bytes === null) {
        const what = count > 1 ? `The part ${path} is missing (${i + 1} of ${count})` : `There is no ${path}`;
        throw corrupt(what, { path, part: i + 1, parts: count });
      }
      return { path, bytes, ...(await readGgufHeader(path, read, bytes)) };
    }),
  );
  const [{ metadata }] = parts;
  for (const [i, { path, metadata: said }] of parts.entries()) {
    // from 0; a file that is whole need not say
    const [no, of] = [
      said.get('split.no') ?? (count > 1 ? null : 0),
      said.get('split.count') ?? (count > 1 ? null : 1),
    ];
    const name = said.get('general.architecture') ?? metadata.get('general.architecture');
    if (count === 1 && typeof of === 'number' && of > 1) {
      const what = `${path} is part ${Number(no) + 1} of ${of}, which its name does not say: the parts are found by names like NAME-00001-of-0000${of}.gguf`;
      throw corrupt(what, { path, part: Number(no) + 1, parts: of });
    }
    if ((no === i || count === 1) && of === count && name === metadata.get('general.architecture')) continue;
    const what = `${path} is no part ${i + 1} of ${count} of this model (it says split.no ${no}, split.count ${of}, ${name}): these are parts of different models`;
    throw corrupt(what, { path, part: i + 1, parts: count });
  }
  const tensors = parts.flatMap(({ path, tensors }) => tensors.map((tensor) => ({ ...tensor, path })));
  const total = metadata.get('split.tensors.count') ?? tensors.length;
  const distinct = new Set(tensors.map(({ name }) => name)).size;
  if (count > 1 && (total !== tensors.length || distinct !== tensors.length)) {
    const what = `The ${count} parts of ${paths[0]} hold ${tensors.length} tensors, ${distinct} of them different, where it says ${total}: these are parts of different models`;
    throw corrupt(what, { path: paths[0], tensors: tensors.length, expected: Number(total) });
  }
  return { metadata, tensors, files: parts.map(({ path, bytes }) => ({ path, bytes })) };
}
