/** A Source over files that the person chose or dropped. They are read where they lie and never copied. */
import { NibbleError, throwIfAborted } from '../errors';
import type { Source } from './source';

/** Paths are relative to the chosen folder, so its own name is cut off where the browser tells it. */
function pathOf(file: File): string {
  return file.webkitRelativePath.split('/').slice(1).join('/') || file.name;
}

export function createFileSource(name: string, files: readonly File[]): Source {
  const byPath = new Map(files.map((file) => [pathOf(file), file]));
  const [only] = byPath.keys();
  return {
    name,
    revision: null,
    gguf: byPath.size === 1 && only.endsWith('.gguf') ? only : undefined,
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
