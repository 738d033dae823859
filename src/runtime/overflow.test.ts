import { describe, expect, it, vi } from 'vitest';
import { NibbleError } from '../errors';
import { PairMap } from '../text/pair-map';
import { createSession } from './session';
import { expectLongTalk } from './test/long-talk';
import { ask, chats, fixture, host, load } from './test/tiny';

const SHIFT = { overflow: 'shift', ignoreEos: true } as const;

describe('a conversation of three times its context', () => {
  it.each(['f16', 'f32'] as const)('keeps answering, and computes nothing twice (%s cache)', (kv) =>
    expectLongTalk(null, { kv }),
  );

  it.each([0, 2])(
    'keeps answering where local layers have wrapped, of which there are %i copies',
    async (snapshots) => {
      const files = fixture('reference/fixtures/families/gemma3/nf4/');
      const session = createSession(host({ files }));
      await load(session, { maxContext: 64, chunk: 8, snapshots });
      const prefill = vi.spyOn(session.model().executor, 'prefill');
      const { result } = await ask(session, { ids: [3, 1, 4, 1, 5] }, { ...SHIFT, maxNewTokens: 200 });
      expect(result.ids).toHaveLength(200);
      expect(result.stats).toMatchObject({ droppedTokens: 144 });
      expect(prefill.mock.calls.map(([, ids]) => ids.length)).toEqual([5, ...Array(9).fill(1)]);
    },
  );
});

describe('where the device is full before the budget is', () => {
  const files = fixture('reference/fixtures/families/gemma3/nf4/');
  /** A device that has room for caches of so many slots, and none for snapshots. */
  async function full(slots: number) {
    const session = createSession(host({ files }));
    await load(session, { chunk: 8, snapshots: 2 });
    const { executor } = session.model();
    const create = executor.createCache.bind(executor);
    vi.spyOn(executor, 'createCache').mockImplementation(() => {
      const cache = create();
      const reserve = cache.reserve.bind(cache);
      cache.reserve = async (plan) => {
        const most = Math.max(...plan.kvByLayer.map((layer) => layer.slots));
        if (most > slots || plan.request.snapshots) throw new NibbleError('out-of-memory', 'full');
        await reserve(plan);
      };
      return cache;
    });
    return session;
  }
  const SNAPSHOTS = 'There was no room for snapshots, so what is asked again may be computed again.';

  it('an answer is shorter, and says so beside what went before', async () => {
    const session = await full(64);
    const { result } = await ask(session, { ids: [3, 1, 4] }, { ignoreEos: true, maxNewTokens: 200 });
    const { length } = result.ids;
    expect(result.options!.maxNewTokens).toBe(length);
    expect(length).toBeLessThanOrEqual(62);
    expect(length).toBeGreaterThan(20);
    const shorter = `The device had no room for 200 new tokens, so this answer has ${length} at most.`;
    expect(result.note).toBe(`${SNAPSHOTS} ${shorter}`);
  });

  it('one that may shift is not, and says what is no longer seen', async () => {
    const session = await full(64);
    const { result } = await ask(session, { ids: [3, 1, 4] }, { ...SHIFT, maxNewTokens: 200 });
    expect(result.ids).toHaveLength(200);
    expect(result.note).toContain(SNAPSHOTS);
    const [, limit] = /no room for more than (\d+) tokens of this conversation/.exec(result.note!)!;
    expect(Number(limit)).toBeLessThanOrEqual(64);
    expect(result.note).toContain(`longer than the ${limit} tokens`);
  });
});

