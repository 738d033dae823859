/**
 * The engine's shapes over HTTP: who may ask (guard.ts), when it is their turn (queue.ts), and what is told of it
 * (metrics.ts). A request becomes a call of a shape's `fetch`, and its Response goes back as it comes; a client that
 * leaves takes its answer with it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { NibbleError } from '../../errors';
import type { MemoryInfo } from '../../protocol';
import { anthropicError } from '../../shapes/anthropic/errors';
import { ApiError } from '../../shapes/openai/errors';
import type { Asking, Guard } from './guard';
import { Metrics } from './metrics';
import { Queue, QueueClosed } from './queue';

/** Answers a request as a `fetch` does. */
export type Answers = (request: Request) => Promise<Response>;

/** What the server asks of a loaded model. */
export interface Served {
  /** by a request's path */
  shapes: { anthropic: Answers; openai: Answers };
  memory(): Promise<MemoryInfo>;
}

export interface ServerOptions {
  address: string;
  port: number;
  guard: Guard;
  /** requests that are answered at once */
  parallel: number;
  /** bytes that a request may have */
  maxBody: number;
  /** told of each request that has had its answer, in a line */
  log?(line: string): void;
}

export interface Server {
  /** its address, with the port that it has */
  readonly url: string;
  readonly metrics: Metrics;
  /** Begins to answer; before that, requests are told that the model loads. */
  ready(served: Served): void;
  /** Takes no more requests, refuses those that wait, and resolves when those that run have had their answers. */
  close(): Promise<void>;
}

/** A request that is not answered: its status, and a sentence. */
class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly headers: Record<string, string> = {},
  ) {
    super(message);
  }
}

const pathOf = ({ url = '/' }: IncomingMessage) => url.split('?')[0];
/** Both have models: there only what Anthropic's clients say of themselves tells. */
const isAnthropic = (request: IncomingMessage) =>
  /\/messages(\/|$)/.test(pathOf(request)) ||
  (/\/models(\/|$)/.test(pathOf(request)) && request.headers['anthropic-version'] !== undefined);

/** Paths that are counted by their names, without what is before them. */
const COUNTED =
  /\/(health|metrics|models|messages(?:\/count_tokens)?|chat\/completions|completions|responses|embeddings)(?:\/|$)/;
const countedPath = (path: string) => COUNTED.exec(path)?.[1] ?? 'other';

/** A failure in the form of whoever asked. */
function failure(request: IncomingMessage, status: number, message: string): object {
  if (isAnthropic(request)) return anthropicError(status, message);
  return { error: new ApiError(status, message, null, status === 401 ? 'invalid_api_key' : null).body };
}

/** The bytes of a request. @throws Refused 413; the rest is then read and dropped, so that the client hears of it */
function bodyOf(request: IncomingMessage, most: number): Promise<Uint8Array<ArrayBuffer>> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let length = Number(request.headers['content-length'] ?? 0);
    const refuse = () => {
      pieces.length = 0;
      request.removeAllListeners('data').resume();
      reject(new Refused(413, `The request is larger than ${most} bytes: start the server with a larger --max-body.`));
    };
    if (length > most) return refuse();
    length = 0;
    request.on('data', (piece: Buffer) => {
      length += piece.length;
      if (length > most) refuse();
      else pieces.push(piece);
    });
    request.on('end', () => resolve(Buffer.concat(pieces)));
    request.on('error', reject);
  });
}

