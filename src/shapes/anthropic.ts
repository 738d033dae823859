/**
 * The engine as Anthropic's clients know a model: POST /messages and /messages/count_tokens, GET /models, under any
 * prefix.
 *
 *   new Anthropic({ baseURL: 'http://nibble', apiKey: 'none', fetch: createMessagesFetch(engine) })
 */
import type { AnswerPart, Engine, GenerateResult } from '../index';
import { anthropicError } from './anthropic/errors';
import { type Ending, eventsOf, type Head, type MessageEvent, messageOf } from './anthropic/message';
import { type Asked, askedOf } from './anthropic/request';
import type { FetchOptions } from './openai';
import { type AskedEngine, answersTo } from './openai/answers';
import { newId } from './openai/context';
import { ApiError, apiError } from './openai/errors';
import { Fields, headerOf } from './openai/fields';
import { streamOf } from './openai/stream';
import { orAborted } from './or-aborted';

/** What of an engine answers messages. */
export type MessagesEngine = AskedEngine & Pick<Engine, 'countTokens'>;

/** Silence after which a stream says that it is alive, in ms: proxies cut what says nothing for a minute. */
const PING_MS = 15_000;
const PING = { done: false, value: { type: 'ping' } };

/**
 * A `fetch` that answers as Anthropic's Messages API does, for `new Anthropic({ fetch })`. Fields that are not heeded
 * are named in the header `x-nibble-ignored`. Failures are `{ type: 'error', error: { type, message } }` with their
 * status; where a stream has begun, its last event.
 * @param engine a loaded model
 * @returns a function that throws nothing but the reason of its signal
 */
export function createMessagesFetch(
  engine: MessagesEngine,
  options: FetchOptions = {},
): (input: string | URL | Request, init?: RequestInit) => Promise<Response> {
  return async (input, init) => {
    const request = new Request(input, init);
    request.signal.throwIfAborted();
    const reply = await orAborted(answerTo(request, engine, options), request.signal).catch((error) => {
      request.signal.throwIfAborted();
      const { status, message, again } = apiError(error);
      const failed = json(anthropicError(status, message), status);
      if (!again) failed.headers.set('x-should-retry', 'false');
      return failed;
    });
    reply.headers.set('request-id', newId('req_'));
    return reply;
  };
}

const json = (body: unknown, status = 200) =>
  new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } });

async function answerTo(request: Request, engine: MessagesEngine, given: FetchOptions): Promise<Response> {
  const { pathname } = new URL(request.url);
  const [, what, id] = /\/(messages(?:\/count_tokens)?|models)(?:\/(.+))?$/.exec(pathname) ?? [];
  if (!what || (id && what !== 'models')) {
    throw new ApiError(404, `There is no ${pathname}: there are /messages, /messages/count_tokens and /models.`);
  }
  const method = what === 'models' ? 'GET' : 'POST';
  if (request.method !== method) throw new ApiError(405, `${pathname} is asked with ${method}, not ${request.method}.`);
  const { name, options } = await engine.info();
  const { model = name, aliases = [], parallel } = given;
  const own = modelOf(model, options.maxContext);
  if (what === 'models' && !id) return json({ data: [own], has_more: false, first_id: model, last_id: model });
  const known = (asked: string) => {
    const is = asked === model || (typeof aliases === 'function' ? aliases(asked) : aliases.includes(asked));
    if (!is) throw new ApiError(404, `There is no model "${asked.slice(0, 200)}" here: there is ${model}.`);
  };
  if (id) {
    known(nameIn(id));
    return json(own);
  }
  const fields = Fields.of(await bodyOf(request));
  known(fields.text('model') ?? model);
  const asked = askedOf(fields);
  const context: Context = { engine, model, parallel, most: options.maxContext, signal: request.signal };
  const reply = what === 'messages' ? await answer(context, asked) : await count(context, asked);
  const ignored = headerOf(fields.ignored());
  if (ignored) reply.headers.set('x-nibble-ignored', ignored);
  return reply;
}

