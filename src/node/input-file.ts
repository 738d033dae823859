/** A text file that a command is given; `-` is standard input. */
import { readFile } from 'node:fs/promises';
import { NibbleError } from '../errors';
import type { Arguments } from './arguments';

/**
 * @param option what the command calls the file
 * @returns its text, without the mark that may stand before UTF-8
 * @throws invalid-option for a file that cannot be read
 */
export async function readInput(args: Arguments, option: string, file: string): Promise<string> {
  const bytes = await (file === '-' ? args.stdin(option) : readFile(file)).catch((cause: unknown) => {
    throw new NibbleError('invalid-option', `${file} cannot be read: ${cause}`, { option, file }, { cause });
  });
  return new TextDecoder().decode(bytes);
}
