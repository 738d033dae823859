/** Names of files for keys of any length and of any characters, and files that are there whole or not at all. */
import { createHash, randomBytes } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';

/** A part that a person can read, and a digest that tells keys apart where the disk does not heed case. */
export function fileNameOf(key: string): string {
  const readable = key
    .replace(/^https?:\/\//, '')
    .replace(/[^\w.-]+/g, '-')
    .slice(-80)
    .replace(/^[.-]+/, '');
  return `${readable}-${createHash('sha256').update(key).digest('hex').slice(0, 16)}`;
}

/** What is not finished ends so; whoever lists files passes over it. */
const UNFINISHED = '.tmp';

export const isFinished = (name: string): boolean => !name.endsWith(UNFINISHED);

/**
 * Writes a file beside its place and puts it there when it is whole, in the place of one that was there.
 * @param write writes the file at the path that it is given
 */
export async function writeWhole(path: string, write: (path: string) => Promise<void>): Promise<void> {
  const beside = `${path}.${randomBytes(6).toString('hex')}${UNFINISHED}`;
  try {
    await write(beside);
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true }).catch(() => {});
    throw error;
  }
}
