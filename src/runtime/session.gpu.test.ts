/** The same session on WebGPU. It fails, and does not pass, where there is no adapter. */

import { beforeAll, describe, expect, it } from 'vitest';
import type { NibbleError } from '../errors';
import { describeAdapter } from '../gpu/device';
import { sharedGpu as gpu } from '../gpu/test-device';
import { createMemoryStore } from '../store/chunk-store';
import { createSession } from './session';
import { countingGpu } from './test/counting-gpu';
import { ask, certain, chats, host, load, SMALL } from './test/tiny';

describe('a session on WebGPU', () => {
  const session = createSession(host({ gpu }));
  beforeAll(async () => {
    expect((await load(session, SMALL)).info).toMatchObject({ backend: 'webgpu', adapter: {} });
  });

  it.each([0, 1])('answers chat %i as transformers does', async (i) => {
    const expected = certain(chats[i]);
    const { result, messages } = await ask(session, { messages: chats[i].messages }, { maxNewTokens: expected.length });
    expect(result.ids).toEqual(expected);
    expect(messages.flatMap(({ ids }) => ids)).toEqual(expected);
  });

  it('saves a conversation, which goes on in another session here and on the CPU; reading it leaves nothing behind', async () => {
    const store = createMemoryStore();
    const one = createSession(host({ gpu, store }));
    await load(one, { ...SMALL, kv: 'f32' });
    const [{ ids }] = chats;
    const first = await ask(one, { ids }, { maxNewTokens: 12, ignoreEos: true });
    const before = await one.memory();
    const saved = await one.saveCache(0, 'talk');
    expect(saved.tokens).toBe(ids.length + 11);
    expect(await one.memory()).toMatchObject({ total: before.total, kv: before.kv, scratch: before.scratch });
    const longer = [...ids, ...first.result.ids, 5, 6, 7];
    const right = await ask(one, { ids: longer }, { maxNewTokens: 6 });
    for (const backend of ['webgpu', 'cpu'] as const) {
      const other = createSession(host({ gpu, store }));
      await load(other, { ...SMALL, backend, kv: 'f32' });
      expect(await other.restoreCache(0, 'talk')).toBe(saved.tokens);
      const { result } = await ask(other, { ids: longer }, { maxNewTokens: 6 });
      expect([result.ids, result.stats.reusedTokens]).toEqual([right.result.ids, saved.tokens]);
      await other.dispose();
    }
    await one.dispose();
  });

  it('answers a second turn from the cache, and allocates what it planned', async () => {
    const [{ ids }] = chats;
    const first = await ask(session, { ids }, { maxNewTokens: 12, ignoreEos: true });
    const longer = [...ids, ...first.result.ids, 5, 6, 7];
    const second = await ask(session, { ids: longer }, { maxNewTokens: 40, ignoreEos: true });
    expect(second.result.stats.reusedTokens).toBe(ids.length + 11);
    await ask(session, { ids: [9] }, { maxNewTokens: 1 });
    const afresh = await ask(session, { ids: longer }, { maxNewTokens: 40, ignoreEos: true });
    expect(afresh.result.ids).toEqual(second.result.ids);
    const plan = await session.plan({ promptTokens: longer.length, maxNewTokens: 40 });
    expect(afresh.result.memory).toMatchObject({
      weights: plan.weights,
      kv: plan.kv,
      scratch: plan.scratch,
      staging: 0,
    });
  });

  it.each([
    ['greedy', {}],
    ['sampled', { temperature: 1.3, topK: 40, topP: 0.95, seed: 7 }],
  ])('goes on with an answer that was cut, %s', async (_, sampling) => {
    const [, , , { ids }] = chats;
    const options = { maxNewTokens: 12, ignoreEos: true, ...sampling };
    const { result, messages } = await ask(session, { ids }, options);
    for (const cut of [1, 6, 12]) {
      // as a new worker has it: nothing is cached
      await ask(session, { ids: [9] }, { maxNewTokens: 1 });
      const rest = await ask(session, { ids }, options, result.ids.slice(0, cut));
      expect(rest.result.ids).toEqual(result.ids);
      expect(rest.messages).toEqual(messages);
    }
  });

  it('stops when cancelled, and goes on', async () => {
    let seen = 0;
    const request = { id: 9001, input: { ids: [9, 9] }, options: { maxNewTokens: 200, ignoreEos: true } };
    const result = await session.generate(request, {
      postMessage: () => {
        if (++seen === 3) void session.cancel(9001);
      },
    });
    expect(result.finish).toBe('aborted');
    expect(result.ids.length).toBeLessThanOrEqual(4);
    expect((await ask(session, { ids: chats[0].ids }, { maxNewTokens: 4 })).result.ids).toEqual(
      chats[0].greedy.slice(0, 4),
    );
  });

  it('is loaded again after another model was', async () => {
    await load(session, { ...SMALL, limits: 'default', features: 'none', kv: 'f32' });
    expect((await ask(session, { ids: chats[0].ids }, { maxNewTokens: 4 })).result.ids).toEqual(
      chats[0].greedy.slice(0, 4),
    );
    expect((await session.info()).options).toMatchObject({ limits: 'default', features: 'none', kv: 'f32' });
    await session.dispose();
  });
});

it('a budget is obeyed to the byte, as a wrapper around the device sees it', async () => {
  const { gpu: counting, seen } = countingGpu(gpu);
  const session = createSession(host({ gpu: counting }));
  const loading = (memoryBudget: number) => load(session, { ...SMALL, memoryBudget });
  const refusal = await loading(1).catch((error: NibbleError) => error.details);
  const { peak } = refusal as { peak: number };
  await expect(loading(peak - 1)).rejects.toMatchObject({
    code: 'out-of-memory',
    details: {
      peak,
      budget: peak - 1,
      suggestions: expect.arrayContaining([expect.stringMatching(/chunks of \d+ tokens/)]),
    },
  });
  expect(seen.peak).toBe(0);
  await loading(peak);
  expect(seen.peak).toBe(peak);
  const asked = { promptTokens: 60, maxNewTokens: 20 };
  const plan = await session.plan(asked);
  // of so small a model, the cache takes less than its upload did
  expect([plan.fits, plan.peak]).toEqual([true, peak]);
  const { result } = await ask(session, { ids: [...Array(60).keys()] }, { maxNewTokens: 20, ignoreEos: true });
  expect(result.ids).toHaveLength(20);
  expect([seen.now, seen.peak]).toEqual([plan.total, peak]);
  await session.dispose();
  expect(seen.now).toBe(0);
});

it('a software adapter is never chosen over the CPU by itself', async () => {
  const session = createSession(host({ gpu }));
  const { info } = await load(session);
  const { isFallback } = describeAdapter((await gpu.requestAdapter())!);
  expect(info.backend).toBe(isFallback ? 'cpu' : 'webgpu');
  if (isFallback) expect(info.backendReason).toMatch(/slower than the CPU/);
});
