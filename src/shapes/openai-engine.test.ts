/** OpenAI's own client on a real engine and a tiny model: what is asked is what is computed. */
import { readFileSync } from 'node:fs';
import OpenAI, { APIUserAbortError, BadRequestError } from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../engine';
import { type AskedEngine, createFetch } from './openai';
import { CHAT_MODEL, EMBEDDER, tinyEngine } from './test/tiny-engine';

const [chat] = JSON.parse(readFileSync(`${CHAT_MODEL}/chat.json`, 'utf8'));

const model = 'tiny';
const clientOf = (engine: AskedEngine, parallel?: number) =>
  new OpenAI({ fetch: createFetch(engine, { model, parallel }), apiKey: 'none' });

describe('a model that chats', () => {
  let engine: Engine;
  let client: OpenAI;
  beforeAll(async () => {
    engine = await tinyEngine();
    client = clientOf(engine);
  });
  afterAll(() => engine.dispose());

  const asked = { model, messages: chat.messages, max_tokens: 8 };

  it('gives the greedy text in every way to ask', async () => {
    const text = await engine.detokenize(chat.greedy.slice(0, 8));
    const { choices, usage } = await client.chat.completions.create(asked);
    expect(choices[0]).toMatchObject({ message: { content: text }, finish_reason: 'length' });
    expect(usage).toMatchObject({ prompt_tokens: chat.ids.length, completion_tokens: 8 });
    const again = await client.chat.completions.stream({ ...asked, logprobs: true }).finalChatCompletion();
    expect(again.choices[0].message.content).toBe(text);
    const bytes = again.choices[0].logprobs?.content?.flatMap((token) => token.bytes ?? []);
    expect(text.startsWith(new TextDecoder().decode(Uint8Array.from(bytes!)))).toBe(true);
    expect(bytes!.length).toBeGreaterThan(6);
    const { usage: cached } = await client.chat.completions.create(asked);
    expect(cached?.prompt_tokens_details?.cached_tokens).toBe(chat.ids.length - 1);
    const completion = await client.completions.create({ model, prompt: chat.ids, max_tokens: 8 });
    expect(completion.choices[0].text).toBe(text);
    const response = await client.responses.create({ model, input: chat.messages, max_output_tokens: 16 });
    expect(response.output_text.startsWith(text)).toBe(true);
  });

  it('draws n answers by their seeds', async () => {
    const given = { ...asked, n: 2, seed: 5, temperature: 1 };
    const texts = async () =>
      (await client.chat.completions.create(given)).choices.map(({ message }) => message.content);
    const first = await texts();
    expect(await texts()).toEqual(first);
    expect(new Set(first).size).toBe(2);
  });

  it('answers several requests at once where it may, each as alone', async () => {
    const own = clientOf(engine, 3);
    const questions = ['Hello there', 'Who are you?', 'Once upon a time', 'Why?'];
    const given = questions.map((content) => ({
      model,
      messages: [{ role: 'user' as const, content }],
      max_tokens: 80,
    }));
    const order: number[] = [];
    const listen = async (one: (typeof given)[number], place: number) => {
      let said = '';
      for await (const { choices } of await own.chat.completions.create({ ...one, stream: true })) {
        order.push(place);
        said += choices[0].delta.content ?? '';
      }
      return said;
    };
    const together = await Promise.all(given.map(listen));
    // the second one did not wait for the first
    expect(order.indexOf(1)).toBeLessThan(order.lastIndexOf(0));
    for (const [place, one] of given.entries()) {
      const { choices } = await client.chat.completions.create(one);
      expect(together[place]).toBe(choices[0].message.content);
    }
  });

  it('is held to a schema, and to any JSON', async () => {
    const schema = {
      type: 'object',
      properties: { a: { enum: ['x', 'y'] } },
      required: ['a'],
      additionalProperties: false,
    };
    const format = { type: 'json_schema' as const, json_schema: { name: 'one', strict: true, schema } };
    const { choices } = await client.chat.completions.parse({ ...asked, max_tokens: 40, response_format: format });
    expect(choices[0].message.parsed).toEqual({ a: expect.stringMatching(/^[xy]$/) });
    const any = { ...asked, max_tokens: 40, response_format: { type: 'json_object' as const } };
    const { choices: free } = await client.chat.completions.create(any);
    expect(free[0].finish_reason).toBe('stop');
    expect(JSON.parse(free[0].message.content!)).toBeTypeOf('object');
  });

  it('calls a tool where it must, with log-probabilities beside it', async () => {
    const parameters = { type: 'object', properties: { town: { enum: ['Bern', 'Oslo'] } }, required: ['town'] };
    const tools = [{ type: 'function' as const, function: { name: 'weather', parameters } }];
    const given = { ...asked, max_tokens: 150, tools, tool_choice: 'required' as const };
    const { choices } = await client.chat.completions.stream(given).finalChatCompletion();
    expect(choices[0].finish_reason).toBe('tool_calls');
    const [call] = choices[0].message.tool_calls!;
    expect(JSON.parse(call.type === 'function' ? call.function.arguments : '')).toEqual({
      town: expect.stringMatching(/^(Bern|Oslo)$/),
    });
    const messages = [...chat.messages, choices[0].message, { role: 'tool', tool_call_id: call.id, content: 'sunny' }];
    const next = { ...asked, messages, tools, tool_choice: 'none' as const, logprobs: true };
    const { choices: answered } = await client.chat.completions.create(next);
    expect(answered[0].logprobs?.content).not.toHaveLength(0);
  });

  it('tells how likely a text is, without an answer', async () => {
    const { choices } = await client.completions.create({
      model,
      prompt: 'Hello',
      echo: true,
      logprobs: 0,
      max_tokens: 0,
    });
    const [{ logProbs }] = await engine.score(['Hello']);
    expect(choices[0].text).toBe('Hello');
    expect(choices[0].logprobs?.token_logprobs?.slice(1)).toEqual([...logProbs]);
    expect(choices[0].logprobs?.tokens?.join('')).toMatch(/Hello$/);
  });

  it('hands a stop to the engine at once, and answers the next', async () => {
    const asking: { signal?: AbortSignal; result: Promise<{ finish: string }> }[] = [];
    const chatting: Engine['chat'] = (messages, options) => {
      const answer = engine.chat(messages, options);
      asking.push({ signal: options?.signal, result: answer.result });
      return answer;
    };
    const own = clientOf({ chat: chatting, info: () => engine.info() } as AskedEngine);
    const stop = new AbortController();
    const long = { ...asked, max_tokens: 400, ignore_eos: true };
    const stream = await own.chat.completions.create({ ...long, stream: true }, { signal: stop.signal });
    for await (const { choices } of stream) {
      if (!choices[0].delta.content) continue;
      stop.abort();
      expect(asking[0].signal?.aborted).toBe(true);
    }
    expect((await asking[0].result).finish).toBe('aborted');
    const whole = own.chat.completions.create(long, { signal: AbortSignal.timeout(20) });
    await expect(whole).rejects.toBeInstanceOf(APIUserAbortError);
    expect((await asking[1].result).finish).toBe('aborted');
    expect((await own.chat.completions.create(asked)).choices[0].finish_reason).toBe('length');
  });

  it('refuses what it cannot do, in the engine’s words', async () => {
    const refused = async (more: object) => {
      const error = await client.chat.completions.create({ ...asked, ...more }).catch((thrown) => thrown);
      expect(error).toBeInstanceOf(BadRequestError);
      return error;
    };
    expect(await refused({ temperature: -1 })).toMatchObject({ code: 'invalid_value', param: 'temperature' });
    expect(
      await refused({ response_format: { type: 'json_schema', json_schema: { schema: { uniqueItems: true } } } }),
    ).toMatchObject({ param: 'response_format' });
    const image = [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] }];
    expect((await refused({ messages: image })).message).toContain('image_url');
    const long = (length: number) => [{ role: 'user', content: 'ab '.repeat(length / 3) }];
    expect(await refused({ messages: long(1e5) })).toMatchObject({ code: 'context_length_exceeded' });
    expect((await refused({ messages: long(10.5e6) })).message).toContain('10500000 characters');
    const embedded = client.embeddings.create({ model, input: 'a' });
    expect((await embedded).data[0].embedding.length).toBe(128);
  });
});

describe('a model that embeds', () => {
  it('gives the engine’s own vectors, shorter ones too', async () => {
    const engine = await tinyEngine(EMBEDDER);
    const client = clientOf(engine);
    const input = ['a b', 'c'];
    const { embeddings, tokens } = await engine.embed(input);
    const { data, usage } = await client.embeddings.create({ model, input });
    expect(data.map(({ embedding }) => embedding)).toEqual(embeddings.map((vector) => [...vector]));
    expect(usage.prompt_tokens).toBe(tokens);
    const short = await client.embeddings.create({ model, input, dimensions: 8, encoding_format: 'float' });
    expect(short.data[1].embedding).toHaveLength(8);
    engine.dispose();
  });
});
