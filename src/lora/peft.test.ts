import { describe, expect, it } from 'vitest';
import { NibbleError } from '../errors';
import { denseBytes } from '../formats/half';
import { type NewTensor, parseHeader, writeSafetensors } from '../formats/safetensors';
import { forwardSteps } from '../model/decoder';
import { combineAdapters } from './combine';
import { adaptableModules, moduleName } from './modules';
import { adapterFiles, contents, openFiles, specLikeTiny } from './test/adapters';

const CONFIG = 'adapter_config.json';
const WEIGHTS = 'adapter_model.safetensors';

const specOf = (config: object) => specLikeTiny({ tie_word_embeddings: true, ...config });
const stepsOf = (config: object) => forwardSteps(specOf(config));
const STEPS = stepsOf({});

/** The fixture `name` with its config and its tensors altered. */
function altered(
  name: string,
  { config = {}, tensors = (all) => all }: { config?: object; tensors?: (all: NewTensor[]) => NewTensor[] },
): Map<string, Uint8Array> {
  const files = adapterFiles(name);
  const old = JSON.parse(new TextDecoder().decode(files.get(CONFIG)));
  files.set(CONFIG, new TextEncoder().encode(JSON.stringify({ ...old, ...config })));
  const bytes = files.get(WEIGHTS)!;
  const all = [...parseHeader(bytes, bytes.length, WEIGHTS)].map(([name, { dtype, shape, start, end }]) => ({
    name,
    dtype: dtype as NewTensor['dtype'],
    shape,
    data: bytes.slice(start, end),
  }));
  files.set(WEIGHTS, join(writeSafetensors(tensors(all))));
  return files;
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const Q0 = 'base_model.model.model.layers.0.self_attn.q_proj';
const renamed = (from: RegExp, to: string) => (all: NewTensor[]) =>
  all.map((tensor) => ({ ...tensor, name: tensor.name.replace(from, to) }));
const without = (end: RegExp) => (all: NewTensor[]) => all.filter(({ name }) => !end.test(name));
const reshaped = (name: string, shape: number[]) => (all: NewTensor[]) =>
  all.map((tensor) => {
    if (tensor.name !== name) return tensor;
    const size = shape.reduce((a, b) => a * b, 1);
    return { ...tensor, shape, dtype: 'F32' as const, data: denseBytes(new Float32Array(size), 'f32') };
  });
const added = (name: string, shape: number[]) => (all: NewTensor[]) => [
  ...all,
  {
    name,
    shape,
    dtype: 'F32' as const,
    data: denseBytes(new Float32Array(shape.reduce((a, b) => a * b, 1)), 'f32'),
  },
];

/** The base of tiny-qwen2-lora's adapters. */
const SMALL_QWEN2 = {
  model_type: 'qwen2',
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  head_dim: 16,
  vocab_size: 131,
};

describe('an adapter', () => {
  it('is read with the rank of each module and PEFT’s scaling', async () => {
    const { modules, dora } = await openFiles('rslora', STEPS, adapterFiles('rslora'));
    expect(dora).toBe(false);
    const of = (name: string) => modules.find(({ target }) => target.module === name)!;
    expect(of('layers.0.mlp.up_proj')).toMatchObject({ rank: 4, scaling: 6 / 2 });
    expect(of('layers.0.mlp.down_proj')).toMatchObject({ rank: 3, scaling: 6 / Math.sqrt(3) });
    expect(of('layers.1.self_attn.q_proj')).toMatchObject({ rank: 7, scaling: 6 / Math.sqrt(7) });
    expect(of('layers.2.mlp.gate_proj')).toMatchObject({ rank: 4, scaling: 11 / 2 });
    expect(of('layers.1.mlp.gate_proj').scaling).toBe(3);
    expect(of('layers.1.self_attn.o_proj').scaling).toBe(3 / 2);
    expect(modules).toHaveLength(21);
  });

  it.each([
    ['base_model.model.model.layers.1.mlp.up_proj', 'layers.1.mlp.up_proj'],
    ['base_model.model.model.language_model.layers.1.mlp.up_proj', 'layers.1.mlp.up_proj'],
    ['base_model.model.language_model.model.layers.1.mlp.up_proj', 'layers.1.mlp.up_proj'],
    ['base_model.model.lm_head', 'lm_head'],
    ['model.vision_tower.layers.1.mlp.up_proj', 'vision_tower.layers.1.mlp.up_proj'],
  ])('knows %s as %s', (path, module) => expect(moduleName(path)).toBe(module));

  it.each([
    ['of a multimodal model', renamed(/model\.model\./, 'model.model.language_model.')],
    ['whose keys kept the adapter’s name', renamed(/(lora_[AB])\.weight/, '$1.default.weight')],
  ])('%s is the same adapter', async (_, tensors) => {
    const values = async (files: Map<string, Uint8Array>) => {
      const adapter = await openFiles('plain', STEPS, files);
      return contents(STEPS, combineAdapters(STEPS, [{ adapter, scale: 1 }]));
    };
    expect(await values(altered('plain', { tensors }))).toEqual(await values(adapterFiles('plain')));
  });

  it('of fused projections finds them', () => {
    const targets = adaptableModules(forwardSteps({ ...specOf({}), fused: true }), specOf({}));
    expect(targets.get('layers.0.self_attn.qkv_proj')).toMatchObject({ rows: 320, cols: 96, outputRow: 0 });
    expect(targets.get('layers.0.mlp.gate_up_proj')).toMatchObject({ rows: 320 });
    expect(targets.has('layers.0.self_attn.q_proj')).toBe(false);
  });

  it('knows the row at which a module begins, and a tied head from its table', () => {
    const targets = adaptableModules(STEPS, specOf({}));
    expect(targets.get('layers.0.self_attn.v_proj')).toMatchObject({ outputRow: 192 + 64, rows: 64 });
    expect(targets.get('lm_head')).toMatchObject({ rows: 263, cols: 96, kind: 'linear' });
    expect(targets.get('embed_tokens')).toMatchObject({ rows: 96, cols: 263, kind: 'embedding' });
  });

  it('is scaled by whoever asks', async () => {
    const adapter = await openFiles('plain', STEPS, adapterFiles('plain'));
    const b = async (scale: number) => {
      const all = await contents(STEPS, combineAdapters(STEPS, [{ adapter, scale }]));
      return new Float32Array(all.get('lora.2.b.codes')!.buffer);
    };
    expect(await b(0.5)).toEqual((await b(1)).map((value) => value / 2));
  });
});

describe('refused by name:', () => {
  const unsupported = 'unsupported-architecture';
  it.each([
    ['peft_type', 'plain', { config: { peft_type: 'LOHA' } }, unsupported, /LOHA/],
    ['no peft_type', 'plain', { config: { peft_type: null } }, unsupported, /peft_type/],
    ['layer_replication', 'plain', { config: { layer_replication: [[0, 2]] } }, unsupported, /layer_replication/],
    ['fan_in_fan_out', 'plain', { config: { fan_in_fan_out: true } }, unsupported, /fan_in_fan_out/],
    ['aLoRA', 'plain', { config: { alora_invocation_tokens: [1] } }, unsupported, /alora_invocation_tokens/],
    ...[[1, 263], [1, 1], 'x', [1.5, 2], null].map(
      (indices) =>
        [
          `tokens ${JSON.stringify(indices)}`,
          'plain',
          {
            config: { trainable_token_indices: indices },
            tensors: added('base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta', [2, 96]),
          },
          'corrupt-checkpoint',
          /ids below 263/,
        ] as const,
    ),
    ['target_parameters', 'plain', { config: { target_parameters: ['x'] } }, unsupported, /target_parameters/],
    ['PiSSA', 'plain', { config: { init_lora_weights: 'pissa_niter_4' } }, unsupported, /pissa_niter_4/],
    [
      'a head of another vocabulary',
      'plain',
      { tensors: added('base_model.model.lm_head.weight', [270, 96]) },
      'invalid-option',
      /270 tokens in lm_head and this model 263/,
    ],
    [
      'a whole tensor of another shape',
      'plain',
      { tensors: added(`${Q0}.weight`, [2, 96]) },
      'invalid-option',
      /2,96.*192,96/,
    ],
    [
      'a LoRA of a norm',
      'plain',
      { tensors: added('base_model.model.model.norm.lora_A.weight', [4, 96]) },
      'corrupt-checkpoint',
      /norm is a norm/,
    ],
    [
      'a tensor of another kind',
      'plain',
      { tensors: added('base_model.model.lm_head.delta', [2]) },
      unsupported,
      /lm_head/,
    ],
    [
      'a module that is saved and has a LoRA',
      'plain',
      { config: { modules_to_save: ['q_proj'] }, tensors: added(`${Q0}.weight`, [192, 96]) },
      'corrupt-checkpoint',
      /LoRA and is in modules_to_save/,
    ],
    ['modules_to_save that is no list', 'plain', { config: { modules_to_save: 'x' } }, 'corrupt-checkpoint', /a list/],
    [
      'DoRA of an embedding',
      'embedding',
      { config: { use_dora: true }, tensors: without(/_proj|lm_head/) },
      unsupported,
      /embed_tokens is an embedding with use_dora/,
    ],
    ['another rank', 'plain', { config: { r: 8 } }, 'corrupt-checkpoint', /rank 4 where .* says 8/],
    ['only A', 'plain', { tensors: without(/lora_B/) }, 'corrupt-checkpoint', /has A but no B/],
    ['only B', 'plain', { tensors: without(/lora_A/) }, 'corrupt-checkpoint', /has B but no A/],
    ['no tensors', 'plain', { tensors: () => [] }, 'corrupt-checkpoint', /no lora_A/],
    ['DoRA without magnitudes', 'dora', { tensors: without(/magnitude/) }, 'corrupt-checkpoint', /no magnitude/],
    ['magnitudes without DoRA', 'dora', { config: { use_dora: false } }, 'corrupt-checkpoint', /a magnitude/],
    ['lora_bias without biases', 'plain', { config: { lora_bias: true } }, 'corrupt-checkpoint', /no lora_B.bias/],
    ['biases without lora_bias', 'lora-bias', { config: { lora_bias: false } }, 'corrupt-checkpoint', /lora_B.bias/],
    ['both', 'plain', { config: { lora_bias: true, use_dora: true } }, 'corrupt-checkpoint', /both/],
    ['a bias that nobody said', 'plain', { tensors: added(`${Q0}.bias`, [192]) }, 'corrupt-checkpoint', /bias is none/],
    [
      'a bias that the base lacks',
      'plain',
      { config: { bias: 'all' }, tensors: added(`${Q0}.base_layer.bias`, [192]) },
      'invalid-option',
      /none in this model/,
    ],
    ['a rank that is no number', 'plain', { config: { r: '4' } }, 'corrupt-checkpoint', /r must be/],
    [
      'alpha that is none',
      'plain',
      { config: { lora_alpha: null, alpha_pattern: [] } },
      'corrupt-checkpoint',
      /alpha_p/,
    ],
    ['an endless expression', 'plain', { config: { alpha_pattern: { '(a+)+b': 1 } } }, 'corrupt-checkpoint', /simple/],
    ['no expression', 'plain', { config: { rank_pattern: { '(': 1 } } }, 'corrupt-checkpoint', /regular/],
    ['flags that are none', 'plain', { config: { use_rslora: 'yes' } }, 'corrupt-checkpoint', /use_rslora/],
    ['bias that is none', 'plain', { config: { bias: 'some' } }, 'corrupt-checkpoint', /none, all or lora_only/],
    ['A of another width', 'plain', { tensors: reshaped(`${Q0}.lora_A.weight`, [4, 95]) }, 'invalid-option', /4,95/],
    ['B of another height', 'plain', { tensors: reshaped(`${Q0}.lora_B.weight`, [96, 4]) }, 'invalid-option', /96,4/],
    ['another module', 'plain', { tensors: renamed(/v_proj/, 'w_proj') }, 'invalid-option', /self_attn.w_proj/],
    ['another layer', 'plain', { tensors: renamed(/layers\.2/, 'layers.3') }, 'invalid-option', /layers.3/],
    ['a vision tower', 'plain', { tensors: renamed(/model\.layers/, 'vision.layers') }, 'invalid-option', /vision/],
    [
      'an endless name',
      'plain',
      { tensors: renamed(/^base_/, `base_${'model.'.repeat(1e5)}`) },
      'corrupt-checkpoint',
      /name of/,
    ],
    [
      'a module twice',
      'plain',
      { tensors: added(`base_model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight`, [4, 96]) },
      'corrupt-checkpoint',
      /two tensors/,
    ],
  ] as const)('%s', async (_, name, change, code, message) => {
    const opening = openFiles(name, STEPS, altered(name, change as Parameters<typeof altered>[1]));
    await expect(opening).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('a pickle, with what to do', async () => {
    const files = adapterFiles('plain');
    files.set('adapter_model.bin', files.get(WEIGHTS)!);
    files.delete(WEIGHTS);
    await expect(openFiles('plain', STEPS, files)).rejects.toMatchObject({
      code: 'unsupported-architecture',
      message: expect.stringMatching(/pickle.*Save the adapter again/),
    });
  });

  it.each([
    [CONFIG, 'invalid-option', /no adapter.*folder/],
    [WEIGHTS, 'corrupt-checkpoint', /adapter_model/],
  ])('a folder without %s', async (file, code, message) => {
    const files = adapterFiles('plain');
    files.delete(file);
    const details = { code, message: expect.stringMatching(message) };
    await expect(openFiles('plain', STEPS, files)).rejects.toMatchObject(details);
  });

  it('a head whose output is capped', async () => {
    const steps = stepsOf({ model_type: 'gemma2', final_logit_softcapping: 30, sliding_window: 9 });
    const files = altered('embedding', {});
    await expect(openFiles('embedding', steps, files)).rejects.toMatchObject({
      code: 'unsupported-architecture',
      message: expect.stringMatching(/lm_head.*soft-capped/),
    });
  });

  it('two adapters that bring the same module whole, or train the same token', async () => {
    const steps = stepsOf(SMALL_QWEN2);
    const both = async (...names: string[]) => {
      const adapters = await Promise.all(names.map((name) => openFiles(name, steps, adapterFiles(name))));
      return () =>
        combineAdapters(
          steps,
          adapters.map((adapter) => ({ adapter, scale: 1 })),
        );
    };
    expect(await both('saved-embedding', 'saved-tied')).toThrow(
      /saved-embedding and saved-tied both change embed_tokens/,
    );
    expect(await both('saved-head', 'target-head')).toThrow(/target-head and saved-head both change lm_head/);
    expect(await both('tokens', 'tokens')).toThrow(/both replace token 77/);
    // what was loaded into the model gives way to a later adapter's, and one that saves a module of its own goes first
    expect((await both('target-embedding', 'target-head'))().steps.length).toBeGreaterThan(2);
    expect((await both('target-embedding', 'saved-head'))().steps.length).toBeGreaterThan(2);
  });

  it('two adapters that replace biases', async () => {
    const steps = stepsOf(SMALL_QWEN2);
    const two = await Promise.all(
      ['bias-all', 'bias-lora-only'].map(async (name) => ({
        adapter: await openFiles(name, steps, adapterFiles(name)),
        scale: 1,
      })),
    );
    expect(() => combineAdapters(steps, two)).toThrow(/bias-all and bias-lora-only both replace biases/);
  });

  it('values that are not finite', async () => {
    const files = altered('plain', {
      tensors: (all) => all.map((tensor) => ({ ...tensor, data: tensor.data.map(() => 0x7c) })),
    });
    const adapter = await openFiles('plain', STEPS, files);
    await expect(adapter.read(adapter.modules[0].a)).rejects.toMatchObject({ code: 'corrupt-checkpoint' });
  });
});

/** Numbers below `n` that depend on the seed only. */
function random(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

describe('a thousand altered adapters', () => {
  it('are refused with a typed error or read whole, and quickly', async () => {
    const next = random(11);
    const names = ['plain', 'rslora', 'dora', 'lora-bias', 'embedding'];
    const originals = new Map(names.map((name) => [name, adapterFiles(name)]));
    let refused = 0;
    for (let i = 0; i < 1000; i++) {
      const name = names[i % names.length];
      const files = new Map(originals.get(name));
      const path = next(3) === 0 ? CONFIG : WEIGHTS;
      files.set(path, spoilt(files.get(path)!, path, next));
      try {
        const adapter = await openFiles(name, STEPS, files);
        await contents(STEPS, combineAdapters(STEPS, [{ adapter, scale: 1 }]));
      } catch (error) {
        expect(error).toBeInstanceOf(NibbleError);
        expect((error as NibbleError).code).not.toBe('worker-failed');
        refused++;
      }
    }
    // what is left are digits of a number, or bits of a value
    expect(refused).toBeGreaterThan(600);
  });
});

/** Bytes cut, overwritten or moved; of the weights, in the header for the most part. */
function spoilt(bytes: Uint8Array, path: string, next: (n: number) => number): Uint8Array {
  const reach = path === CONFIG ? bytes.length : 8 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const out = bytes.slice();
  switch (next(4)) {
    case 0:
      return out.slice(0, next(out.length));
    case 1:
      for (let n = 1 + next(4); n > 0; n--) out[next(reach)] = 32 + next(95);
      return out;
    case 2: {
      const from = next(reach);
      out.copyWithin(next(reach), from, Math.min(reach, from + 1 + next(60)));
      return out;
    }
    default:
      for (let n = 1 + next(3); n > 0; n--) out[next(reach)] ^= 1 << next(8);
      return out;
  }
}
