/** plan(): what-ifs, bad input, and a budget that is obeyed to the byte. */
import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { NibbleError } from '../errors';
import { deviceProfile } from '../gpu/device-profile';
import { planMemory } from '../memory/plan';
import type { PlanQuery } from '../protocol';
import { planRequest, withChunk } from './planning';
import { createSession } from './session';
import { ask, host, load } from './test/tiny';

const GIB = 2 ** 30;
const session = createSession({ ...host(), machine: { memory: 8 * GIB, userAgent: '' } });
const query = (more: object = {}) => ({ promptTokens: 100, maxNewTokens: 100, ...more }) as PlanQuery;
const refused = (work: Promise<unknown>): Promise<NibbleError> =>
  work.then(
    () => expect.fail('not refused'),
    (e) => e,
  );
const prompt = (tokens: number) => ({ ids: Array.from({ length: tokens }, (_, i) => i % 200) });

beforeAll(() => load(session, { backend: 'cpu' }));

describe('the chunk of a prompt', () => {
  const limits = { maxComputeWorkgroupStorageSize: 16384, maxComputeInvocationsPerWorkgroup: 256 };
  const gpuOf = (architecture: string) => ({ profile: deviceProfile({ architecture }, new Set(), new Set(), limits) });
  const [real, software] = [gpuOf('hopper'), gpuOf('swiftshader')];
  const sized = (memoryBudget: number | null = null, kvCapacity: 'auto' | number = 'auto') => {
    const { graph, options, limits, checkpoint } = session.model();
    return { graph, limits, checkpoint, target: 'webgpu', options: { ...options, memoryBudget, kvCapacity } } as const;
  };
  const chunkOf = (...of: Parameters<typeof withChunk>) => withChunk(...of).options.chunk;

  it('is larger on a GPU, unless it computes in software or one was asked for', async () => {
    expect((await session.info()).options.chunk).toBe(128);
    expect([real, software, null].map((gpu) => chunkOf(sized(), 'auto', gpu))).toEqual([256, 128, 128]);
    const asked = sized();
    expect(withChunk(asked, 128, real)).toBe(asked);
  });

  it.each(['full', 64] as const)('is no larger where the budget has no room for the whole cache then (%s)', (most) => {
    const capacity = most === 'full' ? 'auto' : most;
    const { graph, limits, options } = sized(null, capacity);
    const request = { ...planRequest({ ...options, chunk: 256 }, 1, 1), kvCapacity: most };
    const { peak } = planMemory(graph, request, limits, 'webgpu');
    expect([peak, peak - 1].map((budget) => chunkOf(sized(budget, capacity), 'auto', real))).toEqual([256, 128]);
  });

  it('is as loaded where a plan supposes auto', async () => {
    expect(await session.plan(query({ chunk: 'auto' }))).toEqual(await session.plan(query()));
  });
});

describe('a query', () => {
  it('supposes another cache, context, chunk, budget or other weights', async () => {
    const plain = await session.plan(query());
    expect(plain).toMatchObject({ fits: true, suggestions: [], offers: [] });
    const full = await session.plan(query({ kvCapacity: 'full' }));
    expect(full.kv).toBe(plain.kvFullContext);
    expect((await session.plan(query({ kvCapacity: 'full', maxContext: 300 }))).kvByLayer[0].slots).toBe(300);
    expect((await session.plan(query({ kv: 'f32' }))).kv).toBe(2 * plain.kv);
    expect((await session.plan(query({ kv: 'f32' }))).kvFullContext).toBe(2 * plain.kvFullContext);
    expect((await session.plan(query({ chunk: 8 }))).scratch).toBeLessThan(plain.scratch);
    const wide = await session.plan(query({ weights: 'f32' }));
    expect(wide.weights).toBeGreaterThan(3 * plain.weights);
    const tight = await session.plan(query({ weights: 'f32', memoryBudget: wide.peak - 1 }));
    expect(tight.fits).toBe(false);
    expect(tight.offers.map(({ kind }) => kind)).toContain('weights');
    expect(tight.suggestions).toEqual(tight.offers.map(({ text }) => text));
    // and nothing stays of it
    expect(await session.plan(query())).toEqual(plain);
    expect((await session.info()).options).toMatchObject({ kv: 'f16', memoryBudget: null });
  });

  it('for a constrained answer has the index of the vocabulary, which is then there', async () => {
    const own = createSession(host());
    await own.inspect({ source: { kind: 'http', base: 'http://unused/' }, options: { backend: 'cpu' } });
    const early = await refused(own.plan(query({ constrained: true })));
    expect(early).toMatchObject({ code: 'invalid-option', details: { option: 'constrained' } });
    await load(own, { backend: 'cpu', kv: 'f16' });
    expect((await own.plan(query())).index).toBe(0);
    expect((await own.memory()).index).toBe(0);
    const { index, total } = await own.plan(query({ constrained: true }));
    expect(index).toBeGreaterThan(0);
    expect(await own.memory()).toMatchObject({ index });
    expect(await own.plan(query())).toMatchObject({ index, total });
    const answer = await own.generate({ id: 1, input: prompt(4), options: { choice: ['a'] } }, { postMessage() {} });
    expect(answer.memory.index).toBe(index);
  });

  it.each([
    ['promptTokens', [Number.NaN, -1, 1.5, 1e300, '5', null, undefined]],
    ['maxNewTokens', [Number.NaN, 0, -3, Number.POSITIVE_INFINITY, '7', {}]],
    ['memoryBudget', [0, -1, Number.NaN, 1e300, '100 MB']],
    ['maxContext', [0, -1, Number.NaN, 2 ** 60, 'all']],
    ['kvCapacity', [0, 1.5, 'most', Number.NEGATIVE_INFINITY]],
    ['chunk', [0, 'large']],
    ['kv', ['f8', 16]],
    ['weights', ['q3']],
    ['backend', ['cpu']],
  ])('with a bad %s is refused with the value, and the next one is answered', async (name, values) => {
    for (const value of values) {
      const { code, message } = await refused(session.plan(query({ [name]: value })));
      expect([value, code]).toEqual([value, 'invalid-option']);
      expect(message).toContain(name);
      if (name !== 'backend') expect(message).toContain(String(value));
    }
    expect((await session.plan(query())).fits).toBe(true);
  });

  it('of more than the context says by how much', async () => {
    const { code, details } = await refused(session.plan(query({ promptTokens: 600 })));
    expect([code, details]).toEqual([
      'context-overflow',
      { promptTokens: 600, maxNewTokens: 100, need: 699, capacity: 512, contextLength: 512 },
    ]);
    const capped = await refused(session.plan(query({ maxContext: 150 })));
    expect(capped.details).toMatchObject({ need: 199, capacity: 150 });
  });

  it('needs a model that was loaded or inspected', async () => {
    const other = createSession(host());
    expect((await refused(other.plan(query()))).code).toBe('invalid-option');
    const source = { kind: 'http', base: 'http://unused/' } as const;
    const cost = await other.inspect({ source, options: { backend: 'cpu', kv: 'f32' } });
    const half = cost.tokens / 2;
    expect(await other.plan({ promptTokens: half, maxNewTokens: half })).toEqual(cost.plan);
    expect((await other.plan(query({ kv: 'f16' }))).kv).toBe((await session.plan(query())).kv);
    // the one that is loaded goes before
    await load(other, { backend: 'cpu', kv: 'f16' });
    expect(await other.plan(query())).toEqual(await session.plan(query()));
  });
});

