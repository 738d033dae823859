/** Answers that go on after a loss, with the real session on the CPU: equal to those that nothing happened to. */
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NibbleError } from '../errors';
import type { GenerateRequest, LoadRequest, MessageInput, Progress } from '../protocol';
import type { Session } from '../runtime/session';
import { createMemoryStore } from '../store/chunk-store';
import { type DeviceOptions, type Engine, load } from '.';
import type { GenerateOptions } from './answer';
import { sessionWorkers } from './test/session-worker';

const CHATS = JSON.parse(readFileSync('reference/fixtures/tiny-llama-128/nf4/chat.json', 'utf8'));
const lost = () => new NibbleError('device-lost', 'The GPU went away.', { reason: 'unknown' });
let server: Server;
let base: string;
let served: string[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    try {
      const body = readFileSync(`reference/fixtures${request.url}`);
      served.push(request.url!);
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

/** What the workers were asked for, and when they are to lose their device: see generate() and load(). */
interface Plan {
  /** messages that come through of the answer that is under way; null: all */
  cut: number | null;
  /** messages that come through before the worker hears and says nothing any more; null: all */
  deafAfter: number | null;
  loseLoad: boolean;
  requests: GenerateRequest[];
  loads: LoadRequest[];
}

const forever = () => new Promise<never>(() => {});

function fragile(plan: Plan): (session: Session) => Session {
  let deaf: Session | null = null;
  return (session) => ({
    ...session,
    cancel: (id) => (deaf === session ? forever() : session.cancel(id)),
    async generate(request, port) {
      plan.requests.push(request);
      const { deafAfter } = plan;
      if (deafAfter !== null) {
        plan.deafAfter = null;
        deaf = session;
        let sent = 0;
        const postMessage: typeof port.postMessage = (message) =>
          void (sent++ < deafAfter && port.postMessage(message));
        await session.generate(request, { postMessage });
        return forever();
      }
      const { cut } = plan;
      if (cut === null) return session.generate(request, port);
      plan.cut = null;
      let sent = 0;
      const cutting = {
        postMessage(message: Parameters<typeof port.postMessage>[0]) {
          if (sent++ < cut) port.postMessage(message);
          else void session.cancel(request.id);
        },
      };
      await session.generate(request, cutting);
      throw lost();
    },
    async load(request, port) {
      plan.loads.push(request);
      if (!plan.loseLoad) return session.load(request, port);
      plan.loseLoad = false;
      const cutting = {
        postMessage(message: Progress) {
          port.postMessage(message);
          if (message.phase !== 'header') void session.cancel(request.id);
        },
      };
      await session.load(request, cutting).catch(() => {});
      throw lost();
    },
  });
}

async function start(path: string, options: DeviceOptions = {}) {
  const plan: Plan = { cut: null, deafAfter: null, loseLoad: false, requests: [], loads: [] };
  const createWorker = sessionWorkers(createMemoryStore(), fragile(plan));
  return { plan, engine: await load(base + path, { kv: 'f32', createWorker, ...options }) };
}

async function whole(engine: Engine, ids: number[], options: GenerateOptions) {
  const answer = engine.generate(ids, options);
  let text = '';
  for await (const piece of answer) text += piece;
  return { text, result: await answer.result };
}

describe('an answer that is cut', () => {
  const [{ ids }, , , { ids: sea }] = CHATS;
  let text: string;
  beforeAll(async () => {
    const { engine } = await start('tiny-llama-128/nf4/');
    text = (await whole(engine, sea, { maxNewTokens: 24 })).text;
    engine.dispose();
  });

  it.each<[string, number[], () => GenerateOptions]>([
    ['greedy', sea, () => ({ maxNewTokens: 12 })],
    ['sampled', sea, () => ({ maxNewTokens: 12, temperature: 1.3, topK: 40, topP: 0.95, seed: 7, logprobs: 1 })],
    ['penalised', sea, () => ({ maxNewTokens: 12, noRepeatNgram: 2, repetitionPenalty: 1.2, dryMultiplier: 0.8 })],
    ['to its end-of-turn', ids, () => ({ maxNewTokens: 40 })],
    ['to a stop string', sea, () => ({ maxNewTokens: 24, stop: [text.slice(6, 10)] })],
  ])('%s, at any of its tokens, is equal to one that was not', async (_, prompt, options) => {
    const calm = await start('tiny-llama-128/nf4/');
    const expected = await whole(calm.engine, prompt, options());
    calm.engine.dispose();
    for (let cut = 0; cut <= expected.result.ids.length; cut++) {
      const { engine, plan } = await start('tiny-llama-128/nf4/');
      plan.cut = cut;
      const { text, result } = await whole(engine, prompt, options());
      const { finish, stats } = result;
      expect({ cut, text, ids: result.ids, all: result.text, finish }).toEqual({
        cut,
        text: expected.text,
        ids: expected.result.ids,
        all: expected.result.text,
        finish: expected.result.finish,
      });
      expect(stats).toMatchObject({
        promptTokens: prompt.length,
        newTokens: result.ids.length,
        recoveries: 1,
      });
      expect(plan.requests[1].made).toEqual(result.ids.slice(0, cut));
      if (options().logprobs) expect(result.logprobs!.map(({ id }) => id)).toEqual(result.ids);
      engine.dispose();
    }
  });

  it('tells a call of a tool once, wherever it was cut', async () => {
    const folder = 'tiny-llama-128/nf4/';
    const tools = [{ name: 'a', parameters: { type: 'object', properties: { b: { enum: ['c'] } }, required: ['b'] } }];
    const question: MessageInput[] = [{ role: 'user', content: 'Hi?' }];
    const options = { tools, toolChoice: 'required' as const, maxNewTokens: 80, forced: false };
    const told = async (engine: Engine) => {
      const answer = engine.chat(question, options);
      const parts: [string, string, boolean][] = [];
      for await (const { text, call } of answer.parts) parts.push([call?.name ?? '', text, call?.whole !== undefined]);
      const { toolCalls, finish, raw } = await answer.result;
      const json = parts.map(([, text]) => text).join('');
      return { ended: parts.filter(([, , whole]) => whole).length, json, finish, raw, calls: toolCalls.length };
    };
    const calm = await start(folder);
    const expected = await told(calm.engine);
    expect(expected).toMatchObject({ ended: 1, json: '{"b":"c"}', finish: 'tool-calls', calls: 1 });
    calm.engine.dispose();
    for (const cut of [0, 9, 25, 40, 55, expected.raw.length]) {
      const { engine, plan } = await start(folder);
      plan.cut = cut;
      expect(await told(engine)).toEqual(expected);
      engine.dispose();
    }
  });

  it('draws with the same seed, when none was given', async () => {
    const { engine, plan } = await start('tiny-llama-128/nf4/');
    plan.cut = 5;
    const { result } = await whole(engine, sea, { maxNewTokens: 12, temperature: 1.5 });
    const { seed } = result.options!;
    expect(plan.requests.map(({ options }) => options.seed)).toEqual([seed, seed]);
    const again = await whole(engine, sea, { maxNewTokens: 12, temperature: 1.5, seed });
    expect(again.result.ids).toEqual(result.ids);
    engine.dispose();
  });

  it('is told of, keeps its conversation, and the model comes from the store', async () => {
    const notes: (string | undefined)[] = [];
    const { engine, plan } = await start('tiny-llama-128/nf4/', { onProgress: ({ note }) => void notes.push(note) });
    const talk = engine.conversation();
    await talk.ask('Hello', { maxNewTokens: 3 }).result;
    expect(notes.filter(Boolean)).toEqual([]);
    notes.length = 0;
    served = [];
    plan.cut = 2;
    const { text } = await talk.ask('And?', { maxNewTokens: 6 }).result;
    expect(notes[0]).toBe('The graphics device was lost: the model is being loaded again.');
    expect(notes.at(-1)).toBeUndefined();
    expect(served).toEqual([]);
    expect(talk.messages.map(({ content }) => content)).toEqual(['Hello', expect.anything(), 'And?', text]);
    engine.dispose();
  });
});

it('an answer whose worker does not hear a stop ends with what was said, and the conversation goes on in another', async () => {
  const calm = await start('tiny-llama-128/nf4/');
  const undisturbed = calm.engine.conversation();
  const first = await undisturbed.ask('Where is the sea?', { maxNewTokens: 3 }).result;
  const second = await undisturbed.ask('And?', { maxNewTokens: 6 }).result;
  calm.engine.dispose();

  const notes: (string | undefined)[] = [];
  const { engine, plan } = await start('tiny-llama-128/nf4/', { onProgress: ({ note }) => void notes.push(note) });
  const talk = engine.conversation();
  plan.deafAfter = 3;
  const answer = talk.ask('Where is the sea?', { maxNewTokens: 40 });
  let said = '';
  for await (const piece of answer) {
    said += piece;
    if (said.length === first.text.length) break;
  }
  const result = await answer.result;
  expect(result).toMatchObject({
    finish: 'aborted',
    text: first.text,
    ids: first.ids,
    raw: first.raw,
    stats: { newTokens: 3 },
    memory: { total: 0 },
    note: expect.stringMatching(/did not hear a stop .* The next request loads the model again/),
  });
  expect(plan.loads).toHaveLength(1);
  [notes.length, served] = [0, []];
  const next = await talk.ask('And?', { maxNewTokens: 6 }).result;
  expect({ text: next.text, ids: next.ids }).toEqual({ text: second.text, ids: second.ids });
  expect(next.stats.recoveries).toBeUndefined();
  expect(notes[0]).toMatch(/did not hear a stop .*: the model is being loaded again/);
  expect(served).toEqual([]);
  expect(plan.loads[1].left).toBe(plan.loads[0].attempt);
  engine.dispose();
});

it('a load that is cut goes on with what was stored', async () => {
  const plan: Plan = { cut: null, deafAfter: null, loseLoad: true, requests: [], loads: [] };
  const createWorker = sessionWorkers(createMemoryStore(), fragile(plan));
  const engine = await load(`${base}tiny-llama-128/nf4/`, { createWorker });
  expect(plan.loads).toHaveLength(2);
  expect(plan.loads[1].left).toBe(plan.loads[0].attempt);
  const [{ ids, greedy }] = CHATS;
  expect((await engine.generate(ids, { maxNewTokens: 4 }).result).ids).toEqual(greedy.slice(0, 4));
  engine.dispose();
});

it('adapters that were active are active again', async () => {
  const adapter = (name: string) => `${base}lora/${name}/`;
  const { engine, plan } = await start('tiny-llama/nf4/', { lora: [adapter('plain')] });
  await engine.setLora([adapter('plain'), { adapter: adapter('rslora'), scale: 1 }]);
  const facts = JSON.parse(readFileSync('reference/fixtures/lora/expected/nf4.plain+rslora.json', 'utf8'));
  const [{ ids, greedy }] = facts.prompts;
  plan.cut = 2;
  expect((await engine.generate(ids, { maxNewTokens: 6 }).result).ids).toEqual(greedy.slice(0, 6));
  expect(plan.loads[1].lora).toHaveLength(2);
  expect((await engine.info()).lora).toHaveLength(2);
  engine.dispose();
});

it('who stops while the model is loaded again is not kept waiting, and the next answer is whole', async () => {
  const stop = new AbortController();
  const { engine, plan } = await start('tiny-llama-128/nf4/', {
    onProgress: ({ note }) => {
      if (note?.startsWith('The graphics')) stop.abort();
    },
  });
  const [{ ids, greedy }] = CHATS;
  plan.cut = 3;
  const answer = engine.generate(ids, { maxNewTokens: 8, signal: stop.signal });
  const reading = (async () => {
    for await (const _ of answer);
  })();
  await expect(reading).rejects.toMatchObject({ code: 'aborted' });
  expect(plan.requests).toHaveLength(1);
  expect((await engine.generate(ids, { maxNewTokens: 8 }).result).ids).toEqual(greedy.slice(0, 8));
  engine.dispose();
});
