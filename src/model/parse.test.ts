import { describe, expect, it } from 'vitest';
import { NibbleError } from '../errors';
import type { Json, JsonObject } from '../formats/json';
import { parseSpec } from './parse';
import { frequenciesFor, isLong } from './rope';

const llama = (more: JsonObject = {}): JsonObject => ({
  model_type: 'llama',
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  vocab_size: 49152,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-5,
  rope_theta: 100000,
  ...more,
});

function refusal(config: JsonObject): NibbleError {
  try {
    parseSpec(config);
  } catch (error) {
    if (error instanceof NibbleError) return error;
  }
  throw new Error('parseSpec accepted it');
}

const LLAMA3: JsonObject = {
  rope_type: 'llama3',
  factor: 32,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
};

describe('llama', () => {
  it('reads SmolLM2-135M', () => {
    const spec = parseSpec(llama({ tie_word_embeddings: true }));
    expect(spec).toMatchObject({
      family: 'llama',
      width: 576,
      heads: 9,
      kvHeads: 3,
      headSize: 64,
      mlpWidth: 1536,
      vocab: 49152,
      contextLength: 8192,
      normEps: 1e-5,
      normOffset: 0,
      activation: 'silu',
      embedScale: 1,
      attentionScale: 0.125,
      attentionSoftcap: null,
      logitSoftcap: null,
      tiedHead: true,
      qkNorm: 'none',
      normPlacement: 'pre',
      bias: { qkv: false, o: false, mlp: false },
    });
    expect(spec.layers).toHaveLength(30);
    expect(spec.layers[7]).toMatchObject({ kind: 'global', window: null });
    expect(spec.layers[0].rope?.frequencies[0]).toBe(1);
    expect(spec.layers[0].rope?.frequencies[16]).toBeCloseTo(100000 ** -0.5, 12);
  });
  it('takes what transformers takes for what is absent', () => {
    const { num_key_value_heads, rms_norm_eps, rope_theta, ...short } = llama();
    expect([num_key_value_heads, rms_norm_eps, rope_theta]).toEqual([3, 1e-5, 100000]);
    const spec = parseSpec(short);
    expect(spec).toMatchObject({ kvHeads: 9, normEps: 1e-6, tiedHead: false });
    expect(spec.layers[0].rope?.frequencies[16]).toBeCloseTo(0.01, 12);
  });
  it('reads head_dim and the biases', () => {
    const spec = parseSpec(llama({ head_dim: 32, attention_bias: true, mlp_bias: true }));
    expect(spec).toMatchObject({ headSize: 32, bias: { qkv: true, o: true, mlp: true } });
    expect(spec.layers[0].rope?.dim).toBe(32);
  });
  it('scales rope as Llama 3 does, in both styles of config', () => {
    const old = parseSpec(llama({ rope_theta: 500000, rope_scaling: LLAMA3 }));
    const fresh = parseSpec(
      llama({ rope_theta: null, rope_parameters: { ...LLAMA3, rope_theta: 500000 }, dtype: 'bfloat16' }),
    );
    const frequencies = old.layers[0].rope?.frequencies ?? [];
    expect(fresh.layers[0].rope).toEqual(old.layers[0].rope);
    // HF's three branches: wavelength under 8192/4 kept, over 8192/1 divided by 32, between interpolated.
    const base = Array.from({ length: 32 }, (_, j) => 500000 ** (-j / 32));
    base.forEach((f, j) => {
      const wavelength = (2 * Math.PI) / f;
      if (wavelength < 2048) expect(frequencies[j]).toBeCloseTo(f, 14);
      else if (wavelength > 8192) expect(frequencies[j]).toBeCloseTo(f / 32, 14);
      else expect(frequencies[j] > f / 32 && frequencies[j] < f).toBe(true);
    });
    expect(base.some((f) => (2 * Math.PI) / f > 2048 && (2 * Math.PI) / f < 8192)).toBe(true);
  });
  it('divides by the factor for linear scaling', () => {
    const spec = parseSpec(llama({ rope_scaling: { type: 'linear', factor: 4 } }));
    expect(spec.layers[0].rope?.frequencies[0]).toBe(0.25);
  });
});

