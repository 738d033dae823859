/** stdout and stderr of the CLI: with --json one object on stdout and nothing else there. */
import type { Arguments } from './arguments';

/** Resolves when the bytes have left the process: a pipe takes 64 KiB at a time, and process.exit() would cut the rest. */
export function write(stream: NodeJS.WriteStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => {
      // The reader may have gone (`| head`); there is nobody left to tell.
      if (error && (error as NodeJS.ErrnoException).code !== 'EPIPE') reject(error);
      else resolve();
    });
  });
}

/** With --json the object, else the lines for a person. */
export async function print(args: Arguments, object: unknown, lines: () => string): Promise<void> {
  await write(process.stdout, `${args.flag('json') ? JSON.stringify(object) : lines()}\n`);
}

/** A line on stderr with --verbose. */
export function log(args: Arguments, message: string): void {
  if (args.flag('verbose')) process.stderr.write(`${message}\n`);
}

export const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
