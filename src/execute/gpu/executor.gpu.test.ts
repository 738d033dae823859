import { afterEach, describe, expect, it } from 'vitest';
import { testGpu } from '../../gpu/test-device';
import type { WeightsOption } from '../../memory/formats';
import { expected, GGUF_MODELS, largestDifference, type Maker, openFixture } from '../cpu/test/models';
import type { Executor } from '../executor';
import { createGpuExecutor } from './executor';
import { SHAPES } from './shapes';

const GREEDY = { temperature: 0, topK: 0, topP: 1, seed: 0 };
const gpu = testGpu();
const open: Executor[] = [];
afterEach(() => {
  for (const executor of open.splice(0)) executor.dispose();
});

const webgpu = (variant: string): Maker => ({
  target: 'webgpu',
  async make(model, plan) {
    const executor = await createGpuExecutor(await gpu, model, plan, { variant, shapes: SHAPES[variant] });
    open.push(executor);
    return executor;
  },
});

async function take(ids: AsyncIterable<number>): Promise<number[]> {
  const all: number[] = [];
  for await (const id of ids) all.push(id);
  return all;
}

const FIXTURES: [path: string, weights: WeightsOption][] = [
  ...GGUF_MODELS.map((path): [string, WeightsOption] => [path, 'keep']),
  ['tiny-llama/bf16', 'f32'],
  ['tiny-llama/nf4', 'keep'],
  ['tiny-llama/nf4-dq', 'keep'],
  ['tiny-llama/nf4-mixed', 'keep'],
  ['tiny-llama/gguf/tiny-llama.gguf', 'keep'],
  ['tiny-llama-odd/bf16', 'keep'],
  ['tiny-llama-odd/nf4', 'keep'],
  ['tiny-llama-128/nf4', 'keep'],
];
describe.each([
  ['small', FIXTURES],
  ['software', FIXTURES.slice(-1)],
  ['gpu', FIXTURES.slice(-1)],
] as const)('shapes for %s', (variant, fixtures) => {
  it.each(fixtures)('%s (%s) as transformers computes it', async (path, weights) => {
    const folder = path.replace(/\/[^/]+\.gguf$/, '');
    const tolerance = 1e-3;
    const { logitScale, prompts } = expected(folder);
    const { executor } = await openFixture(path, { kvType: 'f32' }, weights, webgpu(variant));
    expect(executor.backend).toBe('webgpu');
    for (const { ids, positions, logits, greedy, margins } of prompts) {
      const rows: Float32Array[] = [];
      await executor.prefill(ids, 0, {
        onLogits(_first, count, values) {
          for (let i = 0; i < count; i++)
            rows.push(values.slice((i * values.length) / count, ((i + 1) * values.length) / count));
        },
      });
      positions.forEach((position, i) => {
        expect(largestDifference(rows[position], logits[i]) / logitScale).toBeLessThan(tolerance);
      });
      await executor.prefill(ids, 0);
      expect(largestDifference(await executor.logits(), rows[rows.length - 1]) / logitScale).toBeLessThan(1e-4);
      const unsure = margins.findIndex((margin) => margin < 2 * tolerance * logitScale);
      const sure = unsure < 0 ? greedy.length : unsure;
      expect((await take(executor.decode(ids.length, greedy.length, GREEDY))).slice(0, sure)).toEqual(
        greedy.slice(0, sure),
      );
    }
  });
});