describe('other families are data', () => {
  const of = (type: string, more: JsonObject = {}) => parseSpec(llama({ model_type: type, head_dim: 64, ...more }));
  it('mistral slides everywhere when it has a window', () => {
    expect(of('mistral', { sliding_window: 4096 }).layers.every((l) => l.kind === 'sliding' && l.window === 4096)).toBe(
      true,
    );
    expect(of('mistral', { sliding_window: null }).layers.every((l) => l.kind === 'global')).toBe(true);
  });
  it('qwen2 has biases on q, k and v and ignores a window that is switched off', () => {
    const spec = of('qwen2', { sliding_window: 32768, use_sliding_window: false, max_window_layers: 21 });
    expect(spec.bias).toEqual({ qkv: true, o: false, mlp: false });
    expect(spec.layers.every((l) => l.kind === 'global')).toBe(true);
    const on = of('qwen2', { sliding_window: 100, use_sliding_window: true, max_window_layers: 21 });
    expect(on.layers.map((l) => l.kind).indexOf('sliding')).toBe(21);
  });
  it('qwen3 norms q and k by head, and has heads of 128 unless told', () => {
    const { head_dim, ...config } = llama({ model_type: 'qwen3', head_dim: 1 });
    expect(head_dim).toBe(1);
    expect(parseSpec(config)).toMatchObject({ qkNorm: 'head', headSize: 128, normPlacement: 'pre' });
  });
  it('gemma scales the embedding in bf16 and multiplies norms by 1 + w', () => {
    const scales = [640, 1152, 2048, 2304, 2560, 3072, 3584, 3840, 4608, 5376].map(
      (width) => of('gemma', { hidden_size: width, hidden_act: 'gelu' }).embedScale,
    );
    expect(scales).toEqual([25.25, 34, 45.25, 48, 50.5, 55.5, 59.75, 62, 68, 73.5]);
    expect(of('gemma')).toMatchObject({ normOffset: 1, activation: 'gelu_tanh', tiedHead: true, normPlacement: 'pre' });
  });
  it('gemma 2 has soft-caps, alternating windows and sandwich norms', () => {
    const spec = of('gemma2', {
      sliding_window: 4096,
      query_pre_attn_scalar: 144,
      attn_logit_softcapping: 50,
      final_logit_softcapping: 30,
    });
    expect(spec).toMatchObject({ attentionSoftcap: 50, logitSoftcap: 30, normPlacement: 'sandwich' });
    expect(spec.attentionScale).toBeCloseTo(1 / 12, 12);
    expect(spec.layers.slice(0, 4).map((l) => l.kind)).toEqual(['sliding', 'global', 'sliding', 'global']);
  });
  it('gemma 3 has a local base in sliding layers, in both styles', () => {
    const old = of('gemma3_text', {
      num_hidden_layers: 18,
      sliding_window: 512,
      rope_theta: 1e6,
      rope_local_base_freq: 1e4,
      rope_scaling: { rope_type: 'linear', factor: 8 },
    });
    const kinds: Json[] = old.layers.map((l) => (l.kind === 'sliding' ? 'sliding_attention' : 'full_attention'));
    expect(kinds.flatMap((kind, i) => (kind === 'full_attention' ? [i] : []))).toEqual([5, 11, 17]);
    expect(old.layers[0].rope?.frequencies[1]).toBeCloseTo(1e4 ** (-1 / 32), 12);
    expect(old.layers[5].rope?.frequencies[1]).toBeCloseTo(1e6 ** (-1 / 32) / 8, 12);
    const fresh = of('gemma3_text', {
      num_hidden_layers: 18,
      sliding_window: 512,
      layer_types: kinds,
      rope_theta: null,
      rope_parameters: {
        full_attention: { rope_type: 'linear', factor: 8, rope_theta: 1e6 },
        sliding_attention: { rope_type: 'default', rope_theta: 1e4 },
      },
    });
    expect(fresh.layers).toEqual(old.layers);
  });
});

