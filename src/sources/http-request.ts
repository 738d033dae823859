/**
 * One request to a server, and what its answer means: an error with its sentence, a reason to ask again, or bytes. None
 * is waited for without end: a server that is silent is asked again, one that asks for hours is not.
 */
import { NibbleError } from '../errors';
import { type Alarm, within } from '../platform/within';
import { type Reader, readerOf } from './http-body';
import { isPage, networkError, webPage } from './http-errors';
import { forbiddenByPolicy } from './policy';
import { LONGEST_PAUSE_MS, type RetryOptions, retryAfter, spanOf, Transient } from './retry';
import { changedFile, type FileVersion, isSameVersion, isTold, versionOf, withMore } from './versions';

export interface HttpOptions extends RetryOptions {
  fetch?: typeof fetch;
  /** told of bytes as they arrive */
  onBytes?: (path: string, bytes: number) => void;
  alarm?: Alarm;
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

/** An answer that may be of use; its reader is to be read to its end, or cancelled. */
export interface Answer {
  response: Response;
  reader: Reader;
}

/** failures in a row before giving up on a server that has never answered: the person waits for the sentence */
const FIRST_ATTEMPTS = 3;

/** so long without a byte, and a server is asked again */
export const SILENCE_MS = 30_000;
/**
 * How often an answer of another version is asked for once more: servers that share an address may each have a version
 * of their own, or another name for the same one. Once that has been seen, the right one is waited for longer.
 */
const STRANGERS = 3;
const MORE_STRANGERS = 30;

/**
 * An extension's own files. Chromium 156 answers a range of one with just those bytes, but as status 200 without their
 * place, and for one that is not there fetch() fails as if nobody answered: so they are read from their beginning.
 */
export const isPackaged = (url: string) => /^[\w-]+-extension:/.test(url);

const isRetryable = (status: number) => status === 408 || status === 429 || status >= 500;

export interface Requests {
  /** of the files that are read, and so compared: see Source */
  versions: Map<string, FileVersion | null>;
  /**
   * An answer that brings bytes, of the version that is read.
   * @param path of the file; '' for what is none
   * @throws Transient, network, integrity-mismatch when only other versions of the file answer
   */
  request(from: string, path: string, init: RequestInit, signal?: AbortSignal): Promise<Answer>;
  /** The next piece of an answer, null at its end. @throws Transient when none comes */
  pieceOf(from: string, reader: Reader): Promise<Uint8Array | null>;
  /** Lets memory go. */
  close(): void;
}

export function createRequests(
  { hosts, refusal }: HttpPlace,
  { fetch: fetchIt = (...all) => fetch(...all), alarm }: HttpOptions,
): Requests {
  const spare: ArrayBuffer[] = [];
  const versions: Requests['versions'] = new Map();
  /** files of which several versions have answered, the expected one among them */
  const mixed = new Set<string>();
  let answered = false;

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
  async function request(from: string, path: string, init: RequestInit, signal?: AbortSignal): Promise<Answer> {
    for (let strangers = 0; ; strangers++) {
      const answer = await ask(from, path, init, signal);
      if (isExpected(path, versionOf(answer.response))) {
        if (strangers > 0) mixed.add(path);
        return answer;
      }
      await answer.reader.cancel();
      if (strangers === (mixed.has(path) ? MORE_STRANGERS : STRANGERS)) throw changedFile(path);
    }
  }

  function silent(address: string): Transient {
    const seconds = SILENCE_MS / 1000;
    const next = `It was asked again and again, and was silent for ${seconds} s each time. Try later: what came is kept.`;
    const error = networkError(address, 0, 'The server sends nothing', next, { reason: 'silent' });
    return new Transient(error, `The server has sent nothing for ${seconds} s: it is asked again.`, null, patience());
  }

  const patience = () => (answered ? undefined : FIRST_ATTEMPTS);

  /** What came of a request: an answer of whatever kind. @throws Transient, network */
  async function send(from: string, init: RequestInit, signal?: AbortSignal): Promise<Answer> {
    // one's own, for a connection that is silent is closed; AbortSignal.any() is younger than some browsers
    const halt = new AbortController();
    const stop = () => halt.abort();
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop);
    const ended = () => signal?.removeEventListener('abort', stop);
    try {
      // kept by our own store, if at all: the browser's cache would hold a second copy, and where several ranges
      // of one file are under way Chromium's asks for many of them twice (314 MB for 253, Chromium 156)
      const answer = fetchIt(from, { ...init, signal: halt.signal, cache: 'no-store' });
      const response = await within(SILENCE_MS, answer, () => silent(from), alarm);
      return { response, reader: readerOf(response, spare, ended) };
    } catch (cause) {
      ended();
      stop();
      throw cause instanceof Transient ? cause : unreached(from, cause);
    }
  }

