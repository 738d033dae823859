/**
 * The server with a tiny model behind it, asked as programs ask: by the vendors' own clients, by fetch, and by hand.
 */
import { request as httpRequest } from 'node:http';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { sessionWorkers } from '../../engine/test/session-worker';
import { type Engine, load } from '../../index';
import type { GenerateResult } from '../../protocol';
import { createMessagesFetch } from '../../shapes/anthropic';
import { createFetch } from '../../shapes/openai';
import { FIXTURES } from '../test/built';
import { type FileServer, serveFiles } from '../test/file-server';
import { createGuard } from './guard';
import { observed } from './observed';
import { type Answers, type Server, type ServerOptions, startServer } from './server';

const MODEL = 'tiny';
const MAX_BODY = 20_000;
const HI = [{ role: 'user' as const, content: 'hi' }];
const ASKED = { model: MODEL, messages: HI, max_tokens: 8 };

let files: FileServer;
let engine: Engine;
/** all answers of the engine */
const results: Promise<GenerateResult>[] = [];
/** answers have no end of their own */
let endless = false;
const ENDLESS = { ignoreEos: true, overflow: 'shift', maxNewTokens: 2 ** 30 } as const;
beforeAll(async () => {
  files = await serveFiles(FIXTURES);
  const options = { createWorker: sessionWorkers(), storage: 'none', kv: 'f32' } as const;
  engine = await load(`${files.origin}/tiny-llama-128/nf4/`, options);
  const { batch } = engine;
  engine.batch = (inputs, options) => {
    const answers = batch.call(engine, inputs, { ...options, ...(endless && ENDLESS) });
    results.push(...answers.map(({ result }) => result));
    return answers;
  };
});
afterAll(async () => {
  engine.dispose();
  await files.close();
});

const running: Server[] = [];
afterEach(async () => {
  endless = false;
  await Promise.all(running.splice(0).map((server) => server.close()));
});

interface More extends Partial<ServerOptions> {
  hosts?: string[];
  origins?: string[];
  key?: string;
  /** puts something between the server and the shapes */
  around?: (answers: Answers) => Answers;
  loading?: boolean;
}

async function serving({ hosts = [], origins = [], key, around = (answers) => answers, loading, ...more }: More = {}) {
  const guard = createGuard(hosts, origins, key ?? null);
  const server = await startServer({ address: '127.0.0.1', port: 0, guard, parallel: 4, maxBody: MAX_BODY, ...more });
  running.push(server);
  const counted = observed(engine, server.metrics);
  const names = { model: MODEL, parallel: more.parallel ?? 4 };
  const shapes = {
    anthropic: around(createMessagesFetch(counted, names)),
    openai: around(createFetch(counted, names)),
  };
  const ready = () => server.ready({ shapes, memory: () => engine.memory() });
  if (!loading) ready();
  const { url } = server;
  const post = (path: string, body: unknown, headers: Record<string, string> = {}, signal?: AbortSignal) =>
    fetch(url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
      signal,
    });
  const metric = async (name: string) => {
    const text = await (await fetch(`${url}/metrics`)).text();
    return Number(new RegExp(`^nibble_${name} (\\S+)$`, 'm').exec(text)?.[1]);
  };
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: key ?? 'none', maxRetries: 0 });
  const anthropic = new Anthropic({ baseURL: url, apiKey: key ?? 'none', maxRetries: 0 });
  return { server, url, post, metric, ready, openai, anthropic };
}

