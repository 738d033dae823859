/**
 * The engine over a MessageChannel instead of a Worker, with the real session, comlink and HTTP in between. It is long
 * because all of the public engine is asked of one loaded model.
 */
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { NibbleError } from '../errors';
import type { GenerateResult, Progress } from '../protocol';
import { deleteStored, type Engine, isStored, load } from '.';
import { AnswerQueue } from './answer';
import { describeModel } from './model-source';
import { startWorker } from './start-worker';
import { sessionWorkers } from './test/session-worker';

const FOLDER = 'reference/fixtures/tiny-llama-128/nf4/';
const [chat] = JSON.parse(readFileSync(`${FOLDER}chat.json`, 'utf8'));
let server: Server;
let base: string;
let delay = 0;

const createWorker = sessionWorkers();

beforeAll(async () => {
  server = createServer(async (request, response) => {
    if (delay) await new Promise((resolve) => setTimeout(resolve, delay));
    try {
      const { url = '' } = request;
      response.end(readFileSync(url.startsWith('/m/') ? FOLDER + url.slice(3) : `reference/fixtures${url}`));
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/m/`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

describe('adapters', () => {
  const at = (path: string) => new URL(`/${path}/`, base).href;
  const adapter = (name: string) => at(`lora/${name}`);
  const facts = (name: string) => {
    const file = `reference/fixtures/lora/expected/nf4.${name}.json`;
    return JSON.parse(readFileSync(file, 'utf8')).prompts[0] as { ids: number[]; greedy: number[] };
  };

  it('come with the model, and are swapped', async () => {
    const engine = await load(at('tiny-llama/nf4'), { createWorker, lora: [adapter('plain')], kv: 'f32' });
    const first = async (name: string) => {
      const { ids, greedy } = facts(name);
      expect((await engine.generate(ids, { maxNewTokens: 6 }).result).ids).toEqual(greedy.slice(0, 6));
    };
    await first('plain');
    const { lora } = await engine.setLora([adapter('plain'), { adapter: adapter('rslora'), scale: 1 }]);
    expect(lora.map(({ modules }) => modules)).toEqual([6, 21]);
    await first('plain+rslora');
    expect((await engine.setLora([{ adapter: adapter('plain'), scale: 2 }])).lora[0].scalings).toEqual([5]);
    expect((await engine.setLora([])).lora).toEqual([]);
    const aborted = engine.setLora([adapter('plain')], { signal: AbortSignal.abort() });
    await expect(aborted).rejects.toMatchObject({ code: 'aborted' });
    await expect(engine.setLora([adapter('bias-all')])).rejects.toMatchObject({
      code: 'invalid-option',
      details: { module: expect.any(String), shape: expect.any(Array) },
    });
    engine.dispose();
  });
});

describe('what reads and does not answer', () => {
  const at = (name: string) => new URL(`/embeddings/${name}/`, base).href;
  const facts = (name: string) =>
    JSON.parse(readFileSync(`reference/fixtures/embeddings/${name}/expected.json`, 'utf8'));
  const exact = { createWorker, weights: 'f32', kv: 'f32' } as const;

  it('vectors, of one text and of several', async () => {
    const engine = await load(at('qwen3-embedding'), exact);
    const [, { texts, ids, vectors }] = facts('qwen3-embedding').cases;
    const made = await engine.embed(texts, { prompt: 'query' });
    expect(made).toMatchObject({ ids, dimensions: 32, tokens: ids.flat().length });
    made.embeddings.forEach((vector, i) => {
      expect(vector).toBeInstanceOf(Float32Array);
      vector.forEach((value, c) => {
        expect(Math.abs(value - vectors[i][c])).toBeLessThan(1e-4);
      });
    });
    const one = await engine.embed(texts[0], { prompt: 'query', dimensions: 4, normalize: false });
    expect([...one.embeddings[0]]).toEqual([...made.embeddings[0].slice(0, 4)].map(() => expect.any(Number)));
    engine.dispose();
    await expect(engine.embed('a')).rejects.toMatchObject({ code: 'disposed' });
  });

  it('rankings and likelihoods', async () => {
    const engine = await load(at('qwen3-reranker'), exact);
    const { rerank, score } = facts('qwen3-reranker');
    const [, { query, documents, instruction, scores }] = rerank;
    const ranking = await engine.rerank(query, documents, { instruction });
    ranking.scores.forEach((value, i) => {
      expect(Math.abs(value - scores[i])).toBeLessThan(1e-4);
    });
    const [first] = await engine.score([score.texts[0], Uint32Array.from(score.ids[0]) as unknown as number[]]);
    expect(first.ids).toEqual(score.ids[0]);
    first.logProbs.forEach((value, i) => {
      expect(Math.abs(value - score.logProbs[0][i])).toBeLessThan(1e-4);
    });
    engine.dispose();
  });

  it.each<[string, (engine: Engine) => Promise<unknown>, RegExp]>([
    [
      'texts that are none',
      (engine) => engine.embed([1] as unknown as string[]),
      /^texts\[0\] is 1; it must be a text/,
    ],
    ['a list of none', (engine) => engine.embed([]), /^texts is a list; .*at least one/],
    ['nothing', (engine) => engine.embed(undefined as unknown as string), /^texts is undefined/],
    ['an unknown option', (engine) => engine.embed('a', { pool: 'mean' } as object), /no option pool/],
    ['a prompt that is no name', (engine) => engine.embed('a', { prompt: 1 } as object), /^prompt is 1/],
    ['a query that is none', (engine) => engine.rerank(null as unknown as string, ['a']), /^query is null/],
    ['documents that are none', (engine) => engine.rerank('q', [null as unknown as string]), /^documents\[0\] is null/],
    ['scores of nothing', (engine) => engine.score('a' as unknown as string[]), /^texts is "a"/],
    ['scores of what is no text', (engine) => engine.score([{}] as unknown as string[]), /^texts is an object/],
  ])('refuses %s before anything is sent', async (_, ask, message) => {
    const engine = await load(at('qwen3-reranker'), exact);
    await expect(ask(engine)).rejects.toMatchObject({
      code: 'invalid-option',
      message: expect.stringMatching(message),
    });
    const signal = AbortSignal.abort();
    await expect(engine.embed('a', { signal })).rejects.toMatchObject({ code: 'aborted' });
    engine.dispose();
  });
});

describe('an engine', () => {
  let engine: Engine;
  const progress: Progress[] = [];
  beforeAll(async () => {
    engine = await load(base.slice(0, -1), { createWorker, onProgress: (message) => void progress.push(message) });
  });
  afterAll(() => engine.dispose());

  it('goes on with an answer that was cut, as if it had never ended', async () => {
    const talk = engine.conversation({ temperature: 1, seed: 7, ignoreEos: true });
    const whole = await talk.chat(chat.messages, { maxNewTokens: 9 }).result;
    const { ids } = await engine.conversation().chat(chat.messages, {
      maxNewTokens: 4,
      temperature: 1,
      seed: 7,
      ignoreEos: true,
    }).result;
    let text = '';
    const rest = talk.chat(chat.messages, { maxNewTokens: 9, made: ids });
    for await (const piece of rest) text += piece;
    const result = await rest.result;
    expect([result.ids, result.text, text]).toEqual([whole.ids, whole.text, whole.text]);
    const bad = talk.chat(chat.messages, { made: ['1'] as unknown as number[] });
    await expect(bad.result).rejects.toMatchObject({ code: 'invalid-option', details: { option: 'made' } });
  });

  it('reports the download', async () => {
    const last = progress.at(-1)!;
    expect(last.phase).toBe('ready');
    expect(last.networkBytes).toBe(readFileSync(`${FOLDER}model.safetensors`).length);
    expect((await engine.info()).name).toBe(base);
  });

  it('streams an answer and gives its result', async () => {
    const answer = engine.chat(chat.messages, { maxNewTokens: 8 });
    let text = '';
    for await (const piece of answer) text += piece;
    const result = await answer.result;
    expect(result.ids).toEqual(chat.greedy.slice(0, 8));
    expect(result.text).toBe(text);
    expect(await engine.detokenize(result.ids)).toBe(text);
  });

  it('tells log-probabilities with the pieces that their tokens complete', async () => {
    const answer = engine.chat(chat.messages, { maxNewTokens: 8, logprobs: 2 });
    const told: number[] = [];
    const bytes: number[] = [];
    let said = '';
    for await (const { text, logprobs = [] } of answer.parts) {
      said += text;
      told.push(...logprobs.map(({ id }) => id));
      bytes.push(...logprobs.flatMap((one) => one.bytes ?? []));
      // whole characters, of as many tokens as they take
      expect(new TextDecoder().decode(Uint8Array.from(bytes))).toBe(said);
    }
    const { ids, logprobs } = await answer.result;
    expect(logprobs?.map(({ id }) => id)).toEqual(ids);
    // the last may complete no text
    expect(told).toEqual(ids.slice(0, told.length));
    expect(ids.length - told.length).toBeLessThan(2);
  });

  it('gives the result to who does not listen', async () => {
    const { ids } = await engine.generate(chat.ids, { maxNewTokens: 4 }).result;
    expect(ids).toEqual(chat.greedy.slice(0, 4));
    expect(await engine.tokenize(chat.prompt, { special: true })).toEqual(chat.ids);
    expect((await engine.plan({ promptTokens: 4, maxNewTokens: 4 })).fits).toBe(true);
  });

  it('stops when the loop is left, and when the signal fires', async () => {
    const left = engine.generate('Hello', { maxNewTokens: 400, ignoreEos: true });
    for await (const _ of left) break;
    expect((await left.result).finish).toBe('aborted');
    const stop = new AbortController();
    const stopped = engine.generate('Hello', { maxNewTokens: 400, ignoreEos: true, signal: stop.signal });
    for await (const _ of stopped) stop.abort();
    expect((await stopped.result).finish).toBe('aborted');
    const never = engine.generate('Hello', { maxNewTokens: 400, signal: AbortSignal.abort() });
    expect((await never.result).finish).toBe('aborted');
  });

  it('brings errors through whole, to the loop and to the result, and goes on', async () => {
    const answer = engine.generate([300], {});
    const error = await answer.result.catch((thrown) => thrown);
    expect(error).toBeInstanceOf(NibbleError);
    expect(error).toMatchObject({ code: 'invalid-option', details: { id: 300, vocab: 300 } });
    await expect(
      (async () => {
        for await (const _ of engine.generate([300])) expect.unreachable();
      })(),
    ).rejects.toMatchObject({ code: 'invalid-option' });
    expect((await engine.generate([1], { maxNewTokens: 1 }).result).ids).toHaveLength(1);
  });

  it('refuses what is no question, and answers the next', async () => {
    const wrong = [null, undefined, 5, [], [null], [{}], [{ role: 'user' }], [{ role: 'user', content: 5 }]] as never[];
    for (const input of wrong) {
      const code = 'invalid-option';
      await expect(engine.chat(input).result, JSON.stringify(input)).rejects.toMatchObject({ code });
      await expect(engine.generate(input).result, JSON.stringify(input)).rejects.toMatchObject({ code });
    }
    expect((await engine.generate([1], { maxNewTokens: 1 }).result).ids).toHaveLength(1);
  });

  it('is iterated once, and says so; its text and its end are there for who does not', async () => {
    const answer = engine.chat(chat.messages, { maxNewTokens: 8 });
    const whole = answer.text();
    let text = '';
    for await (const { type, text: piece } of answer.parts) {
      expect(type).toBe('text');
      text += piece;
    }
    expect(await whole).toBe(text);
    expect(await answer.result).toMatchObject({ text, reasoning: '', raw: text });
    const again = async (from: AsyncIterable<unknown>) => {
      for await (const _ of from) expect.unreachable();
    };
    for (const from of [answer, answer.parts])
      await expect(again(from)).rejects.toMatchObject({ code: 'invalid-option', message: /iterated before/ });
    const long = engine.generate('Hello', { maxNewTokens: 400, ignoreEos: true, onPrefill: () => long.stop() });
    expect((await long.result).finish).toBe('aborted');
    expect(long.stopped).toBe(true);
  });

  it('tells how much of the prompt has been read', async () => {
    const told: unknown[] = [];
    const ids = Array(70).fill(9);
    await engine.generate(ids, { maxNewTokens: 1, onPrefill: (prefill) => void told.push(prefill) }).result;
    expect(told).toEqual([0, 32, 64, 70].map((done) => ({ done, total: 70 })));
    const wrong = engine.generate(ids, { onPrefill: 5 } as object).result;
    await expect(wrong).rejects.toMatchObject({ code: 'invalid-option', details: { option: 'onPrefill' } });
  });

  it('says what a prompt is, in text, in ids and in tokens', async () => {
    expect(await engine.applyChatTemplate(chat.messages)).toBe(chat.prompt);
    expect(await engine.applyChatTemplate(chat.messages, { tokenize: true })).toEqual(chat.ids);
    expect(await engine.countTokens(chat.messages)).toBe(chat.ids.length);
    expect(await engine.countTokens([])).toBe(0);
    const bare = await engine.applyChatTemplate(chat.messages, { addGenerationPrompt: false });
    expect(chat.prompt.startsWith(bare) && bare.length < chat.prompt.length).toBe(true);
    const planned = await engine.plan({ promptTokens: chat.ids.length, maxNewTokens: 5 });
    expect(await engine.plan({ messages: chat.messages, maxNewTokens: 5 })).toEqual(planned);
    const wrong: [unknown, object?][] = [[null], [[{ role: 'user' }]], [chat.messages, { templateOption: {} }]];
    for (const [messages, options] of wrong)
      await expect(engine.countTokens(messages as [], options)).rejects.toMatchObject({ code: 'invalid-option' });
    await expect(engine.plan({ messages: 5, maxNewTokens: 5 } as never)).rejects.toMatchObject({
      code: 'invalid-option',
    });
  });

  it('reads messages as OpenAI’s clients have them', async () => {
    const text = await engine.applyChatTemplate([
      { role: 'developer', content: [{ type: 'text', text: 'Be short.' }] },
      { role: 'user', content: 'Hello' },
    ]);
    expect(text).toContain('system\nBe short.');
    const image = { role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] } as never;
    await expect(engine.chat([image]).result).rejects.toThrow(/part of type "image_url"/);
  });

  it('keeps a conversation', async () => {
    const talk = engine.conversation({ system: 'Be short.', overflow: 'shift', maxNewTokens: 3 });
    const first = talk.ask('Hello');
    expect(() => talk.ask('And?')).toThrow(/under way/);
    const { text } = await first.result;
    expect(talk.messages).toEqual([
      { role: 'system', content: 'Be short.' },
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: text },
    ]);
    await expect(talk.ask('x', { topP: 3 }).result).rejects.toMatchObject({ code: 'invalid-option' });
    expect(talk.messages).toHaveLength(3);
    const { stats, options } = await talk.ask('More', { maxNewTokens: 2 }).result;
    expect(options).toMatchObject({ overflow: 'shift', maxNewTokens: 2 });
    expect(stats.reusedTokens).toBeGreaterThan(5);
    const unknown = expect.objectContaining({
      code: 'invalid-option',
      details: expect.objectContaining({ option: 'kv' }),
    });
    expect(() => engine.conversation({ kv: 'int8' } as object)).toThrow(unknown);
  });
});

it('tells what is installed, and deletes it', async () => {
  (await load(base, { createWorker })).dispose();
  const bytes = [
    'config.json',
    'generation_config.json',
    'tokenizer.json',
    'tokenizer_config.json',
    'model.safetensors',
  ];
  const total = bytes.reduce((sum, name) => sum + readFileSync(FOLDER + name).length, 0);
  expect(await isStored(base, { createWorker })).toEqual({ bytes: total, lastAttempt: null });
  await deleteStored(base, { createWorker });
  expect(await isStored(base, { createWorker })).toBeNull();
  expect(await isStored('org/other', { createWorker })).toBeNull();
});

describe('a template of one’s own', () => {
  const chatTemplate =
    "{% for m in messages %}{{ m.role + ': ' + m.content + '\\n' }}{% endfor %}{{ style }}<think>{# </think> #}";

  it('shows reasoning apart, and a conversation keeps it', async () => {
    const engine = await load(base, { createWorker, chatTemplate });
    expect((await engine.info()).options.chatTemplate).toBe(chatTemplate);
    const talk = engine.conversation({ templateOptions: { style: 'short' }, maxNewTokens: 6, ignoreEos: true });
    const answer = talk.ask('Hello');
    const parts = [];
    for await (const part of answer.parts) parts.push(part);
    const { reasoning, text, raw, stats } = await answer.result;
    expect([text, reasoning]).toEqual(['', raw]);
    expect(parts.every(({ type }) => type === 'reasoning')).toBe(true);
    expect(parts.map(({ text }) => text).join('')).toBe(reasoning);
    expect(talk.messages).toEqual([
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: '', reasoning_content: reasoning },
    ]);
    const prompt = [{ role: 'user' as const, content: 'Hello' }];
    expect(await talk.applyChatTemplate(prompt)).toBe('user: Hello\nshort<think>');
    expect(await talk.countTokens(prompt)).toBe(stats.promptTokens);
    expect(await talk.applyChatTemplate()).toContain('assistant: \n');
    expect(await talk.applyChatTemplate(prompt, { templateOptions: {} })).toBe('user: Hello\n<think>');
    const { kv } = await talk.plan({ promptTokens: stats.promptTokens, maxNewTokens: 5 });
    expect((await talk.plan({ messages: prompt, maxNewTokens: 5 })).kv).toBe(kv);
    let iterated = 0;
    for await (const _ of talk.ask('And?')) iterated++;
    expect(iterated).toBe(0);
    const loop: Record<string, unknown> = {};
    loop.self = loop;
    await expect(talk.ask('x', { templateOptions: loop }).result).rejects.toMatchObject({ code: 'invalid-option' });
    engine.dispose();
  });
});

describe('conversations side by side', () => {
  it('take turns, each going on from its own cache; a closed one starts anew', async () => {
    const engine = await load(base, { createWorker });
    const [one, two] = [engine.conversation({ system: 'Be short.' }), engine.conversation({ system: 'Be long.' })];
    for (const talk of [one, two]) await talk.ask('Hello', { maxNewTokens: 3 }).result;
    for (const talk of [one, two]) {
      const { stats, memory } = await talk.ask('More', { maxNewTokens: 2 }).result;
      expect(stats.reusedTokens).toBeGreaterThan(10);
      expect(memory.conversations).toBe(2);
    }
    const { kv } = await engine.memory();
    await one.close();
    expect((await engine.memory()).kv).toBeLessThan(kv);
    expect((await one.ask('Again', { maxNewTokens: 2 }).result).stats.reusedTokens).toBe(0);
    // asked at once, they wait for each other
    const both = [one, two].map((talk) => talk.ask('And now?', { maxNewTokens: 4, temperature: 0 }).result);
    for (const { stats } of await Promise.all(both)) expect(stats.reusedTokens).toBeGreaterThan(10);
    engine.dispose();
  });

  it('plan what they take within what they have', async () => {
    const engine = await load(base, { createWorker, maxContext: 96 });
    const [one, two] = [engine.conversation(), engine.conversation({ maxContext: 40 })];
    const { stats } = await one.ask('Hello', { maxNewTokens: 8, ignoreEos: true }).result;
    const same = { promptTokens: stats.promptTokens, maxNewTokens: 8 };
    const { total } = await engine.memory();
    const { kv, peakNow } = await one.plan(same);
    expect(peakNow).toBe(total);
    expect((await two.plan(same)).peakNow).toBe(total + kv);
    expect((await engine.plan(same)).peakNow).toBe(total + kv);
    // its own context, but no more than the model's
    const long = { promptTokens: 20, maxNewTokens: 30 };
    expect((await one.plan(long)).peakNow).toBeGreaterThan(total);
    const over = (capacity: number) => ({ code: 'context-overflow', details: { capacity } });
    await expect(two.plan(long)).rejects.toMatchObject(over(40));
    const longest = engine.conversation({ maxContext: 200 }).plan({ promptTokens: 20, maxNewTokens: 100 });
    await expect(longest).rejects.toMatchObject(over(96));
    engine.dispose();
    // what it had is gone
    await one.close();
  });

  it('may take less of the context than the model was loaded for', async () => {
    const engine = await load(base, { createWorker });
    const short = engine.conversation({ maxContext: 40 });
    await expect(short.ask('Hello', { maxNewTokens: 100 }).result).rejects.toMatchObject({
      code: 'context-overflow',
      details: { capacity: 40, maxNewTokens: 100 },
    });
    expect((await short.ask('Hello', { maxNewTokens: 5 }).result).ids.length).toBeGreaterThan(0);
    const wrong = [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '40' as unknown as number];
    for (const maxContext of wrong) {
      const refused = expect.objectContaining({
        code: 'invalid-option',
        details: expect.objectContaining({ option: 'maxContext' }),
      });
      expect(() => engine.conversation({ maxContext })).toThrow(refused);
    }
    engine.dispose();
  });
});

describe('load', () => {
  it.each([
    [0, false],
    [5, true],
  ])('tells the worker of a screen for %d fingers, which only a page can see', async (fingers, touch) => {
    vi.stubGlobal('navigator', { maxTouchPoints: fingers });
    const told: unknown[] = [];
    const telling = sessionWorkers(undefined, (session) => ({
      ...session,
      load(request, port) {
        told.push(request.touch);
        return session.load(request, port);
      },
    }));
    try {
      (await load(base, { createWorker: telling })).dispose();
    } finally {
      vi.unstubAllGlobals();
    }
    expect(told).toEqual([touch]);
  });

  it('stops when the signal fires', async () => {
    const stop = new AbortController();
    delay = 20;
    const loading = load(`${base}other/..`, { createWorker, signal: stop.signal, onProgress: () => stop.abort() });
    await expect(loading).rejects.toMatchObject({ code: 'aborted' });
    delay = 0;
    await expect(load(base, { createWorker, signal: stop.signal })).rejects.toMatchObject({ code: 'aborted' });
  });

  it('brings its errors through whole', async () => {
    await expect(load(`${base}nothing/`, { createWorker })).rejects.toMatchObject({
      code: 'network',
      details: { url: `${base}nothing/config.json`, status: 404 },
    });
    await expect(load(base, { createWorker, chunk: -1 })).rejects.toMatchObject({
      code: 'invalid-option',
      details: { option: 'chunk' },
    });
    await expect(load(base, { createWorker, nonsense: 1 } as object)).rejects.toMatchObject({ code: 'invalid-option' });
  });

  it('fails what is under way when the engine is disposed', async () => {
    const engine = await load(base, { createWorker });
    const { result } = engine.generate('Hello', { maxNewTokens: 400, ignoreEos: true });
    engine.dispose();
    await expect(result).rejects.toMatchObject({ code: 'disposed' });
    await expect(engine.info()).rejects.toMatchObject({
      code: 'disposed',
      message: /dispose\(\).*Load the model again/,
    });
  });
});

describe('a worker that does not start', () => {
  const silent = () => Object.assign(new EventTarget(), { postMessage() {}, terminate() {} }) as unknown as Worker;

  it('is an error when it says nothing', async () => {
    await expect(startWorker([silent], { helloMs: 10 })).rejects.toMatchObject({
      code: 'worker-failed',
      message: /within 0.01 seconds/,
    });
  });

  it.each(['error', 'messageerror'])('is an error on %s', async (type) => {
    const worker = silent();
    worker.postMessage = () => void worker.dispatchEvent(new Event(type));
    await expect(startWorker([() => worker])).rejects.toMatchObject({ code: 'worker-failed' });
  });

  it('is an error when it cannot be made', async () => {
    const blocked = () => {
      throw new Error('blocked by CSP');
    };
    const missing = async () => {
      throw new Error('no such file');
    };
    await expect(startWorker([blocked, missing])).rejects.toMatchObject({
      code: 'worker-failed',
      message: /blocked by CSP.*no such file.*blob:.*nibble-llm\/worker.*workerUrl.*createWorker/s,
    });
  });

  it('is made in the next way there is', async () => {
    const dead = silent();
    dead.postMessage = () => void dead.dispatchEvent(new Event('error'));
    const worker = await startWorker([() => dead, async () => createWorker()]);
    expect(worker.broken).toBe(null);
    worker.end();
  });
});

describe('the model argument', () => {
  const page = 'https://site.example/chat/index.html';
  it.each([
    ['HuggingFaceTB/SmolLM2-135M-Instruct', { kind: 'hub', id: 'HuggingFaceTB/SmolLM2-135M-Instruct' }],
    ['org/repo/sub/model-q4_1.gguf', { kind: 'hub', id: 'org/repo', file: 'sub/model-q4_1.gguf' }],
    ['./models/tiny', { kind: 'http', base: 'https://site.example/chat/models/tiny/' }],
    ['../models/tiny/', { kind: 'http', base: 'https://site.example/models/tiny/' }],
    ['/models/x.gguf?v=1', { kind: 'http', base: 'https://site.example/models/x.gguf?v=1' }],
    ['https://cdn.example/m', { kind: 'http', base: 'https://cdn.example/m/' }],
  ])('%s', async (model, expected) => {
    expect(await describeModel(model, {}, page)).toEqual(expected);
  });

  it.each(['', 'tiny', 'a/b/c', 'javascript:alert(1)', 'file:///etc/passwd'])('refuses "%s"', async (model) => {
    await expect(describeModel(model, {}, page)).rejects.toMatchObject({ code: 'invalid-option' });
  });

  it('takes files, and hub options only for the Hub', async () => {
    const file = Object.assign(new Blob(['x']), { name: 'm.gguf', webkitRelativePath: '' }) as unknown as File;
    expect(await describeModel([file])).toEqual({ kind: 'files', name: 'm.gguf', files: [{ path: 'm.gguf', file }] });
    await expect(describeModel([])).rejects.toMatchObject({ code: 'invalid-option' });
    const hub = { revision: 'v1', token: 't', hub: 'http://localhost:1' };
    expect(await describeModel('a/b', hub)).toMatchObject(hub);
    await expect(describeModel('/m/', { token: 't' }, page)).rejects.toMatchObject({ code: 'invalid-option' });
  });
});

it('an answer waits for text that is later than its result', async () => {
  let push: (type: 'text', text: string) => void = () => {};
  const answer = new AnswerQueue((receive) => {
    push = receive;
    return Promise.resolve({ text: 'abc', raw: 'abc' } as GenerateResult);
  }, new AbortController());
  let settled = false;
  void answer.result.then(() => {
    settled = true;
  });
  push('text', 'a');
  await new Promise((resolve) => setTimeout(resolve));
  expect(settled).toBe(false);
  push('text', 'bc');
  let text = '';
  for await (const piece of answer) text += piece;
  expect(text).toBe('abc');
});

describe('a browser that asks the person whether what is stored may stay', () => {
  let answer: (kept: boolean) => void = () => {};
  const asking = new Promise<boolean>((resolve) => {
    answer = resolve;
  });
  beforeAll(() => vi.stubGlobal('navigator', { ...globalThis.navigator, storage: { persist: () => asking } }));
  afterAll(() => vi.unstubAllGlobals());

  it('is not waited for; its answer is told when it comes', async () => {
    const engine = await load(base, { createWorker, persist: true });
    try {
      expect((await engine.info()).options.persist).toBe(false);
      answer(true);
      await asking;
      expect((await engine.info()).options.persist).toBe(true);
      const quick = await load(base, { createWorker, persist: true });
      expect((await quick.info()).options.persist).toBe(true);
      quick.dispose();
    } finally {
      engine.dispose();
    }
  });
});
