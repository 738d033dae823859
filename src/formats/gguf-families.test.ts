/** Every family's GGUF, written by gguf-py in llama.cpp's way: values, names, row order and config.json. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseRope } from '../model/rope';
import type { JsonObject } from './json';
import { type Files, fixture, openFiles, readJson, readValues } from './test/files';
import { f32Tensor, gguf, type Tensor, type Value } from './test/gguf-writer';

const digest = (values: Float32Array) =>
  createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex').slice(0, 16);

const families = readdirSync(fixture('tiny-gguf'), { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() ? [entry.name] : [],
);

/** What only ours says, as transformers' class has no such key, or has it under another name. */
const OURS_ONLY = ['architectures', 'head_dim'];
/** What only transformers' says: what its own defaults are, and what has no part in inference. */
const THEIRS_ONLY = [
  '_sliding_window_pattern',
  'attention_dropout',
  'dtype',
  'embd_pdrop',
  'initializer_range',
  'max_window_layers',
  'no_rope_layer_interval',
  'pad_token_id',
  'pretraining_tp',
  'resid_pdrop',
  'sliding_window_pattern',
  'transformers_version',
  'use_bidirectional_attention',
  'use_cache',
];

it('are all there', () => expect(families).toHaveLength(12));

describe.each(families)('%s', async (family) => {
  const files: Files = { 'm.gguf': new Uint8Array(readFileSync(fixture(`tiny-gguf/${family}/model.gguf`))) };
  const layout = await openFiles(files);

  it('has the tensors of transformers, with the values of gguf-py', () => {
    const tensors = readJson(fixture(`tiny-gguf/${family}/tensors.json`)) as Record<string, unknown>;
    expect([...layout.records.keys()].sort()).toEqual(Object.keys(tensors).sort());
    for (const [name, { info }] of layout.records) {
      const found = [[info.rows, info.cols], info.stored.toUpperCase(), digest(readValues(files, layout, name))];
      expect([name, found]).toEqual([name, tensors[name]]);
    }
  });

  it('has the config.json of transformers', () => {
    const theirs = readJson(fixture(`tiny-gguf/${family}/config.json`)) as JsonObject;
    const ours = layout.config;
    const rope = (config: JsonObject) => config.rope_scaling as JsonObject | null;
    for (const key of Object.keys(ours)) {
      if (key === 'rope_scaling' || (OURS_ONLY.includes(key) && !(key in theirs))) continue;
      expect([key, ours[key]]).toEqual([key, theirs[key]]);
    }
    for (const key of Object.keys(theirs)) {
      // Absent, it means nothing, or transformers' default.
      const idle = theirs[key] === null || theirs[key] === false || key === 'layer_types';
      if (!(key in ours) && !idle) expect(THEIRS_ONLY).toContain(key);
    }
    if (family === 'llama3') return;
    const scaling = rope(ours);
    if (family === 'phi3') {
      // The converter writes it out; transformers computes the same where it is not said.
      const { attention_factor, ...rest } = scaling!;
      expect(attention_factor).toBeCloseTo(Math.sqrt(1 + Math.log(256 / 128) / Math.log(128)), 6);
      expect(rest).toEqual(rope(theirs));
    } else expect(scaling).toEqual(rope(theirs));
  });
});

it("gives Llama 3's frequencies as divisors, which llama.cpp writes in place of its parameters", async () => {
  const path = fixture('tiny-gguf/llama3/');
  const { config } = await openFiles({ 'm.gguf': new Uint8Array(readFileSync(`${path}model.gguf`)) });
  const original = readJson(`${path}config.json`) as JsonObject;
  const right = parseRope({ ...(original.rope_scaling as JsonObject), rope_theta: 10000 }, {}, 32).frequencies;
  const { short_factor, long_factor, ...rest } = config.rope_scaling as JsonObject & Record<string, number[]>;
  expect(rest).toEqual({ rope_type: 'longrope', attention_factor: 1, original_max_position_embeddings: 256 });
  expect(long_factor).toEqual(short_factor);
  expect(new Set(short_factor).size).toBeGreaterThan(3);
  right.forEach((frequency, j) => {
    expect(10000 ** (-j / 16) / short_factor[j] / frequency).toBeCloseTo(1, 6);
  });
});

