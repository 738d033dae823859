import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../formats/json';
import { forwardSteps, parameterCount, tensorTable } from './decoder';
import { parseSpec } from './parse';

/**
 * L, d, heads, kv heads, head size, MLP width, vocabulary: the models' published config.json; parameters in millions,
 * counted from the shapes in their safetensors headers (Gemma-3-1B has 999,885,952).
 */
type Row = [
  name: string,
  type: string,
  L: number,
  d: number,
  H: number,
  KV: number,
  hd: number,
  ff: number,
  V: number,
  millions: number,
  more?: JsonObject,
];
const untied = { tie_word_embeddings: false };
const tied = { tie_word_embeddings: true };
const MODELS: Row[] = [
  ['Gemma-2B', 'gemma', 18, 2048, 8, 1, 256, 16384, 256000, 2506.2],
  ['Gemma-7B', 'gemma', 28, 3072, 16, 16, 256, 24576, 256000, 8537.7],
  ['Gemma-2-2B', 'gemma2', 26, 2304, 8, 4, 256, 9216, 256000, 2614.3, { sliding_window: 4096 }],
  ['Gemma-2-9B', 'gemma2', 42, 3584, 16, 8, 256, 14336, 256000, 9241.7, { sliding_window: 4096 }],
  ['Gemma-3-270M', 'gemma3_text', 18, 640, 4, 1, 256, 2048, 262144, 268.1, { sliding_window: 512 }],
  ['Gemma-3-1B', 'gemma3_text', 26, 1152, 4, 1, 256, 6912, 262144, 999.9, { sliding_window: 512 }],
  ['Gemma-3-4B text', 'gemma3_text', 34, 2560, 8, 4, 256, 10240, 262208, 3880.3, { sliding_window: 1024 }],
  ['Llama-3.2-1B', 'llama', 16, 2048, 32, 8, 64, 8192, 128256, 1235.8, tied],
  ['Llama-3.2-3B', 'llama', 28, 3072, 24, 8, 128, 8192, 128256, 3212.7, tied],
  ['Llama-3.1-8B', 'llama', 32, 4096, 32, 8, 128, 14336, 128256, 8030.3, untied],
  ['Qwen2.5-0.5B', 'qwen2', 24, 896, 14, 2, 64, 4864, 151936, 494.0, tied],
  ['Qwen2.5-1.5B', 'qwen2', 28, 1536, 12, 2, 128, 8960, 151936, 1543.7, tied],
  ['Qwen2.5-7B', 'qwen2', 28, 3584, 28, 4, 128, 18944, 152064, 7615.6, untied],
  ['Qwen3-0.6B', 'qwen3', 28, 1024, 16, 8, 128, 3072, 151936, 596.0, tied],
  ['Qwen3-1.7B', 'qwen3', 28, 2048, 16, 8, 128, 6144, 151936, 1720.6, tied],
  ['Qwen3-4B', 'qwen3', 36, 2560, 32, 8, 128, 9728, 151936, 4022.5, tied],
  ['SmolLM2-135M', 'llama', 30, 576, 9, 3, 64, 1536, 49152, 134.5, tied],
  ['SmolLM2-360M', 'llama', 32, 960, 15, 5, 64, 2560, 49152, 361.8, tied],
  ['SmolLM2-1.7B', 'llama', 24, 2048, 32, 32, 64, 8192, 49152, 1711.4, tied],
  ['TinyLlama-1.1B', 'llama', 22, 2048, 32, 4, 64, 5632, 32000, 1100.0, untied],
];

function config([, type, L, d, H, KV, hd, ff, V, , more]: Row): JsonObject {
  return {
    model_type: type,
    num_hidden_layers: L,
    hidden_size: d,
    num_attention_heads: H,
    num_key_value_heads: KV,
    head_dim: hd,
    intermediate_size: ff,
    vocab_size: V,
    max_position_embeddings: 8192,
    ...more,
  };
}

describe('parameter counts', () => {
  it.each(MODELS)('%s', (...row) => {
    expect(parameterCount(parseSpec(config(row))) / 1e6).toBeCloseTo(row[9], 1);
  });
});

const smol = () => parseSpec(config(MODELS.find(([name]) => name === 'SmolLM2-135M') as Row));