describe('programs', () => {
  it("are answered as the engine would answer them, by OpenAI's client and by Anthropic's, at once and in pieces", async () => {
    const { openai, anthropic } = await serving();
    const { text } = await engine.chat(HI, { maxNewTokens: 12 }).result;
    expect(text).not.toBe('');
    const asked = { model: MODEL, messages: HI, max_tokens: 12 };
    const chat = await openai.chat.completions.create(asked);
    const message = await anthropic.messages.create(asked);
    expect(chat.choices[0].message.content).toBe(text);
    expect(message.content).toMatchObject([{ type: 'text', text }]);
    let streamed = '';
    for await (const { choices } of await openai.chat.completions.create({ ...asked, stream: true })) {
      streamed += choices[0]?.delta.content ?? '';
    }
    expect(streamed).toBe(text);
    const events: string[] = [];
    const stream = anthropic.messages.stream(asked).on('text', (piece) => events.push(piece));
    expect((await stream.finalMessage()).content).toMatchObject([{ type: 'text', text }]);
    expect(events.join('')).toBe(text);
    expect(events.length).toBeGreaterThan(1);
  });

  it('call tools, and are counted and listed', async () => {
    const { openai, anthropic, metric } = await serving();
    const schema = { type: 'object' as const, properties: { at: { enum: ['Rome'] } }, required: ['at'] };
    const asked = { model: MODEL, messages: HI, max_tokens: 100 };
    const message = await anthropic.messages.create({
      ...asked,
      tools: [{ name: 'weather', input_schema: schema }],
      tool_choice: { type: 'tool', name: 'weather' },
    });
    expect(message).toMatchObject({
      content: [{ type: 'tool_use', name: 'weather', input: { at: 'Rome' } }],
      stop_reason: 'tool_use',
    });
    const { usage } = message;
    expect(await metric('prompt_tokens_total')).toBe(usage.input_tokens + usage.cache_read_input_tokens!);
    expect(await metric('answer_tokens_total')).toBe(usage.output_tokens);
    expect((await openai.models.list()).data).toMatchObject([{ id: MODEL, object: 'model' }]);
    expect((await anthropic.models.list()).data).toMatchObject([{ id: MODEL, type: 'model' }]);
    const { input_tokens } = await anthropic.messages.countTokens({ model: MODEL, messages: HI });
    expect(input_tokens).toBe(await engine.countTokens(HI));
  });

  it('are all answered, fifty at once, four by four and in the order that they came', async () => {
    const begun: number[] = [];
    let now = 0;
    let most = 0;
    let open: () => void = () => {};
    const all = new Promise<void>((resolve) => {
      open = resolve;
    });
    const around =
      (answers: Answers): Answers =>
      async (request) => {
        begun.push(Number(request.headers.get('x-number')));
        most = Math.max(most, ++now);
        // none ends before all are there
        await all;
        const response = await answers(request);
        const body = await response.arrayBuffer();
        now--;
        return new Response(body, response);
      };
    const { post, metric } = await serving({ around });
    const asking: Promise<Response>[] = [];
    for (let i = 0; i < 50; i++) {
      const asked = { model: MODEL, messages: HI, max_tokens: 2, stream: i % 2 === 0 };
      asking.push(post(i % 3 ? '/v1/chat/completions' : '/v1/messages', asked, { 'x-number': String(i) }));
      // only so is it sure who came first
      while ((await metric('requests_running')) + (await metric('requests_waiting')) <= i);
    }
    expect([await metric('requests_running'), await metric('requests_waiting'), begun]).toEqual([4, 46, [0, 1, 2, 3]]);
    open();
    const answers = await Promise.all(asking);
    expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(200));
    for (const [i, answer] of answers.entries()) {
      expect(await answer.text()).toMatch(i % 2 ? /"usage"/ : i % 3 ? /data: \[DONE\]\n\n$/ : /message_stop"}\n\n$/);
    }
    expect([most, begun]).toEqual([4, Array.from({ length: 50 }, (_, i) => i)]);
    expect(await metric('queue_seconds_count')).toBe(50);
    expect([await metric('requests_running'), await metric('requests_waiting')]).toEqual([0, 0]);
  });

  it.each(['/v1/chat/completions', '/v1/messages'])(
    'that leave %s stop their answers, and their places',
    async (path) => {
      const { post, metric, url } = await serving({ parallel: 1 });
      endless = true;
      for (const stream of [true, false]) {
        const [stop, leave] = [new AbortController(), new AbortController()];
        const before = results.length;
        const asking = post(path, { ...ASKED, stream }, {}, stop.signal);
        const gone = expect(asking.then((response) => response.text())).rejects.toThrow(/abort/);
        await expect.poll(() => results.length).toBe(before + 1);
        const waiting = post(path, { ...ASKED, stream }, {}, leave.signal);
        const left = expect(waiting).rejects.toThrow(/abort/);
        await expect.poll(() => metric('requests_waiting')).toBe(1);
        leave.abort();
        await expect.poll(() => metric('requests_waiting')).toBe(0);
        stop.abort();
        await Promise.all([gone, left]);
        expect((await results[before]).finish).toBe('aborted');
        await expect.poll(() => metric('requests_running')).toBe(0);
        expect(results.length).toBe(before + 1);
      }
      expect(await (await fetch(`${url}/metrics`)).text()).toMatch(/status="499"} /);
    },
  );
});

