/** What yesterday's visitor did, and where: what stored.json is about. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerOptions } from '../../testing/server.ts';

export const MODEL = 'reference/fixtures/tiny-llama-128/nf4';
export const STORED = 'reference/fixtures/yesterday/stored.json';

/** Addresses are part of what is stored: the same at each visit, whatever port the server has. */
export const ORIGIN = 'http://localhost';
export const originFlag = (port: number) => `--host-resolver-rules=MAP localhost:80 127.0.0.1:${port}`;

/** models that were loaded whole: with a manifest, and without one */
export const TINY = '/models/tiny/';
export const BARE = '/models/bare/';
/** models of which half was downloaded */
export const HALF = ['/models/half/', '/models/half-bare/'] as const;
/** bytes of their weights that come before the connection is lost */
export const HALF_BYTES = 100_000;
/** said to TINY in the page */
export const QUESTIONS = ['cat', 'yes'] as const;
/** name of a conversation with TINY that the library saved */
export const SAVED = 'yesterday';

/** a page of the origin without a script, and what answers for it: nothing of a model's folder is shown as a page */
export const BLANK = '/blank.html';
export function blank(_: IncomingMessage, response: ServerResponse, path: string): boolean {
  if (path === BLANK) response.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html>');
  return path === BLANK;
}

const FILES = ['config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];

/** The models' folders; those without a manifest name their files one by one. */
export const visitMounts = (): ServerOptions['mounts'] => [
  [TINY, MODEL],
  [HALF[0], MODEL],
  ...[BARE, HALF[1]].flatMap((folder) =>
    FILES.map((file): [string, string] => [`${folder}${file}`, `${MODEL}/${file}`]),
  ),
];
