/** A server that says what a test tells it to, byte by byte where that matters. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Seen {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  // biome-ignore lint/suspicious/noExplicitAny: a request's JSON, which tests compare
  body: any;
}

export type Say = (response: ServerResponse, seen: Seen) => void | Promise<void>;

export interface ScriptedServer {
  url: string;
  seen: Seen[];
  /** what the next requests are answered with, the last of them from then on */
  say(...script: Say[]): void;
  close(): Promise<void>;
}

/** @param cors whether pages of any origin may read it */
export async function scriptedServer(cors = false): Promise<ScriptedServer> {
  const seen: Seen[] = [];
  let script: Say[] = [];
  const server = createServer(async (request, response) => {
    if (cors) {
      response.setHeader('access-control-allow-origin', '*');
      response.setHeader('access-control-allow-headers', 'authorization, content-type');
      response.setHeader('access-control-expose-headers', 'retry-after');
      if (request.method === 'OPTIONS') return void response.writeHead(204).end();
    }
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const text = Buffer.concat(pieces).toString();
    const { method = '', url = '', headers } = request;
    const one = { method, path: url, headers, body: text ? JSON.parse(text) : null };
    seen.push(one);
    const say = script.length > 1 ? script.shift()! : script[0];
    await say(response, one);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    seen,
    say(...all) {
      seen.length = 0;
      script = all;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** One event of a stream. */
export const event = (data: unknown): string => `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;

/** A chunk of /chat/completions. */
export const chunk = (delta: object, finish: string | null = null): string =>
  event({ id: 'x', object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }] });

export const USAGE = {
  prompt_tokens: 12,
  completion_tokens: 3,
  total_tokens: 15,
  prompt_tokens_details: { cached_tokens: 8 },
};

/** An answer as OpenAI streams it. */
export const hello = [
  chunk({ role: 'assistant', content: '' }),
  chunk({ reasoning_content: 'Grüße? ' }),
  chunk({ content: 'Hello' }),
  chunk({ content: ', wörld 🌍' }),
  chunk({}, 'stop'),
  event({ id: 'x', choices: [], usage: USAGE }),
  event('[DONE]'),
].join('');

/** Streams this text, in one piece. */
export const stream =
  (text: string): Say =>
  (response) =>
    void response.writeHead(200, { 'content-type': 'text/event-stream' }).end(text);

/** Streams this text, and breaks the connection. */
export const broken =
  (text: string): Say =>
  (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(text, () => setTimeout(() => response.destroy(), 5));
  };

export const json =
  (body: unknown, status = 200, headers: Record<string, string> = {}): Say =>
  (response) =>
    void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));

/** Accepts the request and never says a word. */
export const silent: Say = () => {};
