import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LINEAR_CODEBOOK, type MatrixFormat, NF4_CODEBOOK, type RowSlice } from '../../formats/matrix';
import { attend } from './attend';
import { activate, rmsNorm, rotateHead } from './kernels';
import { append, createRing, type KeyBias } from './kv-ring';
import { linear } from './linear';
import { createMatrix, rowValues, writeRows } from './matrix';
import { atOnce } from './test/at-once';
import { randomValues } from './test/models';

type Unpacked = Exclude<RowSlice, { type: 'packed' }>;

/** A slice of random codes, its statistics included, for a quantised format. */
function randomSlice(format: MatrixFormat, rows: number, cols: number, seed: number): Unpacked {
  const whole = { row0: 0, rows, cols };
  const values = randomValues(rows * cols, seed);
  if (format.type !== 'q4' && format.type !== 'q8') {
    return { ...whole, type: 'dense', dense: 'f32', data: new Uint8Array(values.buffer) };
  }
  const block = format.block === 'row' ? cols : format.block;
  const scales = randomValues((rows * cols) / block, seed + 1);
  const offsets = format.offset ? randomValues((rows * cols) / block, seed + 2) : null;
  return format.type === 'q4'
    ? {
        ...whole,
        type: 'q4',
        block,
        scales,
        offsets,
        codes: Uint8Array.from(values.subarray(0, values.length / 2), (v) => 128 + 127 * v),
      }
    : { ...whole, type: 'q8', block, scales, offsets, codes: Int8Array.from(values, (v) => 127 * v) };
}

/** value = codebook[code] * scale + offset, element by element from the slice: formats/matrix.ts. */
function elementOf(slice: Unpacked, format: MatrixFormat, i: number): number {
  if (slice.type === 'dense') return new Float32Array(slice.data.buffer)[i];
  const code = slice.type === 'q8' ? slice.codes[i] : (slice.codes[i >> 1] >> (i & 1 ? 0 : 4)) & 15;
  const value = format.type === 'q4' ? format.codebook[code] : code;
  const b = Math.floor(i / slice.block);
  return value * slice.scales[b] + (slice.offsets?.[b] ?? 0);
}

const FORMATS: MatrixFormat[] = [
  { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK },
  { type: 'q4', block: 32, offset: true, codebook: LINEAR_CODEBOOK },
  { type: 'q8', block: 32, offset: false },
  { type: 'q8', block: 16, offset: false },
  { type: 'q8', block: 64, offset: true },
  { type: 'q8', block: 'row', offset: false },
  { type: 'f32' },
];

describe('linear', () => {
  it('is the sum of products for every format, number of tokens, odd rows, stacked parts, bias, scale and cap', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...FORMATS),
        fc.constantFrom(...FORMATS),
        fc.integer({ min: 1, max: 7 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 2 }),
        fc.boolean(),
        fc.option(fc.constant(3), { nil: null }),
        (formatA, formatB, rowsA, rowsB, tokens, blocks, accumulate, softcap) => {
          const cols = blocks * 64;
          const parts = [
            { format: formatA, rows: rowsA, slice: randomSlice(formatA, rowsA, cols, 1) },
            { format: formatB, rows: rowsB, slice: randomSlice(formatB, rowsB, cols, 5) },
          ];
          const matrices = parts.map(({ format, rows, slice }, i) => {
            const matrix = createMatrix(`m${i}`, rows, cols, format);
            writeRows(matrix, slice);
            return matrix;
          });
          const bias = randomValues(rowsB, 9);
          const input = randomValues(tokens * cols + 3, 11);
          const before = randomValues(tokens * (rowsA + rowsB), 13);
          const output = before.slice();
          const scratch = {
            x: new Float64Array(12 * cols).fill(Number.NaN),
            y: new Float64Array(64).fill(Number.NaN),
            tile: new Float64Array(2 * cols).fill(0),
            table: new Float64Array(8192),
          };
          const step = { cols, accumulate, scale: 0.5, softcap };
          atOnce(linear({ step, matrices, biases: [null, bias], input, inputAt: 3, output, tokens }, scratch));
          for (let t = 0; t < tokens; t++) {
            for (let r = 0; r < rowsA + rowsB; r++) {
              const [part, row, b] = r < rowsA ? [parts[0], r, 0] : [parts[1], r - rowsA, bias[r - rowsA]];
              let sum = 0;
              for (let c = 0; c < cols; c++)
                sum += elementOf(part.slice, part.format, row * cols + c) * input[3 + t * cols + c];
              let right = 0.5 * (sum + b);
              if (softcap) right = softcap * Math.tanh(right / softcap);
              const at = t * (rowsA + rowsB) + r;
              if (accumulate) right += before[at];
              expect(Math.abs(output[at] - right)).toBeLessThan(1e-4 * Math.max(1, Math.abs(right)));
            }
          }
        },
      ),
    );
  });
});