it('info() says what the device probably allows', async () => {
  const { deviceEstimate } = await session.info();
  expect(deviceEstimate).toEqual({ bytes: 4 * GIB, reason: expect.stringContaining('half of the 8 GiB') });
  const unknown = await createSession(host()).inspect({
    source: { kind: 'http', base: 'http://unused/' },
    options: { backend: 'cpu' },
    touch: true,
  });
  expect(unknown.deviceEstimate.bytes).toBe(2 * GIB);
});

it('info() says whether what computes may share memory: in Node it may, in a worker as its page does', async () => {
  expect((await session.info()).coi).toBe(true);
  vi.stubGlobal('crossOriginIsolated', false);
  expect((await session.info()).coi).toBe(false);
  vi.unstubAllGlobals();
});

it('a budget is obeyed to the byte: one less is refused with the numbers, and the next request is answered', async () => {
  const { peak, total, kv } = await session.plan(query());
  const exact = createSession(host());
  await load(exact, { backend: 'cpu', memoryBudget: peak });
  const { result } = await ask(exact, prompt(100), { maxNewTokens: 100, ignoreEos: true });
  expect(result.ids).toHaveLength(100);
  expect([result.memory.total, result.memory.peak]).toEqual([total, peak]);
  await exact.dispose();

  const less = createSession(host());
  await load(less, { backend: 'cpu', memoryBudget: peak - 1 });
  const { code, details, message } = await refused(ask(less, prompt(100), { maxNewTokens: 100 }));
  expect([code, details]).toEqual(['out-of-memory', expect.objectContaining({ peak, kv, budget: peak - 1 })]);
  expect(message).toContain('MiB');
  // what was offered first is true
  const fewer = Number(/at most (\d+) new tokens/.exec((details.suggestions as string[])[0])![1]);
  const after = await ask(less, prompt(100), { maxNewTokens: fewer, ignoreEos: true });
  expect(after.result.ids).toHaveLength(fewer);
  expect(after.result.memory.peak).toBeLessThanOrEqual(peak - 1);
  // of a prompt that has no room at all
  const long = await refused(ask(less, prompt(400), { maxNewTokens: 1 }));
  expect(long.code).toBe('out-of-memory');
  expect((long.details.suggestions as string[])[0]).toMatch(/chunk|weights|prompt/);
  expect((await ask(less, prompt(10), { maxNewTokens: 3, ignoreEos: true })).result.ids).toHaveLength(3);
  await less.dispose();
});

it('a budget below the weights is refused before they are loaded', async () => {
  const small = createSession(host());
  const { weights } = await session.plan(query());
  const { code, details } = await refused(load(small, { backend: 'cpu', memoryBudget: weights }));
  expect([code, details.budget]).toEqual(['out-of-memory', weights]);
  expect((details.suggestions as string[]).at(-1)).toMatch(/alone take \d+\.\d MiB: allow/);
  // under what would do, a short chat has room
  const chat = { promptTokens: 192, maxNewTokens: 192 };
  expect(details.enough).toBe((await session.plan(query(chat))).peak);
});

it('a budget that has no room for a long system prompt is what is blamed, with one that would do', async () => {
  const messages = [
    { role: 'system' as const, content: 'be kind '.repeat(25) },
    { role: 'user' as const, content: 'Hi' },
  ];
  const options = { maxNewTokens: 4, overflow: 'shift' as const, ignoreEos: true };
  const least = await session.plan(query({ promptTokens: 20, maxNewTokens: 1 }));
  const small = createSession(host());
  await load(small, { backend: 'cpu', memoryBudget: least.peak });
  const { code, details } = await refused(ask(small, { messages }, options));
  expect([code, details.budget]).toEqual(['out-of-memory', least.peak]);
  await small.dispose();
  const enough = createSession(host());
  await load(enough, { backend: 'cpu', memoryBudget: details.enough as number });
  expect((await ask(enough, { messages }, options)).result.ids).toHaveLength(4);
  await enough.dispose();
});
