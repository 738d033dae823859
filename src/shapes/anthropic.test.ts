/**
 * What Anthropic's own client makes of scripted answers, over the fetch that it takes, and what the engine is asked for
 * its requests.
 */
import Anthropic, { APIUserAbortError, BadRequestError, NotFoundError } from '@anthropic-ai/sdk';
import { describe, expect, it, vi } from 'vitest';
import { AnswerQueue, type GenerateOptions } from '../engine/answer';
import { NibbleError } from '../errors';
import { createMessagesFetch } from './anthropic';
import type { FetchOptions } from './openai';
import { call, type Scripted, scriptedEngine, text, thought } from './test/scripted-engine';

const CONTEXT = 100;
const PROMPT_TOKENS = 7;
const ASKED = { model: 'scripted', max_tokens: 20, messages: [{ role: 'user' as const, content: 'Hi?' }] };
const TOOL = { name: 'weather', description: 'Tells it', input_schema: { type: 'object' as const, properties: {} } };

/** @param written what detokenize() says of an answer's ids */
function open(script: Scripted | Scripted[], { written = '', ...options }: FetchOptions & { written?: string } = {}) {
  const { engine: scripted, asked } = scriptedEngine(...[script].flat());
  const counted: unknown[] = [];
  const engine = {
    ...scripted,
    info: async () => ({ name: 'scripted', options: { maxContext: CONTEXT } }),
    countTokens: async (...given: unknown[]) => {
      counted.push(given);
      return PROMPT_TOKENS;
    },
    detokenize: async () => written,
  } as unknown as Parameters<typeof createMessagesFetch>[0];
  const fetch = createMessagesFetch(engine, options);
  const responses: Headers[] = [];
  const client = new Anthropic({
    apiKey: 'none',
    baseURL: 'http://nowhere.invalid/some/prefix',
    maxRetries: 0,
    fetch: async (input, init) => {
      const response = await fetch(input as string, init as RequestInit);
      responses.push(response.headers);
      return response;
    },
  });
  return { client, asked, counted, fetch, responses };
}

const HELLO: Scripted = { parts: [text('Hel'), text('lo!')] };
const USAGE = { input_tokens: 4, cache_read_input_tokens: 3, cache_creation_input_tokens: 0, output_tokens: 2 };

async function listed<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of stream) all.push(one);
  return all;
}

