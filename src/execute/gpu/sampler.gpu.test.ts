import { afterEach, expect, it } from 'vitest';
import { testGpu } from '../../gpu/test-device';
import { LOGPROB_BUFFERS, tokenBuffers } from '../../memory/gpu-scratch';
import { GREEDY, planOf, randomModel, take } from '../cpu/test/models';
import type { OneCache } from '../test/one-cache';
import { describeSampler } from '../test/sampler-cases';
import { prompt, tiny, webgpu } from './test/maker';
import { watch } from './test/watch';

const open: OneCache[] = [];
afterEach(() => {
  for (const executor of open.splice(0)) executor.dispose();
});

describeSampler(webgpu(testGpu(), open));

it('has the buffers of what is known of each token where a request needs them, as planned', async () => {
  const seen = watch((await testGpu()).device);
  const executor = await randomModel(tiny(), {}, { type: 'f32' }, webgpu(testGpu(), open));
  const bytes = (adjusts: boolean, tells = false) =>
    planOf(tiny(), { adjusts, tells }, { type: 'f32' }, 'webgpu').total;
  expect(bytes(true) - bytes(false)).toBe(tokenBuffers(97).reduce((sum, [, bytes]) => sum + bytes, 0));
  for (const bias of [undefined, new Map<number, number>()]) {
    await executor.prefill(prompt(5), 0);
    await take(executor.decode(5, 2, { ...GREEDY, bias }));
    expect([seen.bytes(), executor.memory().total]).toEqual([bytes(false), bytes(false)]);
  }
  for (const bias of [new Map([[1, 1]]), new Map([[2, 1]]), undefined]) {
    await executor.prefill(prompt(5), 0);
    await take(executor.decode(5, 2, { ...GREEDY, bias }));
    expect([seen.bytes(), executor.memory().total]).toEqual([bytes(true), bytes(true)]);
  }
  await executor.prefill(prompt(5), 0);
  await take(executor.decode(5, 2, { ...GREEDY, logprobs: 3 }));
  expect([seen.bytes(), executor.memory().total]).toEqual([bytes(true, true), bytes(true, true)]);
  expect(bytes(false, true) - bytes(false)).toBe(LOGPROB_BUFFERS.reduce((sum, [, bytes]) => sum + bytes, 0));
});
