/**
 * The remote engine against a server that says what these tests tell it to. It is long because servers have so many
 * faults.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Answer, GenerateOptions } from '../engine/answer';
import type { NibbleError } from '../errors';
import type { AnswerPart, GenerateResult } from '../protocol';
import { type ConnectOptions, connect } from '.';
import {
  broken,
  chunk,
  event,
  hello,
  json,
  type ScriptedServer,
  scriptedServer,
  silent,
  stream,
  USAGE,
} from './test/scripted-server';

let server: ScriptedServer;
beforeAll(async () => {
  server = await scriptedServer();
});
afterAll(() => server.close());

const QUESTION = [{ role: 'user' as const, content: 'Hi?' }];
const TEXT = 'Hello, wörld 🌍';
const engineOf = (options: Partial<ConnectOptions> = {}, url: string | URL = server.url) =>
  connect(url, { model: 'm', ...options });
const ask = (options: GenerateOptions = {}, connecting: Partial<ConnectOptions> = {}) =>
  engineOf(connecting).chat(QUESTION, options);
const failureOf = (work: Promise<unknown>): Promise<NibbleError> =>
  work.then(
    () => Promise.reject(new Error('It did not fail.')),
    (error) => error as NibbleError,
  );

async function read(answer: Answer): Promise<{ parts: AnswerPart[]; text: string }> {
  const parts: AnswerPart[] = [];
  try {
    for await (const part of answer.parts) parts.push(part);
  } catch {
    // its result says so, too
  }
  return { parts, text: parts.flatMap(({ type, text }) => (type === 'text' ? text : [])).join('') };
}

/** fetch() that answers with a stream of these pieces. */
const streaming =
  (...pieces: Uint8Array[]): typeof fetch =>
  async () =>
    new Response(
      new ReadableStream({
        start(controller) {
          for (const piece of pieces) controller.enqueue(piece);
          controller.close();
        },
      }),
      { headers: { 'content-type': 'text/event-stream; charset=utf-8' } },
    );

