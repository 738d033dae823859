import { afterEach, describe, expect, it } from 'vitest';
import { testGpu } from '../../gpu/test-device';
import { matmulSuits } from '../../kernels/matmul';
import { type KernelShapes, MATMULS, VARIANTS } from '../../kernels/variants';
import { FAMILY_SAMPLE, FORMAT_FIXTURES, GGUF_FIXTURES } from '../cpu/test/fixtures';
import { allLogits, expected, largestDifference, type Maker, openFixture, TOLERANCE } from '../cpu/test/models';
import { compareWithTransformers } from '../cpu/test/transformers';
import { type OneCache, withOneCache } from '../test/one-cache';
import { createGpuExecutor } from './executor';

const gpu = testGpu();
const open: OneCache[] = [];
afterEach(() => {
  for (const executor of open.splice(0)) executor.dispose();
});

const webgpu = (variant: string, more: Partial<KernelShapes> = {}): Maker => ({
  target: 'webgpu',
  async make(model, plan) {
    const made = await createGpuExecutor(await gpu, model, plan, {
      variant,
      shapes: { ...VARIANTS[variant], ...more },
    });
    const executor = withOneCache(made);
    open.push(executor);
    return executor;
  },
});

describe.each([
  ['small', [...FORMAT_FIXTURES, ...GGUF_FIXTURES, ...FAMILY_SAMPLE]],
  ['software', FORMAT_FIXTURES.slice(-1)],
  ['gpu', FORMAT_FIXTURES.slice(-1)],
] as const)('shapes for %s', (variant, fixtures) => {
  it.each(fixtures)('%s (%s) as transformers computes it', (path, weights) =>
    compareWithTransformers(path, weights, 'f32', webgpu(variant)),
  );
});

const { profile } = await gpu;
const halves = MATMULS.filter((shape) => shape.kind === 'tiled' && shape.f16 && matmulSuits(shape, profile));
if (halves.length === 0) console.warn('Not run, as this device has no shader-f16: products of f16 tiles.');

describe.runIf(halves.length > 0)('products of f16 tiles', () => {
  it.each(halves.map((matmul) => [JSON.stringify(matmul), matmul] as const))(
    '%s: as transformers computes it, as near as a cache of f16 is',
    async (_, matmul) => {
      for (const [path, weights] of FAMILY_SAMPLE.slice(-2)) {
        const { logitScale, prompts } = expected(path);
        const { executor } = await openFixture(path, { kvType: 'f16' }, weights, webgpu('small', { matmul }));
        for (const { ids, positions, logits } of prompts) {
          const rows = await allLogits(executor, ids);
          const off = positions.map((position, i) => largestDifference(rows[position], logits[i]) / logitScale);
          expect(Math.max(...off)).toBeLessThan(TOLERANCE.f16);
        }
      }
    },
  );
});
