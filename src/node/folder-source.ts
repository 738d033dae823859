/** A Source over a folder in Hugging Face layout, or over one .gguf file, on disk. */

import { existsSync, readdirSync, statSync } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { NibbleError, throwIfAborted } from '../errors';
import { ggufParts, onlyGguf } from '../formats/gguf-parts';
import type { Source } from '../sources/source';

/** @throws corrupt-checkpoint from read() when a file is shorter than asked */
export function createFolderSource(path: string): Source {
  const isFile = path.endsWith('.gguf') && !(existsSync(path) && statSync(path).isDirectory());
  const folder = isFile ? dirname(path) : path;
  const gguf = isFile ? ggufParts(basename(path))[0] : ggufIn(folder);
  const handles = new Map<string, Promise<FileHandle>>();
  const handle = (file: string) => {
    const known = handles.get(file) ?? open(join(folder, file));
    handles.set(file, known);
    return known;
  };
  return {
    name: isFile ? gguf! : basename(resolve(path)),
    revision: null,
    gguf,
    names: () => readdir(folder),
    async size(file) {
      try {
        const found = await stat(join(folder, file));
        return found.isFile() ? found.size : null;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw unreadable(file, error);
      }
    },
    async read(file, start, end, signal) {
      throwIfAborted(signal);
      const bytes = new Uint8Array(end - start);
      let filled = 0;
      try {
        const input = await handle(file);
        while (filled < bytes.length) {
          const { bytesRead } = await input.read(bytes, filled, bytes.length - filled, start + filled);
          if (bytesRead === 0) break;
          filled += bytesRead;
        }
      } catch (error) {
        throw unreadable(file, error);
      }
      if (filled === bytes.length) return bytes;
      const have = start + filled;
      throw new NibbleError('corrupt-checkpoint', `${file} has ${have} bytes, ${end} are needed. Get it again.`, {
        path: file,
        bytes: have,
        end,
      });
    },
    close() {
      for (const opened of handles.values()) opened.then((file) => file.close()).catch(() => {});
      handles.clear();
    },
  };
}

/** The .gguf of a folder that holds one model and no other kind of one. */
function ggufIn(folder: string): string | undefined {
  try {
    const names = existsSync(folder) ? readdirSync(folder) : [];
    return (!names.includes('config.json') && onlyGguf(names)) || undefined;
  } catch (error) {
    throw unreadable(folder, error);
  }
}

function unreadable(file: string, cause: unknown): NibbleError {
  const message = `${file} cannot be read: ${cause instanceof Error ? cause.message : cause}`;
  return new NibbleError('storage-unavailable', message, { path: file }, { cause });
}