describe('an answer', () => {
  it('comes in pieces, with its reasoning, counts, and who answered', async () => {
    server.say(stream(hello));
    const answer = ask({}, { key: 'secret' });
    const { parts } = await read(answer);
    const result = await answer.result;
    expect(parts).toEqual([
      { type: 'reasoning', text: 'Grüße? ' },
      { type: 'text', text: 'Hello' },
      { type: 'text', text: ', wörld 🌍' },
    ]);
    expect(result).toMatchObject({
      text: TEXT,
      reasoning: 'Grüße? ',
      finish: 'stop',
      ids: [],
      toolCalls: [],
      note: null,
      source: 'server',
      stats: { promptTokens: 12, reusedTokens: 8, newTokens: 3 },
    });
    expect([answer.source, await answer.text()]).toEqual(['server', TEXT]);
    expect(server.seen.map(({ method, path, headers }) => [method, path, headers.authorization])).toEqual([
      ['POST', '/v1/chat/completions', 'Bearer secret'],
    ]);
  });

  it('is the same whatever the pieces that it comes in', async () => {
    const bytes = new TextEncoder().encode(hello);
    for (let at = 1; at < bytes.length; at++) {
      const { text, reasoning, finish } = await ask({}, { fetch: streaming(bytes.subarray(0, at), bytes.subarray(at)) })
        .result;
      expect([at, text, reasoning, finish]).toEqual([at, TEXT, 'Grüße? ', 'stop']);
    }
    const single = await ask({}, { fetch: streaming(...Array.from(bytes, (byte) => Uint8Array.of(byte))) }).result;
    expect(single.text).toBe(TEXT);
  });

  it('that is cut at any byte says so, and keeps what there is; the end alone makes it whole', async () => {
    const bytes = new TextEncoder().encode(hello);
    const before = (text: string) => new TextEncoder().encode(hello.slice(0, hello.indexOf(text) + text.length)).length;
    // its event is over with the empty line behind it
    const whole = before('"finish_reason":"stop"}]}\n\n');
    for (let at = 0; at <= bytes.length; at++) {
      const answer = ask({}, { fetch: streaming(bytes.subarray(0, at)) });
      const { text } = await read(answer);
      expect(TEXT.startsWith(text)).toBe(true);
      if (at >= whole) {
        expect(await answer.text()).toBe(TEXT);
        continue;
      }
      const error = await failureOf(answer.result);
      const kept = error.cause as GenerateResult;
      expect([at, error.code, error.details.reason, kept.text, kept.finish]).toEqual([
        at,
        'network',
        'broken',
        text,
        'aborted',
      ]);
    }
  });

  it('that has no end is given up', async () => {
    const piece = new TextEncoder().encode(chunk({ content: 'x'.repeat(1 << 20) }));
    let sent = 0;
    const pull = (controller: ReadableStreamDefaultController) => {
      sent++;
      controller.enqueue(piece);
    };
    const body = () => new ReadableStream({ pull });
    const fetch = async () => new Response(body(), { headers: { 'content-type': 'text/event-stream' } });
    const error = await failureOf(ask({}, { fetch }).result);
    expect([error.details.reason, error.message]).toEqual(['broken', expect.stringContaining('it has no end')]);
    expect(sent).toBeLessThan(32);
  });

  it('is whole without [DONE], and nothing is read behind it', async () => {
    server.say(stream(hello.replace(event('[DONE]'), '')));
    expect(await ask().text()).toBe(TEXT);
    server.say(stream(`${hello}${chunk({ content: 'more' })}`));
    expect(await ask().text()).toBe(TEXT);
  });

  it('may come as one JSON, where the server does not stream', async () => {
    const message = { role: 'assistant', content: 'Whole', reasoning: 'So' };
    server.say(json({ choices: [{ index: 0, message, finish_reason: 'length' }], usage: USAGE }));
    expect(await ask().result).toMatchObject({
      text: 'Whole',
      reasoning: 'So',
      finish: 'length',
      stats: { newTokens: 3 },
    });
  });

  it('tells log-probabilities, without ids', async () => {
    const content = [
      { token: 'Hé', logprob: -0.5, bytes: [72, 195, 169], top_logprobs: [{ token: 'x', logprob: -1, bytes: null }] },
    ];
    const said = event({
      choices: [{ index: 0, delta: { content: 'Hé' }, logprobs: { content }, finish_reason: 'stop' }],
    });
    server.say(stream(said));
    const { logprobs, note } = await ask({ logprobs: 1 }).result;
    expect(logprobs).toEqual([
      {
        id: -1,
        text: 'Hé',
        bytes: [72, 195, 169],
        logprob: -0.5,
        top: [{ id: -1, text: 'x', bytes: [120], logprob: -1 }],
      },
    ]);
    expect(note).toContain('did not say how many tokens');
    const tokens = { tokens: ['a', 'b'], token_logprobs: [-1, -2], top_logprobs: [{ a: -1, c: -3 }, null] };
    server.say(stream(event({ choices: [{ index: 0, text: 'ab', logprobs: tokens, finish_reason: 'length' }] })));
    const completed = await engineOf().generate('Once', { logprobs: 2 }).result;
    expect(completed.text).toBe('ab');
    expect(completed.logprobs?.map(({ text, top }) => [text, top.length])).toEqual([
      ['a', 2],
      ['b', 0],
    ]);
    expect(server.seen[0].path).toBe('/v1/completions');
  });

  it('is asked again without the fields that the server does not have, and says so', async () => {
    const refused = json({ detail: "Unexpected fields in the request: {'top_k', 'min_p'}" }, 422);
    server.say(json({ data: [] }), refused, stream(hello));
    const engine = engineOf();
    const first = await engine.chat(QUESTION, { topK: 5, minP: 0.1, temperature: 0 }).result;
    expect([first.text, first.note]).toEqual([TEXT, 'The server does not take topK, minP: it answered without.']);
    expect(server.seen.map(({ path, body }) => [path, body?.top_k])).toEqual([
      ['/v1/models', undefined],
      ['/v1/chat/completions', 5],
      ['/v1/chat/completions', undefined],
    ]);
    await engine.chat(QUESTION, { topK: 5 }).result;
    expect(server.seen).toHaveLength(4);
  });

  it('under a schema is an object, as far as it has come', async () => {
    server.say(stream(chunk({ content: '{"a": [1, 2' }) + chunk({ content: '], "b": "x"}' }, 'stop')));
    const answer = ask({ schema: { type: 'object' } });
    const objects: unknown[] = [];
    for await (const object of answer.objects) objects.push(object);
    expect(objects.at(-1)).toEqual({ a: [1, 2], b: 'x' });
    expect(server.seen[0].body.response_format.json_schema.schema).toEqual({ type: 'object' });
  });
});