  function unreached(from: string, cause: unknown): Error {
    if (isPackaged(from)) return networkError(from, 404, 'There is no such file', 'Check the address.');
    const { origin } = new URL(from);
    const allowed = hosts ?? origin;
    if (forbiddenByPolicy(from)) {
      const next = `Whoever serves the page must add ${allowed} to its connect-src.`;
      return networkError(from, 0, 'The Content-Security-Policy of this page forbids the connection', next, {
        reason: 'connect-src',
      });
    }
    // offline, refused by CORS, redirected in a circle, badly compressed, or by a policy that told nobody: fetch() says
    // the same of all
    const elsewhere = globalThis.location && globalThis.location.origin !== origin;
    const more = `, that server’s CORS headers, and that this page’s connect-src names ${allowed} (one that redirects in a circle, or compresses files, looks the same)`;
    const { cause: why } = cause as { cause?: unknown };
    const next = `Check the connection${elsewhere ? more : ''}: ${cause}${why instanceof Error ? ` (${why.message})` : ''}`;
    const error = networkError(from, 0, 'The server could not be reached', next);
    return new Transient(error, 'The server cannot be reached: it is tried again.', null, patience());
  }

  /** An answer that brings bytes. */
  async function ask(from: string, path: string, init: RequestInit, signal?: AbortSignal): Promise<Answer> {
    const answer = await send(from, init, signal);
    const { response, reader } = answer;
    answered = true;
    const { status } = response;
    if (status === 200 || status === 206) {
      if (!isPage(response.headers.get('content-type'))) return answer;
      await reader.cancel();
      throw webPage(from, response);
    }
    await reader.cancel();
    // a signed address that ran out on the way is signed again
    if (isRetryable(status) || (status === 403 && response.redirected)) throw busy(from, response);
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

  /** The error for a server that may answer later: one that asks for hours is not asked again. */
  function busy(from: string, response: Response): Error {
    const { status, headers } = response;
    const wait = retryAfter(headers.get('retry-after'));
    if (wait !== null && wait > LONGEST_PAUSE_MS) {
      const until = `${new Date(Date.now() + wait).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
      const next = `Load the model again after ${until}: what came is kept.`;
      const what = `The server answered ${status} and asks to wait ${spanOf(wait)}`;
      return networkError(from, response, what, next, { retryAfterSeconds: Math.ceil(wait / 1000) });
    }
    const error = networkError(from, response, `The server answered ${status} again and again`, 'Try later.');
    const note =
      wait === null ? `The server answers ${status}: it is asked again.` : `The server asks to wait ${spanOf(wait)}.`;
    return new Transient(error, note, wait);
  }

  async function pieceOf(from: string, reader: Reader) {
    try {
      return await within(SILENCE_MS, reader.next(), () => silent(from), alarm);
    } catch (cause) {
      void reader.cancel().catch(() => {});
      if (cause instanceof Transient) throw cause;
      const what = 'The connection broke while the file was read';
      const error = networkError(from, 206, what, `Try again: ${cause}`);
      throw new Transient(error, 'The connection broke: the rest is asked for again.');
    }
  }

  return {
    versions,
    request,
    pieceOf,
    close() {
      spare.length = 0;
    },
  };
}
