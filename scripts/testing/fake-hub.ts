/**
 * A local server that behaves as huggingface.co does towards a browser, for tests and benches: an API that finds
 * repositories by name and lists one at a revision, `/{id}/resolve/{revision}/{file}` that redirects to another origin
 * with an address signed for one Range and for a short time, ETag and x-linked-* headers, CORS, gated repositories. It
 * writes down what the real one would not forgive (`complaints`), counts what it sends, and fails on demand. Not for
 * the internet. It is long because all of this shares one state.
 *
 * Sources: huggingface_hub 1.x (hf_api.py, utils/_http.py) and @huggingface/hub 2.4 (list-models.ts) for paths, fields
 * and X-Error-Code; what signed addresses forgive: docs.rs/hf-fetch-model and huggingface/datasets issue 7931.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface FakeRepo {
  files: ReadonlyMap<string, Uint8Array>;
  /** how large files are said to be which nobody will download: beyond those that there are, their bytes are 0 */
  sizes?: Readonly<Record<string, number>>;
  /** branches and tags, each with its commit; a commit always names itself */
  revisions?: Record<string, string>;
  /** only this token may read the files; the listing stays public, as with the Hub's gated repositories */
  token?: string;
  /** with `token`: the listing, too, is hidden from everybody else */
  private?: boolean;
  /** what its card and its listing say beside the files */
  about?: { license?: string; downloads?: number; likes?: number; tags?: string[] };
}

/** What may go wrong with one answer. */
export type Fault =
  | { kind: 'status'; status: number; headers?: Record<string, string> }
  | { kind: 'html' }
  | { kind: 'redirect-loop' }
  /** hangs up before an answer */
  | { kind: 'refuse' }
  /** hangs up after that many bytes of the body */
  | { kind: 'cut'; after: number }
  /** 200 and the whole file */
  | { kind: 'no-range' }
  | { kind: 'content-range'; value: string }
  /** changes one byte, by its place in the file */
  | { kind: 'flip'; at: number };

export interface HubRequest {
  /** 'api' and 'resolve' are the Hub's, 'cdn' is where it redirects to */
  at: 'api' | 'resolve' | 'cdn';
  id: string;
  path: string;
  /** bytes [start, end) that were asked for */
  start: number;
  end: number;
  /** counts from 1 */
  number: number;
}

export interface FakeHubOptions {
  repos: Record<string, FakeRepo>;
  /** before each answer */
  latencyMs?: number;
  /** of all connections together */
  bytesPerSecond?: number;
  /** how long a signed address is good for */
  signedForMs?: number;
  fault?: (request: HubRequest) => Fault | null;
}

export interface FakeHub {
  /** what stands for https://huggingface.co */
  origin: string;
  /** the other origin */
  cdn: string;
  /** bytes of files handed to the network so far, by path */
  sent: Map<string, number>;
  /** "api org/name", "cdn model.safetensors 0-99" */
  requests: string[];
  /** what a browser's preflight, the CDN or a careful owner would not have allowed */
  complaints: string[];
  /** may be changed between requests */
  options: FakeHubOptions;
  bytes(): number;
  /** hangs up on everybody once that many more bytes of files have gone out, and answers nobody until mend() */
  cutAfter(bytes: number): void;
  mend(): void;
  reset(): void;
  close(): Promise<void>;
}

const PIECE = 16 << 10;
/**
 * by which a timer, or whoever has the processor, may make a piece late; a receiver that takes nothing for longer does
 */
const LATE_MS = 50;
const EXPOSED =
  'X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash';
/** Headers that a script may add without a preflight, and those that browsers and Node add by themselves. */
const SAFE =
  /^(accept|accept-encoding|accept-language|cache-control|connection|content-language|dnt|host|origin|pragma|priority|range|referer|sec-.*|user-agent)$/;

const hex = (algorithm: string, ...parts: (string | Uint8Array)[]) => {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};
/** as they were when they were first named: a file's bytes do not change where they lie */
const oids = new WeakMap<Uint8Array, string>();
/** git's name of a file's content */
function gitOid(bytes: Uint8Array): string {
  const oid = oids.get(bytes) ?? hex('sha1', `blob ${bytes.length}\0`, bytes);
  oids.set(bytes, oid);
  return oid;
}
const isLarge = (path: string) => /\.(safetensors|gguf|bin)$/.test(path);

/** A commit name for a repository that was given none: one that its files decide. */
const commitOf = ({ files }: FakeRepo) => hex('sha1', ...[...files].flatMap(([path, bytes]) => [path, gitOid(bytes)]));

