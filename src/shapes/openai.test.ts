/**
 * The fetch as such: which model is asked, what goes wrong in OpenAI's form, bodies and addresses of every kind, abort.
 */
import OpenAI, { APIUserAbortError, BadRequestError, InternalServerError, NotFoundError } from 'openai';
import { describe, expect, it } from 'vitest';
import { NibbleError } from '../errors';
import { ASKED, HELLO, open } from './test/openai-client';
import { type Scripted, text } from './test/scripted-engine';

describe('/models', () => {
  it('has the loaded one', async () => {
    const { client } = open(HELLO, { model: 'org/name' });
    expect((await client.models.list()).data).toMatchObject([{ id: 'org/name', object: 'model', owned_by: 'nibble' }]);
    expect(await client.models.retrieve('org/name')).toMatchObject({ id: 'org/name' });
    await expect(client.models.retrieve('other')).rejects.toBeInstanceOf(NotFoundError);
  });

  it('has no others, unless names are given that mean it', async () => {
    const other = { ...ASKED, model: 'gpt-5' };
    const error = await open(HELLO)
      .client.chat.completions.create(other)
      .catch((thrown) => thrown);
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ code: 'model_not_found', param: 'model', type: 'invalid_request_error' });
    expect(error.message).toContain('"scripted" is');
    for (const aliases of [['gpt-5'], (name: string) => name.startsWith('gpt')]) {
      expect(await open(HELLO, { aliases }).client.chat.completions.create(other)).toMatchObject({ model: 'scripted' });
    }
  });
});

describe('what goes wrong', () => {
  const failing = (code: ConstructorParameters<typeof NibbleError>[0], details = {}): Scripted => ({
    parts: [],
    error: new NibbleError(code, 'A sentence.', details),
  });

  it.each([
    ['invalid-option', { option: 'topP' }, BadRequestError, 400, 'invalid_value', 'top_p'],
    ['context-overflow', {}, BadRequestError, 400, 'context_length_exceeded', null],
    ['out-of-memory', {}, InternalServerError, 503, 'out_of_memory', null],
    ['disposed', {}, InternalServerError, 503, 'disposed', null],
    ['corrupt-checkpoint', {}, InternalServerError, 500, 'corrupt_checkpoint', null],
  ] as const)('%s is told by its status, streamed or not', async (code, details, kind, status, name, param) => {
    const { client, asked } = open(failing(code, details));
    for (const stream of [false, true]) {
      const error = await client.chat.completions.create({ ...ASKED, stream }).catch((thrown) => thrown);
      expect(error).toBeInstanceOf(kind);
      expect(error).toMatchObject({ status, code: name, param });
      expect(error.message).toBe(`${status} A sentence.`);
    }
    // the client does not try again what cannot go better
    expect(asked).toHaveLength(2);
  });

  it('is tried again by the client where the engine has recovered', async () => {
    const { fetch, asked } = open([failing('device-lost'), HELLO]);
    const client = new OpenAI({ fetch, apiKey: 'none' });
    expect((await client.chat.completions.create(ASKED)).choices[0].message.content).toBe('Hello!');
    expect(asked).toHaveLength(2);
  });

  it('in the middle of a stream is an event of it', async () => {
    const { client, responses } = open({ parts: [text('Hel')], error: new NibbleError('device-lost', 'It is gone.') });
    const stream = await client.chat.completions.create({ ...ASKED, stream: true });
    const said: string[] = [];
    const read = async () => {
      for await (const { choices } of stream) said.push(choices[0].delta.content ?? '');
    };
    await expect(read()).rejects.toMatchObject({ message: 'It is gone.', code: 'device_lost' });
    expect(said.join('')).toBe('Hel');
    expect(await responses[0].text()).toMatch(/data: \[DONE\]\n\n$/);
  });

  it.each<[string, RequestInit['body'] | undefined, string | null]>([
    ['no JSON', '{"model": ', null],
    ['nothing', undefined, null],
    ['a list', '[]', null],
    ['no messages', '{}', 'messages'],
    ['messages that are none', '{"messages":"Hi"}', 'messages'],
    ['a temperature that is a text', '{"messages":[{}],"temperature":"hot"}', 'temperature'],
    ['a limit of none', '{"messages":[{}],"max_tokens":0}', 'max_tokens'],
    ['too many answers', '{"messages":[{}],"n":129}', 'n'],
    ['alternatives without log-probabilities', '{"messages":[{}],"top_logprobs":2}', 'top_logprobs'],
    ['a form that there is not', '{"messages":[{}],"response_format":{"type":"xml"}}', 'response_format.type'],
    [
      'a schema that is none',
      '{"messages":[{}],"response_format":{"type":"json_schema","json_schema":{}}}',
      'response_format.json_schema.schema',
    ],
    ['a tool of another kind', '{"messages":[{}],"tools":[{"type":"custom"}]}', 'tools[0].type'],
    [
      'a tool without a name',
      '{"messages":[{}],"tools":[{"type":"function","function":{}}]}',
      'tools[0].function.name',
    ],
    ['a choice that is none', '{"messages":[{}],"tool_choice":"any"}', 'tool_choice'],
    ['an empty stop', '{"messages":[{}],"stop":[""]}', 'stop'],
  ])('%s is refused', async (_, body, param) => {
    const { fetch, asked } = open(HELLO);
    const response = await fetch('/v1/chat/completions', { method: 'POST', body });
    expect(response.status).toBe(400);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect((await response.json()).error).toMatchObject({ type: 'invalid_request_error', param });
    expect(asked).toEqual([]);
  });

  it.each([
    ['GET', '/', 404, 'unknown_url'],
    ['GET', '/v1/files', 404, 'unknown_url'],
    ['GET', '/v1/responses/resp_1', 404, 'unknown_url'],
    ['POST', '/v1/models', 404, 'unknown_url'],
    ['GET', '/v1/chat/completions', 405, 'method_not_allowed'],
    ['GET', '/v1/models/%', 400, 'invalid_value'],
    ['GET', '/v1/models/%3Cb%3E', 404, 'model_not_found'],
  ])('%s %s is %i and never HTML', async (method, path, status, code) => {
    const response = await open(HELLO).fetch(`http://host.invalid${path}`, { method });
    expect([response.status, response.headers.get('content-type')]).toEqual([status, 'application/json']);
    expect((await response.json()).error).toMatchObject({ code });
  });

  it('does not stumble over what it does not know: a header names it', async () => {
    const { client, responses } = open(HELLO);
    const more = {
      user: 'me',
      store: null,
      'ü\n': 1,
      modalities: ['text'],
      stream_options: { include_obfuscation: false },
    };
    await client.chat.completions.create({ ...ASKED, ...(more as object) });
    const [{ headers }] = responses;
    expect(headers.get('x-nibble-ignored')).toBe('user, %C3%BC%0A, modalities, stream_options.include_obfuscation');
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`field${i}`, 1]));
    await client.chat.completions.create({ ...ASKED, ...many });
    expect(responses[1].headers.get('x-nibble-ignored')).toMatch(/^field0, .{992}\.\.\.$/);
  });

  it('takes 10 MB', async () => {
    const { client, asked } = open(HELLO);
    const content = 'ab '.repeat(3.5e6);
    await client.chat.completions.create({ ...ASKED, messages: [{ role: 'user', content }] });
    expect(asked[0].input).toEqual([{ role: 'user', content }]);
  });

  it('reads bodies of every kind', async () => {
    const { fetch } = open(HELLO);
    const body = JSON.stringify(ASKED);
    const bytes = new TextEncoder().encode(body);
    for (const given of [bytes, bytes.buffer, new Blob([body]), new Blob([body]).stream()]) {
      const response = await fetch(new URL('http://host.invalid/chat/completions'), { method: 'post', body: given });
      expect((await response.json()).choices[0].message.content).toBe('Hello!');
    }
    const request = new Request('http://host.invalid/chat/completions/', { method: 'POST', body });
    expect((await fetch(request)).status).toBe(200);
  });
});

