/** Hidden states and likelihoods on the GPU beside the CPU's, over rings that wrap, and what comes back of them. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { testGpu } from '../../gpu/test-device';
import { VARIANTS } from '../../kernels/variants';
import { forwardSteps } from '../../model/decoder';
import { CPU, largestDifference, planOf, randomModel } from '../cpu/test/models';
import type { Pooled } from '../pooling';
import type { OneCache } from '../test/one-cache';
import { packCases } from '../test/pack-cases';
import { prompt, tiny, webgpu } from './test/maker';

const gpu = testGpu();
const open: OneCache[] = [];
afterEach(() => {
  vi.restoreAllMocks();
  for (const executor of open.splice(0)) executor.dispose();
});

/** Of f32 matrices, in passes of seven tokens. */
const both = (spec = tiny()) =>
  Promise.all([CPU, webgpu(gpu, open)].map((maker) => randomModel(spec, { chunk: 7 }, { type: 'f32' }, maker)));

const ids = prompt(23);
const ALL: Pooled['rows'] = ['sum', 'weighted', 'max', 'first', 'last'];

describe.each([
  ['with a head', tiny()],
  ['without one', { ...tiny(), headless: true as const }],
])('a model %s', (_, spec) => {
  it.each<[string, Pooled]>([
    ['of all positions', { rows: ALL, from: 0 }],
    ['of those behind a prompt', { rows: ['sum', 'first'], from: 9 }],
    ['of the last alone', { rows: ['last'], from: 0 }],
  ])('pools %s as the CPU does', async (_, pooled) => {
    const [right, found] = await Promise.all((await both(spec)).map((executor) => executor.pool(ids, 0, pooled)));
    expect(found).toHaveLength(pooled.rows.length * spec.width);
    const scale = Math.max(...right.map(Math.abs));
    expect(largestDifference(found, right) / scale).toBeLessThan(1e-4);
  });
});

it('the last alone is what is pooled of all, also where the beginning was computed before', async () => {
  for (const executor of await both()) {
    const all = await executor.pool(ids, 0, { rows: ['sum', 'last'], from: 0 });
    const last = await executor.pool(ids, 0, { rows: ['last'], from: 0 });
    const scale = Math.max(...last.map(Math.abs));
    expect(largestDifference(last, all.slice(last.length)) / scale).toBeLessThan(1e-4);
    await executor.prefill(ids.slice(0, 11), 0);
    expect(
      largestDifference(await executor.pool(ids.slice(11), 11, { rows: ['last'], from: 0 }), last) / scale,
    ).toBeLessThan(1e-4);
  }
});

it('scores as the CPU does, and nothing but the scores comes back', async () => {
  const [cpu, executor] = await both();
  const right = await cpu.score(ids, 0);
  const { device } = await gpu;
  let copied = 0;
  const create = device.createCommandEncoder.bind(device);
  vi.spyOn(device, 'createCommandEncoder').mockImplementation((...given) => {
    const encoder = create(...given);
    const copy = encoder.copyBufferToBuffer.bind(encoder) as (...all: unknown[]) => undefined;
    encoder.copyBufferToBuffer = (...all: unknown[]) => {
      copied += all[4] as number;
      copy(...all);
    };
    return encoder;
  });
  const found = await executor.score(ids, 0);
  expect(found).toHaveLength(ids.length - 1);
  expect(largestDifference(found, right)).toBeLessThan(1e-4);
  expect(copied).toBe(4 * (ids.length - 1));
  copied = 0;
  await executor.prefill(ids, 0);
  const two = await executor.logits([5, 96]);
  expect(copied).toBe(8);
  const all = await executor.logits();
  expect([...two]).toEqual([all[5], all[96]]);
});

it('an id alone has no score, and there are no logits after either', async () => {
  for (const executor of await both()) {
    expect(await executor.score([3], 0)).toHaveLength(0);
    await expect(executor.logits()).rejects.toMatchObject({ code: 'invalid-option' });
    await executor.prefill(ids, 0);
    await executor.pool(ids, 0, { rows: ['last'], from: 0 });
    await expect(executor.logits([1])).rejects.toMatchObject({ code: 'invalid-option' });
  }
});

it('a model without a head writes nothing, and its plan has no head', async () => {
  const spec = { ...tiny(), headless: true as const };
  expect(forwardSteps(spec).some((step) => step.op === 'linear' && step.lastOnly)).toBe(false);
  expect(planOf(tiny()).weights - planOf(spec).weights).toBe(97 * 64 * 4);
  for (const executor of await both(spec)) {
    const refusal = { code: 'invalid-option', message: expect.stringContaining('no head') };
    await expect(executor.prefill(ids, 0)).rejects.toMatchObject(refusal);
    await expect(executor.score(ids, 0)).rejects.toMatchObject(refusal);
  }
});

packCases(webgpu(gpu, open), {
  'one layer of which slides': tiny(),
  'norms over all of q and k': tiny({ model_type: 'olmo2', layer_types: undefined, sliding_window: undefined }),
});

describe('by tiles', () => {
  const { small, gpu: large } = VARIANTS;
  packCases(webgpu(gpu, open, undefined, undefined, { ...small, attend: large.attend }));
});
