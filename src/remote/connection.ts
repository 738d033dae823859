/**
 * Requests to one server. The key goes into one header of theirs and nowhere else; no sentence shows more of the
 * address than its origin and path. A server that is silent is given up, and whoever stops a request closes its
 * connection.
 */
import { NibbleError, throwIfAborted } from '../errors';
import { CONNECT_OPTIONS } from '../options/remote';
import { checkOptions, defaultsOf, refuse } from '../options/spec';
import { wakingClock, within } from '../platform/within';
import { networkError } from '../sources/http-errors';
import { forbiddenByPolicy } from '../sources/policy';
import { refusal, webPage } from './server-errors';

/** How a server is reached. */
export interface ConnectOptions {
  /** Name of the model, as the server knows it. */
  model: string;
  /**
   * What the server asks for as a bearer token: a text, or a function that is asked before each request. It is kept
   * nowhere but in memory, and is in no message. In a page everybody can read it: give one that is this visitor's own.
   * Default: none.
   */
  key?: string | (() => string | Promise<string>);
  /** Another way to make requests: with cookies, or through the application's own server. Default: `fetch`. */
  fetch?: typeof fetch;
  /** Milliseconds without a byte after which an answer fails as network. Default: 60000. */
  timeoutMs?: number;
}

/** A server, and how it is reached. */
export interface RemoteOptions extends ConnectOptions {
  /**
   * Address of the server's API, as OpenAI's clients take it ('https://host/v1'); of one without a path, /v1. In a page
   * it may be relative.
   */
  url: string | URL;
}

export interface Ask {
  /** sent as JSON; without one it is a GET */
  body?: object;
  signal?: AbortSignal;
  /** what a server may lack, as a sentence's subject: where there is no such address, it is unsupported-remote */
  optional?: string;
  /** whether the path is beside the API, where llama-server and vLLM have what OpenAI does not */
  beside?: boolean;
}

/** A page is told of what its policy forbids a moment after fetch() has failed. */
const POLICY_MS = 50;
/** What can stand in a header. */
const KEY = /^[\x21-\x7e]+$/;
/** of an answer that is read as a whole */
const MOST_BYTES = 256 << 20;

/** @throws invalid-option for what is no address of a server, or has a name and password in it */
function addressOf(given: unknown): URL {
  const base = globalThis.location?.href;
  const must = 'the address of a server, such as https://host/v1';
  const text = given instanceof URL ? given.href : given;
  if (typeof text !== 'string' || !URL.canParse(text, base)) return refuse('url', '', must, 'The address given');
  const url = new URL(text, base);
  if (!/^https?:$/.test(url.protocol)) refuse('url', url.protocol, must, 'The scheme of the address');
  // browsers refuse them, too
  if (url.username || url.password) {
    throw new NibbleError('invalid-option', 'url has a name or a password in it: give the server its key as `key`.', {
      option: 'url',
    });
  }
  url.hash = '';
  if (url.pathname === '/') url.pathname = '/v1';
  return url;
}

export class Connection {
  /** as the server knows it */
  readonly model: string;
  readonly #url: URL;
  readonly #key: ConnectOptions['key'];
  readonly #fetch: typeof fetch;
  readonly #timeoutMs: number;

  /** @throws invalid-option */
  constructor(url: unknown, options: ConnectOptions) {
    const checked = checkOptions<ConnectOptions>(CONNECT_OPTIONS, options);
    const { model, key, fetch: given, timeoutMs = defaultsOf(CONNECT_OPTIONS).timeoutMs } = checked;
    if (model === undefined) refuse('model', undefined, 'the name of a model, as the server knows it');
    if (key !== undefined && typeof key !== 'function') checkKey(key);
    this.#url = addressOf(url);
    this.model = model!;
    this.#key = key;
    this.#fetch = given ?? ((...all) => fetch(...all));
    this.#timeoutMs = timeoutMs;
  }

  /** Where the server is, without what may be secret. */
  get address(): string {
    return this.#url.origin + this.#url.pathname;
  }

