/** The provider under the real AI SDK, on answers written beforehand. */
import type { EmbeddingModelV4, LanguageModelV4, ProviderV4, RerankingModelV4 } from '@ai-sdk/provider';
import { NoSuchModelError, UnsupportedFunctionalityError } from '@ai-sdk/provider';
import {
  createProviderRegistry,
  embedMany,
  generateObject,
  generateText,
  isStepCount,
  jsonSchema,
  Output,
  rerank,
  streamObject,
  streamText,
  tool,
} from 'ai';
import { describe, expect, it, vi } from 'vitest';
import { type AnswerPart, type Engine, NibbleError } from '../index';
import { createNibble, type NibbleProvider } from './ai-sdk';
import { scriptedEngine } from './test/scripted-chat';

// as the SDK's own types say
const provider = (engine: Engine): NibbleProvider & ProviderV4 => createNibble({ engine });
const models = (nibble: NibbleProvider): [LanguageModelV4, EmbeddingModelV4, RerankingModelV4] => [
  nibble(),
  nibble.embeddingModel(),
  nibble.rerankingModel(),
];

const text = (text: string): AnswerPart => ({ type: 'text', text });
const thought = (text: string): AnswerPart => ({ type: 'reasoning', text });
const WHOLE = { id: 'c1', name: 'sky', arguments: { town: 'Bern' }, text: 'as written' };
const CALL: AnswerPart[] = [
  { type: 'tool-call', text: '', call: { index: 0, id: 'c1', name: 'sky' } },
  { type: 'tool-call', text: '{"town": ', call: { index: 0, id: 'c1', name: 'sky' } },
  { type: 'tool-call', text: '"Bern"}', call: { index: 0, id: 'c1', name: 'sky', whole: WHOLE } },
];
const SCHEMA = { type: 'object', properties: { town: { type: 'string' } }, required: ['town'] } as const;
const sky = tool({
  description: 'Weather',
  inputSchema: jsonSchema<{ town: string }>(SCHEMA),
  execute: async ({ town }) => ({ town, sky: 'clear' }),
});

async function all<T>(stream: ReadableStream<T>): Promise<T[]> {
  const parts: T[] = [];
  for await (const part of stream as unknown as AsyncIterable<T>) parts.push(part);
  return parts;
}

