/**
 * A Source over HTTP. Every read is one `Range: bytes=a-b` request, which needs no CORS preflight; nothing else is sent
 * but, to the Hub itself, the caller's token. A Hub URL is resolved afresh for each read: the CDN address behind it is
 * signed for one range only (reference/platform.md §2.3).
 *
 * A server that ignores Range answers 200 with the whole file. That stream is cut, and left open for the next read of
 * the same file, so that reading in order downloads the file once.
 */
import { NibbleError } from '../errors';
import { type RetryOptions, retrying, Transient } from './retry';
import type { Source, SourceDescription } from './source';

export interface HttpOptions extends RetryOptions {
  fetch?: typeof fetch;
  hubOrigin?: string;
  /** told of bytes as they arrive */
  onBytes?: (path: string, bytes: number) => void;
}

type Remote = Extract<SourceDescription, { kind: 'http' | 'hub' }>;
/** A body being read: `position` is the file offset of the next byte of `rest`, or else of the reader. */
interface Stream {
  reader: ReadableStreamDefaultReader<Uint8Array>;
  position: number;
  rest: Uint8Array | null;
  whole: boolean;
}
interface Opened {
  stream: Stream;
  /** size of the file where the answer tells it */
  total: number | null;
}

const isRetryable = (status: number) => status === 408 || status === 429 || status >= 500;
const encodePath = (path: string) => path.split('/').map(encodeURIComponent).join('/');

/** @returns the Source of a folder URL (trailing slash), a .gguf URL or a Hub repository; nothing is fetched yet. */
export function createHttpSource(
  from: Remote,
  {
    fetch: send = (...all) => fetch(...all),
    hubOrigin = 'https://huggingface.co',
    onBytes,
    ...retry
  }: HttpOptions = {},
): Source {
  const hub = from.kind === 'hub';
  const revision = hub ? (from.revision ?? 'main') : null;
  const base = hub ? `${hubOrigin}/${encodePath(from.id)}/resolve/${encodeURIComponent(revision!)}/` : from.base;
  const file = hub ? null : decodeURIComponent(new URL(base).pathname.split('/').pop()!);
  const gguf = hub ? from.file : file || undefined;
  const name = hub ? (from.file ? `${from.id}/${from.file}` : from.id) : base;
  const headers: Record<string, string> = hub && from.token ? { Authorization: `Bearer ${from.token}` } : {};
  const open = new Map<string, Stream>();
  const lanes = new Map<string, Promise<unknown>>();

  const url = (path: string) => (file ? base : base + encodePath(path));

  function failure(path: string, status: number, what: string, next: string): NibbleError {
    return new NibbleError('network', `${what} (${url(path)}). ${next}`, { url: url(path), status });
  }

  async function request(path: string, range: string | null, signal?: AbortSignal, method = 'GET'): Promise<Response> {
    let response: Response;
    try {
      response = await send(url(path), { method, headers: range ? { ...headers, Range: range } : headers, signal });
    } catch (cause) {
      throw new Transient(
        failure(path, 0, 'The server could not be reached', `Check the connection and its CORS headers: ${cause}`),
      );
    }
    const { status } = response;
    if (status === 200 || status === 206) {
      if (!/^text\/html/i.test(response.headers.get('content-type') ?? '')) return response;
      await response.body?.cancel();
      throw failure(path, 404, 'The server answered with a web page instead of the file', 'Check the address.');
    }
    await response.body?.cancel();
    if (isRetryable(status)) {
      const after = Number(response.headers.get('retry-after') ?? Number.NaN);
      const error = failure(path, status, `The server answered ${status} again and again`, 'Try later.');
      throw new Transient(error, after > 0 ? after * 1000 : null);
    }
    if (status === 416) {
      const total = Number(/\*\/(\d+)/.exec(response.headers.get('content-range') ?? '')?.[1] ?? 0);
      throw new NibbleError('corrupt-checkpoint', `${path} is shorter than its header says.`, {
        path,
        bytes: total,
        status,
      });
    }
    if (status === 401 || status === 403) {
      const next = hub
        ? 'Accept the model’s licence on the Hub and pass a token that may read it.'
        : 'Check who may read it.';
      throw failure(path, status, 'The server refuses access to the file', next);
    }
    throw failure(
      path,
      status,
      status === 404 ? 'There is no such file' : `The server answered ${status}`,
      'Check the address.',
    );
  }

  /** One answer to a range request, checked against what was asked. */
  async function openRange(path: string, start: number, end: number, signal?: AbortSignal): Promise<Opened> {
    const response = await request(path, `bytes=${start}-${end - 1}`, signal);
    const reader = (response.body ?? new Blob([]).stream()).getReader();
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
      const { value } = await stream.reader.read();
      if (value) onBytes?.(path, value.length);
      return value ?? null;
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

  async function readRange(path: string, start: number, end: number, signal?: AbortSignal) {
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
    await retrying(attempt, signal, retry, () => filled);
    return bytes;
  }

  async function countBytes(path: string, stream: Stream): Promise<number> {
    let total = 0;
    for (let piece = await next(path, stream); piece; piece = await next(path, stream)) total += piece.length;
    return total;
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
    const head = await request(path, null, signal, 'HEAD');
    const length = Number(head.headers.get('content-length') ?? Number.NaN);
    if (length >= 0) return length;
    throw failure(path, 206, 'The server does not tell the size of the file', 'Let it expose Content-Range.');
  }

  return {
    name,
    revision,
    gguf,
    async size(path, signal) {
      if (file && path !== file) return null;
      try {
        return await retrying(() => probe(path, signal), signal, retry);
      } catch (error) {
        if (!(error instanceof NibbleError)) throw error;
        const { status } = error.details;
        if (status === 416) return 0;
        // stores in the manner of S3 answer 403 for what is not there; the Hub means it
        if (status === 404 || status === 410 || (status === 403 && !hub)) return null;
        throw error;
      }
    },
    read(path, start, end, signal) {
      if (!open.has(path) && !lanes.has(path)) return readRange(path, start, end, signal);
      // this server ignores ranges: one reader at a time, so that the open stream serves them in turn
      const turn = (lanes.get(path) ?? Promise.resolve()).then(() => readRange(path, start, end, signal));
      lanes.set(
        path,
        turn.catch(() => {}),
      );
      return turn;
    },
    close() {
      for (const { reader } of open.values()) void reader.cancel().catch(() => {});
      open.clear();
    },
  };
}
