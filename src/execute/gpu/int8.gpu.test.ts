/** Whole models whose prompts are read with activations of int8, beside transformers' logits. */
import { afterEach, expect, it } from 'vitest';
import { testGpu } from '../../gpu/test-device';
import { VARIANTS, withInt8 } from '../../kernels/variants';
import { planMemory } from '../../memory/plan';
import {
  expected,
  GREEDY,
  INT8_TOLERANCE,
  largestDifference,
  openFixture,
  request,
  sureSteps,
  take,
} from '../cpu/test/models';
import type { OneCache } from '../test/one-cache';
import { webgpu } from './test/maker';

const gpu = await testGpu();
const open: OneCache[] = [];
afterEach(() => {
  for (const executor of open.splice(0)) executor.dispose();
});

const maker = webgpu(Promise.resolve(gpu), open, undefined, undefined, withInt8(VARIANTS.small));

/** The largest difference in units of the scale, by the prompt's length; greedy ids equal up to the margin. */
async function differences(path: string): Promise<Record<number, number>> {
  const { logitScale, prompts } = expected(path);
  const { executor, model } = await openFixture(path, { int8: true }, 'keep', maker);
  const off: Record<number, number> = {};
  for (const { ids, positions, logits, greedy, margins } of prompts) {
    const size = request({ promptTokens: ids.length, maxNewTokens: greedy.length, int8: true });
    await executor.reserve(planMemory(model, size, gpu.limits, 'webgpu'));
    await executor.prefill(ids, 0);
    const right = logits[positions.indexOf(ids.length - 1)];
    off[ids.length] = largestDifference(await executor.logits(), right) / logitScale;
    const made = await take(executor.decode(ids.length, greedy.length, GREEDY));
    const sure = sureSteps(margins, 2 * INT8_TOLERANCE * logitScale);
    expect(made.slice(0, sure)).toEqual(greedy.slice(0, sure));
  }
  return off;
}

// measured on SwiftShader: 2.4e-2 and 3.2e-2, 1.9e-2 and 1.4e-2
it.each(['tiny-llama/nf4', 'families/gemma2/nf4'])(
  '%s: prompts are rounded, those of few tokens are not',
  async (path) => {
    const { 1: one, ...more } = await differences(path);
    expect(one).toBeLessThan(1e-5);
    for (const off of Object.values(more)) {
      expect(off).toBeGreaterThan(1e-4);
      expect(off).toBeLessThan(INT8_TOLERANCE);
    }
  },
);

it('tiny-llama-odd/nf4: matrices whose rows are no whole blocks are held in 16 bits, and exact', async () => {
  for (const off of Object.values(await differences('tiny-llama-odd/nf4'))) expect(off).toBeLessThan(1e-5);
});