/** @throws invalid-option when the port is taken, or the address is not this machine's */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { address, port, guard, parallel, maxBody, log = () => {} } = options;
  const queue = new Queue(parallel);
  const metrics = new Metrics();
  let served: Served | null = null;
  let closing: Promise<void> | null = null;
  /** responses that are not all written */
  const open = new Set<ServerResponse>();

  const send = (response: ServerResponse, status: number, body: string | object, headers: object = {}) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const type = typeof body === 'string' ? 'text/plain; version=0.0.4; charset=utf-8' : 'application/json';
    response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text), ...headers });
    response.end(text);
  };

  /** One that the shapes answer. */
  async function shaped(request: IncomingMessage, response: ServerResponse, signal: AbortSignal, cors: object) {
    if (closing) throw new QueueClosed();
    if (!served) throw new Refused(503, 'The model is being loaded.', { 'retry-after': '1' });
    const { method = 'GET', headers, url } = request;
    const body = method === 'POST' ? await bodyOf(request, maxBody) : undefined;
    // what reads no prompt need not wait
    const waits = method === 'POST' && !pathOf(request).endsWith('/count_tokens');
    const came = performance.now();
    const leave = waits ? await queue.enter(signal) : () => {};
    try {
      if (waits) metrics.waited((performance.now() - came) / 1000);
      const given = new Headers();
      for (const [name, value] of Object.entries(headers)) if (value !== undefined) given.set(name, String(value));
      const asked = new Request(`http://nibble${url}`, { method, headers: given, body, signal });
      const answered = await served.shapes[isAnthropic(request) ? 'anthropic' : 'openai'](asked);
      response.writeHead(answered.status, { ...Object.fromEntries(answered.headers), ...cors });
      // however slowly it is read, an answer is short, and the next one waits
      for await (const piece of Readable.fromWeb((answered.body ?? new Blob([]).stream()) as never)) {
        signal.throwIfAborted();
        response.write(piece);
      }
      response.end();
    } finally {
      leave();
    }
  }

  async function answer(request: IncomingMessage, response: ServerResponse, signal: AbortSignal) {
    const { method = 'GET', headers } = request;
    const path = pathOf(request);
    const asking: Asking = { method, headers, open: path === '/health' };
    const refusal = guard.refuse(asking);
    const cors = guard.corsHeaders(asking);
    try {
      if (refusal) throw new Refused(refusal.status, refusal.message);
      if (method === 'OPTIONS') {
        response.writeHead(204, cors);
        response.end();
      } else if (method !== 'GET' && method !== 'POST') {
        throw new Refused(405, `${method} is not taken here.`, { allow: 'GET, POST, OPTIONS' });
      } else if (!path.startsWith('/')) {
        throw new Refused(400, 'The address of a request begins with /.');
      } else if (method === 'GET' && path === '/health') {
        const status = closing ? 'ending' : served ? 'ok' : 'loading';
        send(response, status === 'ok' ? 200 : 503, { status }, cors);
      } else if (method === 'GET' && path === '/metrics') {
        send(response, 200, metrics.text(queue, (await served?.memory()) ?? null), cors);
      } else {
        await shaped(request, response, signal, cors);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (response.headersSent) return void response.destroy();
      const { status, headers } =
        error instanceof Refused
          ? error
          : { status: error instanceof QueueClosed ? 503 : 500, headers: {} as Record<string, string> };
      const message = error instanceof Error ? error.message : String(error);
      send(response, status, failure(request, status, message), { ...headers, ...cors });
    }
  }

  const http = createServer((request, response) => {
    const left = new AbortController();
    const came = performance.now();
    open.add(response);
    response.on('close', () => {
      open.delete(response);
      // 499, as nginx has it, is who left before the answer was whole
      const status = response.writableFinished ? response.statusCode : 499;
      metrics.request(countedPath(pathOf(request)), status);
      log(`${request.method} ${pathOf(request)} ${status}, ${Math.round(performance.now() - came)} ms`);
      if (!response.writableFinished) left.abort(new DOMException('The client has left.', 'AbortError'));
      if (closing && open.size === 0) http.closeAllConnections();
    });
    response.on('error', () => {});
    if (closing) response.setHeader('connection', 'close');
    void answer(request, response, left.signal);
  });
  await new Promise<void>((resolve, reject) => {
    http.once('error', (error: NodeJS.ErrnoException) => {
      const why =
        error.code === 'EADDRINUSE' ? 'is taken: give another --port' : `cannot be listened on (${error.message})`;
      reject(new NibbleError('invalid-option', `${address}:${port} ${why}.`, { option: 'port', value: port }));
    });
    http.listen(port, address, resolve);
  });
  const { port: own } = http.address() as AddressInfo;
  return {
    url: `http://${address.includes(':') ? `[${address}]` : address}:${own}`,
    metrics,
    ready: (model) => {
      served = model;
    },
    close() {
      closing ??= (async () => {
        const closed = new Promise<void>((resolve) => http.close(() => resolve()));
        await queue.close();
        if (open.size === 0) http.closeAllConnections();
        await closed;
      })();
      return closing;
    },
  };
}
