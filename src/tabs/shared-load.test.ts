/** Tabs that share one loaded model, each with the library's engine, on the real session. */
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Engine } from '../engine';
import { NibbleError } from '../errors';
import type { MessageInput, Progress } from '../protocol';
import type { Session } from '../runtime/session';
import { lockName } from './shared-load';
import { browser, type Tab } from './test/tabs';

const CHATS = JSON.parse(readFileSync('reference/fixtures/tiny-llama-128/nf4/chat.json', 'utf8'));
const [{ messages: HELLO }, , , { messages: SEA }]: { messages: MessageInput[] }[] = CHATS;
let server: Server;
let model: string;
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
  model = `http://127.0.0.1:${(server.address() as AddressInfo).port}/tiny-llama-128/nf4/`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const answer = async (engine: Engine, messages = SEA, options = {}) =>
  engine.conversation().chat(messages, { maxNewTokens: 12, ignoreEos: true, ...options }).result;

const none = () => {};

/** What comes between each engine and its session: it waits before each token for as long as it is told to. */
function pacing() {
  const state = { hold: null as Promise<void> | null, stall: null as number | null, lost: false, requests: 0 };
  let stalled = none;
  const change = (session: Session): Session => ({
    ...session,
    async generate(request, port) {
      state.requests++;
      if (state.lost) throw new NibbleError('device-lost', 'The GPU went away.', { reason: 'unknown' });
      if (state.hold) await state.hold;
      const { stall } = state;
      if (stall === null) return session.generate(request, port);
      state.stall = null;
      let sent = 0;
      await session.generate(request, { postMessage: (message) => sent++ < stall && port.postMessage(message) });
      stalled();
      return new Promise(none);
    },
  });
  /** The next answer stops after so many messages, and says nothing any more. @returns when it does */
  const stallAfter = (messages: number) => {
    state.stall = messages;
    return new Promise<void>((resolve) => {
      stalled = resolve;
    });
  };
  const hold = () => {
    let go = () => {};
    state.hold = new Promise((resolve) => {
      go = () => {
        state.hold = null;
        resolve();
      };
    });
    return () => go();
  };
  return { state, change, hold, stallAfter };
}

describe('two tabs', () => {
  it('have one worker, which loads once, and the same answers', async () => {
    const { tab, held } = browser(model);
    const [first, second] = [tab(), tab()];
    served = [];
    const one = await first.open();
    const weights = () => served.filter((url) => url.endsWith('safetensors')).length;
    const loads = weights();
    const told: Progress[] = [];
    const two = await second.open({ onProgress: (progress) => told.push(progress) });
    expect(told.map(({ phase }) => phase)).toEqual(['ready']);
    expect([first.workers(), second.workers(), weights()]).toEqual([1, 0, loads]);
    const right = await answer(one);
    expect((await answer(two)).ids).toEqual(right.ids);
    expect(await two.info()).toEqual(await one.info());
    expect(await two.tokenize('The sea')).toEqual(await one.tokenize('The sea'));
    expect(await two.detokenize(right.ids)).toBe(await one.detokenize(right.ids));
    const counted = await two.countTokens(SEA);
    expect(right.stats.promptTokens).toBe(counted);
    expect((await two.plan({ promptTokens: counted, maxNewTokens: 4 })).fits).toBe(true);
    // who leaves last ends it
    one.dispose();
    expect((await answer(two)).ids).toEqual(right.ids);
    two.dispose();
    await vi.waitFor(() => expect(held()).toEqual([]));
  });

  it('that start at the same moment have one worker, too, and each is told how far it is', async () => {
    const { tab } = browser(model);
    const tabs = [tab(), tab(), tab()];
    const told: Progress[][] = [[], [], []];
    const engines = await Promise.all(
      tabs.map((each, i) => each.open({ onProgress: (progress) => told[i].push(progress) })),
    );
    expect(tabs.map((each) => each.workers()).sort()).toEqual([0, 0, 1]);
    for (const reports of told) expect(reports.at(-1)!.phase).toBe('ready');
    const notes = told.map((reports) => reports.some(({ note }) => note === 'Another tab is loading this model.'));
    expect(notes.filter(Boolean)).toHaveLength(2);
    const answers = await Promise.all(engines.map((engine) => answer(engine)));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    for (const engine of engines) engine.dispose();
  });

  it('know nothing of each other’s conversations', async () => {
    const { tab } = browser(model);
    const [one, two] = [await tab().open(), await tab().open()];
    // both are the first of their engine
    const [left, right] = [one.conversation(), two.conversation()];
    await left.chat(HELLO, { maxNewTokens: 4 }).result;
    const other = await right.chat(SEA, { maxNewTokens: 4 }).result;
    expect(other.stats.reusedTokens).toBe(0);
    expect((await one.memory()).conversations).toBe(2);
    const again = await left.chat(HELLO, { maxNewTokens: 4 }).result;
    expect(again.stats.reusedTokens).toBeGreaterThan(0);
    await right.close();
    expect((await one.memory()).conversations).toBe(1);
    one.dispose();
    two.dispose();
  });
});