describe('the newer families', () => {
  const of = (type: string, more: JsonObject = {}) => parseSpec(llama({ model_type: type, ...more }));
  it('phi 3 keeps q, k, v in one tensor and gate, up in another, and slides where it has a window', () => {
    expect(of('phi3')).toMatchObject({ fused: true, bias: { qkv: false, o: false, mlp: false }, headSize: 64 });
    expect(of('phi3', { sliding_window: 2047 }).layers.every((l) => l.window === 2047)).toBe(true);
  });
  it('phi 4 mini turns three quarters of a head, by other factors beyond its first context', () => {
    const factors = { short_factor: Array(24).fill(2), long_factor: Array(24).fill(5) };
    const spec = of('phi3', {
      partial_rotary_factor: 0.75,
      original_max_position_embeddings: 4096,
      max_position_embeddings: 131072,
      rope_scaling: { type: 'longrope', ...factors },
    });
    const rope = spec.layers[0].rope!;
    expect(rope).toMatchObject({ dim: 48, long: { beyond: 4096 } });
    expect(rope.magnitude).toBeCloseTo(Math.sqrt(1 + Math.log(32) / Math.log(4096)), 12);
    expect(frequenciesFor(rope, 4096)[0]).toBe(0.5);
    expect(frequenciesFor(rope, 4097)[0]).toBe(0.2);
    expect([isLong(spec, 4096), isLong(spec, 4097), isLong(of('phi3'), 1e6)]).toEqual([false, true, false]);
  });
  it.each<[string, JsonObject]>([
    ['too few factors', { short_factor: Array(31).fill(1), long_factor: Array(32).fill(1) }],
    ['a factor of zero', { short_factor: Array(32).fill(1), long_factor: Array(32).fill(0) }],
    ['factors that are no numbers', { short_factor: Array(32).fill(1), long_factor: 'long' }],
  ])('longrope with %s is damaged', (_, factors) => {
    const error = refusal(llama({ rope_scaling: { rope_type: 'longrope', ...factors } }));
    expect(error).toMatchObject({ code: 'corrupt-checkpoint', details: { wanted: 32 } });
  });
  it('smollm 3 leaves every fourth layer without positions, or those that a list names', () => {
    const bare = (more: JsonObject) =>
      of('smollm3', { num_hidden_layers: 8, ...more }).layers.flatMap((l, i) => (l.rope ? [] : [i]));
    expect(bare({})).toEqual([3, 7]);
    expect(bare({ no_rope_layer_interval: 2 })).toEqual([1, 3, 5, 7]);
    expect(bare({ no_rope_layers: [0, 1, 1, 1, 0, 1, 1, 1] })).toEqual([0, 4]);
    expect(refusal(llama({ model_type: 'smollm3', no_rope_layers: [1, 1] })).code).toBe('corrupt-checkpoint');
  });
  it('olmo 2 norms after its sub-layers, and q and k over all heads', () => {
    expect(of('olmo2')).toMatchObject({ normPlacement: 'post', qkNorm: 'projection' });
  });
  it('granite has factors of its own', () => {
    const spec = of('granite', {
      embedding_multiplier: 12,
      residual_multiplier: 0.22,
      attention_multiplier: 0.015625,
      logits_scaling: 8,
    });
    expect(spec).toMatchObject({ embedScale: 12, residualScale: 0.22, attentionScale: 0.015625, logitScale: 0.125 });
  });
  it('gemma 3 as part of a multimodal checkpoint, which leaves out nearly everything', () => {
    const text_config = { hidden_size: 2560, intermediate_size: 10240, num_hidden_layers: 34, sliding_window: 1024 };
    const rope_scaling = { factor: 8, rope_type: 'linear' };
    const spec = parseSpec({ model_type: 'gemma3', text_config: { ...text_config, rope_scaling } });
    expect(spec).toMatchObject({ heads: 8, kvHeads: 4, headSize: 256, vocab: 262208, contextLength: 131072 });
    expect(spec.layers[4].rope?.frequencies[64]).toBeCloseTo(1e4 ** -0.5, 12);
    expect(spec.layers[5].rope?.frequencies[64]).toBeCloseTo(1e-3 / 8, 12);
    const ahead = { ...text_config, use_bidirectional_attention: true };
    expect(refusal({ model_type: 'gemma3', text_config: ahead }).code).toBe('unsupported-architecture');
  });
});