/** A request as no client would send it. */
function byHand(url: string, headers: Record<string, string>, body = '', method = 'POST') {
  return new Promise<{ status: number; body: string; headers: object }>((resolve, reject) => {
    const asked = httpRequest(url, { method, headers }, async (response) => {
      let text = '';
      for await (const piece of response) text += piece;
      resolve({ status: response.statusCode!, body: text, headers: response.headers });
    });
    asked.on('error', reject).end(body);
  });
}

describe('nobody is answered', () => {
  const body = JSON.stringify({ model: MODEL, messages: HI, max_tokens: 1 });
  const json = { 'content-type': 'application/json' };

  it.each([
    ['by another name', { ...json, host: 'evil.example' }, 403],
    ['from a page', { ...json, origin: 'https://evil.example' }, 403],
    ['without the key', { ...json }, 401],
    ['in plain text', { 'content-type': 'text/plain', 'x-api-key': 'secret' }, 415],
  ])('%s, and is told so in the form that was asked for', async (_, headers, status) => {
    const { url } = await serving({ key: 'secret' });
    const before = results.length;
    const openai = await byHand(`${url}/v1/chat/completions`, headers, body);
    const code = status === 401 ? 'invalid_api_key' : null;
    const error = { message: expect.any(String), type: 'invalid_request_error', param: null, code };
    expect([openai.status, JSON.parse(openai.body)]).toEqual([status, { error }]);
    const anthropic = await byHand(`${url}/v1/messages`, headers, body);
    expect([anthropic.status, JSON.parse(anthropic.body)]).toMatchObject([status, { type: 'error', error: {} }]);
    expect(openai.headers).not.toHaveProperty('access-control-allow-origin');
    expect(results.length).toBe(before);
  });

  it('but who has the key, and what only asks whether it is there', async () => {
    const { openai, anthropic, url } = await serving({ key: 'secret' });
    const asked = { model: MODEL, messages: HI, max_tokens: 1 };
    expect((await openai.chat.completions.create(asked)).object).toBe('chat.completion');
    expect((await anthropic.messages.create(asked)).type).toBe('message');
    expect((await fetch(`${url}/health`)).status).toBe(200);
    expect((await fetch(`${url}/metrics`)).status).toBe(401);
    const wrong = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'other', maxRetries: 0 });
    await expect(wrong.models.list()).rejects.toMatchObject({ status: 401 });
    const other = new Anthropic({ baseURL: url, apiKey: 'other', maxRetries: 0 });
    await expect(other.models.list()).rejects.toMatchObject({ error: { error: { type: 'authentication_error' } } });
  });

  it('from a page, unless its origin is allowed: then it may ask first, and read', async () => {
    const origin = 'http://app.example';
    const { url } = await serving({ origins: [origin] });
    const asks = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' };
    const preflight = await byHand(`${url}/v1/messages`, asks, '', 'OPTIONS');
    expect([preflight.status, preflight.headers]).toMatchObject([204, { 'access-control-allow-origin': origin }]);
    const answer = await byHand(`${url}/v1/messages`, { ...json, origin }, body);
    expect([answer.status, answer.headers]).toMatchObject([200, { 'access-control-allow-origin': origin }]);
    const refused = await byHand(`${url}/v1/messages`, { ...asks, origin: 'http://other.example' }, '', 'OPTIONS');
    expect(refused.status).toBe(403);
  });
});

