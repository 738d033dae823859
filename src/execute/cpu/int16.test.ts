/** Products of 16-bit numbers (q4Vector16, q8Vector16 of simd.as.ts) beside exact ones: how far, and the extremes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LINEAR_CODEBOOK, type MatrixFormat, NF4_CODEBOOK, wholeCodebook } from '../../formats/matrix';
import { planBanks } from '../../memory/cpu-banks';
import { matrixBytes } from '../../memory/layout';
import { parseSpec } from '../../model/parse';
import { createCpuExecutor } from '../on-cpu';
import { withOneCache } from '../test/one-cache';
import { arithmetic } from './arithmetic';
import { placesIn } from './bank';
import { type CpuMatrix, createMatrix, rowValues } from './matrix';
import { atOnce } from './test/at-once';
import { FP4, fill, Q4_0, randomBook, shapeOf } from './test/matrices';
import { CPU, INT16, largestDifference, type Maker, randomModel, randomValues } from './test/models';

const int16 = arithmetic('int16');

describe('products of 16 bits', () => {
  /** y of one token, each with the most that rounding x by its group and the codebook can change it. */
  function products(format: MatrixFormat, rows: number, x: Float32Array, change: (matrix: CpuMatrix) => void) {
    const cols = x.length;
    const bytes = matrixBytes(format, rows, cols, 'cpu');
    const computing = int16.open(planBanks([{ name: 'm', bytes }], shapeOf(cols, rows, 4)));
    const matrix = createMatrix('m', rows, cols, format, placesIn(computing.banks).get('m'));
    fill(matrix, 3);
    change(matrix);
    const output = new Float32Array(rows);
    const step = { cols, accumulate: false, scale: 1, softcap: null };
    const scratch = { x: new Float64Array(4 * cols), y: new Float64Array(64), tile: new Float64Array(2 * cols) };
    const run = { step, matrices: [matrix], biases: [null], input: x, inputAt: 0, output, tokens: 1 };
    atOnce(computing.linear(run, { ...scratch, table: new Float64Array(8192) }));
    const book = format.type === 'q4' ? format.codebook : null;
    const half = book ? Math.max(...book.map(Math.abs)) / 8192 : 0;
    const row = new Float64Array(cols);
    return Array.from(output, (got, r) => {
      rowValues(matrix, r, row, 0);
      let [right, most] = [0, 0];
      for (let c = 0; c < cols; c++) {
        const group = x.subarray(c & ~31, (c & ~31) + 32);
        const step = group.length < 32 ? 0 : Math.max(...group.map(Math.abs)) / 32767;
        const scale = matrix.scales![Math.floor((r * cols + c) / matrix.block)];
        right += row[c] * x[c];
        most += 0.51 * (Math.abs(row[c]) * step + Math.abs(scale * x[c]) * half) + 1e-6 * Math.abs(row[c] * x[c]);
        if (step < 1e-38) most += Math.abs(row[c]) * 1e-34;
      }
      return { got, right, most };
    });
  }

  const q4 = (codebook: readonly number[], block: 32 | 64, offset = false): MatrixFormat => ({
    ...{ type: 'q4', codebook, block, offset },
  });
  const QUANTISED: MatrixFormat[] = [
    ...[NF4_CODEBOOK, FP4, Q4_0, LINEAR_CODEBOOK, randomBook()].flatMap((book) => [q4(book, 32), q4(book, 64, true)]),
    ...([16, 32, 64, 'row'] as const).map((block) => ({ type: 'q8', block, offset: false }) as MatrixFormat),
    { type: 'q8', block: 32, offset: true },
    { type: 'q8', block: 'row', offset: true },
  ];

  it.each(QUANTISED)('are as near as rounding lets them be: $type, $block, $offset', (format) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 0, max: 63 }),
        // of a few columns, all others being about 1
        fc.array(fc.tuple(fc.nat(), fc.constantFrom(0, 1e-44, 1e-36, 1e-30, 1e-4, 60, -3000, 1e20)), { maxLength: 6 }),
        fc.constantFrom(1, 1e-36, 1e-33, 0),
        (rows, blocks, less, large, size) => {
          const cols = 64 * blocks - ('block' in format && format.block === 'row' ? less : 0);
          const x = randomValues(cols, 5).map((v) => v * size);
          for (const [at, value] of large) x[at % cols] = value;
          for (const { got, right, most } of products(format, rows, x, () => {}))
            expect(Math.abs(got - right)).toBeLessThanOrEqual(most);
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each(QUANTISED)('of the largest numbers do not wrap: $type, $block, $offset', (format) => {
    const largest = 'codebook' in format ? format.codebook.map(Math.abs) : [];
    const code = largest.indexOf(Math.max(...largest));
    for (const sign of [1, -1]) {
      const x = new Float32Array(128).fill(sign * 3e4);
      const made = products(format, 3, x, ({ codes, scales }) => {
        codes.fill(format.type === 'q4' ? code * 17 : -128);
        scales!.fill(1);
      });
      for (const { got, right, most } of made) expect(Math.abs(got - right)).toBeLessThanOrEqual(most);
    }
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('of x with %d are no numbers', (value) => {
    const x = randomValues(64, 5);
    x[40] = value;
    for (const format of [
      q4(NF4_CODEBOOK, 64),
      q4(LINEAR_CODEBOOK, 32, true),
      { type: 'q8', block: 'row', offset: false } as const,
    ])
      for (const { got } of products(format, 2, x, () => {})) expect(got).toBeNaN();
  });

  it('of x below 1e-34 are 0: what a 1 stands for would be no normal number', () => {
    const x = randomValues(64, 5).map((v) => v * 1e-35);
    for (const format of [q4(NF4_CODEBOOK, 64), q4(LINEAR_CODEBOOK, 32, true)])
      for (const { got } of products(format, 2, x, () => {})) expect(Math.abs(got)).toBe(0);
  });

  it('take NF4 to 2e-5 of its largest value on average, and whole numbers and fractions as they are', () => {
    const off = (codebook: readonly number[]) => {
      const { values, unit } = wholeCodebook(codebook, 8192);
      expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(8192);
      return Math.hypot(...codebook.map((value, i) => value - values[i] * unit)) / 4;
    };
    expect(off(NF4_CODEBOOK)).toBeLessThan(2e-5);
    for (const exact of [FP4, Q4_0, LINEAR_CODEBOOK]) expect(off(exact)).toBeLessThan(1e-7);
    expect(off(Array(16).fill(0))).toBe(0);
  });
});

it('are what the product computes with', async () => {
  const spec = parseSpec({
    ...{ model_type: 'llama', hidden_size: 64, intermediate_size: 96, num_hidden_layers: 2, num_attention_heads: 4 },
    ...{ num_key_value_heads: 2, head_dim: 16, vocab_size: 97, max_position_embeddings: 256 },
  });
  const format: MatrixFormat = { type: 'q4', block: 32, offset: false, codebook: NF4_CODEBOOK };
  const logits = async (maker: Maker) => {
    const executor = await randomModel(spec, { chunk: 1 }, format, maker);
    await executor.prefill([3, 1, 4, 1, 5], 0);
    return executor.logits();
  };
  const own = await logits({ target: 'cpu', make: (...given) => withOneCache(createCpuExecutor(...given)) });
  expect(own).toEqual(await logits(INT16));
  const off = largestDifference(own, await logits(CPU));
  expect(off).toBeGreaterThan(0);
  expect(off).toBeLessThan(1e-3 * Math.max(...own.map(Math.abs)));
});
