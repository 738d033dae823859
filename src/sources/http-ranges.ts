/**
 * Files over HTTP, range by range. Every read is one `Range: bytes=a-b` request, which needs no CORS preflight; nothing
 * else is sent but the headers that the place asks for. Every address is asked for afresh: what it redirects to may be
 * signed for one range only (the Hub's Xet CDN: docs.rs/hf-fetch-model).
 *
 * A server that ignores Range answers 200 with the whole file. That stream is cut, and left open for the next read of
 * the same file, so that reading in order downloads the file once.
 */
import { NibbleError } from '../errors';
import { limitOf, tooLarge } from '../formats/small-files';
import { alarmClock } from '../platform/within';
import type { Reader } from './http-body';
import { networkError, webPage } from './http-errors';
import { createRequests, type HttpOptions, type HttpPlace, isPackaged, SILENCE_MS } from './http-request';
import { retrying, Transient } from './retry';
import type { Source } from './source';

type Ranges = 'size' | 'read' | 'versions' | 'confirm' | 'refusal' | 'inOrder' | 'close';

export interface HttpRanges extends Required<Pick<Source, Ranges>> {
  /** A small file whole, from wherever it is. @throws network */
  fetchAll(url: string, signal?: AbortSignal): Promise<Uint8Array>;
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

/** in that time, less than this is told as slow */
const LITTLE_BYTES = 64 << 10;

/** Of weights whose server tells no length, and of a Hub's list of files. */
const MOST_COUNTED = 2 ** 32;
const MOST_LISTED = 64e6;

export function createHttpRanges(place: HttpPlace, options: HttpOptions = {}): HttpRanges {
  const { url, headers = {} } = place;
  const { onBytes, alarm = alarmClock, ...retry } = options;
  const { versions, request, pieceOf, close } = createRequests(place, options);
  const open = new Map<string, Stream>();
  const lanes = new Map<string, Promise<unknown>>();
  const refusals = new Map<string, NibbleError>();

  const failure = (path: string, ...what: [answer: Response | number, what: string, next: string]) =>
    networkError(url(path), ...what);

  /** One answer to a range request, checked against what was asked. */
  async function openRange(path: string, start: number, end: number, signal?: AbortSignal): Promise<Opened> {
    const range: HeadersInit = isPackaged(url(path)) ? {} : { Range: `bytes=${start}-${end - 1}` };
    const { response, reader } = await request(url(path), path, { headers: { ...headers, ...range } }, signal);
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
    if (total !== null && !Number.isSafeInteger(total)) {
      await reader.cancel();
      throw failure(path, 206, `The server says that the file has ${said![3]} bytes`, 'Tell who serves it.');
    }
    return { stream: { reader, position: start, rest: null, whole: false }, total };
  }

  /** The next bytes of a stream, null at its end. */
  async function next(path: string, stream: Stream): Promise<Uint8Array | null> {
    if (stream.rest) {
      const { rest } = stream;
      stream.rest = null;
      return rest;
    }
    const piece = await pieceOf(url(path), stream.reader);
    if (piece) onBytes?.(path, piece.length);
    return piece;
  }

  /** Tells when little comes, again and again, until it is called off. @param came bytes so far */
  function watchPace(came: () => number): () => void {
    const { onNote } = retry;
    if (!onNote) return () => {};
    let slow = false;
    const watch = (before: number) =>
      alarm(SILENCE_MS, () => {
        const bytes = came() - before;
        // of silence another note tells
        if (bytes > 0 && bytes < LITTLE_BYTES) {
          slow = true;
          onNote(`The server sends very slowly: ${bytes} bytes in ${SILENCE_MS / 1000} s.`);
        }
        callOff = watch(came());
      });
    let callOff = watch(0);
    return () => {
      callOff();
      if (slow) onNote('');
    };
  }

  async function readAll(from: string, reader: Reader): Promise<Uint8Array> {
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    let total = 0;
    for (;;) {
      const piece = await pieceOf(from, reader);
      if (!piece) return new Uint8Array(await new Blob(pieces).arrayBuffer());
      total += piece.length;
      if (total > MOST_LISTED) {
        void reader.cancel().catch(() => {});
        throw networkError(from, 200, `The answer has more than ${MOST_LISTED} bytes`, 'Check the Hub’s address.');
      }
      // a piece's memory is used again
      pieces.push(new Uint8Array(piece));
    }
  }

  function keep(path: string, stream: Stream): void {
    void open
      .get(path)
      ?.reader.cancel()
      .catch(() => {});
    open.set(path, stream);
  }

  async function readRange(...[path, start, end, signal, keepPart, onPart]: Parameters<Source['read']>) {
    const bytes = new Uint8Array(end - start);
    let filled = 0;
    let came = 0;
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
        came += piece?.length ?? 0;
        if (!piece) {
          const error = failure(path, 206, 'The file ended early', `${filled} of ${end - start} bytes came.`);
          throw new Transient(error, 'The server ends its answers early: the rest is asked for again.');
        }
        if (stream.position === 0) expectFile(path, stream, piece);
        const skip = Math.min(Math.max(start + filled - stream.position, 0), piece.length);
        const take = Math.min(piece.length - skip, end - start - filled);
        bytes.set(piece.subarray(skip, skip + take), filled);
        filled += take;
        onPart?.(filled);
        stream.position += skip + take;
        if (skip + take < piece.length) stream.rest = piece.subarray(skip + take);
      }
      if (stream.whole) keep(path, stream);
      else void stream.reader.cancel().catch(() => {});
    };
    const callOff = watchPace(() => came);
    try {
      await retrying(attempt, signal, retry, () => filled);
    } catch (error) {
      if (filled > 0) keepPart?.(bytes.slice(0, filled));
      throw error;
    } finally {
      callOff();
    }
    return bytes;
  }

  /** Reads to the end. @throws corrupt-checkpoint once there is more than a file of that name ever has */
  async function countBytes(path: string, stream: Stream): Promise<number> {
    const limit = limitOf(path);
    let total = 0;
    for (let piece = await next(path, stream); piece; piece = await next(path, stream)) {
      if (total === 0) expectFile(path, stream, piece);
      total += piece.length;
      if (total <= (limit ?? MOST_COUNTED)) continue;
      void stream.reader.cancel().catch(() => {});
      if (limit !== null) throw tooLarge(path, limit);
      const what = `The server does not tell the size of the file, and has sent ${total} bytes without an end`;
      throw failure(path, 200, what, 'Let it tell Content-Length, or honour ranges.');
    }
    return total;
  }

  /** Where the server says of no answer what it is: a web page is known by its beginning. */
  function expectFile(path: string, { reader }: Stream, beginning: Uint8Array): void {
    const text = new TextDecoder().decode(beginning.subarray(0, 64));
    if (!/^\ufeff?\s*<(!doctype\s+html|html|head)\b/i.test(text)) return;
    void reader.cancel().catch(() => {});
    throw webPage(url(path), 200);
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
    const head = await request(url(path), path, { method: 'HEAD', headers }, signal);
    await head.reader.cancel();
    const length = Number(head.response.headers.get('content-length') ?? Number.NaN);
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
    read(...all) {
      const [path] = all;
      if (!open.has(path) && !lanes.has(path)) return readRange(...all);
      // this server ignores ranges: one reader at a time, so that the open stream serves them in turn
      const turn = (lanes.get(path) ?? Promise.resolve()).then(() => readRange(...all));
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
          const { reader } = await request(from, '', { headers }, signal);
          return readAll(from, reader);
        },
        signal,
        retry,
      ),
    close() {
      for (const { reader } of open.values()) void reader.cancel().catch(() => {});
      open.clear();
      close();
    },
  };
}