it('each tab has the adapters that it chose', async () => {
  const base = new URL('../../tiny-llama/bf16/', model).href;
  const { tab } = browser(base);
  const continued = (engine: Engine) => engine.generate([1, 2, 3], { maxNewTokens: 12, ignoreEos: true }).result;
  const [one, two] = [await tab().open(), await tab().open()];
  const right = await continued(one);
  const info = await two.setLora(new URL('../../lora/plain/', base));
  expect(info.lora).toHaveLength(1);
  const adapted = await continued(two);
  expect(adapted.ids).not.toEqual(right.ids);
  expect((await continued(one)).ids).toEqual(right.ids);
  expect([(await one.info()).lora.length, (await two.info()).lora.length]).toEqual([0, 1]);
  const both = await Promise.all([continued(two), continued(one), continued(two)]);
  expect(both.map(({ ids }) => ids)).toEqual([adapted.ids, right.ids, adapted.ids]);
  await two.setLora([]);
  expect((await continued(two)).ids).toEqual(right.ids);
  one.dispose();
  two.dispose();
});

describe('when the tab that has the worker goes', () => {
  const cuts: [string, object][] = [
    ['greedy', {}],
    ['sampled', { temperature: 1.3, topK: 40, seed: 7 }],
  ];
  it.each(cuts)('another goes on with the answer (%s)', async (_, options) => {
    const calm = await browser(model).tab().open();
    const right = await answer(calm, SEA, options);
    calm.dispose();
    for (const cut of [0, 1, 5, 11]) {
      const { change, stallAfter } = pacing();
      const { tab } = browser(model, change);
      const [first, second] = [tab(), tab()];
      await first.open();
      const told: Progress[] = [];
      const engine = await second.open({ onProgress: (progress) => told.push(progress) });
      const stalled = stallAfter(cut);
      const asked = engine.conversation().chat(SEA, { maxNewTokens: 12, ignoreEos: true, ...options });
      const text = asked.text();
      await stalled;
      first.close();
      const { ids, stats } = await asked.result;
      expect({ cut, ids, text: await text }).toEqual({ cut, ids: right.ids, text: right.text });
      expect([first.workers(), second.workers(), stats.recoveries]).toEqual([1, 1, 1]);
      expect(told.some(({ note }) => note?.startsWith('The tab that had the model was closed'))).toBe(true);
      engine.dispose();
    }
  });

  it('the next is loaded at once, from what is kept, however often that happens within a minute', async () => {
    const { tab } = browser(model);
    const tabs = [tab(), tab(), tab(), tab()];
    const engines: Engine[] = [];
    for (const each of tabs) engines.push(await each.open());
    const right = await answer(engines[3]);
    const loads = served.length;
    const left = new Set<Tab>(tabs);
    const having = () => [...left].filter((each) => each.workers() > 0);
    for (let closed = 0; closed < 3; closed++) {
      const [has, ...others] = having();
      expect(others).toEqual([]);
      left.delete(has);
      has.close();
      await vi.waitFor(() => expect(having()).toHaveLength(1), 20_000);
    }
    expect((await answer(engines[tabs.indexOf([...left][0])])).ids).toEqual(right.ids);
    expect(served.length).toBe(loads);
  });

  it('one that is frozen with nobody else there keeps it', async () => {
    const { tab } = browser(model);
    const only = tab();
    const engine = await only.open();
    const right = await answer(engine);
    only.freeze();
    const late = answer(engine);
    only.resume();
    expect((await late).ids).toEqual(right.ids);
    expect((await late).stats.recoveries).toBeUndefined();
    expect(only.workers()).toBe(1);
    engine.dispose();
  });

  it('one that is frozen hands over before, and is a guest when it comes back', async () => {
    const { tab } = browser(model);
    const [first, second] = [tab(), tab()];
    const one = await first.open();
    const two = await second.open();
    const right = await answer(two);
    first.freeze();
    expect((await answer(two)).ids).toEqual(right.ids);
    const late = answer(one);
    first.resume();
    expect((await late).ids).toEqual(right.ids);
    expect([first.workers(), second.workers()]).toEqual([1, 1]);
    one.dispose();
    two.dispose();
  });
});