describe('abort', () => {
  const ENDLESS: Scripted = { parts: [text('Hel')], endless: true };

  it('of a whole answer', async () => {
    const { client, asked } = open(ENDLESS);
    const stop = new AbortController();
    const answer = client.chat.completions.create(ASKED, { signal: stop.signal });
    setTimeout(() => stop.abort(), 10);
    await expect(answer).rejects.toBeInstanceOf(APIUserAbortError);
    expect(asked[0].answer.stopped).toBe(true);
  });

  it('of a stream: by its signal, by who leaves it, and by who cancels its body', async () => {
    const { client, asked, fetch } = open(ENDLESS);
    const stop = new AbortController();
    const stream = await client.chat.completions.create({ ...ASKED, stream: true }, { signal: stop.signal });
    for await (const { choices } of stream) if (choices[0].delta.content) stop.abort();
    expect(asked[0].answer.stopped).toBe(true);

    for await (const _ of await client.chat.completions.create({ ...ASKED, stream: true })) break;
    expect(asked[1].answer.stopped).toBe(true);

    const init = { method: 'POST', body: JSON.stringify({ ...ASKED, stream: true }) };
    const { body } = await fetch('/chat/completions', init);
    await body!.cancel();
    expect(asked[2].answer.stopped).toBe(true);
  });

  it('before anything was asked', async () => {
    const { fetch, asked } = open(ENDLESS);
    const init = { method: 'POST', body: JSON.stringify(ASKED), signal: AbortSignal.abort(new Error('Not now')) };
    await expect(fetch('/chat/completions', init)).rejects.toThrow('Not now');
    await expect(fetch(new Request('http://host.invalid/chat/completions', init))).rejects.toThrow('Not now');
    expect(asked).toEqual([]);
  });
});
