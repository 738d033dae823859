import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BLOCK_TYPES } from '../formats/gguf-blocks';
import { type MatrixFormat, NF4_CODEBOOK } from '../formats/matrix';
import { deviceMatrices, matrixBytes, wholeBytes } from './layout';

const NF4: MatrixFormat = { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK };
const NESTED: MatrixFormat = { ...NF4, levels: 'nested' };
const FORMATS: MatrixFormat[] = [
  NF4,
  NESTED,
  { ...NF4, block: 32, offset: true },
  { type: 'q8', block: 'row', offset: false },
  { type: 'q8', block: 32, offset: true },
  { type: 'f16' },
  { type: 'bf16' },
  { type: 'f32' },
];
const part = (name: string, rows: number) => ({ name, rows, bias: null });

describe('bytes of a matrix', () => {
  it.each<[MatrixFormat, number, number, number, number]>([
    // 7 x 128: half a byte an element and a scale a block
    [NF4, 128, 448, 56, 0],
    [{ ...NF4, block: 32, offset: true }, 128, 448, 112, 112],
    [{ type: 'q8', block: 'row', offset: false }, 128, 896, 28, 0],
    [{ type: 'q8', block: 64, offset: true }, 128, 896, 56, 56],
    [{ type: 'bf16' }, 128, 1792, 0, 0],
    // 33 columns take two chunks of 32
    [{ type: 'f16' }, 33, 7 * 64 * 2, 0, 0],
    [{ type: 'f32' }, 33, 7 * 64 * 4, 0, 0],
  ])('%o of 7 rows', (format, cols, codes, scales, offsets) => {
    expect(matrixBytes(format, 7, cols, 'webgpu')).toEqual({ codes, scales, offsets, high: 0, nested: 0 });
  });
  it.each(['Q4_K', 'Q5_K', 'Q6_K'] as const)(
    '%s: on the GPU as in the file, on the CPU as it is computed with',
    (type) => {
      const { format, bytes, elements } = BLOCK_TYPES[type];
      for (const [rows, cols] of [
        [1, 256],
        [7, 512],
        [1024, 2048],
      ]) {
        const stored = ((rows * cols) / elements) * bytes;
        const held = wholeBytes(matrixBytes(format, rows, cols, 'webgpu'));
        // the f32 that multiplies the scales of Q6_K has 16 bits in the file
        expect(held).toBe(type === 'Q6_K' ? (stored * 212) / 210 : stored);
        const { levels: _, ...plain } = format as { levels: string };
        const unpacked = matrixBytes(plain as MatrixFormat, rows, cols, 'cpu');
        expect(matrixBytes(format, rows, cols, 'cpu')).toEqual(unpacked);
        expect(wholeBytes(unpacked)).toBeGreaterThan(1.3 * held);
      }
    },
  );
  it.each([
    [1024, 2048],
    [896, 896],
    [576, 1536],
    [2048, 576],
    [14336, 4096],
  ])('nested NF4 of [%i, %i]: at most a fiftieth more than in the file', (rows, cols) => {
    const blocks = (rows * cols) / 64;
    const stored = (rows * cols) / 2 + blocks + 4 * Math.ceil(blocks / 256) + 1024 + 64;
    const held = wholeBytes(matrixBytes(NESTED, rows, cols, 'webgpu'));
    expect(held / stored).toBeLessThan(1.02);
    expect(held).toBeLessThan((wholeBytes(matrixBytes(NF4, rows, cols, 'webgpu')) * 4.2) / 4.5);
  });
  it('nested NF4: a byte a block in whole words, and what each tensor has, for the groups that its rows meet', () => {
    const parts = [
      { firstRow: 0, rows: 200 },
      { firstRow: 127, rows: 2 },
    ];
    // two blocks a row: 400 are two groups, blocks 254 to 257 are in two
    expect(matrixBytes(NESTED, 202, 128, 'webgpu', parts)).toEqual({
      codes: 202 * 64,
      scales: 202 * 4,
      offsets: 0,
      high: 0,
      nested: 8 * (2 * 256 + 2 + 2),
    });
  });
  it('on the CPU has no padding', () => {
    expect(matrixBytes({ type: 'f32' }, 7, 33, 'cpu').codes).toBe(7 * 33 * 4);
  });
});

