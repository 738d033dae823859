/** Texts that OpenAI's own client has continued, and vectors of them. */
import { describe, expect, it } from 'vitest';
import { HELLO, listed, open, token, USAGE } from '../test/openai-client';
import { type Scripted, text } from '../test/scripted-engine';

describe('/completions', () => {
  const asked = { model: 'scripted', prompt: 'Once' };

  it('continues texts and ids, n times each', async () => {
    const script = ['a', 'b', 'c', 'd'].map((letter): Scripted => ({ parts: [text(letter)] }));
    const { client, asked: got } = open(script);
    const { choices, usage } = await client.completions.create({ ...asked, prompt: ['x', 'y'], n: 2, max_tokens: 3 });
    expect(choices.map(({ index, text }) => [index, text])).toEqual([
      [0, 'a'],
      [1, 'b'],
      [2, 'c'],
      [3, 'd'],
    ]);
    expect(got.map(({ input }) => input)).toEqual(['x', 'x', 'y', 'y']);
    expect(got[0].options.maxNewTokens).toBe(3);
    expect(usage).toMatchObject({ prompt_tokens: 14, completion_tokens: 4 });
    await client.completions.create({ ...asked, prompt: [1, 2] });
    await client.completions.create({ ...asked, prompt: [[1], [2, 3]] });
    expect(got.slice(4).map(({ input }) => input)).toEqual([[1, 2], [1], [2, 3]]);
  });

  it('streams, with the prompt told again', async () => {
    const { client, responses } = open({ parts: [text(' upon'), text(' a')], result: { finish: 'length' } });
    const stream = await client.completions.create({
      ...asked,
      echo: true,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await listed(stream);
    expect(chunks.map(({ choices }) => choices[0]?.text)).toEqual(['Once', ' upon', ' a', '', undefined]);
    expect(chunks.map(({ choices }) => choices[0]?.finish_reason)).toEqual([null, null, null, 'length', undefined]);
    expect(chunks.at(-1)?.usage).toEqual(USAGE);
    expect(await responses[0].text()).toMatch(/data: \[DONE\]\n\n$/);
  });

  it('tells how likely tokens are, the prompt’s too', async () => {
    const { client } = open({ parts: [text(' x', [token(' x', -1, [[' y', -2]])])] });
    const given = { ...asked, prompt: [4, 5], echo: true, logprobs: 1 };
    const { choices } = await client.completions.create(given);
    expect(choices[0]).toMatchObject({
      text: ' w4 w5 x',
      logprobs: {
        tokens: [' w4', ' w5', ' x'],
        token_logprobs: [null, -5, -1],
        top_logprobs: [null, null, { ' x': -1, ' y': -2 }],
        text_offset: [0, 3, 6],
      },
    });
    const scored = open(HELLO);
    const only = await scored.client.completions.create({ ...given, max_tokens: 0 });
    expect(only).toMatchObject({
      choices: [{ text: ' w4 w5', finish_reason: 'length', logprobs: { token_logprobs: [null, -5] } }],
      usage: { prompt_tokens: 2, completion_tokens: 0 },
    });
    const stream = await scored.client.completions.create({ ...given, max_tokens: 0, stream: true });
    expect((await listed(stream)).map(({ choices }) => choices[0].text)).toEqual([' w4 w5', '']);
    expect(scored.asked).toEqual([]);
  });
});

describe('/embeddings', () => {
  it('gives vectors as numbers and as the client’s own default, base64', async () => {
    const { client, responses } = open(HELLO);
    const given = { model: 'scripted', input: ['a', 'b c'] };
    const plain = await client.embeddings.create({ ...given, encoding_format: 'float' });
    const packed = await client.embeddings.create(given);
    expect(plain.data.map(({ embedding }) => embedding[1])).toEqual([Math.fround(4 / 3), Math.fround(10 / 3)]);
    expect(packed.data).toEqual(plain.data);
    expect(JSON.parse(await responses[1].text()).data[0].embedding).toBe('AACAP6uqqj9VVdU/');
    expect(packed.usage).toEqual({ prompt_tokens: 3, total_tokens: 3 });
    const one = await client.embeddings.create({ model: 'scripted', input: [1, 2], dimensions: 2 });
    expect(one.data.map(({ embedding }) => embedding.length)).toEqual([2]);
    await expect(client.embeddings.create({ model: 'scripted', input: [] })).rejects.toMatchObject({ param: 'input' });
  });
});
