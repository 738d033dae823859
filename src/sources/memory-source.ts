/** A Source over bytes that are already in memory. */
import { NibbleError, throwIfAborted } from '../errors';
import type { Source } from './source';

/** @param files path to bytes; `gguf` names the one file of a .gguf source */
export function createMemorySource(name: string, files: ReadonlyMap<string, Uint8Array>, gguf?: string): Source {
  return {
    name,
    revision: null,
    gguf,
    names: async () => [...files.keys()],
    async size(path) {
      return files.get(path)?.length ?? null;
    },
    async read(path, start, end, signal) {
      throwIfAborted(signal);
      const file = files.get(path);
      if (!file || end > file.length) {
        const bytes = file?.length ?? 0;
        throw new NibbleError('corrupt-checkpoint', `${path} has ${bytes} bytes, ${end} are needed.`, {
          path,
          bytes,
          end,
        });
      }
      return new Uint8Array(file.subarray(start, end));
    },
  };
}
