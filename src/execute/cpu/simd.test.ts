/** WebAssembly beside its JavaScript twin, on shapes that hurt. Whole models in both ways: executor.test.ts. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type MatrixFormat, NF4_CODEBOOK } from '../../formats/matrix';
import { type BankPlan, type BankShape, planBanks } from '../../memory/cpu-banks';
import { matrixBytes } from '../../memory/layout';
import type { MemoryPlan } from '../../memory/plan';
import { parseSpec } from '../../model/parse';
import { withOneCache } from '../test/one-cache';
import { type Arithmetic, arithmetic, type Computing } from './arithmetic';
import { type AttendShape, attend } from './attend';
import { placesIn, type SimdExports, simdInstance } from './bank';
import { createCpuExecutor } from './executor';
import { activate } from './kernels';
import { append, createRing, type KeyBias } from './kv-ring';
import { linear } from './linear';
import type { LinearRun } from './linear-run';
import { createMatrix, rowValues } from './matrix';
import { Team } from './team';
import { atOnce } from './test/at-once';
import { FORMATS, fill, shapeOf } from './test/matrices';
import { largestDifference, randomModel, randomValues } from './test/models';

const simd = arithmetic();
const int16 = arithmetic('int16');
const NO_ORDER = {
  module: new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0)),
  memories: [],
  names: [],
};

it('is what runs here', () => {
  expect(simd.name).toBe('webassembly-simd');
});

it('has its working arrays before the first matrix, and all within its bytes', () => {
  const sizes = fc.integer({ min: 1, max: 999 });
  const spec = fc.record({ heads: sizes, kvHeads: sizes, headSize: sizes });
  const bytes = fc.record({ codes: sizes, scales: sizes, offsets: sizes });
  fc.assert(
    fc.property(sizes, sizes, fc.integer({ min: 1, max: 8 }), spec, fc.array(bytes, { minLength: 1 }), (...given) => {
      const [cols, rows, tokens, heads, all] = given;
      const matrices = all.map((one, i) => ({ name: `${i}`, bytes: one }));
      const [plan] = planBanks(matrices, shapeOf(cols, rows, 4 * tokens, heads));
      const buffer = new ArrayBuffer(plan.bytes);
      const bound = { exports: {} as SimdExports, index: 0, int16: true, team: new Team(NO_ORDER) };
      const { at } = simdInstance(plan, buffer, bound);
      let end = at.end;
      for (const [i, place] of [...placesIn([{ plan, buffer, simd: null }]).values()].entries()) {
        for (const kind of ['codes', 'scales', 'offsets'] as const) {
          expect(place.at[kind]).toBeGreaterThanOrEqual(end);
          expect(place.at[kind] % 16).toBe(0);
          end = place.at[kind] + all[i][kind];
        }
      }
      expect(end).toBeLessThanOrEqual(plan.bytes);
      expect(plan.bytes - end).toBeLessThan(65536 + 48 * all.length + 512);
    }),
  );
});

it('puts matrices into as few banks as 32 bits allow, and none into two', () => {
  const giga = 2 ** 30;
  const matrices = [1, 2, 1.5, 6, 1, 1].map((size, i) => ({
    name: `${i}`,
    bytes: { codes: size * giga, scales: 4, offsets: 0 },
  }));
  const banks = planBanks(matrices, shapeOf(4, 4, 4));
  expect(banks.map((bank) => bank.matrices.map(({ name }) => name).join())).toEqual(['0,1', '2', '3', '4,5']);
  for (const [i, { bytes, rest, matrices: own }] of banks.entries()) {
    expect(bytes % 65536).toBe(0);
    expect(bytes < 2 ** 32).toBe(i !== 2);
    expect(rest).toBe(bytes - own.reduce((sum, matrix) => sum + matrix.bytes.codes + 4, 0));
  }
});

/** With working arrays and nothing else. */
const emptyBank = (shape: BankShape) =>
  simd.open(planBanks([{ name: '', bytes: { codes: 0, scales: 0, offsets: 0 } }], shape));

