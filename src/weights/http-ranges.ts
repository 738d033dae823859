/**
 * Files over HTTP, range by range. Every read is one `Range: bytes=a-b` request, which needs no CORS preflight; nothing
 * else is sent but the headers that the place asks for. Every address is asked for afresh: what it redirects to may be
 * signed for one range only (the Hub's Xet CDN: docs.rs/hf-fetch-model).
 *
 * A server that ignores Range answers 200 with the whole file. That stream is cut, and left open for the next read of
 * the same file, so that reading in order downloads the file once.
 */
import { NibbleError } from '../errors';
import { forbiddenByPolicy } from './policy';
import { type RetryOptions, retryAfter, retrying, Transient } from './retry';
import type { KeepPart, Source } from './source';
import { changedFile, type FileVersion, isSameVersion, isTold, versionOf, withMore } from './versions';

export interface HttpOptions extends RetryOptions {
  fetch?: typeof fetch;
  /** told of bytes as they arrive */
  onBytes?: (path: string, bytes: number) => void;
}

/** Where files are and what a refusal means there. */
export interface HttpPlace {
  url(path: string): string;
  headers?: Record<string, string>;
  /** what a page's connect-src must name to get files from there; the address's origin when absent */
  hosts?: string;
  /** the error for an answer that is no file, where more is known than its status */
  refusal?(path: string, response: Response): NibbleError | null;
}

type Ranges = 'size' | 'read' | 'versions' | 'confirm' | 'refusal' | 'inOrder' | 'close';

export interface HttpRanges extends Required<Pick<Source, Ranges>> {
  /** A small file whole, from wherever it is. @throws network */
  fetchAll(url: string, signal?: AbortSignal): Promise<Uint8Array>;
}

/** Reads a body piece by piece; a piece is good until the next is asked for. */
interface Reader {
  /** null at the end */
  next(): Promise<Uint8Array | null>;
  cancel(): Promise<void>;
}

/** A body being read: `position` is the file offset of the next byte of `rest`, or else of the reader. */
interface Stream {
  reader: Reader;
  position: number;
  rest: Uint8Array | null;
  whole: boolean;
}
interface Opened {
  stream: Stream;
  /** size of the file where the answer tells it */
  total: number | null;
}

/** failures in a row before giving up on a server that has never answered: the person waits for the sentence */
const FIRST_ATTEMPTS = 3;

const PIECE_BYTES = 256 << 10;

/**
 * How often an answer of another version is asked for once more: servers that share an address may each have a version
 * of their own, or another name for the same one. Once that has been seen, the right one is waited for longer.
 */
const STRANGERS = 3;
const MORE_STRANGERS = 30;

/**
 * Where the browser can, pieces are read into memory that is used again, for this answer and the next ones: else as
 * much as the file would be left as garbage, and 256 KiB for each of the hundreds of small parts that a header needs.
 * @param spare memory that no reader uses now
 */
function readerOf({ body }: Response, spare: ArrayBuffer[]): Reader {
  const stream: ReadableStream<Uint8Array<ArrayBuffer>> = body ?? new Blob([]).stream();
  let reader: ReadableStreamBYOBReader;
  try {
    reader = stream.getReader({ mode: 'byob' });
  } catch {
    const plain = stream.getReader();
    return { next: async () => (await plain.read()).value ?? null, cancel: () => plain.cancel() };
  }
  let memory: ArrayBuffer | null = spare.pop() ?? new ArrayBuffer(PIECE_BYTES);
  function giveBack() {
    if (memory) spare.push(memory);
    memory = null;
  }
  return {
    async next() {
      const into = memory ?? new ArrayBuffer(PIECE_BYTES);
      // the browser has it until it answers, and keeps it when the connection breaks
      memory = null;
      const { value, done } = await reader.read(new Uint8Array(into));
      memory = value?.buffer ?? null;
      if (!done && value) return value;
      giveBack();
      return null;
    },
    cancel() {
      giveBack();
      return reader.cancel();
    },
  };
}