describe('a language model', () => {
  it('streams the exact parts: thought, text, a call, the end', async () => {
    const { engine } = scriptedEngine({ parts: [thought('We'), thought('ll.'), text('Hi'), text('!'), ...CALL] });
    const [model] = models(provider(engine));
    const { stream } = await model.doStream({ prompt: [{ role: 'user', content: [{ type: 'text', text: 'Hi?' }] }] });
    expect(await all(stream)).toEqual([
      { type: 'stream-start', warnings: [] },
      { type: 'response-metadata', timestamp: expect.any(Date), modelId: 'scripted' },
      { type: 'reasoning-start', id: '0' },
      { type: 'reasoning-delta', id: '0', delta: 'We' },
      { type: 'reasoning-delta', id: '0', delta: 'll.' },
      { type: 'reasoning-end', id: '0' },
      { type: 'text-start', id: '1' },
      { type: 'text-delta', id: '1', delta: 'Hi' },
      { type: 'text-delta', id: '1', delta: '!' },
      { type: 'text-end', id: '1' },
      { type: 'tool-input-start', id: 'c1', toolName: 'sky' },
      { type: 'tool-input-delta', id: 'c1', delta: '{"town": ' },
      { type: 'tool-input-delta', id: 'c1', delta: '"Bern"}' },
      { type: 'tool-input-end', id: 'c1' },
      { type: 'tool-call', toolCallId: 'c1', toolName: 'sky', input: '{"town":"Bern"}' },
      {
        type: 'finish',
        finishReason: { unified: 'tool-calls', raw: 'tool-calls' },
        usage: {
          inputTokens: { total: 10, noCache: 6, cacheRead: 4, cacheWrite: undefined },
          outputTokens: { total: 3, text: undefined, reasoning: undefined },
        },
        providerMetadata: { nibble: { note: null, stats: expect.objectContaining({ newTokens: 3 }) } },
      },
    ]);
  });

  it('has the SDK run its tools, and is told what they said', async () => {
    const script = scriptedEngine({ parts: [thought('Hm.'), ...CALL] }, { parts: [text('Clear.')] });
    const result = await generateText({
      model: provider(script.engine)(),
      instructions: 'Be brief.',
      prompt: 'Weather?',
      tools: { sky },
      stopWhen: isStepCount(3),
    });
    expect([result.text, result.finishReason, result.steps.length]).toEqual(['Clear.', 'stop', 2]);
    expect(result.steps[0].reasoningText).toBe('Hm.');
    expect(result.steps[1].usage).toMatchObject({
      inputTokens: 10,
      inputTokenDetails: { noCacheTokens: 6, cacheReadTokens: 4 },
      outputTokens: 3,
      outputTokenDetails: { textTokens: 3, reasoningTokens: 0 },
    });
    expect(script.asked[0].options).toMatchObject({
      tools: [{ type: 'function', function: { name: 'sky', description: 'Weather', parameters: SCHEMA } }],
      toolChoice: 'auto',
    });
    expect(script.asked[1].messages).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Weather?' },
      {
        role: 'assistant',
        content: '',
        reasoning_content: 'Hm.',
        tool_calls: [{ id: 'c1', type: 'function', function: { name: 'sky', arguments: { town: 'Bern' } } }],
      },
      { role: 'tool', name: 'sky', tool_call_id: 'c1', content: '{"town":"Bern","sky":"clear"}' },
    ]);
  });

  it('streams text, thought and calls through streamText', async () => {
    const script = scriptedEngine({ parts: [thought('Hm.'), ...CALL] }, { parts: [text('Cl'), text('ear.')] });
    const result = streamText({
      model: provider(script.engine)(),
      prompt: 'Weather?',
      tools: { sky },
      prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? { type: 'tool', toolName: 'sky' } : 'auto' }),
      stopWhen: isStepCount(2),
    });
    const types: string[] = [];
    for await (const { type } of result.stream) types.push(type);
    expect(types).toEqual(expect.arrayContaining(['reasoning-delta', 'tool-call', 'tool-result', 'text-delta']));
    expect([await result.text, await result.finishReason]).toEqual(['Clear.', 'stop']);
    expect(script.asked.map(({ options }) => options.toolChoice)).toEqual([{ name: 'sky' }, 'auto']);
  });

  it('tells a tool that fails, is denied, or answers in parts', async () => {
    const script = scriptedEngine({ parts: [text('So.')] });
    const [model] = models(provider(script.engine));
    const result = (output: object) => ({ type: 'tool-result', toolCallId: 'c1', toolName: 'sky', output }) as never;
    await model.doGenerate({
      prompt: [
        {
          role: 'tool',
          content: [
            result({ type: 'error-text', value: 'No.' }),
            result({ type: 'error-json', value: { code: 1 } }),
            result({ type: 'execution-denied' }),
            result({
              type: 'content',
              value: [
                { type: 'text', text: 'a' },
                { type: 'text', text: 'b' },
              ],
            }),
          ],
        },
      ],
    });
    expect(script.asked[0].messages.map(({ content }) => content)).toEqual([
      '{"error":"No."}',
      '{"error":{"code":1}}',
      '{"error":"The call was denied."}',
      'a\nb',
    ]);
  });

  it('hands on what is set, and warns of what is not heeded', async () => {
    const script = scriptedEngine({ parts: [text('So.')] });
    const settings = { maxOutputTokens: 9, temperature: 0.5, topP: 0.9, topK: 7, seed: 3, stopSequences: ['.'] };
    const { warnings } = await generateText({
      model: provider(script.engine)(),
      prompt: 'Hi?',
      ...settings,
      presencePenalty: 0.1,
      frequencyPenalty: 0.2,
      reasoning: 'none',
      providerOptions: { nibble: { minP: 0.1, templateOptions: { custom: 1 } }, other: { a: 1 } },
      tools: {
        sky: tool({
          inputSchema: jsonSchema<{ town: string }>(SCHEMA),
          strict: true,
          inputExamples: [{ input: { town: 'Oslo' } }],
        }),
      },
      toolChoice: 'none',
    });
    const { tools: _, ...options } = script.asked[0].options;
    expect(options).toEqual({
      maxNewTokens: 9,
      temperature: 0.5,
      topP: 0.9,
      topK: 7,
      seed: 3,
      stop: ['.'],
      presencePenalty: 0.1,
      frequencyPenalty: 0.2,
      minP: 0.1,
      templateOptions: { enable_thinking: false, thinking: false, custom: 1 },
      toolChoice: 'none',
      signal: undefined,
    });
    expect(warnings?.map((warning) => 'feature' in warning && warning.feature)).toEqual([
      'inputExamples of the tool sky',
      'strict of the tool sky',
    ]);
  });

  it('holds answers to schemas, also through generateObject and streamObject', async () => {
    const script = scriptedEngine({ parts: [text('{"town"'), text(': "Bern"}')] });
    const model = provider(script.engine)();
    const schema = jsonSchema<{ town: string }>(SCHEMA);
    expect((await generateText({ model, prompt: '?', output: Output.object({ schema }) })).output.town).toBe('Bern');
    expect((await generateObject({ model, prompt: '?', schema })).object).toEqual({ town: 'Bern' });
    const partial: unknown[] = [];
    const streamed = streamObject({ model, prompt: '?', schema });
    for await (const object of streamed.partialObjectStream) partial.push(object);
    expect(partial).toEqual([{}, { town: 'Bern' }]);
    expect((await generateText({ model, prompt: '?', output: Output.json() })).output).toEqual({ town: 'Bern' });
    expect(script.asked.map(({ options }) => options.schema)).toEqual([SCHEMA, SCHEMA, SCHEMA, {}]);
    const both = { model, prompt: '?', tools: { sky }, output: Output.object({ schema }) };
    const { warnings } = await generateText(both);
    expect(warnings).toMatchObject([{ type: 'unsupported', feature: 'tools with a response format' }]);
    await expect(generateText({ ...both, toolChoice: 'required' })).rejects.toThrow('tool choice was required');
    expect(script.asked.at(-1)!.options).not.toHaveProperty('schema');
  });

  it('stops the answer on abort, and where the stream is left', async () => {
    const script = scriptedEngine({ endless: 'on ' });
    const model = provider(script.engine)();
    const aborting = new AbortController();
    const events: string[] = [];
    const streamed = streamText({
      model,
      prompt: '?',
      abortSignal: aborting.signal,
      onAbort: () => void events.push('aborted'),
    });
    for await (const { type } of streamed.stream) {
      events.push(type);
      if (type === 'text-delta') aborting.abort();
    }
    expect(events.slice(-2)).toEqual(['aborted', 'abort']);
    await expect.poll(() => script.ended).toEqual(['aborted']);

    const whole = generateText({ model, prompt: '?', abortSignal: AbortSignal.timeout(5) });
    await expect(whole).rejects.toMatchObject({ name: 'TimeoutError' });
    await expect.poll(() => script.ended).toEqual(['aborted', 'aborted']);

    const { stream } = await model.doStream({ prompt: [] });
    await stream.cancel();
    await expect.poll(() => script.ended).toEqual(['aborted', 'aborted', 'aborted']);
    await expect(generateText({ model, prompt: '?', abortSignal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(script.asked).toHaveLength(3);
  });

  it("fails as the engine does, and in a stream as the SDK's streams do", async () => {
    const error = new NibbleError('context-overflow', 'Too long.', { tokens: 9 });
    const model = provider(scriptedEngine({ parts: [text('So')], error }).engine)();
    await expect(generateText({ model, prompt: '?' })).rejects.toBe(error);
    const errors: unknown[] = [];
    const streamed = streamText({ model, prompt: '?', onError: ({ error }) => void errors.push(error) });
    const types = [];
    for await (const part of streamed.stream) types.push(part.type);
    expect(types).toEqual(expect.arrayContaining(['text-delta', 'text-end', 'error', 'finish']));
    expect(errors).toEqual([error]);
    expect(await streamed.finishReason).toBe('error');
  });

  it('gives a call that cannot be read as it was written, for the SDK to say so', async () => {
    const bad = { id: 'c1', name: 'sky', arguments: null, text: '{"town": "Be', error: 'cut off' };
    const parts: AnswerPart[] = [
      { type: 'tool-call', text: '', call: { index: 0, id: 'c1', name: 'sky', whole: bad } },
    ];
    const model = provider(scriptedEngine({ parts }).engine)();
    const { toolCalls } = await generateText({ model, prompt: '?', tools: { sky } });
    expect(toolCalls).toMatchObject([{ toolName: 'sky', invalid: true, input: '{"town": "Be' }]);
  });

  it('refuses images and files by type, and reads text files', async () => {
    const script = scriptedEngine({ parts: [text('So.')] });
    const [model] = models(provider(script.engine));
    const file = (data: object, mediaType: string) => ({ type: 'file', data, mediaType }) as never;
    const ask = (...content: never[]) => model.doGenerate({ prompt: [{ role: 'user', content }] });
    const refused = ask(file({ type: 'data', data: new Uint8Array(3) }, 'image/png'));
    await expect(refused).rejects.toSatisfy(UnsupportedFunctionalityError.isInstance);
    await expect(refused).rejects.toThrow('reads text only');
    const fetched = vi.spyOn(globalThis, 'fetch');
    const image = { type: 'file', data: new URL('https://nowhere.example/a.png'), mediaType: 'image/png' } as const;
    const linked = generateText({ model, messages: [{ role: 'user', content: [image] }] });
    await expect(linked).rejects.toSatisfy(UnsupportedFunctionalityError.isInstance);
    expect(fetched).not.toHaveBeenCalled();
    await ask({ type: 'text', text: 'Read:' } as never, file({ type: 'text', text: 'Hello' }, 'text/plain'));
    expect(script.asked[0].messages[0].content).toEqual([
      { type: 'text', text: 'Read:' },
      { type: 'text', text: 'Hello' },
    ]);
  });
});

describe('a provider', () => {
  it('takes promises and functions, loads once an id, and forgets what failed', async () => {
    const { engine } = scriptedEngine({ parts: [text('So.')] });
    const asked: string[] = [];
    const lazy = createNibble({
      engine: async (id) => {
        asked.push(id);
        if (asked.length === 1) throw new NibbleError('network', 'No.');
        return engine;
      },
    });
    expect(asked).toEqual([]);
    await expect(generateText({ model: lazy('a/b'), prompt: '?' })).rejects.toMatchObject({ code: 'network' });
    const registry = createProviderRegistry({ nibble: lazy as ProviderV4 });
    await generateText({ model: registry.languageModel('nibble:a/b'), prompt: '?' });
    await generateText({ model: lazy('a/b'), prompt: '?' });
    await generateText({ model: lazy(), prompt: '?' });
    expect(asked).toEqual(['a/b', 'a/b', 'default']);
    const promised = createNibble({ engine: Promise.resolve(engine) });
    expect((await generateText({ model: promised('scripted'), prompt: '?' })).text).toBe('So.');
  });

  it('refuses models that there are not', async () => {
    const { engine } = scriptedEngine({});
    const nibble = provider(engine);
    const refused = generateText({ model: nibble('another'), prompt: '?' });
    await expect(refused).rejects.toSatisfy(NoSuchModelError.isInstance);
    await expect(refused).rejects.toThrow('the engine has scripted');
    expect(() => nibble.imageModel('x')).toThrow('no image model');
  });

  it('does not wait for a model that loads once it is aborted', async () => {
    const never = createNibble({ engine: () => new Promise<never>(() => {}) });
    const abortSignal = AbortSignal.timeout(5);
    await expect(generateText({ model: never(), prompt: '?', abortSignal })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
  });

  it('embeds and ranks', async () => {
    const asked: unknown[] = [];
    const engine = {
      info: async () => ({ name: 'scripted' }),
      async embed(texts: string[], options: object) {
        asked.push([texts, options]);
        return { embeddings: texts.map((_, i) => Float32Array.of(i, 0.5)), tokens: 7, ids: [], dimensions: 2 };
      },
      async rerank(query: string, documents: string[], options: object) {
        asked.push([query, documents, options]);
        return { scores: [0.1, 0.9, 0.5], tokens: 1, reusedTokens: 0 };
      },
    } as unknown as Engine;
    const nibble = provider(engine);
    const options = { providerOptions: { nibble: { prompt: 'query' } } };
    const made = await embedMany({ model: nibble.embeddingModel(), values: ['a', 'b'], dimensions: 2, ...options });
    expect([made.embeddings, made.usage.tokens]).toEqual([
      [
        [0, 0.5],
        [1, 0.5],
      ],
      7,
    ]);
    const ranked = await rerank({
      model: nibble.rerankingModel(),
      query: 'q',
      documents: [{ a: 1 }, { b: 2 }, { c: 3 }],
      topN: 2,
      providerOptions: { nibble: { instruction: 'Find it.' } },
    });
    expect(ranked.ranking.map(({ originalIndex, score }) => [originalIndex, score])).toEqual([
      [1, 0.9],
      [2, 0.5],
    ]);
    expect(asked).toEqual([
      [['a', 'b'], { dimensions: 2, prompt: 'query', signal: undefined }],
      ['q', ['{"a":1}', '{"b":2}', '{"c":3}'], { instruction: 'Find it.', signal: undefined }],
    ]);
  });
});