it('answers wait for each other, and who waits is told', async () => {
  const { state, change, hold } = pacing();
  const { tab } = browser(model, change);
  const [one, two, three] = [await tab().open(), await tab().open(), await tab().open()];
  const ahead: Record<string, number[]> = { one: [], two: [], three: [] };
  one.onAhead = (answers) => ahead.one.push(answers);
  two.onAhead = (answers) => ahead.two.push(answers);
  three.onAhead = (answers) => ahead.three.push(answers);
  const go = hold();
  const asked: Promise<unknown>[] = [];
  for (const [index, engine] of [one, two, three].entries()) {
    asked.push(answer(engine));
    await vi.waitFor(() => expect(state.requests).toBe(index + 1));
  }
  await vi.waitFor(() => expect([ahead.two, ahead.three]).toEqual([[1], [2]]));
  go();
  await Promise.all(asked);
  await vi.waitFor(() => expect([ahead.two.at(-1), ahead.three.at(-1)]).toEqual([0, 0]));
  expect(ahead).toMatchObject({ one: [], two: [1, 0], three: [2, 1, 0] });
  for (const engine of [one, two, three]) engine.dispose();
});

it('of a tab that is closed nothing is computed further, and its caches are freed', async () => {
  const { tab } = browser(model);
  const [first, second] = [tab(), tab()];
  const one = await first.open();
  const two = await second.open();
  const talk = two.conversation();
  await talk.chat(HELLO, { maxNewTokens: 4 }).result;
  expect((await one.memory()).conversations).toBe(1);
  const { finish } = await answer(one, HELLO, { maxNewTokens: 1 });
  expect(finish).toBe('length');
  const long = two.conversation().chat(SEA, { maxNewTokens: 400, ignoreEos: true });
  long.result.catch(none);
  await long[Symbol.asyncIterator]().next();
  second.close();
  await vi.waitFor(async () => expect((await one.memory()).conversations).toBe(1));
  one.dispose();
});

it('a stop reaches the worker from another tab', async () => {
  // each token takes long enough for what comes in between
  const slow = (session: Session): Session => ({
    ...session,
    generate: (request, port) =>
      session.generate(request, {
        postMessage(message) {
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
          port.postMessage(message);
        },
      }),
  });
  const { tab } = browser(model, slow);
  const one = await tab().open();
  const two = await tab().open();
  const stop = new AbortController();
  const asked = two.conversation().chat(SEA, { maxNewTokens: 400, ignoreEos: true, signal: stop.signal });
  const pieces = asked[Symbol.asyncIterator]();
  await pieces.next();
  stop.abort();
  const { finish, ids } = await asked.result;
  expect(finish).toBe('aborted');
  expect(ids.length).toBeLessThan(400);
  one.dispose();
  two.dispose();
});

