/** LangChain over the OpenAI shape, as the example has it, on a real engine. */
import { readFileSync } from 'node:fs';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../engine';
import { createFetch } from './openai';
import { tinyEngine } from './test/tiny-engine';

describe('LangChain', () => {
  let engine: Engine;
  let model: ChatOpenAI;
  let given: ConstructorParameters<typeof ChatOpenAI>[0];
  beforeAll(async () => {
    engine = await tinyEngine();
    given = {
      model: 'local',
      apiKey: 'none',
      maxTokens: 150,
      configuration: { fetch: createFetch(engine, { model: 'local' }) },
    };
    model = new ChatOpenAI(given);
  });
  afterAll(() => engine.dispose());

  it('answers in the example', async () => {
    const [imports, body] = readFileSync('examples/langchain/main.js', 'utf8').split('\n\n');
    expect(imports.split('\n')).toEqual([
      "import { ChatOpenAI } from '@langchain/openai';",
      "import { load } from 'nibble-llm';",
      "import { createFetch } from 'nibble-llm/openai';",
    ]);
    let said = '';
    const own = await tinyEngine();
    const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor;
    const run = new AsyncFunction('ChatOpenAI', 'load', 'createFetch', 'process', body);
    const stdout = {
      write: (text: string) => {
        said += text;
      },
    };
    await run(ChatOpenAI, () => own, createFetch, { stdout });
    expect(said).toBe(await engine.chat([{ role: 'user', content: 'Why is the sky blue?' }]).text());
  });

  it('counts what an answer took, and reads the same from a stream', async () => {
    const answer = await model.invoke('Hello');
    expect(answer.usage_metadata?.output_tokens).toBeGreaterThan(0);
    let text = '';
    for await (const chunk of await model.stream('Hello')) text += chunk.text;
    expect(text).toBe(answer.text);
  });

  const parameters = { type: 'object', properties: { town: { enum: ['Bern', 'Oslo'] } }, required: ['town'] };

  it('calls a tool that is asked for', async () => {
    const tool = { type: 'function' as const, function: { name: 'weather', description: 'The weather', parameters } };
    const short = new ChatOpenAI({ ...given, maxTokens: 100 });
    const { tool_calls: calls } = await short.bindTools([tool], { tool_choice: 'weather' }).invoke('Weather?');
    expect(calls).toMatchObject([{ name: 'weather', args: { town: expect.stringMatching(/^(Bern|Oslo)$/) } }]);
  });

  it('holds an answer to a schema', async () => {
    const held = model.withStructuredOutput({ title: 'place', ...parameters }, { method: 'jsonSchema' });
    expect(await held.invoke('Where?')).toEqual({ town: expect.stringMatching(/^(Bern|Oslo)$/) });
  });

  it('asks /responses, too', async () => {
    const other = new ChatOpenAI({ ...given, useResponsesApi: true });
    const answer = await other.invoke('Hello');
    expect(answer.text).toBe((await model.invoke('Hello')).text);
  });

  it('embeds', async () => {
    const { model: name, apiKey, configuration } = given!;
    const embeddings = new OpenAIEmbeddings({ model: name as string, apiKey: apiKey as string, configuration });
    const [vector] = (await engine.embed('a b')).embeddings;
    expect(await embeddings.embedQuery('a b')).toEqual([...vector]);
  });
});
