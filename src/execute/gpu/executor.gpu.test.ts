import { afterEach, describe, it } from 'vitest';
import { testGpu } from '../../gpu/test-device';
import { VARIANTS } from '../../kernels/variants';
import { FAMILY_SAMPLE, FORMAT_FIXTURES, GGUF_FIXTURES } from '../cpu/test/fixtures';
import type { Maker } from '../cpu/test/models';
import { compareWithTransformers } from '../cpu/test/transformers';
import { type OneCache, withOneCache } from '../test/one-cache';
import { createGpuExecutor } from './executor';

const gpu = testGpu();
const open: OneCache[] = [];
afterEach(() => {
  for (const executor of open.splice(0)) executor.dispose();
});

const webgpu = (variant: string): Maker => ({
  target: 'webgpu',
  async make(model, plan) {
    const made = await createGpuExecutor(await gpu, model, plan, { variant, shapes: VARIANTS[variant] });
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