it('code of their own for text alone says nothing of what tokens see', () => {
  const auto_map = {
    AutoConfig: 'configuration_phi3.Phi3Config',
    AutoModelForCausalLM: 'modeling_phi3.Phi3ForCausalLM',
  };
  expect(parseSpec(llama({ auto_map, is_causal: true })).family).toBe('llama');
});

describe('what is refused', () => {
  it.each<[string, JsonObject, string]>([
    ['an unknown family', { model_type: 'mamba' }, '"mamba"'],
    ['a family named like a property of every object', { model_type: 'constructor' }, '"constructor"'],
    ['an unknown rope', { rope_scaling: { rope_type: 'yarn', factor: 4 } }, '"yarn"'],
    ['an unknown rope in the old key', { rope_scaling: { type: 'dynamic' } }, '"dynamic"'],
    ['an unknown activation', { hidden_act: 'relu' }, '"relu"'],
    ['tokens that see those after them', { is_causal: false }, 'looks ahead (is_causal: false)'],
    ['a model of its own code', { auto_map: { AutoModel: 'modeling_qwen.Qwen2Model' } }, 'modeling_qwen.Qwen2Model'],
    ['an unknown layer', { num_hidden_layers: 1, layer_types: ['chunked_attention'] }, '"chunked_attention"'],
  ])('%s, by name', (_, more, name) => {
    const error = refusal(llama(more));
    expect(error.code).toBe('unsupported-architecture');
    expect(error.message).toContain(name);
  });
  it.each<[string, Json]>([
    ['hidden_size', null],
    ['hidden_size', -1],
    ['hidden_size', 1e9],
    ['hidden_size', 57.6],
    ['hidden_size', '576'],
    ['num_hidden_layers', 0],
    ['num_hidden_layers', 1e6],
    ['num_attention_heads', 7],
    ['num_key_value_heads', 2],
    ['num_key_value_heads', 10],
    ['vocab_size', 0],
    ['vocab_size', 2 ** 40],
    ['max_position_embeddings', 0],
    ['rms_norm_eps', 1],
    ['rms_norm_eps', -1e-6],
    ['rope_theta', 0],
    ['rope_theta', '1e4'],
    ['head_dim', 63],
    ['layer_types', ['full_attention']],
    ['rope_scaling', { rope_type: 'llama3', factor: 8 }],
    ['rope_scaling', 'llama3'],
    ['rope_scaling', { ...LLAMA3, high_freq_factor: 1 }],
    ['tie_word_embeddings', 1],
    ['intermediate_size', 2 ** 31],
  ])('%s = %j', (key, value) => {
    expect(refusal(llama({ [key]: value })).code).toBe('corrupt-checkpoint');
  });
  it('says which value it found', () => {
    const error = refusal(llama({ vocab_size: -5 }));
    expect(error.details).toEqual({ field: 'vocab_size', value: '-5' });
    expect(error.message).toContain('-5');
  });
  it('sliding layers without a window', () => {
    expect(refusal(llama({ num_hidden_layers: 1, layer_types: ['sliding_attention'] })).code).toBe(
      'corrupt-checkpoint',
    );
  });
});
