import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NibbleError } from '../errors';
import { openSafetensorsFolder } from './folder';
import { denseBytes } from './half';
import { NF4_CODEBOOK } from './matrix';
import { nf4Tensors, quantizeNf4 } from './quantize-nf4';
import { type NewTensor, writeSafetensors } from './safetensors';
import { type Files, fixture, inMemory, joined, loadFolder, openFiles, readSlices, readValues } from './test/files';

const sha256 = (values: Float32Array) => createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex');
const folderOf = (tensors: NewTensor[], config: object = {}): Files => ({
  'config.json': Buffer.from(JSON.stringify(config)),
  'model.safetensors': joined(writeSafetensors(tensors)),
});
const f32 = (name: string, values: number[]): NewTensor => ({
  name,
  dtype: 'F32',
  shape: [values.length],
  data: denseBytes(Float32Array.from(values), 'f32'),
});
async function failure(files: Files): Promise<NibbleError> {
  const thrown = await openFiles(files).catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(NibbleError);
  return thrown as NibbleError;
}

// Values by an independent numpy reader of the same files (code * absmax in f32; int8 * (SCB / 127)).
const DIGESTS: [string, string, number[], string][] = [
  [
    'tiny-llama/nf4',
    'model.layers.0.self_attn.q_proj.weight',
    [192, 96],
    '9c6ef8ace8df2bf812b96ed31e0600f2daffe1c7822e605d250492a0c4546b2f',
  ],
  [
    'tiny-llama/nf4',
    'model.layers.1.mlp.down_proj.weight',
    [96, 160],
    'db420696c867a5224e608d5cb92be19919cbd17b12319145aa666fdada9aefa2',
  ],
  [
    'tiny-llama/nf4-dq',
    'model.layers.0.self_attn.q_proj.weight',
    [192, 96],
    '808f1ef75442c57f758eca0c71a00c16a4002d4c43cad756cff868046f4ce829',
  ],
  [
    'tiny-llama/nf4-dq',
    'model.layers.1.mlp.down_proj.weight',
    [96, 160],
    '5ba741be1388a858be616a90908f9d50e88beb4d185cafc8d1dc59fb100a0b32',
  ],
  [
    'tiny-llama-odd/nf4',
    'model.layers.0.self_attn.q_proj.weight',
    [60, 80],
    '0faf11c1b0e10723fb16d1fc4c4e1e648bd25ffc5b32fa9baa945832f0a89e74',
  ],
  [
    'tiny-llama-odd/nf4',
    'model.layers.1.mlp.down_proj.weight',
    [80, 112],
    '9a74b4cc923b1d5ee35956ab7b0dfada02fdf0c4b404eebb87aa5599b992f6b3',
  ],
  [
    'tiny-llama/nf4-mixed',
    'model.embed_tokens.weight',
    [263, 96],
    'efd00fc00fcf31de857157c3ad0957093892909ce4aafe245a90ca424977f2fd',
  ],
  [
    'tiny-llama/nf4-mixed',
    'model.layers.0.self_attn.o_proj.weight',
    [96, 192],
    'c1c238b8e701c9c2d96ddbd9925ee7a95c4d202ddee306cef990527b745a5ac6',
  ],
  [
    'tiny-llama/nf4-mixed',
    'model.layers.1.mlp.up_proj.weight',
    [160, 96],
    '475b2cfef0792b80e9ce19be0f928ed0fb1d17d316a2c0d04e0c918d6b658843',
  ],
];