// ---- what the fixtures do not say -----------------------------------------------------------------------------------

const EMBED = f32Tensor('token_embd.weight', [32, 5]);
const minimal = (architecture: string, more: Record<string, Value> = {}, tensors: Tensor[] = []): Files => {
  const common: Record<string, Value> = {
    block_count: ['u32', 2],
    context_length: ['u32', 256],
    embedding_length: ['u32', 32],
    feed_forward_length: ['u32', 64],
    'attention.head_count': ['u32', 4],
    'attention.layer_norm_rms_epsilon': ['f32', 1e-5],
  };
  const keys = Object.entries({ ...common, ...more }).map(([key, value]) => [`${architecture}.${key}`, value]);
  return gguf({ 'general.architecture': ['str', architecture], ...Object.fromEntries(keys) }, [EMBED, ...tensors]);
};

const configOf = async (...args: Parameters<typeof minimal>) => (await openFiles(minimal(...args))).config;

describe('what a file leaves out is what llama.cpp takes', () => {
  it('Gemma 2: its window, its caps', async () => {
    expect(await configOf('gemma2')).toMatchObject({
      sliding_window: 4096,
      layer_types: ['sliding_attention', 'full_attention'],
      attn_logit_softcapping: 50,
      final_logit_softcapping: 30,
      query_pre_attn_scalar: 8,
    });
  });
  it('Gemma 3: windows 5 to 1, a local base; none without a window', async () => {
    const six: Value = ['u32', 6];
    const windowed = await configOf('gemma3', { block_count: six, 'attention.sliding_window': ['u32', 9] });
    expect(windowed).toMatchObject({ model_type: 'gemma3_text', rope_local_base_freq: 10000, sliding_window: 9 });
    expect(windowed.layer_types).toEqual([...Array(5).fill('sliding_attention'), 'full_attention']);
    const whole = await configOf('gemma3', { block_count: six });
    expect(whole).toMatchObject({ sliding_window: null, layer_types: Array(6).fill('full_attention') });
  });
  it('the 27B of Gemma 2 and 3 scale attention by width / heads', async () => {
    const shape = (layers: number): Record<string, Value> => ({
      block_count: ['u32', layers],
      'attention.key_length': ['u32', 16],
      'attention.value_length': ['u32', 16],
    });
    expect((await configOf('gemma2', shape(46))).query_pre_attn_scalar).toBe(8);
    expect((await configOf('gemma3', shape(62))).query_pre_attn_scalar).toBe(8);
    expect((await configOf('gemma3', shape(46))).query_pre_attn_scalar).toBe(16);
  });
  it('Granite: no scaling; SmolLM3: every fourth layer without positions', async () => {
    expect(await configOf('granite')).toMatchObject({
      embedding_multiplier: 1,
      residual_multiplier: 1,
      logits_scaling: 1,
      attention_multiplier: 8 ** -0.5,
    });
    const { no_rope_layers } = await configOf('smollm3', { block_count: ['u32', 8] });
    expect(no_rope_layers).toEqual([1, 1, 1, 0, 1, 1, 1, 0]);
  });
  it('Phi-4: a window of 0 is none', async () => {
    const config = await configOf('phi3', { 'attention.sliding_window': ['u32', 0] });
    expect(config).toMatchObject({ sliding_window: null, original_max_position_embeddings: 256 });
  });
  it('linear scaling where a factor stands without a type, none where the type says so', async () => {
    const linear = { rope_type: 'linear', factor: 4 };
    expect((await configOf('qwen2', { 'rope.scaling.factor': ['f32', 4] })).rope_scaling).toEqual(linear);
    expect((await configOf('qwen2', { 'rope.scale_linear': ['f32', 4] })).rope_scaling).toEqual(linear);
    expect((await configOf('qwen2', { 'rope.scaling.factor': ['f32', 0] })).rope_scaling).toBeNull();
    const none: Record<string, Value> = { 'rope.scaling.factor': ['f32', 4], 'rope.scaling.type': ['str', 'none'] };
    expect((await configOf('qwen2', none)).rope_scaling).toBeNull();
  });
  it.each([
    [1, ['mean']],
    [2, ['cls']],
    [3, ['lasttoken']],
    [0, undefined],
    [4, undefined],
  ])('pooling number %i is %o, of vectors of length 1', async (type, pooling) => {
    const { modules } = await openFiles(minimal('qwen3', { pooling_type: ['u32', type] }));
    expect(modules?.pooling).toEqual(pooling);
    if (modules) expect(modules.layers).toEqual(['normalize']);
  });
  it('attention that is not causal is said in the config, where it is refused', async () => {
    expect((await configOf('qwen2', { 'attention.causal': ['bool', false] })).is_causal).toBe(false);
    expect(await configOf('qwen2', { 'attention.causal': ['bool', true] })).not.toHaveProperty('is_causal');
  });
  it('interleaved rows are those of llama, granite and smollm3 alone', async () => {
    const turned: string[] = [];
    for (const architecture of [
      'llama',
      'qwen2',
      'qwen3',
      'gemma',
      'gemma2',
      'gemma3',
      'olmo2',
      'granite',
      'smollm3',
    ]) {
      const { records } = await openFiles(minimal(architecture, {}, [f32Tensor('blk.0.attn_q.weight', [32, 32])]));
      if (records.get('model.layers.0.self_attn.q_proj.weight')!.interleavedHead) turned.push(architecture);
    }
    expect(turned).toEqual(['llama', 'granite', 'smollm3']);
  });
});

