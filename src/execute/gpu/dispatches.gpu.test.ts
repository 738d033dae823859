/** Dispatches counted where WebGPU is called, beside what the lowering says (lower.test.ts counts every family so). */
import { afterEach, expect, it } from 'vitest';
import { testGpu } from '../../gpu/test-device';
import { VARIANTS } from '../../kernels/variants';
import { GREEDY, openFixture, take } from '../cpu/test/models';
import type { OneCache } from '../test/one-cache';
import { webgpu } from './test/maker';

const open: OneCache[] = [];
afterEach(() => {
  for (const executor of open.splice(0)) executor.dispose();
});

const maker = webgpu(testGpu(), open);

/** How many dispatches `work` makes. */
async function counted(work: () => Promise<unknown>): Promise<number> {
  const { dispatchWorkgroups } = GPUComputePassEncoder.prototype;
  let count = 0;
  GPUComputePassEncoder.prototype.dispatchWorkgroups = function (...groups) {
    count++;
    return dispatchWorkgroups.apply(this, groups);
  };
  try {
    await work();
  } finally {
    GPUComputePassEncoder.prototype.dispatchWorkgroups = dispatchWorkgroups;
  }
  return count;
}

const SPLIT = VARIANTS.small.attend.decode.whole + 1;

it.each([
  ['tiny-llama/nf4', 3, 5],
  ['families/gemma2/nf4', 3, 7],
  ['families/olmo2/nf4', 3, 8],
  ['families/qwen3/nf4', 3, 5],
  ['families/qwen3/nf4', SPLIT, 6],
])(
  '%s behind %i tokens takes %i dispatches a layer, an embedding, a head and two of the sampler',
  async (path, tokens, layer) => {
    const { executor, model } = await openFixture(path, {}, 'keep', maker);
    const prompt = Array.from({ length: tokens }, (_, i) => i + 1);
    await executor.prefill(prompt, 0);
    const layers = model.spec.layers.length;
    // The first id needs the sampler only, its logits are the prompt's.
    expect(await counted(() => take(executor.decode(tokens, 1, GREEDY)))).toBe(2);
    await executor.prefill(prompt, 0);
    const before = executor.stats().dispatches;
    const three = await counted(() => take(executor.decode(tokens, 4, GREEDY)));
    expect(three).toBe(3 * (1 + layer * layers + 1) + 4 * 2);
    expect(executor.stats().dispatches - before).toBe(three);
  },
);
