/** The built engine in other shapes, in Chromium: the Prompt API, and under the AI SDK and LangChain themselves. */
import { build, type Rolldown } from 'vite';
import { type StaticServer, serve } from '../scripts/testing/server';
import { expect, TINY, test } from './product';

const AI = '/ai.js';
const LANGCHAIN = '/langchain.js';
let server: StaticServer;

/** A published library as one file. */
async function bundled(entry: string): Promise<string> {
  const lib = { entry, formats: ['es'] as ['es'] };
  const rolldownOptions = { output: { codeSplitting: false } };
  const output = { write: false, minify: false, lib, rolldownOptions };
  const built = await build({ configFile: false, logLevel: 'error', build: output });
  return (built as Rolldown.RolldownOutput[])[0].output[0].code;
}

test.beforeAll(async () => {
  const code = new Map([
    [AI, await bundled('node_modules/ai/dist/index.js')],
    [LANGCHAIN, await bundled('node_modules/@langchain/openai/dist/index.js')],
  ]);
  server = await serve({
    mounts: [
      [TINY, 'reference/fixtures/tiny-llama-128/nf4'],
      ['/lib/', 'dist'],
      ['/', 'e2e/blank.html'],
    ],
    intercept: (_, response, path) => {
      if (!code.has(path)) return false;
      response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(code.get(path));
      return true;
    },
  });
});
test.afterAll(() => server.close());

test('the Prompt API answers, in pieces too, is stopped, cloned, and overflows', async ({ profile }) => {
  const { page, complaints } = await profile.open();
  await page.goto(server.origin);
  const said = await page.evaluate(async (model) => {
    const { load } = (await import('/lib/index.js' as string)) as typeof import('../src/index');
    const { install } = (await import('/lib/prompt-api.js' as string)) as typeof import('../src/shapes/prompt-api');
    const options = { backend: 'cpu', storage: 'none' } as const;
    let engine: import('../src/index').Engine | undefined;
    // some builds of Chromium have one of their own
    const theirs = 'LanguageModel' in globalThis ? LanguageModel : null;
    const left = theirs ? install(() => load(model)) : null;
    Reflect.deleteProperty(globalThis, 'LanguageModel');
    const { by } = install(
      async (onProgress) => {
        engine = await load(model, { ...options, onProgress });
        return engine;
      },
      { maxNewTokens: 8, temperature: 0 },
    );
    const seen: number[] = [];
    const before = await LanguageModel.availability();
    const session = await LanguageModel.create({
      monitor: (m) => m.addEventListener('downloadprogress', ({ loaded }) => seen.push(loaded)),
    });
    const expected = await engine!.chat([{ role: 'user', content: 'Hi?' }], { maxNewTokens: 8, temperature: 0 }).text();
    const whole = await session.prompt('Hi?');
    const clone = await session.clone();
    let pieces = '';
    for await (const piece of session.promptStreaming('More?') as unknown as AsyncIterable<string>) pieces += piece;
    const cloned = await clone.prompt('More?');
    const overflowed = new Promise((resolve) => {
      session.oncontextoverflow = () => resolve(session.contextUsage <= session.contextWindow);
    });
    for (let i = 0; i < 10; i++) await session.prompt('And what else is there to say of it?');
    const stopped = await session
      .prompt('Hi?', { signal: AbortSignal.abort() })
      .catch((error) => [error.name, error instanceof DOMException]);
    const huge = await session.prompt('word '.repeat(500)).catch(({ name, requested }) => [name, requested > 400]);
    session.destroy();
    const destroyed = await session.prompt('Hi?').catch(({ name }) => name);
    const names = [LanguageModel.name, session instanceof LanguageModel];
    const alone = theirs === null || (left!.by === 'browser' && (left!.LanguageModel as unknown) === theirs);
    // of the prototype and of the class itself
    const missing = theirs
      ? [
          ...Object.getOwnPropertyNames(theirs.prototype).filter((name) => !(name in session)),
          ...Object.getOwnPropertyNames(theirs).filter((name) => !(name in LanguageModel)),
        ]
      : [];
    engine!.dispose();
    const answers = [whole === expected, pieces === cloned, whole !== '', await overflowed];
    return { by, before, seen: [seen[0], seen.at(-1)], answers, stopped, huge, destroyed, names, alone, missing };
  }, TINY);
  expect(said).toEqual({
    by: 'nibble',
    before: 'downloadable',
    seen: [0, 1],
    answers: [true, true, true, true],
    stopped: ['AbortError', true],
    huge: ['QuotaExceededError', true],
    destroyed: 'InvalidStateError',
    names: ['LanguageModel', true],
    alone: true,
    missing: [],
  });
  expect(complaints).toEqual([]);
});

test('the AI SDK answers, in pieces too, and is stopped', async ({ profile }) => {
  const { page, complaints } = await profile.open();
  await page.goto(server.origin);
  const said = await page.evaluate(
    async ({ model, ai }) => {
      const { load } = (await import('/lib/index.js' as string)) as typeof import('../src/index');
      const { createNibble } = (await import('/lib/ai-sdk.js' as string)) as typeof import('../src/shapes/ai-sdk');
      const { generateText, streamText } = (await import(ai)) as typeof import('ai');
      const nibble = createNibble({ engine: (id) => load(id, { backend: 'cpu', storage: 'none' }) });
      const settings = { model: nibble(model), prompt: 'Hi?', temperature: 0 };
      const { text, usage, finishReason } = await generateText({ ...settings, maxOutputTokens: 8 });
      let pieces = '';
      for await (const piece of streamText({ ...settings, maxOutputTokens: 8 }).textStream) pieces += piece;
      const stopping = new AbortController();
      const long = { ...settings, maxOutputTokens: 60, providerOptions: { nibble: { ignoreEos: true } } };
      const types: string[] = [];
      for await (const { type } of streamText({ ...long, abortSignal: stopping.signal }).stream) {
        types.push(type);
        if (type === 'text-delta') stopping.abort();
      }
      return [text !== '' && text === pieces, usage.outputTokens, finishReason, types.at(-1)];
    },
    { model: new URL(TINY, server.origin).href, ai: AI },
  );
  expect(said).toEqual([true, 8, 'length', 'abort']);
  expect(complaints).toEqual([]);
});

test('LangChain answers through the OpenAI shape, in pieces too', async ({ profile }) => {
  const { page, complaints } = await profile.open();
  await page.goto(server.origin);
  const said = await page.evaluate(
    async ({ model, langchain }) => {
      const { load } = (await import('/lib/index.js' as string)) as typeof import('../src/index');
      const { createFetch } = (await import('/lib/openai.js' as string)) as typeof import('../src/shapes/openai');
      const { ChatOpenAI } = (await import(langchain)) as typeof import('@langchain/openai');
      const engine = await load(model, { backend: 'cpu', storage: 'none' });
      const fetch = createFetch(engine, { model: 'local' });
      const configuration = { fetch, dangerouslyAllowBrowser: true };
      const chat = new ChatOpenAI({ model: 'local', apiKey: 'none', maxTokens: 8, temperature: 0, configuration });
      const { text } = await chat.invoke('Hi?');
      let pieces = '';
      for await (const piece of await chat.stream('Hi?')) pieces += piece.text;
      const own = await engine.chat([{ role: 'user', content: 'Hi?' }], { maxNewTokens: 8, temperature: 0 }).text();
      engine.dispose();
      return [text !== '', text === own, pieces === own];
    },
    { model: new URL(TINY, server.origin).href, langchain: LANGCHAIN },
  );
  expect(said).toEqual([true, true, true]);
  expect(complaints).toEqual([]);
});