describe('checkpoints written by bitsandbytes', () => {
  it.each(DIGESTS)('%s: %s has the values of another reader', async (folder, name, shape, digest) => {
    const files = loadFolder(fixture(folder));
    const layout = await openFiles(files);
    const { info } = layout.records.get(name)!;
    expect([info.rows, info.cols]).toEqual(shape);
    expect(sha256(readValues(files, layout, name))).toBe(digest);
    expect(sha256(readValues(files, layout, name, 500))).toBe(digest);
  });

  it('decides the format tensor by tensor', async () => {
    const layout = await openFiles(loadFolder(fixture('tiny-llama/nf4-mixed')));
    const format = (name: string) => {
      const { stored, format } = layout.records.get(`model.${name}`)!.info;
      return [stored, format.type, 'block' in format ? format.block : null];
    };
    expect(format('embed_tokens.weight')).toEqual(['nf4', 'q4', 32]);
    expect(format('layers.0.self_attn.q_proj.weight')).toEqual(['nf4', 'q4', 32]);
    expect(format('layers.0.self_attn.o_proj.weight')).toEqual(['int8', 'q8', 'row']);
    expect(format('layers.1.mlp.up_proj.weight')).toEqual(['bf16', 'bf16', null]);
    expect(format('norm.weight')).toEqual(['bf16', 'bf16', null]);
    // 9 linears a layer and two norms, a final norm, the embedding: nothing else, no statistics
    expect(layout.records.size).toBe(3 * 9 + 2);
  });

  it('keeps the codebook and a block of 64 where rows allow it, and falls back to f32 where none fits', async () => {
    const wide = await openFiles(loadFolder(fixture('tiny-llama-128/nf4')));
    const q = wide.records.get('model.layers.0.self_attn.q_proj.weight')!.info;
    expect(q.format).toEqual({ type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK });
    const odd = await openFiles(loadFolder(fixture('tiny-llama-odd/nf4')));
    expect(odd.records.get('model.layers.0.self_attn.q_proj.weight')!.info).toMatchObject({
      stored: 'nf4',
      format: { type: 'f32' },
    });
  });

  it('reads shards, whose tensors and statistics may lie apart', async () => {
    const [sharded, whole] = [loadFolder(fixture('tiny-llama/sharded')), loadFolder(fixture('tiny-llama/nf4'))];
    const [a, b] = [await openFiles(sharded), await openFiles(whole)];
    expect([...a.records.keys()].sort()).toEqual([...b.records.keys()].sort());
    expect(a.files.length).toBe(3);
    expect(a.totalBytes).toBe(a.files.reduce((sum, f) => sum + f.bytes, 0));
    const stored = [...a.records.values()].reduce((sum, r) => sum + r.info.storedBytes, 0);
    expect(stored).toBeLessThanOrEqual(a.totalBytes);
    for (const name of a.records.keys()) {
      const values = readValues(sharded, a, name);
      expect(values.length).toBe(a.records.get(name)!.info.rows * a.records.get(name)!.info.cols);
      expect(values.every(Number.isFinite)).toBe(true);
    }
  });

  it('names a missing shard', async () => {
    const files = loadFolder(fixture('tiny-llama/sharded'));
    delete files['model-00002-of-00003.safetensors'];
    const error = await failure(files);
    expect(error.code).toBe('corrupt-checkpoint');
    expect(error.message).toContain('model-00002-of-00003.safetensors');
  });

  it('opens without reading the weights', async () => {
    const files = loadFolder(fixture('tiny-llama-128/nf4'));
    const { read, size, log } = inMemory(files);
    const layout = await openSafetensorsFolder(read, size);
    const weights = layout.records.get('model.embed_tokens.weight')!.data;
    const touched = log.filter((r) => r.path === weights.path && r.start > 0);
    expect(touched.length).toBeLessThan(20);
    expect(layout.tokenizer?.json.model).toBeDefined();
    expect(layout.generationConfig).toMatchObject({ eos_token_id: [2] });
  });

  it('takes a generation_config.json that is not JSON for none', async () => {
    const files = loadFolder(fixture('tiny-llama-128/nf4'));
    files['generation_config.json'] = Buffer.from('{"eos_token_id": 2,}');
    expect((await openFiles(files)).generationConfig).toBeNull();
  });
});

