/** A Source over files that the person chose or dropped. They are read where they lie and never copied. */

import { NibbleError, throwIfAborted } from '../errors';
import { onlyGguf } from '../formats/gguf-parts';
import type { NamedFile, Source } from './source';

export function createFileSource(name: string, files: readonly NamedFile[]): Source {
  const byPath = new Map(files.map(({ path, file }) => [path, file]));
  const folder = byPath.has('config.json');
  return {
    name,
    revision: null,
    gguf: (!folder && onlyGguf(byPath.keys())) || undefined,
    names: async () => [...byPath.keys()],
    async size(path) {
      return byPath.get(path)?.size ?? null;
    },
    async read(path, start, end, signal) {
      throwIfAborted(signal);
      const file = byPath.get(path);
      if (!file || end > file.size) {
        const bytes = file?.size ?? 0;
        throw new NibbleError('corrupt-checkpoint', `${path} has ${bytes} bytes, ${end} are needed.`, {
          path,
          bytes,
          end,
        });
      }
      try {
        return new Uint8Array(await file.slice(start, end).arrayBuffer());
      } catch (cause) {
        const message = `${path} can no longer be read (${cause}). Choose the files again.`;
        throw new NibbleError('storage-unavailable', message, { path }, { cause });
      }
    },
  };
}