describe('device matrices', () => {
  it('join neighbours of one format, and only those', () => {
    const formats: Record<string, MatrixFormat> = { q: NF4, k: { ...NF4 }, v: { type: 'f16' }, w: NF4 };
    const parts = [part('q', 8), part('k', 4), part('v', 4), part('w', 2)];
    const made = deviceMatrices({ parts, cols: 64 }, (name) => formats[name], 1 << 20, 'webgpu');
    expect(made.map(({ name, rows, outputRow }) => ({ name, rows, outputRow }))).toEqual([
      { name: 'q+k', rows: 12, outputRow: 0 },
      { name: 'v', rows: 4, outputRow: 12 },
      { name: 'w', rows: 2, outputRow: 16 },
    ]);
    expect(made[0].parts).toEqual([
      { tensor: 'q', firstRow: 0, rows: 8, at: 0 },
      { tensor: 'k', firstRow: 0, rows: 4, at: 8 },
    ]);
  });

  it.each(['webgpu', 'cpu'] as const)(
    'hold every row of every tensor exactly once, in order, within a binding: %s',
    (target) => {
      fc.assert(
        fc.property(
          fc.array(fc.record({ rows: fc.integer({ min: 1, max: 70 }), format: fc.constantFrom(...FORMATS) }), {
            minLength: 1,
            maxLength: 4,
          }),
          fc.integer({ min: 1, max: 4 }),
          fc.integer({ min: 1, max: 20_000 }),
          (tensors, blocks, binding) => {
            const cols = 64 * blocks;
            const parts = tensors.map(({ rows }, i) => part(`t${i}`, rows));
            const made = deviceMatrices(
              { parts, cols },
              (name) => tensors[Number(name.slice(1))].format,
              binding,
              target,
            );
            // The rows of the step's output, one after another, as the matrices hold them.
            const held = made.flatMap(({ parts: of, rows, outputRow, format }) => {
              let at = 0;
              const all = of.flatMap(({ tensor, firstRow, rows: count, at: begins }) => {
                expect(begins).toBe(at);
                at += count;
                expect(tensors[Number(tensor.slice(1))].format).toEqual(format);
                return Array.from({ length: count }, (_, i) => `${tensor} ${firstRow + i}`);
              });
              expect(at).toBe(rows);
              return all.map((row, i) => [outputRow + i, row] as const);
            });
            const rows = tensors.flatMap(({ rows: count }, i) => Array.from({ length: count }, (_, r) => `t${i} ${r}`));
            expect(held).toEqual(rows.map((row, i) => [i, row]));
            expect(new Set(made.map(({ name }) => name)).size).toBe(made.length);
            for (const matrix of made) {
              expect(matrix.bytes).toEqual(matrixBytes(matrix.format, matrix.rows, cols, target, matrix.parts));
              // Eight rows are the least a matrix is cut to.
              if (target === 'webgpu' && matrix.rows > 8) expect(matrix.bytes.codes).toBeLessThanOrEqual(binding);
            }
            if (target === 'cpu') expect(made.length).toBe(tensors.length);
          },
        ),
      );
    },
  );

  it('cut a large head by rows: Gemma-3-1B in NF4 at the default limit', () => {
    const made = deviceMatrices({ parts: [part('embed', 262_144)], cols: 1152 }, () => NF4, 128 << 20, 'webgpu');
    expect(made.map(({ rows, outputRow, name }) => ({ rows, outputRow, name }))).toEqual([
      { rows: 233_016, outputRow: 0, name: 'embed[0..233016)' },
      { rows: 29_128, outputRow: 233_016, name: 'embed[233016..262144)' },
    ]);
  });
});