/** A name as a path has it. */
function nameIn(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** One request under way. */
interface Context {
  engine: MessagesEngine;
  /** what it is called */
  model: string;
  /** see FetchOptions */
  parallel?: number;
  /** tokens of prompt and answer */
  most: number;
  /** of the request */
  signal: AbortSignal;
}

async function bodyOf(request: Request): Promise<unknown> {
  try {
    return await request.json();
  } catch (error) {
    request.signal.throwIfAborted();
    throw new ApiError(400, `The body is no JSON: ${(error as Error).message}.`);
  }
}

/** A model as the list has it; what a service knows of its own models is null. */
const modelOf = (id: string, context: number) => ({
  type: 'model',
  id,
  display_name: id,
  created_at: new Date(0).toISOString(),
  max_input_tokens: context,
  max_tokens: context,
  lifecycle: 'active',
  capabilities: null,
  deprecated_at: null,
  retires_at: null,
  line: null,
});

async function count({ engine }: Context, { messages, prompt }: Asked): Promise<Response> {
  return json({ input_tokens: await engine.countTokens(messages, prompt) });
}

async function answer({ engine, model, parallel, most, signal }: Context, asked: Asked): Promise<Response> {
  const { messages, prompt, options, stream } = asked;
  const inputTokens = await engine.countTokens(messages, prompt);
  // clients ask for what a large model may say; where the context ends before, the answer does, and says so
  const room = Math.max(1, most - inputTokens);
  const cut = asked.most !== undefined && asked.most > room;
  const stopping = new AbortController();
  const stop = () => stopping.abort(signal.reason);
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  const ended = () => signal.removeEventListener('abort', stop);
  let accept: () => void = () => {};
  const accepted = new Promise<void>((resolve) => {
    accept = resolve;
  });
  const maxNewTokens = cut ? room : asked.most;
  const wanted = { ...options, ...prompt, maxNewTokens, onPrefill: () => accept(), signal: stopping.signal };
  const [under] = answersTo({ engine, parallel }, [messages], 1, wanted);
  const head: Head = { id: newId('msg_'), model, inputTokens };
  const end = async (result: GenerateResult): Promise<Ending> => {
    if (result.finish === 'aborted') {
      signal.throwIfAborted();
      throw new ApiError(503, 'The answer was stopped.');
    }
    if (result.finish === 'tool-calls') return { reason: 'tool_use', sequence: null };
    if (result.finish === 'length')
      return { reason: cut ? 'model_context_window_exceeded' : 'max_tokens', sequence: null };
    const sequence = await stopIn(engine, result, options.stop);
    return { reason: sequence === null ? 'end_turn' : 'stop_sequence', sequence };
  };
  try {
    if (!stream) {
      const result = await under.result;
      ended();
      return json(messageOf(head, result, await end(result)));
    }
    // what is wrong with a request shows before its prompt is read, and has a status then
    const parts = under.parts[Symbol.asyncIterator]();
    const first = parts.next();
    first.catch(() => {});
    await Promise.race([accepted, first]);
    const events = written(eventsOf(head, under, pieces(first, parts), end));
    const { value } = await events.next();
    return new Response(streamOf(value ?? '', events, stopping, ended), {
      headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' },
    });
  } catch (error) {
    ended();
    throw error;
  }
}

/** An iterator whose first piece was asked for already. */
async function* pieces(
  first: Promise<IteratorResult<AnswerPart>>,
  rest: AsyncIterator<AnswerPart>,
): AsyncGenerator<AnswerPart> {
  for (let next = await first; !next.done; next = await rest.next()) yield next.value;
}

/** Which stop sequence ended an answer: it stands behind what was told of it. */
async function stopIn(
  engine: Pick<Engine, 'detokenize'>,
  { ids, raw }: GenerateResult,
  stops: string | readonly string[] | undefined,
): Promise<string | null> {
  if (!stops || stops.length === 0) return null;
  const written = await engine.detokenize(ids);
  const behind = written.slice(Math.max(0, written.indexOf(raw)) + raw.length);
  const came = (stops as readonly string[]).filter((stop) => behind.includes(stop));
  return came.sort((a, b) => behind.indexOf(a) - behind.indexOf(b))[0] ?? null;
}

/** The events as they are sent, with a ping where there is nothing to say for long. */
async function* written(events: AsyncGenerator<MessageEvent>): AsyncGenerator<string, void> {
  for (let next = events.next(); ; ) {
    let stop: () => void = () => {};
    const silence = new Promise<typeof PING>((resolve) => {
      const timer = setTimeout(resolve, PING_MS, PING);
      stop = () => clearTimeout(timer);
    });
    const came = await Promise.race([next, silence]);
    stop();
    if (came.done) return;
    if (came !== PING) next = events.next();
    yield `event: ${came.value.type}\ndata: ${JSON.stringify(came.value)}\n\n`;
  }
}
