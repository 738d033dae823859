/** A file that a command is given; `-` is standard input. */
import { readFile } from 'node:fs/promises';
import { NibbleError } from '../errors';
import type { Arguments } from './arguments';

/**
 * Its bytes.
 * @param option what the command calls the file
 * @throws invalid-option for a file that cannot be read
 */
export const readInput = (args: Arguments, option: string, file: string): Promise<Uint8Array> =>
  (file === '-' ? args.stdin(option) : readFile(file)).catch((cause: unknown) => {
    throw new NibbleError('invalid-option', `${file} cannot be read: ${cause}`, { option, file }, { cause });
  });

/** Its text, without the mark that may stand before UTF-8. @throws as readInput() */
export const readText = async (args: Arguments, option: string, file: string): Promise<string> =>
  new TextDecoder().decode(await readInput(args, option, file));
