/** stdin, stdout and stderr of the CLI: with --json one object on stdout and nothing else there. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { withoutSecrets } from '../errors';

const ROOT = new URL('../../', import.meta.url);
/** What a person types: in a checkout the command's own name; elsewhere another package has that. */
export const COMMAND = existsSync(new URL('src/node/cli.ts', ROOT)) ? 'nibble' : 'npx nibble-llm';
export const PACKAGE_JSON = fileURLToPath(new URL('package.json', ROOT));

/**
 * Resolves when the bytes have left the process: a pipe takes 64 KiB at a time, and process.exit() would cut the rest.
 */
export function write(stream: NodeJS.WriteStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => {
      // The reader may have gone (`| head`); there is nobody left to tell.
      if (error && (error as NodeJS.ErrnoException).code !== 'EPIPE') reject(error);
      else resolve();
    });
  });
}

let fromStdin: Uint8Array | null = null;

/** Everything that comes on standard input. */
export async function readStdin(): Promise<Uint8Array> {
  const pieces: Buffer[] = [];
  for await (const piece of process.stdin) pieces.push(Buffer.from(piece));
  fromStdin = Buffer.concat(pieces);
  return fromStdin;
}

/** What readStdin() brought, for a process that starts over; null when standard input has not been read. */
export const stdinRead = (): Uint8Array | null => fromStdin;

interface Flags {
  flag(name: string): boolean;
}

/** With --json the object, else the lines for a person. */
export async function print(args: Flags, object: unknown, lines: () => string): Promise<void> {
  await write(process.stdout, `${args.flag('json') ? JSON.stringify(object) : lines()}\n`);
}

/** A line on stderr with --verbose. */
export function log(args: Flags, message: string): void {
  if (args.flag('verbose')) tell(message);
}

/** A line on stderr. */
export function tell(message: string): void {
  process.stderr.write(`${withoutSecrets(message)}\n`);
}

/**
 * What changes while one waits: a line on a terminal's stderr that gives way to the next; nothing where it is a file.
 */
export function status(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${withoutSecrets(text)}\x1b[K`);
}

export const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