  /**
   * An answer that is no refusal.
   * @throws network, invalid-option, context-overflow, unsupported-remote; aborted
   */
  async ask(path: string, { body, signal, optional, beside }: Ask): Promise<Response> {
    throwIfAborted(signal);
    const url = new URL(this.#url);
    url.pathname = url.pathname.replace(beside ? /(\/v\d+)?\/*$/ : /\/*$/, path);
    const key = typeof this.#key === 'function' ? checkKey(await this.#key()) : this.#key;
    const headers: Record<string, string> = { ...(key && { authorization: `Bearer ${key}` }) };
    if (body) headers['content-type'] = 'application/json';
    const halt = new AbortController();
    const stop = () => halt.abort();
    signal?.addEventListener('abort', stop);
    const sent = { method: body ? 'POST' : 'GET', headers, body: body && JSON.stringify(body) };
    try {
      const answer = this.#fetch(url.href, { ...sent, signal: halt.signal, cache: 'no-store' });
      const response = await within(this.#timeoutMs, answer, () => this.#silent(url), wakingClock);
      if (response.ok) return response;
      throw await refusal(url.href, response, await this.#textOf(response, signal), { optional, key });
    } catch (cause) {
      stop();
      throwIfAborted(signal);
      throw cause instanceof NibbleError ? cause : await unreached(url, cause);
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  /** An answer's JSON. @throws as ask(); network for what is no JSON */
  async json(path: string, asked: Ask): Promise<unknown> {
    return this.parsed(await this.ask(path, asked), asked.signal);
  }

  /** The JSON that is an answer's body. @throws network for what is none; aborted */
  async parsed(response: Response, signal?: AbortSignal): Promise<unknown> {
    const type = response.headers.get('content-type');
    const text = await this.#textOf(response, signal, MOST_BYTES);
    try {
      return JSON.parse(text);
    } catch {
      throw webPage(response.url || this.address, response, type);
    }
  }

  /** The pieces of an answer's body. @throws network where it breaks, or is silent; aborted */
  async *pieces(response: Response, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const reader = response.body?.getReader();
    if (!reader) return;
    let stop = () => {};
    const stopped = new Promise<never>((_, reject) => {
      stop = () => reject(new NibbleError('aborted', 'The request was stopped.'));
      if (signal?.aborted) stop();
      signal?.addEventListener('abort', stop);
    });
    stopped.catch(() => {});
    try {
      for (;;) {
        const read = within(this.#timeoutMs, reader.read(), () => this.#silent(this.#url), wakingClock);
        const { value, done } = await Promise.race([read, stopped]);
        if (done) return;
        yield value;
      }
    } catch (cause) {
      if (cause instanceof NibbleError) throw cause;
      throw networkError(this.address, response, 'The connection broke', `Ask again: ${cause}`, { reason: 'broken' });
    } finally {
      signal?.removeEventListener('abort', stop);
      // closes the connection
      void reader.cancel().catch(() => {});
    }
  }

  /** The beginning of a body as text, where all of it may have no end. */
  async #textOf(response: Response, signal?: AbortSignal, most = 64 << 10): Promise<string> {
    const decoder = new TextDecoder();
    let [text, bytes] = ['', 0];
    for await (const piece of this.pieces(response, signal)) {
      text += decoder.decode(piece, { stream: true });
      bytes += piece.length;
      if (bytes > most) break;
    }
    return text;
  }

  #silent(url: URL): NibbleError {
    const seconds = this.#timeoutMs / 1000;
    const next = `It was waited for ${seconds} s. Ask again later, or allow more time with timeoutMs.`;
    return networkError(url.href, 0, 'The server sends nothing', next, { reason: 'silent', seconds });
  }
}

/** @throws invalid-option, which does not show it */
function checkKey(key: unknown): string {
  if (typeof key === 'string' && KEY.test(key)) return key;
  throw new NibbleError('invalid-option', 'key is not what a header can hold: letters, digits and signs, no spaces.', {
    option: 'key',
  });
}

/** Why fetch() gave no answer: it says the same of a server that is down and of one that allows no other origin. */
async function unreached(url: URL, cause: unknown): Promise<NibbleError> {
  const { origin } = url;
  if (globalThis.location) await new Promise((resolve) => setTimeout(resolve, POLICY_MS));
  if (forbiddenByPolicy(url.href)) {
    const what = 'The Content-Security-Policy of this page forbids the connection';
    const next = `Whoever serves the page must add ${origin} to its connect-src.`;
    return networkError(url.href, 0, what, next, { reason: 'connect-src' });
  }
  const here = globalThis.location?.origin;
  const elsewhere = here && here !== origin;
  const more = elsewhere
    ? `, that it allows pages of ${here} (CORS, also for the headers authorization and content-type), and that this page’s connect-src names ${origin}`
    : '';
  const why = (cause as { cause?: unknown })?.cause;
  const next = `Check that the server runs${more}: ${cause}${why instanceof Error ? ` (${why.message})` : ''}`;
  return networkError(url.href, 0, 'The server could not be reached', next, { reason: 'unreached' });
}