export async function serveFakeHub(options: FakeHubOptions): Promise<FakeHub> {
  const sent = new Map<string, number>();
  const requests: string[] = [];
  const complaints: string[] = [];
  const sockets = new Set<Socket>();
  const secret = randomBytes(16);
  const digests = new Map<Uint8Array, { sha256: string; oid: string }>();
  let number = 0;
  let lineFreeAt = 0;
  let left = Number.POSITIVE_INFINITY;

  const digestsOf = (bytes: Uint8Array) => {
    const known = digests.get(bytes) ?? { sha256: hex('sha256', bytes), oid: gitOid(bytes) };
    digests.set(bytes, known);
    return known;
  };
  const sign = (text: string) => createHmac('sha256', secret).update(text).digest('hex');

  function commit(repo: FakeRepo, revision: string): string | null {
    const revisions = repo.revisions ?? { main: commitOf(repo) };
    return revisions[revision] ?? (Object.values(revisions).includes(revision) ? revision : null);
  }

  const sizeOf = (repo: FakeRepo | undefined, path: string) =>
    repo?.sizes?.[path] ?? repo?.files.get(path)?.length ?? 0;

  function refuse(response: ServerResponse, status: number, code: string, message: string) {
    response.writeHead(status, { 'X-Error-Code': code, 'X-Error-Message': message }).end(message);
  }

  /** Applies what does not need the file; true when the request has been answered. */
  function spoil(fault: Fault | null, request: IncomingMessage, response: ServerResponse): boolean {
    switch (fault?.kind) {
      case 'refuse':
        request.socket.destroy();
        return true;
      case 'status':
        response.writeHead(fault.status, fault.headers).end('no');
        return true;
      case 'html':
        response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end('<!doctype html><p>Sign in');
        return true;
      case 'redirect-loop':
        response.writeHead(302, { Location: request.url }).end();
        return true;
    }
    return false;
  }

  function rangeOf(header: string | undefined, size: number): [number, number] {
    const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(header ?? '') ?? [];
    return start === undefined ? [0, size] : [Number(start), Math.min(size, Number(end) + 1)];
  }

  async function send(response: ServerResponse, path: string, bytes: Uint8Array, cutAfter: number) {
    let ready = performance.now();
    for (let at = 0; at < bytes.length && !response.destroyed; at += PIECE) {
      const piece = bytes.subarray(at, Math.min(at + PIECE, bytes.length, cutAfter, at + left));
      left -= piece.length;
      if (options.bytesPerSecond) {
        ready = Math.max(lineFreeAt, ready) + (1000 * piece.length) / options.bytesPerSecond;
        lineFreeAt = ready;
        // a timer that rings late makes no line slower: what waited for it goes at once
        const wait = ready - performance.now();
        if (wait > 0) await sleep(wait);
        ready = Math.max(ready, performance.now() - LATE_MS);
      }
      if (piece.length > 0 && !response.destroyed) {
        await new Promise<void>((done) => {
          response.once('close', done);
          response.write(piece, () => {
            response.off('close', done);
            done();
          });
        });
        sent.set(path, (sent.get(path) ?? 0) + piece.length);
      }
      if (left <= 0) return disconnect();
      if (at + PIECE >= cutAfter) return void response.destroy();
    }
    response.end();
  }

  /** as both the list of repositories and the listing of one have it */
  function entryOf(id: string, { token, private: hidden, about = {} }: FakeRepo) {
    const { license, downloads = 0, likes = 0, tags = [] } = about;
    const card = license ? { cardData: { license } } : {};
    const all = license ? [...tags, `license:${license}`] : tags;
    return {
      id,
      modelId: id,
      private: false,
      gated: token && !hidden ? 'manual' : false,
      downloads,
      likes,
      tags: all,
      ...card,
    };
  }

  /** What is public and has every word in its name, the most downloaded first. */
  function answerSearch(request: IncomingMessage, response: ServerResponse, query: URLSearchParams) {
    const search = query.get('search') ?? '';
    requests.push(`search ${search}`);
    const fault = options.fault?.({ at: 'api', id: '', path: search, start: 0, end: 0, number: ++number }) ?? null;
    if (spoil(fault, request, response)) return;
    const has = (id: string) => id.toLowerCase().includes(search.toLowerCase());
    const found = Object.entries(options.repos).filter(([id, repo]) => has(id) && !repo.private);
    const entries = found.map(([id, repo]) => entryOf(id, repo)).sort((a, b) => b.downloads - a.downloads);
    const body = JSON.stringify(entries.slice(0, Number(query.get('limit') ?? 1000)));
    response.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8' }).end(body);
  }

  async function answerApi(request: IncomingMessage, response: ServerResponse, id: string, revision: string) {
    const repo = options.repos[id];
    requests.push(`api ${id} ${revision}`);
    const fault = options.fault?.({ at: 'api', id, path: '', start: 0, end: 0, number: ++number }) ?? null;
    if (spoil(fault, request, response)) return;
    const known = request.headers.authorization === `Bearer ${repo?.token}`;
    if (!repo || (repo.private && !known)) return refuse(response, 401, 'RepoNotFound', 'Repository not found');
    const sha = commit(repo, revision);
    if (!sha) return refuse(response, 404, 'RevisionNotFound', 'Invalid rev id');
    const blobs = /[?&]blobs=/.test(request.url!);
    const siblings = [...repo.files].map(([rfilename, bytes]) => {
      if (!blobs) return { rfilename };
      const { sha256, oid } = digestsOf(bytes);
      const lfs = isLarge(rfilename) ? { lfs: { sha256, size: bytes.length, pointerSize: 134 } } : {};
      return { rfilename, size: repo.sizes?.[rfilename] ?? bytes.length, blobId: oid, ...lfs };
    });
    const body = JSON.stringify({ ...entryOf(id, repo), sha, siblings });
    response.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8' }).end(body);
  }

  async function answerResolve(
    request: IncomingMessage,
    response: ServerResponse,
    id: string,
    [revision, path]: string[],
  ) {
    const repo = options.repos[id];
    const bytes = repo?.files.get(path);
    const [start, end] = rangeOf(request.headers.range, sizeOf(repo, path));
    requests.push(`resolve ${revision} ${path} ${start}-${end - 1}`);
    const fault = options.fault?.({ at: 'resolve', id, path, start, end, number: ++number }) ?? null;
    if (spoil(fault, request, response)) return;
    if (!repo) return refuse(response, 401, 'RepoNotFound', 'Repository not found');
    if (repo.token && request.headers.authorization !== `Bearer ${repo.token}`) {
      const status = request.headers.authorization ? 403 : 401;
      return refuse(
        response,
        status,
        repo.private ? 'RepoNotFound' : 'GatedRepo',
        `Access to model ${id} is restricted.`,
      );
    }
    const sha = commit(repo, revision);
    if (!sha) return refuse(response, 404, 'RevisionNotFound', 'Invalid rev id');
    if (!bytes) return refuse(response, 404, 'EntryNotFound', 'Entry not found');
    const { sha256, oid } = digestsOf(bytes);
    response.setHeader('X-Repo-Commit', sha);
    if (!isLarge(path)) {
      response.setHeader('ETag', `"${oid}"`);
      return answerFile(request, response, path, bytes, fault, bytes.length);
    }
    response.setHeader('X-Linked-ETag', `"${sha256}"`);
    response.setHeader('X-Linked-Size', sizeOf(repo, path));
    const until = Date.now() + (options.signedForMs ?? 10_000);
    const range = request.headers.range ?? '';
    const query = new URLSearchParams({ id, path, range, until: String(until) });
    query.set('signature', sign(query.toString()));
    response.writeHead(302, { Location: `${hub.cdn}/blob?${query}` }).end();
  }

  async function answerCdn(request: IncomingMessage, response: ServerResponse, url: URL) {
    const query = url.searchParams;
    const signature = query.get('signature');
    query.delete('signature');
    const { id = '', path = '', range = '', until } = Object.fromEntries(query);
    const bytes = options.repos[id]?.files.get(path);
    if (!bytes || signature !== sign(query.toString())) return void response.writeHead(403).end('bad signature');
    const size = sizeOf(options.repos[id], path);
    const [start, end] = rangeOf(range, size);
    requests.push(`cdn ${path} ${start}-${end - 1}`);
    if (request.headers.authorization) complaints.push('Authorization was sent to the other origin');
    if ((request.headers.range ?? '') !== range || Date.now() > Number(until)) {
      complaints.push(`a signed address was used for ${request.headers.range} after it was made for ${range}`);
      return void response.writeHead(403).end('expired');
    }
    const fault = options.fault?.({ at: 'cdn', id, path, start, end, number: ++number }) ?? null;
    if (spoil(fault, request, response)) return;
    response.setHeader('ETag', `"${digestsOf(bytes).sha256}"`);
    await answerFile(request, response, path, bytes, fault, size);
  }

  async function answerFile(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    bytes: Uint8Array,
    fault: Fault | null,
    size: number,
  ) {
    const asked = fault?.kind === 'no-range' ? undefined : request.headers.range;
    const [start, end] = rangeOf(asked, size);
    if (asked && start >= size) {
      return void response.writeHead(416, { 'Content-Range': `bytes */${size}` }).end();
    }
    response.setHeader('Content-Type', 'application/octet-stream');
    response.setHeader('Accept-Ranges', 'bytes');
    const said = fault?.kind === 'content-range' ? fault.value : `bytes ${start}-${end - 1}/${size}`;
    if (asked) response.setHeader('Content-Range', said);
    response.writeHead(asked ? 206 : 200, { 'Content-Length': end - start });
    if (request.method === 'HEAD') return void response.end();
    let body = bytes.subarray(start, end);
    if (end > bytes.length) {
      body = new Uint8Array(end - start);
      body.set(bytes.subarray(start));
    }
    if (fault?.kind === 'flip' && fault.at >= start && fault.at < end) {
      body = body.slice();
      body[fault.at - start] ^= 1;
    }
    await send(response, path, body, fault?.kind === 'cut' ? fault.after : Number.POSITIVE_INFINITY);
  }

  /** Everything that both origins do: CORS as the Hub has it, latency, and the list of complaints. */
  function allow(request: IncomingMessage, response: ServerResponse): boolean {
    response.setHeader('Access-Control-Allow-Origin', '*');
    response.setHeader('Access-Control-Expose-Headers', EXPOSED);
    const token = request.headers['access-control-request-headers'] === 'authorization';
    if (request.method === 'OPTIONS') {
      if (!token) complaints.push(`a preflight for ${request.headers['access-control-request-headers']}`);
      response.setHeader('Access-Control-Allow-Headers', 'authorization');
      response.setHeader('Access-Control-Max-Age', 600);
      response.writeHead(204).end();
      return false;
    }
    const odd = Object.keys(request.headers).filter((name) => !SAFE.test(name) && name !== 'authorization');
    const { range } = request.headers;
    if (range !== undefined && !/^bytes=\d+-\d*$/.test(range)) odd.push(`range: ${range}`);
    if (odd.length > 0) complaints.push(`headers that need a preflight: ${odd}`);
    return true;
  }

  async function answerHub(request: IncomingMessage, response: ServerResponse, url: URL) {
    const path = decodeURIComponent(url.pathname);
    if (path === '/api/models') return answerSearch(request, response, url.searchParams);
    const api = /^\/api\/models\/([^/]+\/[^/]+)\/revision\/(.+)$/.exec(path);
    if (api) return answerApi(request, response, api[1], api[2]);
    const file = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path);
    if (file) return answerResolve(request, response, file[1], file.slice(2));
    response.writeHead(404, { 'Content-Type': 'text/html' }).end('<!doctype html><p>404');
  }

  type Answer = (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<unknown>;

  async function listen(answer: Answer): Promise<{ server: Server; origin: string }> {
    const server = createServer((request, response) => {
      if (left <= 0) return request.socket.destroy();
      const run = async () => {
        if (!allow(request, response)) return;
        if (options.latencyMs) await sleep(options.latencyMs);
        await answer(request, response, new URL(request.url ?? '/', 'http://localhost'));
      };
      run().catch((error) => {
        complaints.push(String(error));
        response.destroy();
      });
    });
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return { server, origin: `http://localhost:${(server.address() as AddressInfo).port}` };
  }

  const [main, cdn] = await Promise.all([listen(answerHub), listen(answerCdn)]);
  const disconnect = () => {
    for (const socket of sockets) socket.destroy();
  };
  const hub: FakeHub = {
    origin: main.origin,
    cdn: cdn.origin,
    sent,
    requests,
    complaints,
    options,
    bytes: () => [...sent.values()].reduce((sum, bytes) => sum + bytes, 0),
    cutAfter(bytes) {
      left = bytes;
    },
    mend() {
      left = Number.POSITIVE_INFINITY;
    },
    reset() {
      sent.clear();
      requests.length = 0;
    },
    async close() {
      const closed = [main, cdn].map(({ server }) => new Promise((done) => server.close(done)));
      disconnect();
      await Promise.all(closed);
    },
  };
  return hub;
}
