/**
 * The static server of `npm start` and of the e2e tests: folders mounted under URL prefixes, byte ranges, and a count
 * of the bytes that went out for each path. Not for the internet.
 */
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { extname, join, normalize, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hostCsp, PAGE_CSP } from './policy.ts';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.txt': 'text/plain; charset=utf-8',
  '.md': 'text/plain; charset=utf-8',
};

export interface ServerOptions {
  /** URL prefix (with both slashes) and folder or file, first match wins */
  mounts: [prefix: string, path: string][];
  /** 0 takes any free port */
  port?: number;
  /** Content-Security-Policy of HTML pages, and of scripts: a worker has the policy that its script comes with */
  csp?: string;
  /** let other origins read (the widget's host fetches script and model from here) */
  cors?: boolean;
  /** text replaced in HTML pages */
  replace?: Record<string, string>;
  /** throttles every response, for tests that interrupt one */
  bytesPerSecond?: number;
  /** looks at a request first; true when it has answered it */
  intercept?: (request: IncomingMessage, response: ServerResponse, path: string) => boolean;
}

export interface StaticServer {
  origin: string;
  port: number;
  /** body bytes handed to the network so far, by URL path */
  sent: Map<string, number>;
  /** every request so far, "GET /path" */
  requests: string[];
  /** sum of `sent` under a prefix */
  bytes(prefix: string): number;
  reset(): void;
  close(): Promise<void>;
}

/** What the server says a file's version is. */
export const etagOf = ({ size, mtimeMs }: { size: number; mtimeMs: number }): string =>
  `"${size.toString(36)}-${Math.floor(mtimeMs).toString(36)}"`;

/** Bytes [start, end) of a Range header; null when there is none, 'bad' when it cannot be served. */
function parseRange(header: string | undefined, size: number): [number, number] | 'bad' | null {
  if (header === undefined) return null;
  const match = /^bytes=(\d*)-(\d*)$/.exec(header);
  if (match === null || (match[1] === '' && match[2] === '')) return 'bad';
  const start = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = match[1] === '' || match[2] === '' ? size : Math.min(size, Number(match[2]) + 1);
  return start < end ? [start, end] : 'bad';
}

async function locate(mounts: ServerOptions['mounts'], path: string): Promise<string | null> {
  for (const [prefix, target] of mounts) {
    if (!path.startsWith(prefix)) continue;
    const rest = normalize(path.slice(prefix.length));
    if (rest.startsWith('..') || rest.startsWith(sep)) return null;
    const file = rest === '.' ? target : join(target, rest);
    const found = await stat(file).catch(() => null);
    if (found?.isFile()) return file;
    const index = join(file, 'index.html');
    if (found?.isDirectory() && path.endsWith('/') && (await stat(index).catch(() => null))?.isFile()) return index;
  }
  return null;
}

export async function serve(options: ServerOptions): Promise<StaticServer> {
  const sent = new Map<string, number>();
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const count = (path: string, bytes: number) => sent.set(path, (sent.get(path) ?? 0) + bytes);

  async function body(response: ServerResponse, path: string, chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      if (response.destroyed) return;
      await new Promise<void>((done) => {
        response.once('close', done);
        response.write(chunk, () => {
          response.off('close', done);
          done();
        });
      });
      count(path, chunk.length);
      if (options.bytesPerSecond) await sleep((1000 * chunk.length) / options.bytesPerSecond);
    }
    response.end();
  }

  async function answer(request: IncomingMessage, response: ServerResponse) {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
    requests.push(`${request.method} ${path}`);
    if (options.cors) {
      response.setHeader('Access-Control-Allow-Origin', '*');
      response.setHeader('Access-Control-Expose-Headers', 'Accept-Ranges, Content-Length, Content-Range, ETag');
      response.setHeader('Cross-Origin-Resource-Policy', 'cross-origin');
    }
    response.setHeader('X-Content-Type-Options', 'nosniff');
    if (options.intercept?.(request, response, path)) return;
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { Allow: 'GET, HEAD' }).end();
      return;
    }
    const file = await locate(options.mounts, path);
    if (file === null) {
      response.writeHead(404, { 'Content-Type': 'text/plain' }).end(`No such file: ${path}\n`);
      return;
    }
    const type = TYPES[extname(file)] ?? 'application/octet-stream';
    response.setHeader('Content-Type', type);
    response.setHeader('Cache-Control', path.includes('/assets/') ? 'max-age=31536000, immutable' : 'no-cache');
    if (options.csp && /^text\/(html|javascript)/.test(type)) {
      response.setHeader('Content-Security-Policy', options.csp);
    }
    if (type.startsWith('text/html')) {
      let text = await readFile(file, 'utf8');
      for (const [from, to] of Object.entries(options.replace ?? {})) text = text.replaceAll(from, to);
      const bytes = Buffer.from(text);
      response.setHeader('Content-Length', bytes.length);
      count(path, bytes.length);
      response.end(request.method === 'HEAD' ? undefined : bytes);
      return;
    }
    const { size, mtimeMs } = await stat(file);
    const range = parseRange(request.headers.range, size);
    response.setHeader('Accept-Ranges', 'bytes');
    response.setHeader('ETag', etagOf({ size, mtimeMs }));
    if (range === 'bad') {
      response.writeHead(416, { 'Content-Range': `bytes */${size}` }).end();
      return;
    }
    const [start, end] = range ?? [0, size];
    if (range !== null) response.setHeader('Content-Range', `bytes ${start}-${end - 1}/${size}`);
    response.writeHead(range === null ? 200 : 206, { 'Content-Length': end - start });
    if (request.method === 'HEAD' || start === end) response.end();
    else await body(response, path, createReadStream(file, { start, end: end - 1, highWaterMark: 65536 }));
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: Error) => {
      if (!response.headersSent) response.writeHead(500, { 'Content-Type': 'text/plain' });
      response.end(`${error.message}\n`);
    });
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((done, fail) => {
    server.once('error', fail);
    server.listen(options.port ?? 0, '127.0.0.1', done);
  });
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://localhost:${port}`,
    port,
    sent,
    requests,
    bytes: (prefix) => [...sent].reduce((sum, [path, bytes]) => sum + (path.startsWith(prefix) ? bytes : 0), 0),
    reset() {
      sent.clear();
      requests.length = 0;
    },
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** The two servers of the product: the chat page, and a site owner's page on another origin with the widget in it. */
export async function serveProduct(
  root: string,
  options: { port?: number; models?: ServerOptions['mounts'] } & Partial<ServerOptions> = {},
): Promise<{ site: StaticServer; host: StaticServer; close(): Promise<void> }> {
  const { port = 0, models = [], ...rest } = options;
  const site = await serve({
    csp: PAGE_CSP,
    ...rest,
    port,
    cors: true,
    mounts: [
      ...models,
      ['/models/', join(root, 'public/models')],
      ['/embed/', join(root, 'dist/embed')],
      ['/', join(root, 'dist/site')],
    ],
  });
  const host = await serve({
    port: port === 0 ? 0 : port + 1,
    csp: hostCsp(site.origin),
    mounts: [['/', join(root, 'dist/demo')]],
    replace: { 'https://nibble.example': site.origin },
  }).catch(async (error) => {
    await site.close();
    throw error;
  });
  return { site, host, close: async () => void (await Promise.all([site.close(), host.close()])) };
}