describe('tools', () => {
  const sky = { name: 'sky', parameters: { type: 'object', properties: { town: { type: 'string' } } } };
  const calling =
    chunk({ tool_calls: [{ index: 0, id: 'c', type: 'function', function: { name: 'sky', arguments: '' } }] }) +
    chunk({ tool_calls: [{ index: 0, function: { arguments: '{"town":' } }] }) +
    chunk({ tool_calls: [{ index: 0, function: { arguments: '"Bern"}' } }] }) +
    chunk({}, 'tool_calls');

  it('with functions are called here, and the server is told what came of them', async () => {
    server.say(stream(calling), stream(hello));
    const run = vi.fn(async ({ town }: Record<string, unknown>) => ({ [`${town}`]: 21 }));
    const answer = ask({ tools: [{ ...sky, run }] });
    const { parts } = await read(answer);
    const { text, messages, source } = await answer.result;
    expect([text, source, answer.source, run.mock.calls[0][0]]).toEqual([TEXT, 'server', 'server', { town: 'Bern' }]);
    expect(parts.filter(({ type }) => type === 'tool-call').map(({ text }) => text)).toEqual([
      '',
      '{"town":',
      '"Bern"}',
      '',
    ]);
    expect(messages).toHaveLength(2);
    expect(server.seen[1].body.messages.slice(1)).toMatchObject([
      {
        role: 'assistant',
        tool_calls: [{ id: 'c', type: 'function', function: { name: 'sky', arguments: '{"town":"Bern"}' } }],
      },
      { role: 'tool', tool_call_id: 'c', content: '{"Bern":21}' },
    ]);
    expect(server.seen[1].body.tools).toHaveLength(1);
  });

  it('without functions are left to the caller', async () => {
    server.say(stream(calling));
    const { finish, toolCalls } = await ask({ tools: [sky], toolChoice: 'required' }).result;
    expect([finish, toolCalls]).toEqual([
      'tool-calls',
      [{ id: 'c', name: 'sky', arguments: { town: 'Bern' }, text: '{"town":"Bern"}' }],
    ]);
    expect(server.seen[0].body.tool_choice).toBe('required');
  });
});

describe('a conversation', () => {
  it('keeps what was said; of an answer that broke it keeps nothing, and can be asked again', async () => {
    const talk = engineOf().conversation({ system: 'Be brief.', temperature: 0 });
    server.say(broken(chunk({ content: 'Hel' })), stream(hello));
    expect((await failureOf(talk.ask('Hi?').result)).details.reason).toBe('broken');
    expect(talk.messages).toHaveLength(1);
    expect(await talk.ask('Hi?').text()).toBe(TEXT);
    expect(talk.messages).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hi?' },
      { role: 'assistant', content: TEXT, reasoning_content: 'Grüße? ' },
    ]);
    expect(server.seen[1].body).toMatchObject({ temperature: 0, messages: [{ role: 'system' }, { role: 'user' }] });
    const other = talk.clone();
    await other.ask('And?').text();
    expect([talk.messages.length, other.messages.length]).toEqual([3, 5]);
    await talk.dispose();
  });
});