/**
 * An extension's own files. Chromium 156 answers a range of one with just those bytes, but as status 200 without their
 * place, and for one that is not there fetch() fails as if nobody answered: so they are read from their beginning.
 */
const isPackaged = (url: string) => /^[\w-]+-extension:/.test(url);

const isRetryable = (status: number) => status === 408 || status === 429 || status >= 500;

export const encodePath = (path: string): string => path.split('/').map(encodeURIComponent).join('/');

/** An address without what may be secret in it: the name and password, and the query. */
export function withoutSecrets(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

/**
 * The error for an answer, or for none.
 * @param answer the answer, or its status where that is all; 0: there was none
 */
export function networkError(
  address: string,
  answer: Response | number,
  what: string,
  next: string,
  details = {},
): NibbleError {
  const url = withoutSecrets(address);
  const [status, type] = typeof answer === 'number' ? [answer] : [answer.status, answer.headers.get('content-type')];
  const said = [status || [], type ?? []].flat().join(', ');
  const message = `${what} (${url}${said && `: ${said}`}). ${next}`;
  return new NibbleError('network', message, { url, status, ...(type && { contentType: type }), ...details });
}

/** What stands in the place of a file that is not there, with a status that says it were: a login, or a start page. */
const isPage = (type: string | null) => /^(text\/html|application\/xhtml)/i.test(type ?? '');
const PAGE = 'The server answered with a web page instead of the file';
const CHECK_PAGE =
  'Check the address: many sites answer so, with a start page or a login, where they have no such file.';

export function createHttpRanges(
  { url, headers = {}, hosts, refusal }: HttpPlace,
  { fetch: send = (...all) => fetch(...all), onBytes, ...retry }: HttpOptions = {},
): HttpRanges {
  const open = new Map<string, Stream>();
  const lanes = new Map<string, Promise<unknown>>();
  const spare: ArrayBuffer[] = [];
  const versions: HttpRanges['versions'] = new Map();
  /** files of which several versions have answered, the expected one among them */
  const mixed = new Set<string>();
  const refusals = new Map<string, NibbleError>();
  let answered = false;

  const failure = (path: string, ...what: [answer: Response | number, what: string, next: string]) =>
    networkError(url(path), ...what);

  /** Whether an answer is about the version of the file that is being read. */
  function isExpected(path: string, said: FileVersion): boolean {
    const known = versions.get(path);
    if (known === undefined) return true;
    // a server that tells no longer what it told may as well be another one
    if (known && !(isSameVersion(known, said) ?? !isTold(known))) return false;
    versions.set(path, withMore(known, said));
    return true;
  }

  /** @throws integrity-mismatch when only other versions of the file answer */
  async function request(from: string, path: string, init: RequestInit): Promise<Response> {
    for (let strangers = 0; ; strangers++) {
      const response = await ask(from, path, init);
      if (isExpected(path, versionOf(response))) {
        if (strangers > 0) mixed.add(path);
        return response;
      }
      await response.body?.cancel();
      if (strangers === (mixed.has(path) ? MORE_STRANGERS : STRANGERS)) throw changedFile(path);
    }
  }

  async function ask(from: string, path: string, init: RequestInit): Promise<Response> {
    let response: Response;
    try {
      // kept by our own store, if at all: the browser's cache would hold a second copy, and where several ranges
      // of one file are under way Chromium's asks for many of them twice (314 MB for 253, Chromium 156)
      response = await send(from, { ...init, cache: 'no-store' });
    } catch (cause) {
      if (isPackaged(from)) throw networkError(from, 404, 'There is no such file', 'Check the address.');
      const { origin } = new URL(from);
      const allowed = hosts ?? origin;
      if (forbiddenByPolicy(from)) {
        const next = `Whoever serves the page must add ${allowed} to its connect-src.`;
        throw networkError(from, 0, 'The Content-Security-Policy of this page forbids the connection', next, {
          reason: 'connect-src',
        });
      }
      // offline, refused by CORS, or by a policy that told nobody: fetch() says the same of all three
      const elsewhere = globalThis.location && globalThis.location.origin !== origin;
      const more = `, that server’s CORS headers, and that this page’s connect-src names ${allowed}`;
      const next = `Check the connection${elsewhere ? more : ''}: ${cause}`;
      const error = networkError(from, 0, 'The server could not be reached', next);
      throw new Transient(error, null, answered ? undefined : FIRST_ATTEMPTS);
    }
    answered = true;
    const { status } = response;
    if (status === 200 || status === 206) {
      if (!isPage(response.headers.get('content-type'))) return response;
      await response.body?.cancel();
      throw networkError(from, response, PAGE, CHECK_PAGE, { reason: 'web-page' });
    }
    await response.body?.cancel();
    // a signed address that ran out on the way is signed again
    if (isRetryable(status) || (status === 403 && response.redirected)) {
      const error = networkError(from, response, `The server answered ${status} again and again`, 'Try later.');
      throw new Transient(error, retryAfter(response.headers.get('retry-after')));
    }
    const known = refusal?.(path, response);
    if (known) throw known;
    if (status === 416) {
      const total = versionOf(response).bytes ?? 0;
      if ((versions.get(path)?.bytes ?? total) !== total) throw changedFile(path);
      throw new NibbleError('corrupt-checkpoint', `${path} is shorter than its header says.`, {
        path,
        bytes: total,
        status,
      });
    }
    if (status === 401 || status === 403) {
      const next =
        'Check the address and who may read it. A gated or private model of the Hub is loaded by its name, org/model, and the option token.';
      throw networkError(from, response, 'The server refuses access to the file', next);
    }
    const what = status === 404 ? 'There is no such file' : `The server answered ${status}`;
    throw networkError(from, response, what, 'Check the address: a model’s is that of its folder, or of a .gguf.');
  }

  /** One answer to a range request, checked against what was asked. */
  async function openRange(path: string, start: number, end: number, signal?: AbortSignal): Promise<Opened> {
    const range: HeadersInit = isPackaged(url(path)) ? {} : { Range: `bytes=${start}-${end - 1}` };
    const response = await request(url(path), path, { headers: { ...headers, ...range }, signal });
    const reader = readerOf(response, spare);
    if (response.status === 200) {
      const length = response.headers.get('content-encoding') ? null : response.headers.get('content-length');
      return {
        stream: { reader, position: 0, rest: null, whole: true },
        total: length === null ? null : Number(length),
      };
    }
    const text = response.headers.get('content-range');
    const said = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(text ?? '');
    if (text !== null && (!said || Number(said[1]) !== start)) {
      await reader.cancel();
      throw failure(
        path,
        206,
        `The server sent ${text} for bytes ${start}-${end - 1}`,
        'Use a server that honours ranges.',
      );
    }
    const total = said && said[3] !== '*' ? Number(said[3]) : null;
    return { stream: { reader, position: start, rest: null, whole: false }, total };
  }

  /** The next bytes of a stream, null at its end. */
  async function next(path: string, stream: Stream): Promise<Uint8Array | null> {
    if (stream.rest) {
      const { rest } = stream;
      stream.rest = null;
      return rest;
    }
    try {
      const piece = await stream.reader.next();
      if (piece) onBytes?.(path, piece.length);
      return piece;
    } catch (cause) {
      throw new Transient(failure(path, 206, 'The connection broke while the file was read', `Try again: ${cause}`));
    }
  }

  function keep(path: string, stream: Stream): void {
    void open
      .get(path)
      ?.reader.cancel()
      .catch(() => {});
    open.set(path, stream);
  }

  async function readRange(path: string, start: number, end: number, signal?: AbortSignal, keepPart?: KeepPart) {
    const bytes = new Uint8Array(end - start);
    let filled = 0;
    const attempt = async () => {
      const at = start + filled;
      let stream = open.get(path);
      let total: number | null = null;
      if (stream && stream.position <= at) open.delete(path);
      else ({ stream, total } = await openRange(path, at, end, signal));
      if (total !== null && total < end) {
        void stream.reader.cancel().catch(() => {});
        const message = `${path} has ${total} bytes where ${end} were expected. Get the file again.`;
        throw new NibbleError('corrupt-checkpoint', message, { path, bytes: total, expected: end });
      }
      while (start + filled < end) {
        const piece = await next(path, stream);
        if (!piece)
          throw new Transient(failure(path, 206, 'The file ended early', `${filled} of ${end - start} bytes came.`));
        if (stream.position === 0) expectFile(path, piece);
        const skip = Math.min(Math.max(start + filled - stream.position, 0), piece.length);
        const take = Math.min(piece.length - skip, end - start - filled);
        bytes.set(piece.subarray(skip, skip + take), filled);
        filled += take;
        stream.position += skip + take;
        if (skip + take < piece.length) stream.rest = piece.subarray(skip + take);
      }
      if (stream.whole) keep(path, stream);
      else void stream.reader.cancel().catch(() => {});
    };
    try {
      await retrying(attempt, signal, retry, () => filled);
    } catch (error) {
      if (filled > 0) keepPart?.(bytes.slice(0, filled));
      throw error;
    }
    return bytes;
  }

  async function countBytes(path: string, stream: Stream): Promise<number> {
    let total = 0;
    for (let piece = await next(path, stream); piece; piece = await next(path, stream)) total += piece.length;
    return total;
  }

  /** Where the server says of no answer what it is: a web page is known by its beginning. */
  function expectFile(path: string, beginning: Uint8Array): void {
    const text = new TextDecoder().decode(beginning.subarray(0, 64));
    if (/^\ufeff?\s*<(!doctype\s+html|html|head)\b/i.test(text)) {
      throw networkError(url(path), 200, PAGE, CHECK_PAGE, { reason: 'web-page' });
    }
  }

  async function probe(path: string, signal?: AbortSignal): Promise<number> {
    // two bytes, not one: sirv (Vite's server) reads `bytes=0-0` as the whole file
    const { stream, total } = await openRange(path, 0, 2, signal);
    if (stream.whole) {
      if (total === null) return countBytes(path, stream);
      keep(path, stream);
      return total;
    }
    await stream.reader.cancel();
    if (total !== null) return total;
    // a 206 whose Content-Range the server does not expose to us: its HEAD tells the length
    const head = await request(url(path), path, { method: 'HEAD', headers, signal });
    const length = Number(head.headers.get('content-length') ?? Number.NaN);
    if (length >= 0) return length;
    throw failure(path, 206, 'The server does not tell the size of the file', 'Let it expose Content-Range.');
  }

  return {
    async size(path, signal) {
      try {
        return await retrying(() => probe(path, signal), signal, retry);
      } catch (error) {
        if (!(error instanceof NibbleError)) throw error;
        const { status, reason } = error.details;
        if (status === 416) return 0;
        // stores in the manner of S3 answer 403 for what is not there
        if (status !== 404 && status !== 410 && status !== 403 && reason !== 'web-page') throw error;
        refusals.set(path, error);
        return null;
      }
    },
    read(path, start, end, signal, keepPart) {
      if (!open.has(path) && !lanes.has(path)) return readRange(path, start, end, signal, keepPart);
      // this server ignores ranges: one reader at a time, so that the open stream serves them in turn
      const turn = (lanes.get(path) ?? Promise.resolve()).then(() => readRange(path, start, end, signal, keepPart));
      lanes.set(
        path,
        turn.catch(() => {}),
      );
      return turn;
    },
    versions,
    confirm: (path, signal) =>
      retrying(
        async () => {
          const { stream } = await openRange(path, 0, 2, signal);
          void stream.reader.cancel().catch(() => {});
        },
        signal,
        retry,
      ),
    refusal: (path) => refusals.get(path),
    inOrder: (path) => open.has(path) || lanes.has(path),
    fetchAll: (from, signal) =>
      retrying(
        async () => {
          const response = await request(from, '', { headers, signal });
          return new Uint8Array(await response.arrayBuffer());
        },
        signal,
        retry,
      ),
    close() {
      for (const { reader } of open.values()) void reader.cancel().catch(() => {});
      open.clear();
      spare.length = 0;
    },
  };
}
