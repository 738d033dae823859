import { expect, it } from 'vitest';
import { forwardSteps } from '../model/decoder';
import { parseSpec } from '../model/parse';
import type { AdaptedStep } from './adapted';
import { DEFAULT_LIMITS, type ModelGraph, planMemory } from './plan';

const spec = parseSpec({
  model_type: 'llama',
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 1,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  vocab_size: 1000,
  max_position_embeddings: 256,
});
const steps = forwardSteps(spec);
const at = (out: string) => steps.findIndex((step) => step.op === 'linear' && step.out === out);
const formats: ModelGraph['formats'] = new Map(
  steps.flatMap((step) => {
    const names = step.op === 'embed' ? [step.table] : step.op === 'linear' ? step.parts.map(({ name }) => name) : [];
    return names.map((name) => [name, { type: 'f16' }] as const);
  }),
);
const request = {
  promptTokens: 9,
  maxNewTokens: 9,
  kvType: 'f16',
  kvCapacity: 'auto',
  maxContext: null,
  chunk: 16,
  budget: null,
  snapshots: 0,
} as const;

/** The buffers that adapters add, by name. */
function added(adapted: AdaptedStep[], target: 'webgpu' | 'cpu', limits = DEFAULT_LIMITS): Record<string, number> {
  const before = new Map(
    planMemory({ spec, steps, formats }, request, limits, target).buffers.map(({ name, bytes }) => [name, bytes]),
  );
  const { buffers } = planMemory({ spec, steps, formats, adapted }, request, limits, target);
  return Object.fromEntries(
    buffers.filter(({ name, bytes }) => before.get(name) !== bytes).map(({ name, bytes }) => [name, bytes]),
  );
}

const plain = { rank: 8, type: 'f16', bias: false, multiplier: false } as const;

it('adapters add A and B in whole chunks on the GPU, and what their product goes through', () => {
  const step = at('qkv');
  expect(added([{ step, ...plain }], 'webgpu')).toEqual({
    [`lora.${step}.a.codes`]: 8 * 64 * 2,
    [`lora.${step}.b.codes`]: 128 * 32 * 4,
    lora: (16 * 8 + 32) * 4,
  });
  expect(added([{ step, ...plain }], 'cpu')).toEqual({
    [`lora.${step}.a.codes`]: 8 * 64 * 2,
    [`lora.${step}.b.codes`]: 128 * 8 * 4,
    lora: (16 * 8 + 32) * 4,
  });
});

it('row factors stand behind biases in one buffer', () => {
  const step = at('qkv');
  const bias = `lora.${step}.bias`;
  expect(added([{ step, ...plain, bias: true }], 'webgpu')[bias]).toBe(128 * 4);
  expect(added([{ step, ...plain, bias: true, multiplier: true }], 'webgpu')[bias]).toBe(2 * 128 * 4);
  expect(added([{ step, ...plain, rank: 0, bias: true }], 'webgpu')).toEqual({ [bias]: 128 * 4 });
});

it('gate and up then need a buffer of their own on the GPU, where they are fused otherwise', () => {
  expect(added([{ step: at('gateUp'), ...plain }], 'webgpu').gateUp).toBe((16 * 2 * 96 + 32) * 4);
  expect(added([{ step: at('qkv'), ...plain }], 'webgpu').gateUp).toBeUndefined();
});

it('a table of an embedding is split where it exceeds a binding', () => {
  const small = { maxBufferSize: 1 << 17, maxStorageBufferBindingSize: 1 << 17 };
  const names = Object.keys(added([{ step: 0, ...plain, type: 'f32' }], 'webgpu', { ...small }));
  expect(names).toEqual(['lora.0.a.codes', 'lora.0.b.codes', 'lora']);
  const smaller = { maxBufferSize: 1 << 16, maxStorageBufferBindingSize: 1 << 16 };
  const cut = added([{ step: 0, ...plain, type: 'f32' }], 'webgpu', smaller);
  expect(cut['lora.0.a[0..512).codes']).toBe(512 * 128);
  expect(cut['lora.0.a[512..1000).codes']).toBe(488 * 128);
});

it('a wider rank than any input widens the CPU’s scratch', () => {
  expect(added([{ step: at('qkv'), ...plain, rank: 400 }], 'cpu')['cpu.x']).toBe(16 * 400 * 8);
});