describe('an answer', () => {
  it('is a message', async () => {
    const { client, asked } = open(HELLO);
    // what the newest models of others do not take any more
    const sampling = { temperature: 0.5, top_k: 3, top_p: 0.9 };
    const message = await client.messages.create({ ...ASKED, ...sampling });
    expect(message).toMatchObject({
      id: expect.stringMatching(/^msg_/),
      type: 'message',
      role: 'assistant',
      model: 'scripted',
      content: [{ type: 'text', text: 'Hello!' }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      usage: USAGE,
    });
    expect(asked[0].input).toEqual([{ role: 'user', content: 'Hi?' }]);
    expect(asked[0].options).toMatchObject({ maxNewTokens: 20, temperature: 0.5, topK: 3, topP: 0.9 });
  });

  it('comes in events, in the order that the client wants', async () => {
    const parts = [thought('Hm'), thought('m.'), ...HELLO.parts, ...call(0, 'weather', ['{"a":', '1}'])];
    const { client } = open({ parts });
    const events = await listed(await client.messages.create({ ...ASKED, tools: [TOOL], stream: true }));
    const short = events.map((event) => {
      if (event.type === 'content_block_start') return `start ${event.index} ${event.content_block.type}`;
      if (event.type === 'content_block_delta') return `${event.index} ${Object.values(event.delta).join(': ')}`;
      return event.type === 'content_block_stop' ? `stop ${event.index}` : event.type;
    });
    expect(short).toEqual([
      'message_start',
      ...['start 0 thinking', '0 thinking_delta: Hm', '0 thinking_delta: m.', '0 signature_delta: ', 'stop 0'],
      ...['start 1 text', '1 text_delta: Hel', '1 text_delta: lo!', 'stop 1'],
      ...['start 2 tool_use', '2 input_json_delta: {"a":', '2 input_json_delta: 1}', 'stop 2'],
      'message_delta',
      'message_stop',
    ]);
    expect(events[0]).toMatchObject({
      message: { content: [], usage: { input_tokens: PROMPT_TOKENS, output_tokens: 0 } },
    });
    expect(events.at(-2)).toMatchObject({ delta: { stop_reason: 'tool_use' }, usage: { input_tokens: 4 } });
  });

  it("is the same message whole and by the client's own accumulation, with thoughts and calls", async () => {
    const parts = [thought('Hmm.'), text('I ask.'), ...call(0, 'weather', ['{"a":1}']), ...call(1, 'clock', [])];
    const whole = await open({ parts }).client.messages.create(ASKED);
    const streamed = await open({ parts }).client.messages.stream(ASKED).finalMessage();
    expect(whole.content).toMatchObject([
      { type: 'thinking', thinking: 'Hmm.', signature: '' },
      { type: 'text', text: 'I ask.' },
      { type: 'tool_use', id: 'call-0', name: 'weather', input: { a: 1 } },
      { type: 'tool_use', id: 'call-1', name: 'clock', input: {} },
    ]);
    expect(streamed).toMatchObject({ ...whole, id: expect.any(String), parsed_output: null });
  });

  it('tells a call that cannot be read as it was written', async () => {
    const broken = call(0, 'weather', [], { arguments: null, text: '{"a":', error: 'it is cut off' });
    const { client } = open({ parts: broken, result: { finish: 'length' } });
    const { content, stop_reason } = await client.messages.create(ASKED);
    expect([content, stop_reason]).toMatchObject([[{ type: 'text', text: '{"a":' }], 'max_tokens']);
  });

  it('that its length ends says by which bound', async () => {
    const cut: Scripted = { ...HELLO, result: { finish: 'length' } };
    const one = open(cut);
    expect((await one.client.messages.create(ASKED)).stop_reason).toBe('max_tokens');
    const other = open(cut);
    const long = await other.client.messages.create({ ...ASKED, max_tokens: 4096 });
    expect(long.stop_reason).toBe('model_context_window_exceeded');
    expect(other.asked[0].options.maxNewTokens).toBe(CONTEXT - PROMPT_TOKENS);
  });

  it('that a stop sequence ends says by which', async () => {
    const asked = { ...ASKED, stop_sequences: ['END', 'STOP'] };
    const ended = open(HELLO, { written: 'Hello! STOP END' });
    expect(await ended.client.messages.create(asked)).toMatchObject({
      stop_reason: 'stop_sequence',
      stop_sequence: 'STOP',
    });
    expect(ended.asked[0].options.stop).toEqual(['END', 'STOP']);
    expect(await open(HELLO, { written: 'Hello!' }).client.messages.create(asked)).toMatchObject({
      stop_reason: 'end_turn',
      stop_sequence: null,
    });
  });

  it('pings while there is nothing to say', async () => {
    vi.useFakeTimers();
    const engine = {
      info: async () => ({ name: 'scripted', options: { maxContext: CONTEXT } }),
      countTokens: async () => PROMPT_TOKENS,
      chat(_: unknown, { onPrefill }: GenerateOptions) {
        onPrefill!({ done: 0, total: PROMPT_TOKENS });
        return new AnswerQueue(() => new Promise(() => {}), new AbortController());
      },
    } as unknown as Parameters<typeof createMessagesFetch>[0];
    const body = JSON.stringify({ ...ASKED, stream: true });
    const { body: stream } = await createMessagesFetch(engine)('http://x/messages', { method: 'POST', body });
    const reader = stream!.pipeThrough(new TextDecoderStream()).getReader();
    const events: string[] = [];
    for (let count = 0; count < 4; count++) {
      const next = reader.read();
      await vi.advanceTimersByTimeAsync(15_000);
      events.push(/event: (.*)/.exec((await next).value ?? '')![1]);
    }
    vi.useRealTimers();
    await reader.cancel();
    expect(events).toEqual(['message_start', 'ping', 'ping', 'ping']);
  });
});

describe('a request', () => {
  /** What the engine is asked for it. */
  async function asked(more: object) {
    const { client, asked } = open(HELLO);
    await client.messages.create({ ...ASKED, ...more });
    return asked[0];
  }

  it('has its system prompt, and turns of one speaker as one', async () => {
    const { input, options } = await asked({
      system: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }],
      messages: [
        { role: 'user', content: 'One.' },
        { role: 'user', content: [{ type: 'text', text: 'Two.' }] },
        { role: 'assistant', content: 'So' },
      ],
    });
    expect(input).toEqual([
      { role: 'system', content: 'Be brief.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'One.' },
          { type: 'text', text: 'Two.' },
        ],
      },
      { role: 'assistant', content: 'So' },
    ]);
    // what the assistant has begun is gone on with
    expect(options.continueFinalMessage).toBe(true);
  });

  it('has calls, results and thoughts as the engine knows them', async () => {
    const { input } = await asked({
      tools: [TOOL],
      messages: [
        { role: 'user', content: 'Weather?' },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'I ask.', signature: 'x' },
            { type: 'text', text: 'A moment.' },
            { type: 'tool_use', id: 'a', name: 'weather', input: { at: 1 } },
            { type: 'tool_use', id: 'b', name: 'weather', input: {} },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'a', content: [{ type: 'text', text: 'Rain' }] },
            { type: 'tool_result', tool_use_id: 'b', content: 'No such place', is_error: true },
            { type: 'text', text: 'And?' },
          ],
        },
      ],
    });
    const called = (id: string, given: object) => ({
      id,
      type: 'function',
      function: { name: 'weather', arguments: given },
    });
    expect(input).toEqual([
      { role: 'user', content: 'Weather?' },
      {
        role: 'assistant',
        content: 'A moment.',
        reasoning_content: 'I ask.',
        tool_calls: [called('a', { at: 1 }), called('b', {})],
      },
      { role: 'tool', name: 'weather', tool_call_id: 'a', content: 'Rain' },
      { role: 'tool', name: 'weather', tool_call_id: 'b', content: '{"error":"No such place"}' },
      { role: 'user', content: 'And?' },
    ]);
  });

  it.each([
    [{ type: 'auto' }, 'auto'],
    [{ type: 'any' }, 'required'],
    [{ type: 'tool', name: 'weather' }, { name: 'weather' }],
    [{ type: 'none' }, 'none'],
  ])('chooses tools: %j', async (tool_choice, toolChoice) => {
    const { options } = await asked({ tools: [TOOL], tool_choice });
    expect(options.toolChoice).toEqual(toolChoice);
    expect(options.tools).toEqual([
      { name: 'weather', description: 'Tells it', parameters: { type: 'object', properties: {} } },
    ]);
  });

  it.each([
    [
      { type: 'enabled', budget_tokens: 2000 },
      { templateOptions: { enable_thinking: true }, maxThinkingTokens: 2000 },
    ],
    [{ type: 'disabled' }, { templateOptions: { enable_thinking: false }, maxThinkingTokens: 0 }],
    [{ type: 'adaptive' }, { maxThinkingTokens: undefined }],
  ])('thinks: %j', async (thinking, options) => {
    expect((await asked({ thinking })).options).toMatchObject(options);
  });

  it('holds the answer to a schema, and names what it does not heed', async () => {
    const { client, asked, responses } = open(HELLO);
    const schema = { type: 'object', properties: {} };
    await client.messages.create({
      ...ASKED,
      output_config: { format: { type: 'json_schema', schema }, effort: 'low' },
      metadata: { user_id: 'me' },
      unheard: 1,
    } as typeof ASKED);
    expect(asked[0].options.schema).toEqual(schema);
    expect(responses[0].get('x-nibble-ignored')).toBe('unheard, output_config.effort');
  });

  it('is counted without an answer', async () => {
    const { client, asked, counted } = open(HELLO);
    const { max_tokens: _, ...rest } = ASKED;
    expect(await client.messages.countTokens({ ...rest, system: 'Brief.', tools: [TOOL] })).toEqual({
      input_tokens: 7,
    });
    expect(asked).toEqual([]);
    expect(counted).toMatchObject([[[{ role: 'system', content: 'Brief.' }, { role: 'user' }], { tools: [{}] }]]);
  });

  it('is stopped by its signal, in a stream and before', async () => {
    for (const stream of [true, false]) {
      const { client, asked } = open({ parts: [text('a')], endless: true });
      const stop = new AbortController();
      const asking = client.messages.create({ ...ASKED, stream }, { signal: stop.signal });
      if (stream) {
        for await (const event of (await asking) as AsyncIterable<{ type: string }>) {
          if (event.type === 'content_block_delta') stop.abort();
        }
      } else {
        await vi.waitFor(() => expect(asked).toHaveLength(1));
        stop.abort();
        await expect(asking).rejects.toThrow(APIUserAbortError);
      }
      expect(asked[0].answer.stopped).toBe(true);
    }
  });

  it('whose stream is left stops its answer', async () => {
    const { client, asked } = open({ parts: [text('a')], endless: true });
    for await (const { type } of await client.messages.create({ ...ASKED, stream: true })) {
      if (type === 'content_block_delta') break;
    }
    await vi.waitFor(() => expect(asked[0].answer.stopped).toBe(true));
  });
});