describe('a load', () => {
  it('goes on for the others when the tab that began it stops it', async () => {
    const { tab } = browser(model);
    const [first, second] = [tab(), tab()];
    const stop = new AbortController();
    const one = first.open({ signal: stop.signal, onProgress: () => stop.abort() });
    const two = second.open();
    await expect(one).rejects.toMatchObject({ code: 'aborted' });
    expect((await answer(await two)).ids).toHaveLength(12);
  });

  it('that fails fails for all who wait for it, and the next is another', async () => {
    const gone = model.replace('nf4', 'nowhere');
    const { tab, held } = browser(gone);
    const [first, second] = [tab(), tab()];
    const tries = await Promise.allSettled([first.open(), second.open()]);
    for (const each of tries) expect(each).toMatchObject({ reason: { code: 'network' } });
    await vi.waitFor(() => expect(held()).toEqual([]));
    await expect(first.open()).rejects.toMatchObject({ code: 'network' });
  });
});

it('a device that is lost is replaced once for all; a second loss within a minute ends as it does for one tab', async () => {
  const { state, change } = pacing();
  const { tab } = browser(model, change);
  const [first, second] = [tab(), tab()];
  const one = await first.open();
  const two = await second.open();
  const right = await answer(one);
  state.lost = true;
  const asked = answer(two);
  await vi.waitFor(() => expect(state.requests).toBeGreaterThan(1));
  state.lost = false;
  expect((await asked).ids).toEqual(right.ids);
  expect((await answer(one)).ids).toEqual(right.ids);
  expect(first.workers() + second.workers()).toBe(2);
  state.lost = true;
  await expect(answer(two)).rejects.toMatchObject({ code: 'device-lost' });
  one.dispose();
  two.dispose();
});

describe('a tab has a worker of its own', () => {
  it('where no port can come to it', async () => {
    const { tab, cutOff } = browser(model);
    const [first, second] = [tab(), tab()];
    await first.open();
    cutOff();
    const engine = await second.open();
    expect(second.workers()).toBe(1);
    expect((await answer(engine)).ids).toHaveLength(12);
    engine.dispose();
  });

  it('where the tab that has the model does not answer', async () => {
    const { tab, silence } = browser(model);
    const [first, second] = [tab(), tab()];
    await first.open();
    silence();
    const { now } = performance;
    let looks = 0;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 1000 * looks++);
    const engine = await second.open();
    clock.mockRestore();
    expect(second.workers()).toBe(1);
    engine.dispose();
  });

  it('where it asks otherwise, or for what only it has', async () => {
    const { tab } = browser(model);
    const [first, second] = [tab(), tab()];
    const engines = [await first.open(), await second.open({ kv: 'f16' }), await second.open({ storage: 'none' })];
    expect([first.workers(), second.workers()]).toEqual([1, 2]);
    for (const engine of engines) engine.dispose();
    const name = (options: Parameters<typeof lockName>[1], which: Parameters<typeof lockName>[0] = 'org/name') =>
      lockName(which, options, 'build');
    expect(name({ persist: true, token: 'secret', onProgress: none })).toBe(name({}));
    expect(name({ kv: 'f16', chunk: 8 })).toBe(name({ chunk: 8, kv: 'f16' }));
    for (const other of [{ memoryBudget: 1e9 }, { revision: 'v2' }, { backend: 'cpu' }] as const)
      expect(name(other)).not.toBe(name({}));
    expect(name({}, new URL('https://a.example/b'))).toBe(name({}, 'https://a.example/b'));
    expect(lockName('org/name', {}, 'another build')).not.toBe(name({}));
    expect(name({}, new File([], 'model.gguf'))).toBeNull();
    expect(name({ storage: 'none' })).toBeNull();
  });
});