describe('several answers', () => {
  it('are asked for side by side, so many at a time, and one that fails leaves the others', async () => {
    let [open, most] = [0, 0];
    server.say(async (response, { body }) => {
      most = Math.max(most, ++open);
      await new Promise((resolve) => setTimeout(resolve, 5));
      open--;
      if (body.messages?.[0].content === 'bad') return json({}, 500)(response, server.seen[0]);
      return stream(hello)(response, server.seen[0]);
    });
    const bad = [{ role: 'user' as const, content: 'bad' }];
    const answers = engineOf().batch([QUESTION, bad, 'Once', QUESTION], { n: 2, parallel: 3, seed: 5 });
    const ends = await Promise.all(
      answers.map(({ result }) =>
        result.then(
          ({ finish }) => finish,
          ({ code }) => code,
        ),
      ),
    );
    expect(ends).toEqual(['stop', 'stop', 'network', 'network', 'stop', 'stop', 'stop', 'stop']);
    expect([most, server.seen.length]).toEqual([3, 8]);
    expect(new Set(server.seen.map(({ body }) => body.seed))).toEqual(new Set([5, 6]));
    expect(() => engineOf().batch('x' as never)).toThrow(/inputs is "x"/);
  });
});

describe('stopping', () => {
  it('keeps what there is, and closes the connection', async () => {
    let closed = false;
    server.say((response) => {
      response.on('close', () => {
        closed = true;
      });
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(chunk({ content: 'Hel' }));
    });
    const answer = ask();
    for await (const text of answer) {
      expect(text).toBe('Hel');
      break;
    }
    const { text, finish } = await answer.result;
    expect([text, finish, answer.stopped]).toEqual(['Hel', 'aborted', true]);
    await vi.waitFor(() => expect(closed).toBe(true));
  });

  it('by a signal, before and in the middle; one that has fired makes no request', async () => {
    server.say(silent);
    const controller = new AbortController();
    const answer = ask({ signal: controller.signal });
    await vi.waitFor(() => expect(server.seen).toHaveLength(1));
    controller.abort();
    expect((await answer.result).finish).toBe('aborted');
    server.say(stream(hello));
    expect((await ask({ signal: AbortSignal.abort() }).result).finish).toBe('aborted');
    expect(server.seen).toHaveLength(0);
  });

  it('dispose() ends answers under way, and later ones do not begin', async () => {
    server.say(silent);
    const engine = engineOf();
    const answer = engine.chat(QUESTION);
    await vi.waitFor(() => expect(server.seen).toHaveLength(1));
    engine.dispose();
    expect((await failureOf(answer.result)).code).toBe('disposed');
    expect((await failureOf(engine.chat(QUESTION).result)).code).toBe('disposed');
    expect((await failureOf(engine.info())).code).toBe('disposed');
    expect(server.seen).toHaveLength(1);
  });
});