describe('models', () => {
  it('are the one that is loaded, by its name and others', async () => {
    const { client } = open(HELLO, { aliases: ['other'] });
    expect((await client.models.list()).data).toMatchObject([{ id: 'scripted', max_input_tokens: CONTEXT }]);
    expect((await client.models.retrieve('other')).id).toBe('scripted');
    expect((await client.messages.create({ ...ASKED, model: 'other' })).model).toBe('scripted');
    await expect(client.models.retrieve('none')).rejects.toThrow(NotFoundError);
    await expect(client.messages.create({ ...ASKED, model: 'none' })).rejects.toMatchObject({
      status: 404,
      error: {
        type: 'error',
        error: { type: 'not_found_error', message: expect.stringContaining('there is scripted') },
      },
    });
    const any = open(HELLO, { model: 'own', aliases: () => true });
    expect((await any.client.messages.create({ ...ASKED, model: 'whatever' })).model).toBe('own');
  });
});

describe('a failure', () => {
  const user = (content: unknown) => ({ messages: [{ role: 'user', content }] });
  it.each<[string, object, RegExp]>([
    ['no messages', { messages: undefined }, /^messages must be a list/],
    ['none of them', { messages: [] }, /at least one/],
    ['another role', { messages: [{ role: 'tool', content: 'x' }] }, /messages\[0\]\.role must be user or assistant/],
    ['no content', { messages: [{ role: 'user' }] }, /messages\[0\]\.content must be/],
    ['an image', user([{ type: 'image', source: {} }]), /messages\[0\]\.content\[0\]\.type is "image"/],
    ['a result of nothing', user([{ type: 'tool_result', tool_use_id: 'x' }]), /tool_use_id must be the id/],
    ['a tool of the server', { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }, /no tools of its own/],
    ['a choice', { tool_choice: { type: 'perhaps' } }, /tool_choice\.type must be auto/],
    ['a thought', { thinking: { type: 'perhaps' } }, /thinking\.type must be/],
    ['a count', { max_tokens: 0 }, /max_tokens must be a whole number/],
    ['a kind', { temperature: 'hot' }, /temperature must be a number/],
    ['a format', { output_config: { format: { type: 'xml' } } }, /format\.type must be json_schema/],
    ['empty stops', { stop_sequences: [''] }, /stop_sequences must be/],
  ])('of a request with %s is an error of the client', async (_, more, message) => {
    const { client, asked } = open(HELLO);
    const error = await client.messages.create({ ...ASKED, ...more } as typeof ASKED).catch((error) => error);
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error.error).toEqual({
      type: 'error',
      error: { type: 'invalid_request_error', message: expect.stringMatching(message) },
    });
    expect(asked).toEqual([]);
  });

  it('of the engine has a status before the stream, and is its last event within', async () => {
    const error = new NibbleError('context-overflow', 'It is too long.', {});
    const early = open({ parts: [], error });
    await expect(early.client.messages.create({ ...ASKED, stream: true })).rejects.toMatchObject({ status: 400 });
    const late = open({ parts: [text('a')], error: new NibbleError('device-lost', 'It is gone.', {}) });
    const events = listed(await late.client.messages.create({ ...ASKED, stream: true }));
    await expect(events).rejects.toThrow(/It is gone/);
  });

  it.each([
    ['POST', '/messages/batches', 404, 'not_found_error'],
    ['GET', '/messages', 405, 'invalid_request_error'],
    ['POST', '/models', 405, 'invalid_request_error'],
    ['POST', '/messages', 400, 'invalid_request_error'],
  ])('of %s %s is told in its form', async (method, path, status, type) => {
    const { fetch } = open(HELLO);
    const response = await fetch(`http://x/v1${path}`, { method, ...(method === 'POST' && { body: '{' }) });
    expect([response.status, await response.json()]).toMatchObject([status, { type: 'error', error: { type } }]);
  });
});
