/**
 * Altered GGUF files of every family, with tensors of every type, taken the whole way that bytes go before they are
 * computed with: header, config, spec, shapes, rows, finite values. Each ends in a NibbleError, or is read whole.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadWeights } from '../checkpoint/load-weights';
import { openCheckpoint } from '../checkpoint/open-checkpoint';
import { NibbleError } from '../errors';
import { BLOCK_TYPES } from '../formats/gguf-blocks';
import { gguf, type Tensor, type Value } from '../formats/test/gguf-writer';
import { tensorTable } from '../model/decoder';
import { parseSpec } from '../model/parse';
import { createMemorySource } from '../sources/memory-source';

/** Numbers of ggml's types. */
const TYPE_NUMBERS = { F32: 0, F16: 1, Q4_0: 2, Q4_1: 3, Q5_0: 6, Q5_1: 7, Q8_0: 8, Q4_K: 12, Q5_K: 13, Q6_K: 14 };
const MORE_TYPE_NUMBERS = { ...TYPE_NUMBERS, IQ4_NL: 20, BF16: 30 };
type TypeName = keyof typeof MORE_TYPE_NUMBERS;

const WIDTH = 256;
const bytesOf = (type: TypeName, elements: number): number => {
  if (type === 'F32') return elements * 4;
  if (type === 'F16' || type === 'BF16') return elements * 2;
  return (elements / BLOCK_TYPES[type].elements) * BLOCK_TYPES[type].bytes;
};

/** Zeros: finite in every type, and quick to read. */
const zeros = (name: string, type: TypeName, dims: number[]): Tensor => ({
  name,
  dims,
  type: MORE_TYPE_NUMBERS[type],
  data: new Uint8Array(
    bytesOf(
      type,
      dims.reduce((a, b) => a * b, 1),
    ),
  ),
});

type Change = (tensors: Tensor[], keys: Record<string, Value>) => Tensor[];

/** One layer of a family, 256 wide with two heads of 32, each matrix of another type; `change` damages it. */
function model(architecture: string, change: Change = (tensors) => tensors): Uint8Array {
  const types = (Object.keys(MORE_TYPE_NUMBERS) as TypeName[]).sort();
  let turn = architecture.length;
  const matrix = (name: string, cols: number, rows: number): Tensor => {
    const fitting = types.filter((type) => cols % 256 === 0 || !type.endsWith('_K'));
    return zeros(`${name}.weight`, fitting[turn++ % fitting.length], [cols, rows]);
  };
  const norm = (name: string, size = WIDTH) => zeros(`${name}.weight`, 'F32', [size]);
  const block = (name: string) => `blk.0.${name}`;
  const fused = architecture === 'phi3';
  const gemma = /^gemma[23]$/.test(architecture);
  const olmo = architecture === 'olmo2';
  const tensors = [
    matrix('token_embd', WIDTH, 5),
    norm('output_norm'),
    ...(fused
      ? [matrix(block('attn_qkv'), WIDTH, 128), matrix(block('ffn_up'), WIDTH, 64)]
      : [
          matrix(block('attn_q'), WIDTH, 64),
          matrix(block('attn_k'), WIDTH, 32),
          matrix(block('attn_v'), WIDTH, 32),
          matrix(block('ffn_gate'), WIDTH, 32),
          matrix(block('ffn_up'), WIDTH, 32),
        ]),
    matrix(block('attn_output'), 64, WIDTH),
    matrix(block('ffn_down'), 32, WIDTH),
    ...(olmo ? [] : [norm(block('attn_norm')), norm(block('ffn_norm'))]),
    ...(gemma || olmo ? [norm(block('post_attention_norm')), norm(block('post_ffw_norm'))] : []),
    ...(/^(qwen3|gemma3)$/.test(architecture) ? [norm(block('attn_q_norm'), 32), norm(block('attn_k_norm'), 32)] : []),
    ...(olmo ? [norm(block('attn_q_norm'), 64), norm(block('attn_k_norm'), 32)] : []),
    ...(architecture === 'qwen2'
      ? ['q', 'k', 'v'].map((part) => zeros(`blk.0.attn_${part}.bias`, 'F32', [part === 'q' ? 64 : 32]))
      : []),
  ];
  const keys: Record<string, Value> = {
    block_count: ['u32', 1],
    context_length: ['u32', 256],
    embedding_length: ['u32', WIDTH],
    feed_forward_length: ['u32', 32],
    'attention.head_count': ['u32', 2],
    'attention.head_count_kv': ['u32', 1],
    'attention.key_length': ['u32', 32],
    'attention.value_length': ['u32', 32],
    'attention.layer_norm_rms_epsilon': ['f32', 1e-5],
    'rope.freq_base': ['f32', 10000],
    ...(gemma && { 'attention.sliding_window': ['u32', 9] as Value }),
    ...(architecture === 'granite' && { 'attention.scale': ['f32', 0.125] as Value }),
  };
  const changed = change(tensors, keys);
  const named = Object.entries(keys).map(([key, value]) => [`${architecture}.${key}`, value]);
  return gguf({ 'general.architecture': ['str', architecture], ...Object.fromEntries(named) }, changed)['m.gguf'];
}

