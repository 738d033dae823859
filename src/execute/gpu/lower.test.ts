/** How many dispatches a pass takes, by family, from the compiled plan. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { MatrixFormat } from '../../formats/matrix';
import { NF4_CODEBOOK } from '../../formats/matrix';
import { deviceProfile } from '../../gpu/device-profile';
import { forStreams, type KernelShapes, VARIANTS, withInt8 } from '../../kernels/variants';
import { matrixBuffers } from '../../memory/layout';
import { DEFAULT_LIMITS, planMemory } from '../../memory/plan';
import { parseSpec } from '../../model/parse';
import type { ModelSpec } from '../../model/spec';
import { GREEDY, graphOf, planOf, request } from '../cpu/test/models';
import { linksOf } from '../sampler/links';
import { lower } from './lower';
import { lowerSampler } from './lower-sampler';
import { tiny } from './test/maker';

const NF4: MatrixFormat = { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK };
const PROFILE = deviceProfile({}, new Set(), new Set(), {
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256,
});
const FAMILIES = 'reference/fixtures/families';

/** A layer of decode: QKV, attention with the append, O, gate-up, down; two more where norms follow sub-layers. */
const LAYER: Record<string, number> = {
  gemma: 5,
  gemma2: 7,
  gemma3: 7,
  'gemma3-multimodal': 7,
  granite: 5,
  llama: 5,
  mistral: 5,
  // q and k are normed over all their heads, which takes another
  olmo2: 8,
  phi3: 5,
  'phi4-mini': 5,
  qwen2: 5,
  qwen3: 5,
  smollm3: 5,
};

const specOf = (family: string, more: object = { mlp_bias: false }): ModelSpec => ({
  ...parseSpec({ ...JSON.parse(readFileSync(`${FAMILIES}/${family}/bf16/config.json`, 'utf8')), ...more }),
  contextLength: 8192,
});

/** Dispatches of one token whose position is the last of `context`: of the pass, and of the sampler. */
function dispatches(
  spec: ModelSpec,
  variant: string,
  context: number,
  formatOf: (name: string) => MatrixFormat = () => NF4,
): { pass: number; sampler: number; merges: number } {
  const model = graphOf(spec, formatOf);
  const plan = planMemory(model, request({ promptTokens: context, kvType: 'f16' }), DEFAULT_LIMITS, 'webgpu');
  const ops = lower(
    {
      model,
      matrices: plan.matrices,
      adapters: plan.adapters,
      shapes: VARIANTS[variant],
      kv: 'f16',
      parts: plan.kvByLayer.map(({ parts }) => parts),
      profile: PROFILE,
    },
    'decode',
  );
  const slots = plan.kvByLayer.map((layer) => layer.slots);
  const taken = (all: typeof ops) => all.filter(({ groups }) => groups(1, context - 1, slots)[0] > 0).length;
  // Of layers that split what they read, where a dispatch of its own makes rows of the parts.
  const { merge, whole } = VARIANTS[variant].attend.decode;
  const apart = merge === 'apart' && spec.qkNorm !== 'projection';
  const merges = slots.filter((all) => apart && Math.min(all, context) > whole).length;
  return {
    pass: taken(ops),
    sampler: taken(lowerSampler(spec.vocab, VARIANTS[variant].sampler, linksOf(GREEDY, spec.vocab))),
    merges,
  };
}

describe('dispatches of a token', () => {
  it('every family that is tested is counted', () => {
    expect(readdirSync(FAMILIES).sort()).toEqual(Object.keys(LAYER).sort());
  });

  describe.each(Object.keys(VARIANTS))('shapes for %s', (variant) => {
    it.each(Object.entries(LAYER))(
      '%s: %i a layer, beside the embedding, the head and two of the sampler',
      (family, layer) => {
        const spec = specOf(family);
        for (const context of [128, 4096]) {
          const { pass, sampler, merges } = dispatches(spec, variant, context);
          expect([context, pass - merges, sampler]).toEqual([context, 1 + layer * spec.layers.length + 1, 2]);
        }
      },
    );
  });

  it('a GPU splits a long context, which takes a merge in layers that see all of it, and not a short one', () => {
    const merges = (family: string, context: number) => dispatches(specOf(family), 'gpu', context).merges;
    expect(['llama', 'gemma2', 'olmo2'].map((family) => merges(family, 128))).toEqual([0, 0, 0]);
    // Gemma 2's other layers slide; OLMo 2 merges inside O, to stay at eight.
    expect(['llama', 'gemma2', 'olmo2'].map((family) => merges(family, 4096))).toEqual([2, 1, 0]);
    const layers = specOf('llama').layers.length;
    expect(dispatches(specOf('llama'), 'gpu', 4096).pass).toBe(1 + 6 * layers + 1);
    expect(dispatches(specOf('olmo2'), 'gpu', 4096).pass).toBe(1 + 8 * layers + 1);
  });

  it('gate and up with biases leave the activation to a dispatch of its own', () => {
    const spec = specOf('llama', { mlp_bias: true });
    expect(dispatches(spec, 'gpu', 128).pass).toBe(1 + (5 + 1) * spec.layers.length + 1);
  });

  it('q, k and v of other types are a matrix each: two more a layer', () => {
    const spec = specOf('llama');
    const mixed = (name: string): MatrixFormat =>
      /\.[kv]_proj/.test(name) ? { type: name.includes('k_') ? 'f16' : 'bf16' } : NF4;
    for (const context of [128, 4096])
      expect(dispatches(spec, 'software', context, mixed).pass).toBe(1 + (5 + 2) * spec.layers.length + 1);
  });
});