describe('faults', () => {
  it.each<[string, Parameters<ScriptedServer['say']>, string, object, RegExp]>([
    [
      '429',
      [json({ error: { message: 'Slow down' } }, 429, { 'retry-after': '7' })],
      'network',
      { status: 429, reason: 'busy', retryAfterSeconds: 7 },
      /busy.*Ask again in 7 s.*Slow down/,
    ],
    ['503 without Retry-After', [json({}, 503)], 'network', { status: 503, reason: 'busy' }, /Ask again later/],
    [
      '500',
      [json({ error: 'Out of memory' }, 500)],
      'network',
      { status: 500, reason: 'failed' },
      /The server failed.*Out of memory/,
    ],
    [
      'a wrong key',
      [json({ error: { message: 'Incorrect API key provided: s3cret!' } }, 401)],
      'network',
      { status: 401, reason: 'key' },
      /refuses the key.*provided: …/,
    ],
    ['403', [json({}, 403)], 'network', { status: 403, reason: 'key' }, /refuses the key/],
    [
      'another model',
      [json({ error: { message: 'The model `m` does not exist.', code: 404 } }, 404)],
      'network',
      { status: 404, reason: 'not-found' },
      /does not exist/,
    ],
    [
      'a conversation that is too long',
      [
        json(
          { error: { message: "This model's maximum context length is 10 tokens.", code: 'context_length_exceeded' } },
          400,
        ),
      ],
      'context-overflow',
      { status: 400 },
      /maximum context length is 10/,
    ],
    [
      'what it does not take',
      [json({ detail: [{ loc: ['body', 'messages', 0], msg: 'role is missing' }] }, 422)],
      'invalid-option',
      { status: 422 },
      /body\.messages\.0: role is missing/,
    ],
    [
      'a web page',
      [(response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Login</h1>')],
      'network',
      { reason: 'web-page' },
      /a web page instead of JSON/,
    ],
    [
      'a web page that calls itself JSON',
      [(response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('<h1>Login</h1>')],
      'network',
      { reason: 'web-page' },
      /something else instead of JSON/,
    ],
    [
      'a web page with a status',
      [(response) => void response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad gateway</h1>')],
      'network',
      { status: 502 },
      /The server failed/,
    ],
    [
      'an error in the stream',
      [stream(chunk({ content: 'Hel' }) + event({ error: { message: 'GPU gone' } }))],
      'network',
      { reason: 'broken', characters: 3 },
      /it says: GPU gone/,
    ],
    [
      'an error that is a text',
      [stream(event('{"error": "GPU gone"}'))],
      'network',
      { reason: 'broken', characters: 0 },
      /it says: GPU gone/,
    ],
    [
      'events that are no JSON',
      [stream(chunk({ content: 'Hel' }) + event('{"choices": ['))],
      'network',
      { reason: 'broken', characters: 3 },
      /broke off after 3 characters/,
    ],
    [
      'a connection that breaks in mid-line',
      [broken(`${chunk({ content: 'Hel' })}data: {"choi`)],
      'network',
      { reason: 'broken', characters: 3 },
      /The connection broke/,
    ],
    [
      'a connection that breaks before',
      [(response) => void response.destroy()],
      'network',
      { status: 0, reason: 'unreached' },
      /could not be reached/,
    ],
    ['nothing at all', [stream('')], 'network', { reason: 'broken', characters: 0 }, /ended without saying why/],
    [
      'chunks of no known form',
      [stream(event([1, null]) + event('7') + event({ choices: 'x' }) + event({ choices: [null] }))],
      'network',
      { reason: 'broken' },
      /broke off/,
    ],
  ])('%s', async (_, script, code, details, message) => {
    server.say(...script);
    const error = await failureOf(ask({}, { key: 's3cret!' }).result);
    expect([error.code, error.details, error.message]).toEqual([
      code,
      expect.objectContaining(details),
      expect.stringMatching(message),
    ]);
    expect(JSON.stringify(error)).not.toContain('s3cret');
  });

  it('a server that is silent is given up, before its answer and within', async () => {
    server.say(silent);
    const before = await failureOf(ask({}, { timeoutMs: 60 }).result);
    expect([before.code, before.details.reason, before.details.seconds]).toEqual(['network', 'silent', 0.06]);
    server.say((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(chunk({ content: 'Hel' }));
    });
    const within = await failureOf(ask({}, { timeoutMs: 60 }).result);
    expect([within.details.reason, (within.cause as GenerateResult).text]).toEqual(['broken', 'Hel']);
    expect(within.message).toContain('sends nothing');
  });

  it('a server that is gone', async () => {
    const gone = await scriptedServer();
    await gone.close();
    const error = await failureOf(engineOf({}, gone.url).chat(QUESTION).result);
    expect([error.code, error.details.reason, error.details.url]).toEqual([
      'network',
      'unreached',
      `${gone.url}/chat/completions`,
    ]);
    expect(error.message).toMatch(/Check that the server runs/);
  });
});

describe('what is no connection', () => {
  it.each<[unknown, unknown, RegExp]>([
    ['nowhere', { model: 'm' }, /address of a server/],
    ['ftp://host/v1', { model: 'm' }, /scheme of the address is "ftp:"/],
    ['https://me:hunter2@host/v1', { model: 'm' }, /has a name or a password in it/],
    [7, { model: 'm' }, /address of a server/],
    ['https://host', {}, /model is undefined/],
    ['https://host', undefined, /model is undefined/],
    ['https://host', { model: 'm', apiKey: 'x' }, /There is no option apiKey/],
    ['https://host', { model: 'm', key: 'hunter2\n' }, /not what a header can hold/],
    ['https://host', { model: 'm', key: 7 }, /not what a header can hold/],
    ['https://host', { model: 'm', timeoutMs: 0 }, /timeoutMs is 0/],
    ['https://host', { model: 'm', fetch: 'x' }, /fetch is "x"/],
  ])('%j with %j', (url, options, message) => {
    const connecting = () => connect(url as string, options as ConnectOptions);
    expect(connecting).toThrow(message);
    expect(connecting).not.toThrow(/hunter2/);
  });

  it('an address may have a query, which no sentence shows, and needs no path', async () => {
    const asked: string[] = [];
    const refusing = async (url: string) => {
      asked.push(url);
      throw new TypeError(`failed to fetch ${url}`);
    };
    for (const url of [
      'http://host:1?token=hunter2',
      'http://host:1/api/v1/?token=hunter2#x',
      new URL('http://host:1/v1'),
    ]) {
      const error = await failureOf(
        engineOf({ fetch: refusing as unknown as typeof fetch }, url).chat(QUESTION).result,
      );
      expect(JSON.stringify(error)).not.toContain('hunter2');
    }
    expect(asked).toEqual([
      'http://host:1/v1/chat/completions?token=hunter2',
      'http://host:1/api/v1/chat/completions?token=hunter2',
      'http://host:1/v1/chat/completions',
    ]);
  });

  it('the key may be asked for each time, and is in nothing that can be printed', async () => {
    let turn = 0;
    server.say(stream(hello));
    const engine = engineOf({ key: async () => `turn-${++turn}` });
    await engine.chat(QUESTION).result;
    await engine.chat(QUESTION).result;
    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual(['Bearer turn-1', 'Bearer turn-2']);
    const { inspect } = await import('node:util');
    expect(inspect(engineOf({ key: 'hunter2' }), { depth: 9, showHidden: true })).not.toContain('hunter2');
  });
});

describe('what a server cannot do', () => {
  it.each<[string, (engine: ReturnType<typeof connect>) => Promise<unknown>]>([
    ['prompt of token ids', (engine) => engine.generate([1, 2]).result],
    ['made', (engine) => engine.chat(QUESTION, { made: [1] }).result],
    ['setLora()', (engine) => engine.setLora([])],
    ['plan()', (engine) => engine.plan({ promptTokens: 1, maxNewTokens: 1 })],
    ['plan()', (engine) => engine.conversation().plan({ promptTokens: 1, maxNewTokens: 1 })],
    ['rerank()', (engine) => engine.rerank('a', ['b'])],
    ['score()', (engine) => engine.score(['a'])],
    ['saved', async (engine) => engine.conversation({ saved: 'x' })],
    ['maxContext', async (engine) => engine.conversation({ maxContext: 9 })],
    ['pooling', (engine) => engine.embed('a', { pooling: 'mean' })],
  ])('%s', async (what, work) => {
    server.say(json({ data: [] }));
    const { code, details, message } = await failureOf(work(engineOf()));
    expect([code, details.what, message]).toEqual(['unsupported-remote', what, expect.stringContaining(`no ${what}`)]);
  });

  it.each<[string, (engine: ReturnType<typeof connect>) => Promise<unknown>]>([
    ['tokenizer', (engine) => engine.tokenize('a')],
    ['tokenizer', (engine) => engine.tokenizer.decode([1])],
    ['embed()', (engine) => engine.embed('a')],
    ['generate()', (engine) => engine.generate('a').result],
    ['chat template that can be asked', (engine) => engine.applyChatTemplate(QUESTION)],
  ])('%s, where it has none', async (what, work) => {
    server.say(json({ detail: 'Not Found' }, 404));
    expect(await failureOf(work(engineOf()))).toMatchObject({ code: 'unsupported-remote', details: { what } });
  });

  it('refuses bad arguments as the engine here does', async () => {
    const engine = engineOf();
    const wrong = [
      engine.chat('x' as never).result,
      engine.generate(7 as never).result,
      engine.chat(QUESTION, { temperature: -1 }).result,
      engine.chat(QUESTION, { nothing: 1 } as never).result,
      engine.tokenize(7 as never),
      engine.embed([]),
    ];
    for (const work of wrong) expect((await failureOf(work)).code).toBe('invalid-option');
  });
});

describe('what a server tells', () => {
  it('vectors, in the order of the texts', async () => {
    server.say(
      json({
        data: [
          { index: 1, embedding: [3, 4] },
          { index: 0, embedding: [1, 2] },
        ],
        usage: { prompt_tokens: 5 },
      }),
    );
    const { embeddings, dimensions, tokens } = await engineOf().embed(['a', 'b'], { dimensions: 2 });
    expect([embeddings.map((vector) => [...vector]), dimensions, tokens]).toEqual([
      [
        [1, 2],
        [3, 4],
      ],
      2,
      5,
    ]);
    expect(server.seen[0]).toMatchObject({
      path: '/v1/embeddings',
      body: { input: ['a', 'b'], dimensions: 2, encoding_format: 'float' },
    });
    for (const data of [
      [],
      [{ embedding: [1] }],
      [{ embedding: [1] }, { embedding: [1, 2] }],
      'x',
      [{ embedding: 'AAAA' }, {}],
    ]) {
      server.say(json({ data }));
      expect(await failureOf(engineOf().embed(['a', 'b']))).toMatchObject({ code: 'network', details: { texts: 2 } });
    }
  });

  it('its model, and who answers', async () => {
    server.say(json({ data: [{ id: 'other' }, { id: 'm', owned_by: 'vllm', max_model_len: 4096 }] }));
    const engine = engineOf({ key: 'hunter2' });
    const info = await engine.info();
    expect(info).toMatchObject({
      name: 'm',
      contextLength: 4096,
      source: 'server',
      backend: 'server',
      options: { maxContext: 4096 },
    });
    expect(info.sourceReason).toBe(`A server answers (${server.url}).`);
    await engine.info();
    expect(server.seen).toHaveLength(1);
    expect(JSON.stringify(info)).not.toContain('hunter2');
    server.say(json({ detail: 'Not Found' }, 404));
    expect(await engineOf().info()).toMatchObject({ name: 'm', contextLength: 0 });
    server.say(json({}, 500), json({ data: [{ id: 'm', meta: { n_ctx_train: 8 } }] }));
    const second = engineOf();
    expect(await second.info()).toMatchObject({
      contextLength: 0,
      notes: [expect.stringMatching(/The server failed/)],
    });
    expect((await second.info()).contextLength).toBe(8);
    expect((await second.memory()).total).toBe(0);
  });

  it('ids and prompts, where it has a tokenizer that can be asked', async () => {
    server.say(json({ tokens: [5, 6], count: 2 }));
    const engine = engineOf();
    expect([await engine.tokenize('ab'), await engine.tokenizer.count('ab')]).toEqual([[5, 6], 2]);
    expect(server.seen[0]).toMatchObject({
      path: '/tokenize',
      body: { model: 'm', prompt: 'ab', content: 'ab', parse_special: false },
    });
    server.say(json({ content: 'ab' }));
    expect(await engine.detokenize([5, 6])).toBe('ab');
    server.say(json({ data: [{ owned_by: 'vllm' }] }), json({ tokens: [1, 2, 3] }));
    expect(await engine.countTokens(QUESTION)).toBe(3);
    expect(server.seen[1]).toMatchObject({
      path: '/tokenize',
      body: { messages: QUESTION, add_generation_prompt: true },
    });
    server.say(json({ data: [{ owned_by: 'llamacpp' }] }), json({ prompt: '<user>Hi?' }), json({ tokens: [7] }));
    const llama = engineOf();
    expect(await llama.applyChatTemplate(QUESTION, { tokenize: true })).toEqual([7]);
    expect(server.seen.map(({ path, body }) => [path, body?.content, body?.parse_special])).toEqual([
      ['/v1/models', undefined, undefined],
      ['/apply-template', undefined, undefined],
      ['/tokenize', '<user>Hi?', true],
    ]);
    server.say(json({ prompt: 'x' }));
    expect(await llama.applyChatTemplate(QUESTION)).toBe('x');
  });
});