describe('writeRows', () => {
  it('repeats scales where the matrix has smaller blocks', () => {
    const format: MatrixFormat = { type: 'q4', block: 32, offset: false, codebook: NF4_CODEBOOK };
    const wide: MatrixFormat = { ...format, block: 64 };
    const slice = randomSlice(wide, 3, 64, 2);
    const matrix = createMatrix('m', 3, 64, format);
    writeRows(matrix, slice);
    const row = new Float64Array(64);
    rowValues(matrix, 2, row, 0);
    for (let c = 0; c < 64; c++) expect(row[c]).toBe(elementOf(slice, wide, 128 + c));
  });
  it.each<[MatrixFormat, number]>([
    [{ type: 'f16' }, 2 ** -11],
    [{ type: 'bf16' }, 2 ** -8],
    [{ type: 'q8', block: 'row', offset: false }, 1 / 254],
  ])('rounds dense values to $type', (format, most) => {
    const slice = randomSlice({ type: 'f32' }, 2, 33, 4);
    const matrix = createMatrix('m', 2, 33, format);
    writeRows(matrix, slice);
    const row = new Float64Array(33);
    rowValues(matrix, 1, row, 0);
    const errors = Array.from(row, (value, c) => Math.abs(value - elementOf(slice, { type: 'f32' }, 33 + c)));
    expect(Math.max(...errors)).toBeLessThanOrEqual(most * 1.0001);
    expect(Math.max(...errors)).toBeGreaterThan(0);
  });
  it('refuses codes for a matrix of another type', () => {
    const matrix = createMatrix('m', 2, 64, { type: 'f16' });
    expect(() => writeRows(matrix, randomSlice(FORMATS[0], 2, 64, 1))).toThrow(/cannot be held as f16/);
  });
});

describe('attend', () => {
  it.each([
    ['f32', null, null, 1e-5],
    ['f32', 5, null, 1e-5],
    ['f32', 5, 2, 1e-5],
    ['f16', null, null, 2e-3],
    ['int8', null, null, 2e-2],
    ['int8', 5, 2, 2e-2],
    ['int8', 5, null, 2e-2, 200],
  ] as const)('is softmax over what each query may see: %s, window %s, cap %s', (...row) => {
    const [type, window, softcap, tolerance, biased = 0] = row;
    const shape = { heads: 6, kvHeads: 2, headSize: 10, scale: 0.3, softcap, window };
    const [tokens, start] = [4, 9];
    const width = (shape.heads + 2 * shape.kvHeads) * shape.headSize;
    // A global ring must hold everything; a sliding one only window + tokens - 1 slots.
    const ring = createRing(type, window === null ? 16 : window + tokens - 1, shape);
    const keysAt = shape.heads * shape.headSize;
    const values = randomValues(shape.kvHeads * shape.headSize, 5).map((v) => biased * v);
    const bias: KeyBias | null = biased ? { values, rope: null, frequencies: [] } : null;
    const qkv = randomValues((start + tokens) * width, 3).map((v, i) => 2 * v + (values[(i % width) - keysAt] ?? 0));
    const scratch = new Float64Array(1000).fill(Number.NaN);
    for (let p = 0; p < start + tokens; p++) append(ring, p, qkv, p * width + keysAt, bias, scratch);
    const out = new Float32Array(tokens * shape.heads * shape.headSize);
    atOnce(attend(shape, ring, qkv.subarray(start * width), start, tokens, out, scratch, bias));
    for (let t = 0; t < tokens; t++) {
      for (let h = 0; h < shape.heads; h++) {
        const q = start + t;
        const kv = Math.floor(h / 3);
        const seen = Array.from({ length: q + 1 }, (_, p) => p).filter((p) => window === null || q - p < window);
        const at = (p: number, head: number, i: number) => qkv[p * width + head * shape.headSize + i];
        const scores = seen.map((p) => {
          let dot = 0;
          for (let i = 0; i < shape.headSize; i++) dot += at(q, h, i) * at(p, shape.heads + kv, i);
          return softcap ? softcap * Math.tanh((dot * shape.scale) / softcap) : dot * shape.scale;
        });
        const weights = scores.map((s) => Math.exp(s - Math.max(...scores)));
        const total = weights.reduce((a, b) => a + b);
        for (let i = 0; i < shape.headSize; i++) {
          const right = seen.reduce(
            (sum, p, n) => sum + (weights[n] / total) * at(p, shape.heads + shape.kvHeads + kv, i),
            0,
          );
          expect(Math.abs(out[(t * shape.heads + h) * shape.headSize + i] - right)).toBeLessThan(tolerance);
        }
      }
    }
  });
});

describe('the small steps', () => {
  it('norm: unit root mean square times (offset + weight)', () => {
    const x = Float32Array.of(9, 3, 4, 0, 0);
    rmsNorm(x, x, 1, Float32Array.of(1, 2, 1, 1), 4, 0, 1);
    expect(Array.from(x)).toEqual([9, (3 / 2.5) * 2, (4 / 2.5) * 3, 0, 0].map(Math.fround));
  });
  it('rotate: pairs half a head apart, the rest untouched, lengths kept', () => {
    const x = Float32Array.of(1, 2, 3, 4, 5);
    rotateHead(x, 0, 3, { dim: 4, magnitude: 1 }, [Math.PI / 6, 0]);
    [-3, 2, 1, 4, 5].forEach((value, i) => {
      expect(x[i]).toBeCloseTo(value, 6);
    });
  });
  it('activate: the two functions at known points', () => {
    const mlp = new Float32Array(2);
    activate(Float32Array.of(1, -2, 3, 5), mlp, 1, 2, 'silu');
    expect(mlp[0]).toBeCloseTo(3 * 0.7310585786, 6);
    expect(mlp[1]).toBeCloseTo(5 * -0.238405844, 6);
    activate(Float32Array.of(1, -2, 1, 1), mlp, 1, 2, 'gelu_tanh');
    expect(mlp[0]).toBeCloseTo(0.8411919906, 6);
    expect(mlp[1]).toBeCloseTo(-0.0454023059, 6);
  });
});