/** The largest sum of products of a row with an input, all taken as positive. */
function magnitude({ matrices, input, inputAt, tokens }: LinearRun): number {
  let most = 0;
  for (const matrix of matrices) {
    const row = new Float64Array(matrix.cols);
    for (let r = 0; r < matrix.rows; r++) {
      rowValues(matrix, r, row, 0);
      for (let t = 0; t < tokens; t++)
        most = Math.max(
          most,
          row.reduce((sum, value, c) => sum + Math.abs(value * input[inputAt + t * matrix.cols + c]), 0),
        );
    }
  }
  return most;
}

describe('linear', () => {
  it.each([
    ['exact', simd],
    ['in 16 bits, nearly', int16],
  ])('of any format, size and number of tokens, in a bank or out of it, is what JavaScript computes: %s', (_, way) => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ kind: fc.constantFrom(...FORMATS), rows: fc.integer({ min: 1, max: 9 }), banked: fc.boolean() }),
          {
            minLength: 1,
            maxLength: 3,
          },
        ),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 0, max: 31 }),
        fc.boolean(),
        // of the size of the sums, whose errors it must not hide
        fc.option(fc.constant(300), { nil: null }),
        (parts, tokens, blocks, less, accumulate, softcap) => {
          const cols = 64 * blocks - (parts.every(({ kind }) => kind.odd) ? less : 0);
          const named = parts.map(({ kind, rows, banked }, i) => {
            const bytes = matrixBytes(kind.format, rows, cols, 'cpu');
            return { name: `m${i}`, format: kind.format, rows, banked, bytes };
          });
          const scratch = shapeOf(cols, 64, 12);
          const none = { name: '', bytes: { codes: 0, scales: 0, offsets: 0 } };
          // one a bank, or all in one
          const plans = planBanks([none, ...named.filter(({ banked }) => banked)], scratch, softcap ? 1 : undefined);
          const computing = way.open(plans);
          const places = placesIn(computing.banks);
          const matrices = named.map(({ name, format, rows }) =>
            createMatrix(name, rows, cols, format, places.get(name)),
          );
          for (const [i, matrix] of matrices.entries()) fill(matrix, 7 * i + 1);
          const total = named.reduce((sum, { rows }) => sum + rows, 0);
          const before = randomValues(tokens * total, 13);
          const run: LinearRun = {
            step: { cols, accumulate, scale: 0.5, softcap },
            matrices,
            biases: matrices.map(({ rows }, i) => (i % 2 ? null : randomValues(rows, 9))),
            ...(blocks === 2 ? { factors: matrices.map(({ rows }) => randomValues(rows, 10)) } : {}),
            input: randomValues(tokens * cols + 3, 11),
            inputAt: 3,
            output: before,
            tokens,
          };
          const working = {
            x: new Float64Array(12 * cols),
            y: new Float64Array(64),
            tile: new Float64Array(2 * cols),
            table: new Float64Array(8192),
          };
          const right = { ...run, output: before.slice() };
          atOnce(linear(right, working));
          atOnce(computing.linear(run, working));
          const scale = Math.max(...right.output.map(Math.abs));
          const rounding = way === int16 ? 3e-4 * magnitude(run) : 0;
          expect(largestDifference(run.output, right.output)).toBeLessThan(2e-6 * scale + rounding);
        },
      ),
      { numRuns: 300 },
    );
  });

  it.each([0x7c00, 0xfc00, 0x7e00])(
    'half precision without a value (%d) stays so, and its neighbours keep theirs',
    (bits) => {
      const [rows, cols, tokens] = [2, 40, 4];
      const computing = emptyBank(shapeOf(cols, rows, 4));
      const matrix = createMatrix('m', rows, cols, { type: 'f16' });
      fill(matrix, 5);
      matrix.codes[20] = bits;
      const input = randomValues(tokens * cols, 3).map((value) => value + 2);
      const step = { cols, accumulate: false, scale: 1, softcap: null };
      const output = new Float32Array(tokens * rows);
      const run = { step, matrices: [matrix], biases: [null], input, inputAt: 0, tokens, output };
      const right = new Float32Array(tokens * rows);
      const working = {
        x: new Float64Array(160),
        y: new Float64Array(8),
        tile: new Float64Array(80),
        table: new Float64Array(8192),
      };
      atOnce(linear({ ...run, output: right }, working));
      atOnce(computing.linear(run, working));
      for (const [i, value] of right.entries()) {
        if (i % 2) expect(output[i]).toBeCloseTo(value, 4);
        else expect(output[i]).toBe(bits === 0x7e00 ? Number.NaN : bits < 0x8000 ? Infinity : -Infinity);
      }
    },
  );

  it('takes more rows than there is room for at once', () => {
    const [rows, cols, tokens] = [1001, 64, 7];
    const format: MatrixFormat = { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK };
    const scratch = shapeOf(cols, 16, 8, { heads: 1, kvHeads: 1, headSize: 4 });
    const bytes = matrixBytes(format, rows, cols, 'cpu');
    const computing = simd.open(planBanks([{ name: 'm', bytes }], scratch));
    const working = {
      x: new Float64Array(8 * cols),
      y: new Float64Array(rows),
      tile: new Float64Array(2 * cols),
      table: new Float64Array(8192),
    };
    for (const matrix of [
      createMatrix('m', rows, cols, format, placesIn(computing.banks).get('m')),
      createMatrix('alone', rows, cols, format),
    ])
      for (const count of [1, tokens]) {
        fill(matrix, 5);
        const input = randomValues(count * cols, 3);
        const run = { step: { cols, accumulate: false, scale: 1, softcap: null }, matrices: [matrix], biases: [null] };
        const [right, output] = [new Float32Array(count * rows), new Float32Array(count * rows)];
        atOnce(linear({ ...run, input, inputAt: 0, tokens: count, output: right }, working));
        atOnce(computing.linear({ ...run, input, inputAt: 0, tokens: count, output }, working));
        expect(largestDifference(output, right)).toBeLessThan(1e-4);
        expect(Math.max(...right)).toBeGreaterThan(1);
      }
  });
});

