/** The list of dispatches as it is, without a GPU. */
import { expect, it } from 'vitest';
import { NF4_CODEBOOK } from '../../formats/matrix';
import { deviceProfile } from '../../gpu/device-profile';
import { type KernelShapes, VARIANTS } from '../../kernels/variants';
import { forwardSteps } from '../../model/decoder';
import { planOf } from '../cpu/test/models';
import { lower } from './lower';
import { tiny } from './test/maker';

const LIMITS = { maxComputeWorkgroupStorageSize: 16384, maxComputeInvocationsPerWorkgroup: 256 };
const NF4 = { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK } as const;
const spec = tiny();
const plan = planOf(spec, { promptTokens: 100, maxNewTokens: 9 }, NF4, 'webgpu');

const lowered = (shapes: KernelShapes) =>
  lower(
    {
      model: { spec, steps: forwardSteps(spec), formats: new Map() },
      matrices: plan.matrices,
      adapters: new Map(),
      shapes,
      kv: 'f32',
      parts: plan.kvByLayer.map(({ parts }) => parts),
      profile: deviceProfile({}, new Set(), new Set(), LIMITS),
    },
    'prefill',
  );

it('a few tokens have products of their own, and each product is computed once, of whatever length a prompt is', () => {
  const { gpu } = VARIANTS;
  const both = lowered(gpu);
  const one = lowered({ ...gpu, few: null });
  // QKV of three matrices or one, O, gate with up, down
  const products = both.filter(({ kernel }) => kernel.label.startsWith('matmul '));
  expect(both.length - one.length).toBe(products.length / 2);
  const slots = plan.kvByLayer.map(({ slots }) => slots);
  for (const tokens of [1, 15, 16, 17, 100]) {
    const runs = both.filter((op) => op.groups(tokens, tokens - 1, slots)[0] > 0);
    expect(runs.map(({ buffers }) => buffers)).toEqual(one.map(({ buffers }) => buffers));
    // the smaller tile up to its 16 tokens
    const small = runs.filter((op) => products.includes(op) && !one.some(({ kernel }) => kernel === op.kernel));
    expect(small.length).toBe(tokens <= 16 ? products.length / 2 : 0);
  }
});
