/**
 * OpenAI's API in the place of the network: a `fetch` that an engine answers, for clients that take one. Nothing is
 * sent anywhere. It runs where the engine does: in pages, workers and Node.
 */
import type { Model } from 'openai/resources/models';
import type { AskedEngine } from './openai/answers';
import { chat } from './openai/chat';
import { completions } from './openai/completions';
import { type Context, newId, type Reply } from './openai/context';
import { embeddings } from './openai/embeddings';
import { ApiError, apiError, refused } from './openai/errors';
import { Fields, headerOf } from './openai/fields';
import { responses } from './openai/responses';
import { streamOf } from './openai/stream';
import { orAborted } from './or-aborted';

export type { AskedEngine } from './openai/answers';

/** Options of createFetch(). */
export interface FetchOptions {
  /** What the model is called in answers and in `/models`. Default: `info().name`. */
  model?: string;
  /**
   * Other names by which requests may ask for it: a list, or a function that says of a name whether it is meant; `() =>
   * true` takes every name. Default: none, and a request for another model is answered with 404, `model_not_found`.
   */
  aliases?: readonly string[] | ((model: string) => boolean);
  /**
   * How many answers are computed at once, at most, 1 to 16, of all requests that are under way: for who serves several
   * clients. Default: requests are answered one after the other, and several answers to one of them four at once.
   */
  parallel?: number;
}

/** What clients of OpenAI's API take as `fetch`. */
export type OpenAIFetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** Those that end as others do stand first. */
const ROUTES: Readonly<Record<string, (context: Context, fields: Fields) => Promise<Reply>>> = {
  '/chat/completions': chat,
  '/completions': completions,
  '/responses': responses,
  '/embeddings': embeddings,
};

const NAME_CHARACTERS = 200;

/** A request, whichever way it was given. */
interface Asked {
  method: string;
  path: string;
  /** the body, as text */
  body(): Promise<string>;
  signal: AbortSignal | null;
}

function askedOf(input: string | URL | Request, init: RequestInit = {}): Asked {
  const request = typeof input === 'object' && 'url' in input ? input : null;
  const { pathname } = new URL(request ? request.url : String(input), 'http://localhost');
  const { body } = init;
  return {
    method: (init.method ?? request?.method ?? 'GET').toUpperCase(),
    path: pathname.replace(/\/+$/, ''),
    body: async () => {
      if (typeof body === 'string') return body;
      return body ? new Response(body).text() : (request?.text() ?? '');
    },
    signal: init.signal ?? request?.signal ?? null,
  };
}

async function fieldsOf(asked: Asked): Promise<Fields> {
  const text = await asked.body();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new ApiError(400, `The body is no JSON: it has ${text.length} characters.`, null, 'invalid_json');
  }
  return Fields.of(json);
}

const secondsNow = () => Math.floor(Date.now() / 1000);

/**
 * A `fetch` for clients of OpenAI's API that an engine answers: `new OpenAI({ fetch: createFetch(engine), apiKey:
 * 'none' })`. It has `/chat/completions`, `/completions`, `/responses`, `/embeddings`, `/models` and `/models/ID`,
 * under any prefix of a path. What goes wrong is a response, `{ error: { message, type, param, code } }` with its
 * status, and never HTML; fields that are not heeded are named in the header `x-nibble-ignored`. A request's signal, or
 * who leaves its stream, stops the answer. What a request leaves out, the engine decides.
 * @param engine - from load(); it may answer others meanwhile
 * @param options - what the model is called, and which other names mean it
 */
export function createFetch(engine: AskedEngine, options: FetchOptions = {}): OpenAIFetch {
  const { aliases = [], parallel } = options;
  const loadedAt = secondsNow();
  let known: Promise<string> | undefined;
  const modelName = async (): Promise<string> => {
    if (options.model !== undefined) return options.model;
    known ??= engine.info().then(({ name }) => name);
    known.catch(() => {
      known = undefined;
    });
    return known;
  };

  /** @throws ApiError 404 for a model that is not this one */
  async function checkModel(asked: string | undefined): Promise<string> {
    const name = await modelName();
    const isAlias = (other: string) => (typeof aliases === 'function' ? aliases(other) : aliases.includes(other));
    if (asked === undefined || asked === name || isAlias(asked)) return name;
    const shown = asked.length > NAME_CHARACTERS ? `${asked.slice(0, NAME_CHARACTERS)}…` : asked;
    const message = `The model "${shown}" is not loaded: "${name}" is. Ask for that, or name others as \`aliases\` of createFetch().`;
    throw new ApiError(404, message, 'model', 'model_not_found');
  }

  /** @returns a model, or the list of them; null: the path is another one */
  async function models(path: string): Promise<object | null> {
    const at = path.indexOf('/models/');
    const isList = path.endsWith('/models');
    if (!isList && at < 0) return null;
    const model: Model = { id: await modelName(), object: 'model', created: loadedAt, owned_by: 'nibble' };
    if (isList) return { object: 'list', data: [model] };
    let name = path.slice(at + '/models/'.length);
    try {
      name = decodeURIComponent(name);
    } catch {
      refused('model', 'a name in the form of addresses');
    }
    await checkModel(name);
    return model;
  }

  /** @throws ApiError, and what the engine throws */
  async function respond(
    asked: Asked,
    headers: Headers,
    stopping: AbortController,
    ended: () => void,
  ): Promise<Response> {
    const { method, path } = asked;
    const json = (body: object) => {
      ended();
      headers.set('content-type', 'application/json');
      return new Response(JSON.stringify(body), { headers });
    };
    const route = Object.keys(ROUTES).find((end) => path.endsWith(end));
    const list = route === undefined && method === 'GET' ? await models(path) : null;
    if (list) return json(list);
    if (route === undefined) {
      const all = [...Object.keys(ROUTES).map((end) => `POST ${end}`), 'GET /models', 'GET /models/ID'];
      throw new ApiError(
        404,
        `There is no ${method} ${path.slice(0, NAME_CHARACTERS)}. There are: ${all.join(', ')}.`,
        null,
        'unknown_url',
      );
    }
    if (method !== 'POST') throw new ApiError(405, `${route} is asked by POST.`, null, 'method_not_allowed');
    const fields = await fieldsOf(asked);
    const model = await checkModel(fields.text('model'));
    const reply = await ROUTES[route](
      { engine, parallel, model, created: secondsNow(), signal: stopping.signal },
      fields,
    );
    const ignored = headerOf(fields.ignored());
    if (ignored) headers.set('x-nibble-ignored', ignored);
    if (!(Symbol.asyncIterator in reply)) return json(reply);
    const { value } = await reply.next();
    headers.set('content-type', 'text/event-stream');
    headers.set('cache-control', 'no-cache');
    return new Response(streamOf(value ?? '', reply, stopping, ended), { headers });
  }

  return async (input, init) => {
    const asked = askedOf(input, init);
    const { signal } = asked;
    signal?.throwIfAborted();
    const stopping = new AbortController();
    const stop = () => stopping.abort(signal?.reason);
    signal?.addEventListener('abort', stop, { once: true });
    const ended = () => signal?.removeEventListener('abort', stop);
    const headers = new Headers({ 'x-request-id': newId('req_') });
    try {
      return await orAborted(respond(asked, headers, stopping, ended), stopping.signal);
    } catch (thrown) {
      stopping.signal.throwIfAborted();
      ended();
      const error = apiError(thrown);
      if (!error.again) headers.set('x-should-retry', 'false');
      headers.set('content-type', 'application/json');
      return new Response(JSON.stringify({ error: error.body }), { status: error.status, headers });
    }
  };
}