describe('what bitsandbytes may write', () => {
  const values = Float32Array.from({ length: 6 * 128 }, (_, i) => Math.sin(i) * 3);
  const nf4 = () => nf4Tensors('w.weight', [6, 128], quantizeNf4(values));
  const change = (tensors: NewTensor[], suffix: string, how: (t: NewTensor) => void) => {
    how(tensors.find((t) => t.name === `w.weight${suffix}`)!);
    return tensors;
  };
  const STATE = '.quant_state.bitsandbytes__nf4';
  const withState = (patch: object) =>
    change(nf4(), STATE, (t) => {
      t.data = Buffer.from(JSON.stringify({ ...JSON.parse(new TextDecoder().decode(t.data)), ...patch }));
      t.shape = [t.data.length];
    });
  const read = async (tensors: NewTensor[]) => {
    const files = folderOf(tensors);
    return readValues(files, await openFiles(files), 'w.weight');
  };

  it('any storage type: the bytes count, not their declared type and shape', async () => {
    const expected = await read(nf4());
    for (const [dtype, size] of [
      ['BF16', 2],
      ['F16', 2],
      ['F32', 4],
    ] as const) {
      const stored = change(nf4(), '', (t) => {
        t.dtype = dtype;
        t.shape = [t.data.length / size, 1];
      });
      expect(await read(stored)).toEqual(expected);
    }
  });

  it('a codebook other than NF4, which is used: FP4 is one', async () => {
    const fp4 = [0, 1 / 192, 2 / 3, 1, 1 / 3, 1 / 2, 1 / 6, 1 / 4];
    const book = Float32Array.from([...fp4, ...fp4.map((v) => -v)]);
    const tensors = change(withState({ quant_type: 'fp4' }), '.quant_map', (t) => {
      t.data = denseBytes(book, 'f32');
    });
    change(tensors, STATE, (t) => {
      t.name = t.name.replace('nf4', 'fp4');
    });
    const files = folderOf(tensors);
    const layout = await openFiles(files);
    expect(layout.records.get('w.weight')!.info).toMatchObject({ stored: 'fp4', format: { codebook: [...book] } });
    const { codes, absmax } = quantizeNf4(values);
    const got = readValues(files, layout, 'w.weight');
    expect(got[0]).toBe(Math.fround(book[codes[0] >> 4] * absmax[0]));
    expect(got[641]).toBe(Math.fround(book[codes[320] & 15] * absmax[10]));
  });

  it('odd rows, whose slices start on whole bytes', async () => {
    const odd = Float32Array.from({ length: 7 * 13 }, (_, i) => Math.cos(i));
    const files = folderOf(nf4Tensors('w.weight', [7, 13], quantizeNf4(odd)));
    const layout = await openFiles(files);
    const slices = readSlices(files, layout, 'w.weight', 14);
    expect(slices.map((s) => [s.row0, s.rows])).toEqual([
      [0, 2],
      [2, 2],
      [4, 2],
      [6, 1],
    ]);
    expect(readValues(files, layout, 'w.weight', 14)).toEqual(readValues(files, layout, 'w.weight'));
  });

  const broken: [string, NewTensor[], string, RegExp][] = [
    ['another shape', withState({ shape: [7, 128] }), 'corrupt-checkpoint', /384 bytes of codes, expected 448/],
    ['a shape that overflows', withState({ shape: [2 ** 40, 2 ** 40] }), 'corrupt-checkpoint', /codes, expected/],
    ['no shape', withState({ shape: null }), 'corrupt-checkpoint', /shape null/],
    ['another blocksize', withState({ blocksize: 32 }), 'corrupt-checkpoint', /48 bytes of absmax, expected 96/],
    ['a blocksize of 48', withState({ blocksize: 48 }), 'corrupt-checkpoint', /blocksize of 48/],
    ['another quant_type', withState({ quant_type: 'int4' }), 'corrupt-checkpoint', /"int4"/],
    [
      'nested without nested parts',
      withState({ nested_blocksize: 256, nested_offset: 0 }),
      'corrupt-checkpoint',
      /absmax/,
    ],
    ['no absmax', nf4().filter((t) => !t.name.endsWith('.absmax')), 'corrupt-checkpoint', /no w.weight.absmax/],
    ['no codes', nf4().filter((t) => t.name !== 'w.weight'), 'corrupt-checkpoint', /no codes/],
    ['no quant_state', nf4().filter((t) => !t.name.includes('quant_state')), 'corrupt-checkpoint', /other parts/],
    [
      'a codebook of 15',
      change(nf4(), '.quant_map', (t) => {
        t.data = t.data.slice(4);
        t.shape = [15];
      }),
      'corrupt-checkpoint',
      /60 bytes of quant_map, expected 64/,
    ],
    [
      'a quant_state that is no JSON',
      change(nf4(), STATE, (t) => {
        t.data = t.data.slice(1);
        t.shape = [t.data.length];
      }),
      'corrupt-checkpoint',
      /not valid JSON/,
    ],
    [
      'an SCB of the wrong length',
      [{ name: 'w.weight', dtype: 'I8', shape: [2, 2], data: new Uint8Array(4) }, f32('w.SCB', [1])],
      'corrupt-checkpoint',
      /SCB/,
    ],
    ['a lone statistic', [f32('w.weight.absmax', [1])], 'corrupt-checkpoint', /other parts are missing/],
  ];
  it('leaves int8 without SCB to whoever needs it', async () => {
    const layout = await openFiles(
      folderOf([{ name: 'w.weight', dtype: 'I8', shape: [2, 2], data: new Uint8Array(4) }]),
    );
    expect([layout.records.size, layout.unread!.get('w.weight')]).toEqual([0, 'I8']);
  });

  it.each(broken)('refuses %s', async (_, tensors, code, message) => {
    const error = await failure(folderOf(tensors));
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
    expect(error.details).toHaveProperty('tensor');
  });

  it('refuses other quantisations by their name', async () => {
    const error = await failure(
      folderOf([f32('a.weight', [1])], { quantization_config: { quant_method: 'gptq', bits: 4 } }),
    );
    expect(error.code).toBe('unsupported-quantization');
    expect(error.message).toContain('"gptq"');
  });

  it('refuses a folder without config.json or without weights', async () => {
    const files = folderOf([f32('a.weight', [1])]);
    const { 'config.json': _c, ...noConfig } = files;
    const { 'model.safetensors': _m, ...noWeights } = files;
    expect((await failure(noConfig)).message).toContain('config.json');
    expect((await failure(noWeights)).message).toContain('model.safetensors');
  });

  it('has the values of its parts, whatever the shape, block and slice', async () => {
    const cases = fc.record({
      rows: fc.integer({ min: 1, max: 9 }),
      cols: fc.oneof(fc.integer({ min: 1, max: 70 }), fc.constantFrom(32, 64, 96, 128, 192)),
      block: fc.constantFrom(32, 64, 128, 256),
      double: fc.boolean(),
      slice: fc.integer({ min: 1, max: 300 }),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ rows, cols, block, double, slice, seed }) => {
        const w = Float32Array.from({ length: rows * cols }, (_, i) => Math.sin(seed + i * 1.7) * ((i % 5) + 1));
        const quantised = quantizeNf4(w, block);
        const files = folderOf(nf4Tensors('w.weight', [rows, cols], quantised, { block, double }));
        const got = readValues(files, await openFiles(files), 'w.weight', slice);
        expect(got.length).toBe(w.length);
        got.forEach((value, i) => {
          const code = i & 1 ? quantised.codes[i >> 1] & 15 : quantised.codes[i >> 1] >> 4;
          const expected = Math.fround(NF4_CODEBOOK[code] * quantised.absmax[Math.floor(i / block)]);
          if (double) expect(Math.abs(value - expected)).toBeLessThan(0.15);
          else expect(value).toBe(expected);
        });
      }),
    );
  });

  it('ends in a NibbleError, or reads, for 500 altered quant_states', async () => {
    const files = folderOf(nf4Tensors('w.weight', [6, 128], quantizeNf4(values), { double: true }));
    const model = files['model.safetensors'];
    const at = Buffer.from(model).lastIndexOf('{"quant_type"');
    const end = Buffer.from(model).indexOf('}', at) + 1;
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: at, max: end - 1 }), fc.integer({ min: 32, max: 126 }), async (i, byte) => {
        const altered = { ...files, 'model.safetensors': model.slice() };
        altered['model.safetensors'][i] = byte;
        try {
          readValues(altered, await openFiles(altered), 'w.weight');
        } catch (thrown) {
          if (!(thrown instanceof NibbleError)) throw thrown;
          refused++;
        }
      }),
      { numRuns: 500 },
    );
    expect(refused).toBeGreaterThan(100);
  });
});