it('activates as JavaScript does, of any width', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('silu' as const, 'gelu_tanh' as const),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom(1, 4, 30, 300),
      (activation, width, tokens, size) => {
        const gateUp = randomValues(2 * tokens * width, 3).map((v) => v * size);
        const computing = emptyBank(shapeOf(width, 2 * width, 4));
        const [right, out] = [0, 0].map(() => new Float32Array(tokens * width));
        activate(gateUp, right, tokens, width, activation);
        computing.activate(gateUp, out, tokens, width, activation);
        const scale = Math.max(1e-30, ...right.map(Math.abs));
        expect(largestDifference(out, right)).toBeLessThan(1e-6 * scale + 1e-6);
      },
    ),
  );
});

describe('attend', () => {
  it('of any ring, window, cap, head and number of tokens is what JavaScript computes', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('f32' as const, 'f16' as const, 'int8' as const),
        fc.constantFrom([1, 1], [3, 1], [6, 2], [4, 4]),
        fc.constantFrom(4, 10, 16, 20, 64, 66),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 0, max: 90 }),
        fc.option(fc.integer({ min: 1, max: 70 }), { nil: null }),
        fc.option(fc.constant(2), { nil: null }),
        fc.boolean(),
        (type, [heads, kvHeads], headSize, tokens, start, window, softcap, biased) => {
          const shape: AttendShape = { heads, kvHeads, headSize, scale: 0.3, softcap, window };
          const width = (heads + 2 * kvHeads) * headSize;
          const ring = createRing(type, window === null ? start + tokens : window + tokens - 1, shape);
          const frequencies = Array.from({ length: headSize / 2 }, (_, j) => 1 / (j + 1));
          const rope = { dim: headSize, magnitude: 1, frequencies, long: null };
          const values = randomValues(kvHeads * headSize, 5).map((v) => 3 * v);
          const bias: KeyBias | null = biased ? { values, rope: softcap ? null : rope, frequencies } : null;
          const qkv = randomValues((start + tokens) * width, 3);
          const working = new Float64Array(12 * heads * (headSize + 2) + 3 * headSize);
          for (let p = 0; p < start + tokens; p++) append(ring, p, qkv, p * width + heads * headSize, bias, working);
          const computing = emptyBank(shapeOf(4, 4, 12, shape));
          const [right, out] = [0, 0].map(() => new Float32Array(tokens * heads * headSize).fill(Number.NaN));
          const own = qkv.subarray(start * width);
          const whole = atOnce(attend(shape, ring, own, start, tokens, right, working, bias));
          expect(atOnce(computing.attend(shape, ring, own, start, tokens, out, working, bias))).toEqual(whole);
          expect(largestDifference(out, right)).toBeLessThan(1e-5);
          expect(out.some(Number.isNaN)).toBe(false);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('of scores too far apart for f32 is what JavaScript computes', () => {
    const shape: AttendShape = { heads: 1, kvHeads: 1, headSize: 4, scale: 1, softcap: null, window: null };
    const ring = createRing('f32', 64, shape);
    const computing = emptyBank(shapeOf(4, 4, 4, shape));
    const qkv = new Float32Array(50 * 12);
    const working = new Float64Array(100);
    for (let p = 0; p < 50; p++) {
      qkv.set([100, 0, 0, 0, p === 20 ? 90 : -p, 0, 0, 0, p, 1, 0, 0], p * 12);
      append(ring, p, qkv, p * 12 + 4, null, working);
    }
    const out = new Float32Array(4);
    atOnce(computing.attend(shape, ring, qkv.subarray(49 * 12), 49, 1, out, working, null));
    expect([...out]).toEqual([20, 1, 0, 0]);
  });
});