const FAMILIES = ['llama', 'qwen2', 'qwen3', 'gemma', 'gemma2', 'gemma3', 'phi3', 'olmo2', 'granite', 'smollm3'];

/** Reads everything that the model needs of a file. @returns bytes placed */
async function readWhole(bytes: Uint8Array): Promise<number> {
  const checkpoint = await openCheckpoint(createMemorySource('m', new Map([['m.gguf', bytes]]), 'm.gguf'));
  let placed = 0;
  const sink = {
    write: async () => {},
    writeVector: () => {},
    finish: async () => {},
  };
  const onPlaced = (count: number) => {
    placed += count;
  };
  await loadWeights(checkpoint, tensorTable(parseSpec(checkpoint.config)), sink, { onPlaced });
  return placed;
}

const outcome = async (bytes: Uint8Array): Promise<string> => {
  try {
    await readWhole(bytes);
    return 'read';
  } catch (thrown) {
    if (thrown instanceof NibbleError) return thrown.code;
    throw thrown;
  }
};

const CODES = ['read', 'corrupt-checkpoint', 'unsupported-architecture', 'unsupported-quantization'];

describe.each(FAMILIES)('%s', (architecture) => {
  const original = model(architecture);
  /** where tensors begin, roughly: after the last tensor's entry */
  const data = Buffer.from(original).toString('latin1').lastIndexOf('.weight') + 60;

  it('is read as it is', async () => expect(await readWhole(original)).toBeGreaterThan(40_000));

  it('ends in a NibbleError, or is read, for 600 files with altered bytes, scales, counts and ends, and moved pieces', async () => {
    const seen = new Map<string, number>();
    const change = fc.oneof(
      fc.record({ at: fc.nat(data), byte: fc.nat(255) }),
      // Bytes that make an f16 infinite or no number where they fall into a scale.
      fc.record({ at: fc.nat(original.length - 1), byte: fc.constantFrom(0x7c, 0x7e, 0x7f, 0xff) }),
      // Numbers of 64 bits: counts, lengths, dimensions and offsets live here.
      fc.record({
        at: fc.nat(data - 8),
        word: fc.constantFrom(2n ** 63n, 2n ** 64n - 1n, 2n ** 32n, 2n ** 53n, 0n, 1n),
      }),
      fc.record({ from: fc.nat(data), to: fc.nat(data), length: fc.nat(64) }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { minLength: 1, maxLength: 2 }),
        fc.option(fc.nat(original.length), { freq: 8 }),
        async (changes, cut) => {
          const bytes = original.slice(0, cut ?? original.length);
          const view = new DataView(bytes.buffer);
          for (const one of changes) {
            if ('byte' in one) bytes[Math.min(one.at, bytes.length - 1)] = one.byte;
            else if ('word' in one) {
              if (one.at + 8 <= bytes.length) view.setBigUint64(one.at, one.word, true);
            } else
              bytes.set(
                bytes.slice(one.from, one.from + Math.min(one.length, bytes.length - one.to)),
                one.to % bytes.length || 0,
              );
          }
          const how = await outcome(bytes);
          seen.set(how, (seen.get(how) ?? 0) + 1);
        },
      ),
      { numRuns: 600 },
    );
    for (const code of seen.keys()) expect(CODES).toContain(code);
    expect(seen.get('corrupt-checkpoint')).toBeGreaterThan(100);
    expect(seen.get('read')).toBeGreaterThan(5);
  });
});