describe('what is refused', () => {
  const factors = (name: string, values: number[]): Tensor => ({
    name: `${name}.weight`,
    dims: [values.length],
    type: 0,
    data: new Uint8Array(Float32Array.from(values).buffer),
  });
  const four = [1, 2, 3, 4];
  const window: Record<string, Value> = { 'attention.sliding_window': ['u32', 9] };
  it.each<[string, Files, string, RegExp]>([
    ['a window in Qwen', minimal('qwen2', window), 'unsupported-architecture', /a sliding window in qwen2/],
    ['a window in OLMo (that is OLMo 3)', minimal('olmo2', window), 'unsupported-architecture', /sliding window/],
    [
      'a bias that the family does not have',
      minimal('qwen2', {}, [f32Tensor('blk.0.attn_output.bias', [32])]),
      'unsupported-architecture',
      /blk\.0\.attn_output\.bias of qwen2/,
    ],
    [
      "another family's tensor",
      minimal('phi3', {}, [f32Tensor('blk.0.attn_q.weight', [32, 32])]),
      'unsupported-architecture',
      /blk\.0\.attn_q\.weight of phi3/,
    ],
    [
      'Granite without positions',
      minimal('granite', { 'rope.scaling.finetuned': ['bool', false] }),
      'unsupported-architecture',
      /without rotary/,
    ],
    [
      'factors in two ways',
      minimal('llama', { 'rope.scaling.factor': ['f32', 4] }, [factors('rope_freqs', four)]),
      'unsupported-architecture',
      /linear/,
    ],
    [
      'long factors without short ones',
      minimal('phi3', {}, [factors('rope_factors_long', four)]),
      'corrupt-checkpoint',
      /rope_factors_short/,
    ],
    [
      'too few factors',
      minimal('llama', {}, [factors('rope_freqs', [1, 2])]),
      'corrupt-checkpoint',
      /2 rope factors for 4/,
    ],
    [
      'a factor that is no number',
      minimal('llama', {}, [factors('rope_freqs', [1, 2, Number.NaN, 4])]),
      'corrupt-checkpoint',
      /no number above 0/,
    ],
    [
      'factors of a size that no head has',
      minimal('llama', {}, [f32Tensor('rope_freqs.weight', [4096])]),
      'corrupt-checkpoint',
      /rope_freqs\.weight is F32 of shape \[4096\]/,
    ],
    ['more layers than any', minimal('smollm3', { block_count: ['u32', 4e9] }), 'corrupt-checkpoint', /4000000000/],
    [
      'a Mistral with biases',
      minimal('llama', window, [f32Tensor('blk.0.attn_q.bias', [32])]),
      'unsupported-architecture',
      /attn_q\.bias/,
    ],
  ])('%s', async (_, files, code, message) => {
    await expect(openFiles(files)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });
});