describe('what is wrong', () => {
  it('with its length is refused with 413, by what it says and by what it sends, and the next one is answered', async () => {
    const { url, post } = await serving();
    const content = 'x'.repeat(10 * 2 ** 20);
    const large = JSON.stringify({ model: MODEL, messages: [{ role: 'user', content }] });
    const openai = await post('/v1/chat/completions', large);
    expect([openai.status, await openai.json()]).toMatchObject([413, { error: { message: /20000 bytes/ } }]);
    const anthropic = await post('/v1/messages', large);
    expect([anthropic.status, await anthropic.json()]).toMatchObject([413, { error: { type: 'request_too_large' } }]);
    const pieces = new Blob([large]).stream();
    const headers = { 'content-type': 'application/json' };
    const init = { method: 'POST', headers, body: pieces, duplex: 'half' };
    expect((await fetch(`${url}/v1/messages`, init)).status).toBe(413);
    expect((await post('/v1/messages', { model: MODEL, messages: HI, max_tokens: 1 })).status).toBe(200);
  });

  it.each<[path: string, body: unknown, status: number, what: string]>([
    ['/v1/nothing', '{}', 404, 'unknown'],
    ['/v1/chat/completions', '{', 400, 'broken'],
    ['/v1/messages', '{', 400, 'broken'],
    ['/v1/chat/completions', { ...ASKED, model: 'other' }, 404, 'of another model'],
    ['/v1/messages', { ...ASKED, model: 'other' }, 404, 'of another model'],
    ['/v1/messages', { ...ASKED, system: 'long '.repeat(900) }, 400, 'too long'],
  ])('at %s has its status and form', async (path, body, status) => {
    const { post } = await serving();
    const response = await post(path, body);
    const error = (await response.json()) as { type?: string; error: { message: string } };
    expect([response.status, error.type, error.error.message]).toEqual([
      status,
      path === '/v1/messages' ? 'error' : undefined,
      expect.stringMatching(/\w/),
    ]);
  });

  it('with a method or an address is said', async () => {
    const { url } = await serving();
    expect((await fetch(`${url}/v1/models`, { method: 'DELETE' })).status).toBe(405);
    expect((await byHand(`${url}/v1/messages`, {}, '', 'GET')).status).toBe(405);
  });

  it('with a field is ignored, by name', async () => {
    const { post } = await serving();
    for (const path of ['/v1/messages', '/v1/chat/completions']) {
      const response = await post(path, { model: MODEL, messages: HI, max_tokens: 1, unheard: 1 });
      expect([response.status, response.headers.get('x-nibble-ignored')]).toEqual([200, 'unheard']);
    }
  });

  it('with the port is said before a model is loaded', async () => {
    const { url } = await serving();
    const taken = serving({ port: Number(new URL(url).port) });
    await expect(taken).rejects.toMatchObject({ code: 'invalid-option', message: expect.stringMatching(/is taken/) });
  });
});

describe('its state', () => {
  it('is told while the model loads, while it answers, and when it ends', async () => {
    let open: () => void = () => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const around =
      (answers: Answers): Answers =>
      (request) =>
        opened.then(() => answers(request));
    const { server, url, post, ready, metric } = await serving({ loading: true, around });
    const health = async () => {
      const response = await fetch(`${url}/health`);
      return [response.status, await response.json()];
    };
    const asked = { ...ASKED, stream: true };
    expect(await health()).toEqual([503, { status: 'loading' }]);
    expect((await post('/v1/messages', asked)).status).toBe(503);
    ready();
    expect(await health()).toEqual([200, { status: 'ok' }]);
    const running = [1, 2, 3, 4].map(() => post('/v1/messages', asked));
    await expect.poll(() => metric('requests_running')).toBe(4);
    const waiting = post('/v1/messages', asked);
    await expect.poll(() => metric('requests_waiting')).toBe(1);
    const closing = server.close();
    // who waits is told to come again, what runs is answered, and nobody is let in any more
    expect([(await waiting).status, await (await waiting).json()]).toMatchObject([
      503,
      { error: { type: 'overloaded_error' } },
    ]);
    open();
    for (const answer of await Promise.all(running)) expect(await answer.text()).toMatch(/message_stop"}\n\n$/);
    await closing;
    await expect(fetch(`${url}/health`)).rejects.toThrow();
  });

  it('is told as Prometheus reads it', async () => {
    const { url, post } = await serving();
    await post('/v1/messages', { model: MODEL, messages: HI, max_tokens: 2 });
    await post('/v1/no"such', {});
    const response = await fetch(`${url}/metrics`);
    const text = await response.text();
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    // comments, and samples: a name, labels, a number
    for (const line of text.trimEnd().split('\n')) {
      expect(line).toMatch(/^(# (HELP|TYPE) nibble_\w+ .+|nibble_\w+(\{(\w+="[^"]*",?)+\})? [\d.e+-]+)$/);
    }
    expect(text).toMatch(/^nibble_requests_total\{path="messages",status="200"\} 1$/m);
    expect(text).toMatch(/^nibble_requests_total\{path="other",status="404"\} 1$/m);
    expect(text).toMatch(/^nibble_time_to_first_token_seconds_bucket\{le="\+Inf"\} 1$/m);
    expect(text).toMatch(/^nibble_memory_bytes\{kind="weights"\} [1-9]\d+$/m);
  });
});