describe('what is refused, with the numbers', () => {
  const Q = 'blk.0.attn_q.weight';
  const find = (tensors: Tensor[], name: string) => tensors.find((tensor) => tensor.name === name)!;
  /** q in this type, its first block's f16 at `at` no number */
  const noNumber = (type: TypeName, at: number): Change => {
    return (tensors) => {
      const q = zeros(Q, type, [WIDTH, 64]);
      q.data.set([0xff, 0x7f], at);
      return tensors.map((tensor) => (tensor.name === Q ? q : tensor));
    };
  };
  const finite = /attn_q|q_proj.* not finite/;
  const scales: [TypeName, number][] = [
    ['Q4_0', 0],
    ['Q4_1', 0],
    ['Q4_1', 2],
    ['Q4_K', 0],
    ['Q4_K', 2],
    ['IQ4_NL', 0],
    ['Q5_0', 0],
    ['Q5_1', 2],
    ['Q5_K', 0],
    ['Q5_K', 2],
    ['Q6_K', 208],
    ['Q8_0', 0],
    ['F16', 0],
  ];
  const cases: [string, Uint8Array, string, RegExp][] = [
    ...scales.map(([type, at]): [string, Uint8Array, string, RegExp] => [
      `${type}: a scale or value at byte ${at} that is no number`,
      model('llama', noNumber(type, at)),
      'corrupt-checkpoint',
      finite,
    ]),
    [
      'a norm of Gemma that is infinite',
      model('gemma', (tensors) => {
        find(tensors, 'output_norm.weight').data.set([0, 0, 0x80, 0x7f], 8);
        return tensors;
      }),
      'corrupt-checkpoint',
      /model\.norm\.weight.*not finite/,
    ],
    ...(['Q4_K', 'Q5_K', 'Q6_K'] as const).map((type): [string, Uint8Array, string, RegExp] => [
      `${type} of 128 columns`,
      model('llama', (tensors) => [{ ...zeros(Q, type, [WIDTH, 64]), dims: [128, 128] }, ...tensors.slice(0, 1)]),
      'corrupt-checkpoint',
      new RegExp(`\\[128,128\\] of ${type}`),
    ]),
    [
      'a tensor twice',
      model('qwen2', (tensors) => [...tensors, find(tensors, Q)]),
      'corrupt-checkpoint',
      /attn_q\.weight stands twice/,
    ],
    [
      'no tensor where one is needed',
      model('gemma2', (tensors) => tensors.filter(({ name }) => name !== 'blk.0.post_ffw_norm.weight')),
      'corrupt-checkpoint',
      /no tensor model\.layers\.0\.post_feedforward_layernorm\.weight/,
    ],
    [
      'a tensor of another shape',
      model('qwen3', (tensors) => tensors.map((t) => (t.name === Q ? zeros(Q, 'Q4_0', [WIDTH, 96]) : t))),
      'corrupt-checkpoint',
      /shape \[96, 256\] where config\.json calls for \[64, 256\]/,
    ],
    [
      'a bias that is quantised',
      model('qwen2', (tensors) =>
        tensors.map((t) => (t.name === 'blk.0.attn_k.bias' ? zeros(t.name, 'Q8_0', [32]) : t)),
      ),
      'corrupt-checkpoint',
      /vector and yet quantised/,
    ],
    [
      'heads by the billion',
      model('llama', (tensors, keys) => {
        keys['attention.head_count'] = ['u32', 4e9];
        return tensors;
      }),
      'corrupt-checkpoint',
      /num_attention_heads/,
    ],
  ];
  it.each(cases)('%s', async (_, bytes, code, message) => {
    await expect(readWhole(bytes)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  /** Where the u64 of a tensor's offset, or of its first dimension, stands. */
  const entry = (bytes: Uint8Array, name: string) => Buffer.from(bytes).indexOf(name) + name.length;
  it.each<[string, (view: DataView, bytes: Uint8Array) => void, RegExp]>([
    ['a tensor count of 2^63', (view) => view.setBigUint64(8, 2n ** 63n, true), /a count of 9223372036854776000/],
    ['a key count of 2^63', (view) => view.setBigUint64(16, 2n ** 63n, true), /a count of 9223372036854776000/],
    [
      'a dimension of 2^63',
      (view, bytes) => view.setBigUint64(entry(bytes, Q) + 4, 2n ** 63n, true),
      /attn_q\.weight ends at byte \d+(\.\d+e\+\d+)? of a file/,
    ],
    [
      'an offset past the end',
      (view, bytes) => view.setBigUint64(entry(bytes, Q) + 24, 2n ** 40n, true),
      /attn_q\.weight ends at byte 1099\d+ of a file/,
    ],
    ['a tensor inside another', (view, bytes) => view.setBigUint64(entry(bytes, Q) + 24, 32n, true), /inside another/],
  ])('%s', async (_, alter, message) => {
    const bytes = model('llama');
    alter(new DataView(bytes.buffer), bytes);
    const error = { code: 'corrupt-checkpoint', message: expect.stringMatching(message) };
    await expect(readWhole(bytes)).rejects.toMatchObject(error);
  });

  it('lists and tensors beyond all need, before they are made', async () => {
    const long = { 'general.architecture': ['str', 'llama'], x: ['i32s', []] } as Record<string, Value>;
    const head = gguf(long, [])['m.gguf'];
    // The list's count is the last u64 of the header; the file is as long as the count asks.
    const file = (count: number, at: number) => {
      const bytes = new Uint8Array(40 << 20);
      bytes.set(head);
      new DataView(bytes.buffer).setBigUint64(at, BigInt(count), true);
      return bytes;
    };
    const listAt = Buffer.from(head).indexOf('x', 40) + 1 + 4 + 4;
    await expect(readWhole(file(5 << 20, listAt))).rejects.toMatchObject({
      code: 'corrupt-checkpoint',
      details: { count: 5 << 20, limit: 1 << 22 },
    });
    await expect(readWhole(file(100_000, 8))).rejects.toMatchObject({ details: { count: 100_000, limit: 1 << 16 } });
  });
});

it('leaves memory as it was: counts of anything take nothing before they are checked', async () => {
  const original = model('llama');
  const before = process.memoryUsage().rss;
  for (let at = 0; at + 8 <= 2000; at += 4) {
    const bytes = original.slice();
    new DataView(bytes.buffer).setBigUint64(at, 2n ** 31n, true);
    await outcome(bytes);
  }
  expect(process.memoryUsage().rss - before).toBeLessThan(256 << 20);
});