describe('a model', () => {
  const spec = parseSpec({
    model_type: 'llama',
    hidden_size: 64,
    intermediate_size: 96,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 16,
    vocab_size: 97,
    max_position_embeddings: 256,
  });
  const ids = Array.from({ length: 9 }, (_, i) => i * 7 + 1);

  /** Logits after a prompt and a token, and what of the memory is no matrix. */
  async function logitsIn(way: Arithmetic, cut: (banks: readonly BankPlan[], plan: MemoryPlan) => readonly BankPlan[]) {
    const executor = await randomModel(
      spec,
      {},
      { type: 'f16' },
      {
        target: 'cpu',
        make: (model, plan) =>
          withOneCache(createCpuExecutor(model, { ...plan, banks: cut(plan.banks, plan) }, undefined, way)),
      },
    );
    await executor.prefill(ids, 0);
    await executor.prefill([5], ids.length);
    return executor.logits();
  }

  it('computes the same in several banks, of which one has no instance', async () => {
    const whole = await logitsIn(simd, (banks) => banks);
    let [made, plain] = [0, 0];
    const cut = (banks: readonly BankPlan[], { matrices }: MemoryPlan) =>
      planBanks([...matrices], banks[0].shape, banks[0].first + 50_000);
    const several = await logitsIn(simd, (...given) => {
      const banks = cut(...given);
      made = banks.length;
      return banks;
    });
    expect(made).toBeGreaterThan(2);
    expect([...several]).toEqual([...whole]);
    const large: Arithmetic = {
      ...simd,
      open: (plans) => {
        const computing = simd.open(plans);
        plain = computing.banks.length;
        return { ...computing, banks: computing.banks.map((bank, i) => (i === 1 ? { ...bank, simd: null } : bank)) };
      },
    };
    expect(largestDifference(await logitsIn(large, cut), whole)).toBeLessThan(1e-5);
    expect(plain).toBe(made);
    expect(simd.open([]).description).toBe('webassembly-simd');
  });

  it('is computed in JavaScript where WebAssembly has no memory for it', async () => {
    const whole = await logitsIn(simd, (banks) => banks);
    const { Memory } = WebAssembly;
    Object.assign(WebAssembly, {
      Memory: function none() {
        throw new RangeError('WebAssembly.Memory(): could not allocate memory');
      },
    });
    try {
      const opened: Computing[] = [];
      const watched: Arithmetic = {
        ...simd,
        open: (plans) => {
          opened.push(simd.open(plans));
          return opened[0];
        },
      };
      expect(largestDifference(await logitsIn(watched, (planned) => planned), whole)).toBeLessThan(1e-5);
      expect(opened[0].description).toMatch(/javascript for weights/);
    } finally {
      Object.assign(WebAssembly, { Memory });
    }
  });
});
