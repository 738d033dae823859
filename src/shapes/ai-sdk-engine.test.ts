/** The AI SDK on real engines. A tiny model writes nothing of use: what it has made is given, and it goes on there. */
import { readFileSync } from 'node:fs';
import { embedMany, generateText, isStepCount, jsonSchema, Output, rerank, streamText, tool } from 'ai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../index';
import { createNibble, type NibbleProvider } from './ai-sdk';
import { tinyEngine } from './test/tiny-engine';

const EMBEDDINGS = 'reference/fixtures/embeddings';
const expected = (name: string) => JSON.parse(readFileSync(`${EMBEDDINGS}/${name}/expected.json`, 'utf8'));
const SCHEMA = { type: 'object', properties: { town: { enum: ['Bern', 'Oslo'] } }, required: ['town'] } as const;
const schema = jsonSchema<{ town: string }>({
  $schema: 'http://json-schema.org/draft-07/schema#',
  ...SCHEMA,
  additionalProperties: false,
});

describe('a chat model', () => {
  let engine: Engine;
  let nibble: NibbleProvider;
  beforeAll(async () => {
    engine = await tinyEngine(undefined, { max_position_embeddings: 2048 });
    nibble = createNibble({ engine });
  });
  afterAll(() => engine.dispose());

  it('says what chat() says, whole and streamed, and tells what was in the cache', async () => {
    const messages = [{ role: 'user', content: 'Tell me of the sea.' }] as const;
    const { text, stats } = await engine.chat(messages, { maxNewTokens: 12, temperature: 0 }).result;
    const settings = { model: nibble(), prompt: messages[0].content, maxOutputTokens: 12, temperature: 0 };
    const whole = await generateText(settings);
    expect([whole.text, whole.finishReason, whole.response.modelId]).toEqual([text, 'length', 'tiny']);
    const { inputTokens, inputTokenDetails, outputTokens } = whole.usage;
    expect([inputTokens, outputTokens]).toEqual([stats.promptTokens, stats.newTokens]);
    expect(inputTokenDetails.cacheReadTokens).toBeGreaterThan(stats.promptTokens / 2);
    const streamed = streamText(settings);
    const pieces: string[] = [];
    for await (const piece of streamed.textStream) pieces.push(piece);
    expect([pieces.join(''), pieces.length > 2]).toEqual([text, true]);
  });

  it('is held to a schema, and to JSON without one', async () => {
    const settings = { model: nibble(), prompt: 'Where?', maxOutputTokens: 60 };
    const { output } = await generateText({ ...settings, output: Output.object({ schema }) });
    expect(['Bern', 'Oslo']).toContain(output.town);
    const any = await generateText({ ...settings, output: Output.json(), maxOutputTokens: 40 });
    expect(() => JSON.parse(any.text)).not.toThrow();
    const refused = generateText({
      ...settings,
      output: Output.object({ schema: jsonSchema({ type: 'array', uniqueItems: true, items: {} }) }),
    });
    await expect(refused).rejects.toMatchObject({ code: 'invalid-option' });
  });

  it('is forced to a call, which the SDK makes, and reads what came of it', async () => {
    const made: unknown[] = [];
    const sky = tool({
      description: 'Weather',
      inputSchema: schema,
      execute: async (given) => {
        made.push(given);
        return 'clear';
      },
    });
    const { steps } = await generateText({
      model: nibble(),
      prompt: 'Weather?',
      tools: { sky },
      prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? 'required' : 'none' }),
      stopWhen: isStepCount(2),
      maxOutputTokens: 60,
    });
    expect(made).toEqual([{ town: expect.stringMatching(/Bern|Oslo/) }]);
    expect(steps.map(({ finishReason }) => finishReason)[0]).toBe('tool-calls');
    expect(steps[1].usage.inputTokens).toBeGreaterThan(0);
  });

  it('streams the calls that it made', async () => {
    const call = '{"tool_call": {"name": "sky", "arguments": {"town": "Bern"}}}';
    const end = await engine.tokenize('<|im_end|>', { special: true });
    const nibbleOptions = { made: [...(await engine.tokenize(call)), ...end] };
    const streamed = streamText({
      model: nibble(),
      prompt: 'Weather?',
      tools: { sky: tool({ inputSchema: schema }) },
      providerOptions: { nibble: nibbleOptions },
      maxOutputTokens: 200,
    });
    let input = '';
    for await (const part of streamed.stream) if (part.type === 'tool-input-delta') input += part.delta;
    expect(JSON.parse(input)).toEqual({ town: 'Bern' });
    expect((await streamed.toolCalls).map(({ input }) => input)).toEqual([{ town: 'Bern' }]);
    expect(await streamed.finishReason).toBe('tool-calls');
  });

  it('is stopped, and answers again', async () => {
    const aborting = new AbortController();
    const settings = { model: nibble(), prompt: 'Tell me all.', providerOptions: { nibble: { ignoreEos: true } } };
    const streamed = streamText({ ...settings, maxOutputTokens: 1500, abortSignal: aborting.signal });
    const types: string[] = [];
    for await (const { type } of streamed.stream) {
      types.push(type);
      if (type === 'text-delta') aborting.abort();
    }
    expect(types.at(-1)).toBe('abort');
    const { usage } = await generateText({ ...settings, maxOutputTokens: 3 });
    expect(usage.outputTokens).toBe(3);
  });
});

it('embeds as sentence-transformers does', async () => {
  const engine = await tinyEngine(`${EMBEDDINGS}/qwen3-embedding`, {}, { weights: 'f32', kv: 'f32' });
  const { given, texts, vectors } = expected('qwen3-embedding').cases[0];
  const options = { providerOptions: { nibble: given } };
  const model = createNibble({ engine }).embeddingModel();
  const { embeddings, usage } = await embedMany({ model, values: texts, ...options });
  expect(usage.tokens).toBeGreaterThan(texts.length);
  embeddings.forEach((vector, i) => {
    expect(vector).toHaveLength(vectors[i].length);
    for (const [j, value] of vector.entries()) expect(value).toBeCloseTo(vectors[i][j], 3);
  });
  engine.dispose();
});

it('ranks as transformers does', async () => {
  const engine = await tinyEngine(`${EMBEDDINGS}/qwen3-reranker`, {}, { weights: 'f32', kv: 'f32' });
  const { query, documents, scores } = expected('qwen3-reranker').rerank[0];
  const model = createNibble({ engine }).rerankingModel();
  const { ranking } = await rerank({ model, query, documents });
  const best = [...scores.keys()].sort((a, b) => scores[b] - scores[a]);
  expect(ranking.map(({ originalIndex }) => originalIndex)).toEqual(best);
  for (const { originalIndex, score } of ranking) expect(score).toBeCloseTo(scores[originalIndex], 3);
  engine.dispose();
});