describe('what is seen', () => {
  it('is the system prompt and the newest part, within the answer, too', async () => {
    const session = createSession(host());
    await load(session, { maxContext: 80 });
    const prefill = vi.spyOn(session.model().executor, 'prefill');
    const messages = [
      { role: 'system' as const, content: 'Be kind.' },
      { role: 'user' as const, content: 'a long question '.repeat(30) },
    ];
    const whole = createSession(host());
    await load(whole);
    const prompt = vi.spyOn(whole.model().executor, 'prefill');
    await ask(whole, { messages }, { maxNewTokens: 1 });
    const ids = Array.from(prompt.mock.calls[0][1]);
    const other = [messages[0], { ...messages[1], content: 'zzz' }];
    await ask(whole, { messages: other }, { maxNewTokens: 1 });
    const otherIds = [...ids.slice(0, prompt.mock.calls[1][2]), ...Array.from(prompt.mock.calls[1][1])];
    const system = ids.findIndex((id, i) => id !== otherIds[i]);
    expect(system).toBeGreaterThan(8);

    const { result } = await ask(session, { messages }, { ...SHIFT, maxNewTokens: 60 });
    const [, seen, start] = prefill.mock.calls[0];
    const newest = seen.length - system;
    expect(start).toBe(0);
    expect(newest).toBeGreaterThan(30);
    expect(Array.from(seen)).toEqual([...ids.slice(0, system), ...ids.slice(-newest)]);
    expect(result.ids).toHaveLength(60);
    expect(result.note).toContain('the system prompt');
    expect(result.stats.droppedTokens).toBeGreaterThan(ids.length - 80);
  });

  it('is everything while there is room: the same plan, the same answer', async () => {
    const [{ messages }] = chats;
    const results = [];
    for (const overflow of ['error', 'shift'] as const) {
      const session = createSession(host());
      await load(session);
      const { result } = await ask(session, { messages }, { overflow, maxNewTokens: 20 });
      results.push({ ids: result.ids, note: result.note, memory: result.memory });
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[0].note).toBe(null);
  });

  it('is less where the memory budget has room for less, and it stays within the budget', async () => {
    const roomy = createSession(host());
    await load(roomy);
    const { peak, kv } = await roomy.plan({ promptTokens: 70, maxNewTokens: 27 });
    const memoryBudget = Math.floor(peak + kv / 4);
    const session = createSession(host());
    await load(session, { memoryBudget });
    const prompt = { ids: Array.from({ length: 300 }, (_, i) => 40 + (i % 80)) };
    await expect(ask(session, prompt, { maxNewTokens: 90 })).rejects.toMatchObject({ code: 'out-of-memory' });
    const { result } = await ask(session, prompt, { ...SHIFT, maxNewTokens: 90 });
    expect(result.ids).toHaveLength(90);
    // room for about 120 of them, a spare ring for shifting included
    expect(result.memory.kvSlots.global).toBeGreaterThanOrEqual(64);
    expect(result.memory.kvSlots.global).toBeLessThan(120);
    expect(result.memory.peak).toBeLessThanOrEqual(memoryBudget);
  });

  it('may be as much as fits, with no room for a spare ring', async () => {
    const roomy = createSession(host());
    await load(roomy);
    const { peak } = await roomy.plan({ promptTokens: 10, maxNewTokens: 5 });
    const session = createSession(host());
    await load(session, { memoryBudget: peak });
    const ids = Array.from({ length: 10 }, (_, i) => 40 + i);
    const { result: right } = await ask(session, { ids }, { ignoreEos: true, maxNewTokens: 5 });
    const { result } = await ask(session, { ids }, { ...SHIFT, maxNewTokens: 5 });
    expect([result.ids, result.note]).toEqual([right.ids, null]);
    const { result: long } = await ask(session, { ids }, { ...SHIFT, maxNewTokens: 60 });
    expect(long.ids).toHaveLength(60);
    expect(long.stats.droppedTokens).toBe(40);
    expect(long.memory.peak).toBeLessThanOrEqual(peak);
  });

  it('cannot be a system prompt of more than half the context', async () => {
    const session = createSession(host());
    await load(session, { maxContext: 80 });
    const messages = [
      { role: 'system' as const, content: 'Be kind. '.repeat(30) },
      { role: 'user' as const, content: 'Well?' },
    ];
    await expect(ask(session, { messages }, SHIFT)).rejects.toMatchObject({
      code: 'context-overflow',
      details: { capacity: 80 },
    });
    await expect(ask(session, { ids: [1] }, { overflow: 'wrap' as never })).rejects.toMatchObject({
      code: 'invalid-option',
    });
  });
});

describe('a paste of millions of characters', () => {
  const paste = (text: string) => ({ messages: [{ role: 'user' as const, content: text }] });
  const WORD = 'x'.repeat(4_000_000);
  const PROSE = 'There is nothing in the world. '.repeat(120_000);

  /** How many pairs are looked up while it is worked at: millions, of which a spy would remember each. */
  async function lookups(work: () => Promise<unknown>): Promise<number> {
    const { get } = PairMap.prototype;
    let count = 0;
    PairMap.prototype.get = function (...pair) {
      count++;
      return get.apply(this, pair);
    };
    try {
      await work();
    } finally {
      PairMap.prototype.get = get;
    }
    return count;
  }

  it.each([
    ['in one word', WORD, 4_000_000 / 12],
    ['of prose', PROSE, 513],
  ])('is refused before it is encoded: %s', async (_, text, least) => {
    const session = createSession(host());
    await load(session);
    const refused = ask(session, paste(text), { maxNewTokens: 1 });
    const error = (await refused.catch((error) => error)) as NibbleError;
    expect(error).toMatchObject({
      code: 'context-overflow',
      details: { atLeast: true, capacity: 512, contextLength: 512 },
    });
    const { promptTokens } = error.details as { promptTokens: number };
    expect(promptTokens).toBeGreaterThan(least);
    expect(promptTokens).toBeLessThan(text.length);
    expect(error.message).toContain(`The prompt has at least ${promptTokens} tokens; 512 are allowed.`);
    // four million for the added tokens' search; a word of so many letters would be merged with eight million more
    expect(await lookups(() => ask(session, paste(text)).catch(() => {}))).toBeLessThan(text.length * 2.1);
    // and the next question is answered
    expect((await ask(session, paste('Hi'), { maxNewTokens: 1 })).result.finish).not.toBe('aborted');
  });

  it('is counted to its end where old tokens may go, until it is stopped', async () => {
    const session = createSession(host());
    await load(session);
    const stopped = session.generate(
      { id: 4711, input: paste(WORD), options: { overflow: 'shift', maxNewTokens: 1 } },
      { postMessage: () => {} },
    );
    let turns = 0;
    const ended = stopped.then(() => -1);
    // a stop that arrives as a message does, between two pieces
    const turn = () => new Promise<number>((resolve) => setImmediate(() => resolve(++turns)));
    while (turns < 10) if ((await Promise.race([ended, turn()])) < 0) break;
    expect(turns).toBe(10);
    await session.cancel(4711);
    while ((await Promise.race([ended, turn()])) > 0);
    // some 50 would be left
    expect(turns).toBeLessThan(16);
    const result = await stopped;
    expect(result).toMatchObject({ finish: 'aborted', ids: [], stats: { newTokens: 0 } });
    expect(result.stats.promptTokens).toBeGreaterThan(4_000_000 / 12);
  });

  it('gives turns to others while its tokens are asked for', async () => {
    const session = createSession(host());
    await load(session);
    let turns = 0;
    const turn = () => setImmediate(() => turns++ < 1e6 && !over && turn());
    let over = false;
    turn();
    const ids = await session.tokenize(PROSE.slice(0, 1_000_000), false);
    over = true;
    expect(ids.length).toBeGreaterThan(100_000);
    // a piece has 65,536 characters
    expect(turns).toBeGreaterThanOrEqual(14);
  });
});
