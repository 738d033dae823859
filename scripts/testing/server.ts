/**
 * The static server of `npm start` and of the e2e tests: folders mounted under URL prefixes, byte ranges, and a count
 * of the bytes that went out for each path. It listens on this machine only, answers under its own names only (a page
 * elsewhere may have its name lead here), and lets no other origin read what it is not asked to. Not for the internet.
 */
import { createReadStream } from 'node:fs';
import { readFile, realpath, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { extname, join, normalize, posix, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PAGE_HEADERS } from '../../src/pwa/isolation.ts';
import { DATA_CSP, FILE_CSP, hostCsp, PAGE_CSP } from '../bundling/policy.ts';

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
const OCTETS = 'application/octet-stream';

/** The names of this machine: what a browser calls it that was given its address here. */
const OWN_HOSTS = ['localhost', '127.0.0.1', '[::1]'];

/** How many requests are on record at most, and characters of each. */
const REQUESTS = 20_000;
const REQUEST_LENGTH = 500;

export interface ServerOptions {
  /** URL prefix (with both slashes) and folder or file, first match wins */
  mounts: [prefix: string, path: string][];
  /** prefixes under which nothing is a page, a script or a picture: models are anybody's */
  data?: string[];
  /** names that this server has besides localhost, 127.0.0.1 and [::1]; under any other it answers 403 */
  hosts?: string[];
  /** 0 takes any free port */
  port?: number;
  /**
   * Content-Security-Policy of HTML pages, and of scripts: a worker has the policy that its script comes with; of JSON
   * and text, too, which run nothing. Without one no file is sent with any
   */
  csp?: string;
  /**
   * lets other origins read (the widget's host fetches script and model from here): true lets all of them, 'own' those
   * that have a name of this server, at any port
   */
  cors?: boolean | 'own';
  /** pages and workers from here are cross-origin isolated, so that they may share memory (src/pwa/isolation.ts) */
  isolated?: boolean;
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

/**
 * Bytes [start, end) of a Range header; null when there is none or it counts something else, 'bad' when it cannot be
 * served.
 */
function parseRange(header: string | undefined, size: number): [number, number] | 'bad' | null {
  if (!header?.startsWith('bytes=')) return null;
  const match = /^bytes=(\d*)-(\d*)$/.exec(header);
  if (match === null || (match[1] === '' && match[2] === '')) return 'bad';
  const start = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = match[1] === '' || match[2] === '' ? size : Math.min(size, Number(match[2]) + 1);
  return start < end ? [start, end] : 'bad';
}

/** The path of an address. @returns null where that is none */
function pathOf(url: string): string | null {
  try {
    const { protocol, pathname } = new URL(url, 'http://localhost');
    const path = decodeURIComponent(pathname);
    return protocol === 'http:' && /^(\/|http:)/.test(url) && !path.includes('\0') ? path : null;
  } catch {
    return null;
  }
}

/** A file that a path leads to: none whose name begins with a dot, and none that a link has outside of its mount. */
async function locate(mounts: ServerOptions['mounts'], path: string): Promise<string | null> {
  if (path.split(/[\\/]/).some((name) => /^\.(?!\.?$)/.test(name))) return null;
  for (const [prefix, target] of mounts) {
    if (!path.startsWith(prefix)) continue;
    const rest = normalize(path.slice(prefix.length));
    if (rest.startsWith('..') || rest.startsWith(sep)) return null;
    const file = rest === '.' ? target : join(target, rest);
    const index = join(file, 'index.html');
    for (const candidate of path.endsWith('/') ? [file, index] : [file]) {
      const real = await realpath(candidate).catch(() => null);
      if (real === null || !(await stat(real)).isFile()) continue;
      const within = await realpath(target);
      return real === within || real.startsWith(within + sep) ? real : null;
    }
  }
  return null;
}

/** Whether a Host header, or an origin's host, is a name in the list, at any port. */
const isNamed = (host: string | undefined, names: readonly string[]) =>
  names.includes((host ?? '').toLowerCase().replace(/:\d*$/, ''));

export async function serve(options: ServerOptions): Promise<StaticServer> {
  const sent = new Map<string, number>();
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  /** under one name, however the path was written: there are no more names than files */
  const count = (path: string, bytes: number) => {
    const name = posix.normalize(path);
    sent.set(name, (sent.get(name) ?? 0) + bytes);
  };

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
    const path = pathOf(request.url ?? '/');
    if (requests.length >= REQUESTS) requests.splice(0, REQUESTS / 2);
    requests.push(`${request.method} ${path ?? request.url}`.slice(0, REQUEST_LENGTH));
    response.setHeader('X-Content-Type-Options', 'nosniff');
    response.setHeader('Referrer-Policy', 'same-origin');
    const names = [...OWN_HOSTS, ...(options.hosts ?? [])];
    const refuse = (status: number, why: string) =>
      void response
        .writeHead(status, { 'Content-Type': 'text/plain', 'Content-Security-Policy': DATA_CSP })
        .end(`${why}\n`);
    if (!isNamed(request.headers.host, names)) return refuse(403, 'This server answers under its own names only.');
    if (path === null) return refuse(400, 'This is no path.');
    const { origin } = request.headers;
    const reader =
      options.cors === true
        ? '*'
        : options.cors && isNamed(origin?.replace(/^https?:\/\//, ''), names)
          ? origin!
          : null;
    if (options.cors === 'own') response.setHeader('Vary', 'Origin');
    if (reader !== null) {
      response.setHeader('Access-Control-Allow-Origin', reader);
      response.setHeader('Access-Control-Expose-Headers', 'Accept-Ranges, Content-Length, Content-Range, ETag');
    }
    if (options.cors) response.setHeader('Cross-Origin-Resource-Policy', 'cross-origin');
    const isData = options.data?.some((prefix) => path.startsWith(prefix));
    if (options.isolated && !isData)
      for (const [name, value] of Object.entries(PAGE_HEADERS)) response.setHeader(name, value);
    if (options.intercept?.(request, response, path)) return;
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { Allow: 'GET, HEAD' }).end();
      return;
    }
    const file = await locate(options.mounts, path);
    if (file === null) return refuse(404, `No such file: ${path.slice(0, REQUEST_LENGTH)}`);
    const named = TYPES[extname(file)] ?? OCTETS;
    const isInert = /json|plain/.test(named);
    const type = isData && !isInert ? OCTETS : named;
    response.setHeader('Content-Type', type);
    response.setHeader('Cache-Control', path.includes('/assets/') ? 'max-age=31536000, immutable' : 'no-cache');
    const isPage = /^text\/(html|javascript)/.test(type) || (isData && isInert);
    const csp = isPage ? options.csp : isData ? DATA_CSP : FILE_CSP;
    // a server without a policy of its own, as many are, has none for files either: their types keep them inert
    if (options.csp && csp) response.setHeader('Content-Security-Policy', csp);
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
    // the demo's origin is another port of this machine
    cors: 'own',
    isolated: true,
    data: ['/models/'],
    ...rest,
    port,
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
