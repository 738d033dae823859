/** Requests that are answered together: on the CPU, with every kind of trouble. */
import { describe, expect, it } from 'vitest';
import { ask, EVERY_KIND, everyKind, opened } from './test/together-cases';

const CPU = { backend: 'cpu', chunk: 16 } as const;
const [LIKELIEST, , DRAWN] = EVERY_KIND;

describe('answers', () => everyKind(CPU, [2, 4, 8]));

describe('answers in small chunks', () => everyKind({ ...CPU, chunk: 3 }, [4]));

it('a prompt that others have begun with is computed once, and its answers differ by their seeds', async () => {
  const [other, session] = [await opened(CPU), await opened(CPU)];
  const one = (seed: number) => ({ ...DRAWN, options: { ...DRAWN.options, seed } });
  const alone = [];
  for (const seed of [1, 2, 3, 4]) alone.push((await ask(other, one(seed))).result);
  const all = (await Promise.all([1, 2, 3, 4].map((seed) => ask(session, one(seed), 4)))).map(({ result }) => result);
  expect(all.map(({ ids }) => ids)).toEqual(alone.map(({ ids }) => ids));
  expect(all.map(({ stats }) => stats.reusedTokens)).toEqual([0, 39, 39, 39]);
  // who asks on later finds what was said
  const more = { ids: [...(DRAWN.input as { ids: number[] }).ids, ...all[2].ids, 5] };
  const later = await ask(session, { ...LIKELIEST, input: more }, 4);
  expect(later.result.stats.reusedTokens).toBe(40 + all[2].ids.length - 1);
  expect(later.result.ids).toEqual((await ask(other, { ...LIKELIEST, input: more })).result.ids);
  await other.dispose();
  await session.dispose();
});

it('more than there is room for wait in their order, and none is lost', async () => {
  const wanted = Array.from({ length: 9 }, (_, seed) => ({ ...DRAWN, options: { ...DRAWN.options, seed } }));
  const free = await opened(CPU);
  const expected = [];
  for (const one of wanted) expected.push((await ask(free, one)).result.ids);
  await free.close(1);
  const { weights, kv, scratch } = await free.plan({ promptTokens: 40, maxNewTokens: 30 });
  await free.dispose();
  // two of four have room
  const session = await opened({ ...CPU, memoryBudget: weights + scratch + 6000 + Math.floor(2.5 * kv) });
  const ended: number[] = [];
  let most = 0;
  const all = await Promise.all(
    wanted.map(async (one, i) => {
      const answer = await ask(session, one, 4);
      ended.push(i);
      most = Math.max(most, (await session.memory()).conversations);
      return answer.result.ids;
    }),
  );
  expect(all).toEqual(expected);
  expect(most).toBe(2);
  expect(ended.slice(0, 2).sort()).toEqual([0, 1]);
  const { peak, total } = await session.memory();
  expect(Math.max(peak, total)).toBeLessThanOrEqual(weights + scratch + 6000 + Math.floor(2.5 * kv));
  await session.dispose();
});

it('where one answer fills the budget, each has it in turn', async () => {
  const free = await opened(CPU);
  const { peak } = await free.plan({ promptTokens: 40, maxNewTokens: 30 });
  const expected = (await ask(free, DRAWN)).result.ids;
  await free.dispose();
  const session = await opened({ ...CPU, memoryBudget: peak, snapshots: 0 });
  const all = await Promise.all([DRAWN, DRAWN, DRAWN].map((one) => ask(session, one, 4)));
  expect(all.map(({ result }) => result.ids)).toEqual([expected, expected, expected]);
  await session.dispose();
});

it('one that is stopped, and one that is refused, leave the others as they are', async () => {
  const session = await opened(CPU);
  const long = { ...LIKELIEST, options: { ...LIKELIEST.options, maxNewTokens: 40 } };
  const expected = (await ask(session, long)).result.ids;
  const stopped = ask(session, long, 4, 777);
  const others = [ask(session, long, 4), ask(session, long, 4)];
  const refused = ask(session, { ...LIKELIEST, options: { logitBias: { 5000: 1 } } }, 4);
  await expect(refused).rejects.toMatchObject({ code: 'invalid-option' });
  await session.cancel(777);
  const { result } = await stopped;
  expect(result.finish).toBe('aborted');
  expect(result.ids).toEqual(expected.slice(0, result.ids.length));
  expect(result.ids.length).toBeLessThan(40);
  for (const other of others) expect((await other).result.ids).toEqual(expected);
  // and one that is stopped while it waits never begins
  const all = Array.from({ length: 6 }, (_, i) => ask(session, long, 2, 800 + i));
  await session.cancel(805);
  expect((await all[5]).result.ids).toEqual([]);
  for (const one of all.slice(0, 5)) expect((await one).result.ids).toEqual(expected);
  await session.dispose();
});

it('others wait for them, and they for others, in the order in which they were asked', async () => {
  const session = await opened(CPU);
  const order: string[] = [];
  const note = (name: string) => (value: unknown) => {
    order.push(name);
    return value;
  };
  await Promise.all([
    ask(session, LIKELIEST, 4).then(note('a')),
    ask(session, DRAWN, 4).then(note('b')),
    session.score({ id: 900, texts: [[1, 2, 3]] }).then(note('score')),
    ask(session, LIKELIEST, 4).then(note('c')),
    ask(session, LIKELIEST, 2).then(note('two')),
    ask(session, LIKELIEST).then(note('alone')),
  ]);
  expect(order.slice(2)).toEqual(['score', 'c', 'two', 'alone']);
  await session.dispose();
});

it('a conversation that shifts goes on as it does alone', async () => {
  const options = { ...CPU, maxContext: 48, chunk: 8 } as const;
  const session = await opened(options, 'reference/fixtures/tiny-llama/nf4/');
  const shifting = (seed: number) => ({
    ...DRAWN,
    options: { temperature: 1, seed, maxNewTokens: 40, overflow: 'shift', ignoreEos: true } as const,
  });
  const alone = [];
  for (const seed of [1, 2, 3]) alone.push((await ask(session, shifting(seed))).result);
  const all = await Promise.all([1, 2, 3].map((seed) => ask(session, shifting(seed), 3)));
  expect(all.map(({ result }) => result.ids)).toEqual(alone.map(({ ids }) => ids));
  expect(all[0].result.stats.droppedTokens).toBeGreaterThan(0);
  await session.dispose();
});