describe('forwardSteps', () => {
  it('is eleven steps a layer for Llama, in order', () => {
    const ops = forwardSteps(smol()).map((step) => step.op);
    expect(ops[0]).toBe('embed');
    expect(ops.slice(-2)).toEqual(['norm', 'linear']);
    expect(ops.slice(1, 11)).toEqual([
      'norm',
      'linear',
      'rotate',
      'append',
      'attend',
      'linear',
      'norm',
      'linear',
      'activate',
      'linear',
    ]);
    expect(ops).toHaveLength(1 + 30 * 10 + 2);
  });
  it('gives a tied head the embedding table', () => {
    const head = forwardSteps(smol()).at(-1);
    expect(head).toMatchObject({
      op: 'linear',
      lastOnly: true,
      parts: [{ name: 'model.embed_tokens.weight', rows: 49152 }],
    });
  });
  it('gives an untied head its own tensor, last', () => {
    expect(tensorTable({ ...smol(), tiedHead: false }).at(-1)).toEqual({
      name: 'lm_head.weight',
      rows: 49152,
      cols: 576,
      kind: 'matrix',
    });
  });
  it('puts Gemma 3 norms on both sides of each sub-layer', () => {
    const spec = parseSpec(config(MODELS.find(([name]) => name === 'Gemma-3-1B') as Row));
    const steps = forwardSteps(spec);
    const norms = steps.flatMap((step) => (step.op === 'norm' ? [step.weight.replace('model.layers.0.', '')] : []));
    expect(norms.slice(0, 4)).toEqual([
      'input_layernorm.weight',
      'post_attention_layernorm.weight',
      'pre_feedforward_layernorm.weight',
      'post_feedforward_layernorm.weight',
    ]);
    expect(steps.filter((step) => step.op === 'add')).toHaveLength(52);
    expect(steps[3]).toMatchObject({ op: 'rotate', qNorm: 'model.layers.0.self_attn.q_norm.weight', offset: 1 });
  });
  it('norms after the sub-layer only, and over all heads at once, when the spec says so', () => {
    const steps = forwardSteps({ ...smol(), normPlacement: 'post', qkNorm: 'projection' });
    expect(steps.slice(1, 8).map((step) => step.op)).toEqual([
      'linear',
      'rotate',
      'append',
      'attend',
      'linear',
      'norm',
      'add',
    ]);
    expect(steps[1]).toMatchObject({ in: 'x', out: 'qkv' });
    const table = tensorTable({ ...smol(), normPlacement: 'post', qkNorm: 'projection' });
    expect(table.find(({ name }) => name.endsWith('0.self_attn.k_norm.weight'))?.cols).toBe(192);
  });
});

describe('tensorTable', () => {
  it('starts with the embedding and follows the forward pass', () => {
    const names = tensorTable(smol()).map(({ name }) => name.replace('model.layers.0.', ''));
    expect(names.slice(0, 10)).toEqual([
      'model.embed_tokens.weight',
      'input_layernorm.weight',
      'self_attn.q_proj.weight',
      'self_attn.k_proj.weight',
      'self_attn.v_proj.weight',
      'self_attn.o_proj.weight',
      'post_attention_layernorm.weight',
      'mlp.gate_proj.weight',
      'mlp.up_proj.weight',
      'mlp.down_proj.weight',
    ]);
    expect(names).toHaveLength(2 + 30 * 9);
  });
  it('lists biases where the family has them', () => {
    const spec = parseSpec(config(MODELS.find(([name]) => name === 'Qwen2.5-0.5B') as Row));
    const biases = tensorTable(spec).filter(({ name }) => name.endsWith('.bias'));
    expect(biases).toHaveLength(3 * 24);
    expect(biases[1]).toEqual({ name: 'model.layers.0.self_attn.k_proj.bias', rows: 1, cols: 128, kind: 'vector' });
  });
  it('uses fused tensors when the spec says so', () => {
    const names = tensorTable({ ...smol(), fused: true }).map(({ name }) => name);
    expect(names).toContain('model.layers.29.self_attn.qkv_proj.weight');
    expect(names).toContain('model.layers.0.mlp.gate_up_proj.weight');
  });
});