const sliding = tiny();

/** A chunk of a prompt. */
function lowered(shapes: KernelShapes) {
  const model = graphOf(sliding, NF4);
  const plan = planOf(sliding, { promptTokens: 100, maxNewTokens: 9 }, NF4, 'webgpu');
  const parts = plan.kvByLayer.map((layer) => layer.parts);
  const { matrices } = plan;
  return lower({ model, matrices, adapters: new Map(), shapes, kv: 'f32', parts, profile: PROFILE }, 'prefill');
}

it('a few tokens have products of their own, and each product is computed once, of whatever length a prompt is', () => {
  const { gpu } = VARIANTS;
  const both = lowered(gpu);
  const one = lowered({ ...gpu, few: null });
  // QKV of three matrices or one, O, gate with up, down
  const products = both.filter(({ kernel }) => kernel.label.startsWith('matmul '));
  expect(both.length - one.length).toBe(products.length / 2);
  const slots = sliding.layers.map(() => 128);
  for (const tokens of [1, 15, 16, 17, 100]) {
    const runs = both.filter((op) => op.groups(tokens, tokens - 1, slots)[0] > 0);
    expect(runs.map(({ buffers }) => buffers)).toEqual(one.map(({ buffers }) => buffers));
    // the smaller tile up to its 16 tokens
    const small = runs.filter((op) => products.includes(op) && !one.some(({ kernel }) => kernel === op.kernel));
    expect(small.length).toBe(tokens <= 16 ? products.length / 2 : 0);
  }
});

it('activations of int8 take a dispatch more for each input of a layer’s products, and none for few tokens', () => {
  const { gpu } = VARIANTS;
  const slots = sliding.layers.map(() => 128);
  const runs = (shapes: KernelShapes, tokens: number) =>
    lowered(shapes).filter((op) => op.groups(tokens, tokens - 1, slots)[0] > 0);
  const int8 = runs(withInt8(gpu), 100);
  const rounding = int8.filter(({ kernel }) => kernel.label === 'int8_rows');
  expect(rounding.map(({ buffers: { x } }) => x)).toEqual(sliding.layers.flatMap(() => ['h', 'attn', 'h', 'mlp']));
  expect(int8.length - runs(gpu, 100).length).toBe(4 * sliding.layers.length);
  // every product reads what was made last
  const products = int8.filter(({ kernel }) => kernel.label.startsWith('matmul '));
  expect(new Set(products.map(({ buffers: { x } }) => x))).toEqual(new Set(['int8']));
  const few = (shapes: KernelShapes) => runs(shapes, 16).map(({ kernel, buffers }) => [kernel, buffers]);
  expect(few(withInt8(gpu))).toEqual(few(gpu));
});

describe('a token of each of several answers', () => {
  it.each(Object.keys(LAYER))(
    'reads each weight of a model like %s in one dispatch, however many there are',
    (family) => {
      const spec = specOf(family);
      const model = graphOf(spec, () => NF4);
      const plan = planMemory(model, request({ promptTokens: 128, kvType: 'f16' }), DEFAULT_LIMITS, 'webgpu');
      const parts = plan.kvByLayer.map((layer) => layer.parts);
      const options = {
        model,
        matrices: plan.matrices,
        adapters: plan.adapters,
        kv: 'f16',
        parts,
        profile: PROFILE,
      } as const;
      for (const shapes of Object.values(VARIANTS)) {
        const ops = lower({ ...options, shapes: forStreams(shapes) }, 'together');
        const reads = (name: string) =>
          ops.filter(({ kernel, buffers }) => kernel.label !== 'embed' && Object.values(buffers).includes(name));
        const multiplied = new Set(model.steps.flatMap((step) => (step.op === 'linear' ? [step.parts[0].name] : [])));
        const matrices = plan.matrices.filter(({ parts }) => multiplied.has(parts[0].tensor));
        expect(matrices.length).toBe(multiplied.size);
        for (const matrix of matrices) {
          const own = reads(matrixBuffers(matrix).codes);
          expect(own.length).toBe(1);
          for (const streams of [2, 4, 16]) expect(own[0].groups(streams, 0, [])[0]).toBeGreaterThan(0);
        }
        // beside attention, where each has its own rings, as many as one answer's
        const layers = spec.layers.length;
        expect(ops.filter(({ layer }) => layer !== null).length).toBe(2 * layers);
      }
    },
  );
});
