/**
 * matvec and matmul against the CPU executor's linear layer, for every weight format and everything fused around them.
 * It is long because each shape of a product has cases of its own.
 */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { int8Format, int8Row } from '../execute/cpu/int8-rows';
import { activate, rmsNorm } from '../execute/cpu/kernels';
import { linear } from '../execute/cpu/linear';
import { atOnce } from '../execute/cpu/test/at-once';
import { largestDifference, randomValues } from '../execute/cpu/test/models';
import { LINEAR_CODEBOOK, type MatrixFormat, NF4_CODEBOOK, type RowSlice } from '../formats/matrix';
import type { DeviceProfile } from '../gpu/device-profile';
import type { SubgroupMatrices } from '../gpu/subgroup-matrices';
import { testGpu } from '../gpu/test-device';
import { int8Bytes } from '../memory/gpu-scratch';
import { int8RowsGroups, int8RowsKernel } from './int8-rows';
import type { LinearFusion } from './linear';
import {
  isHalf,
  type MatmulShape,
  matmulBlock,
  matmulGroups,
  matmulKernel,
  matmulSuits,
  matmulTokens,
  takesInt8,
} from './matmul';
import { type MatricesShape, matricesShape, matricesShapes } from './matmul-matrices';
import { type MatvecShape, matvecGroups, matvecKernel } from './matvec';
import { emulated, emulatedProfile } from './test/emulated-matrices';
import { K_QUANTS } from './test/k-quants';
import { cpuMatrix, deviceMatrix, Lab, matrixBindings, passState, randomSlice } from './test/lab';
import { FEW_TOKENS, INT8_MATMULS, MATMULS, VARIANTS } from './variants';

const NESTED_NF4: MatrixFormat = { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK, levels: 'nested' };
const nf4 = (block: 32 | 64, offset = false): MatrixFormat => ({ type: 'q4', block, offset, codebook: NF4_CODEBOOK });

/** Every format, with columns that hurt: dense rows end inside a chunk, and 96 is no multiple of 64. */
const FORMATS: [string, MatrixFormat, number][] = [
  ['NF4 in 64', nf4(64), 128],
  ['NF4 in 32', nf4(32), 96],
  ['NF4 in 64 with offsets', nf4(64, true), 128],
  ['Q4_1', { type: 'q4', block: 32, offset: true, codebook: LINEAR_CODEBOOK }, 96],
  ['q8 in 32', { type: 'q8', block: 32, offset: false }, 96],
  ['q8 in 64 with offsets', { type: 'q8', block: 64, offset: true }, 128],
  ['q8 by row', { type: 'q8', block: 'row', offset: false }, 96],
  ['Q4_K', K_QUANTS.Q4_K, 768],
  ['Q5_K', K_QUANTS.Q5_K, 512],
  ['Q6_K', K_QUANTS.Q6_K, 768],
  ['Q4_K of one block a row', K_QUANTS.Q4_K, 256],
  ['nested NF4 in 32', { ...NESTED_NF4, block: 32 }, 160],
  ['Q4_0', { type: 'q4', block: 32, offset: false, codebook: LINEAR_CODEBOOK.map((code) => code - 8) }, 96],
  ['q8 in 32 with offsets', { type: 'q8', block: 32, offset: true }, 160],
  ['Q4_1 of one block a row', { type: 'q4', block: 32, offset: true, codebook: LINEAR_CODEBOOK }, 32],
  ['f16', { type: 'f16' }, 80],
  ['bf16', { type: 'bf16' }, 60],
  ['f32', { type: 'f32' }, 60],
];

const SLICED: MatvecShape = { lanes: 4, slices: 4, tile: 2, table: 'workgroup' };
const ALONE: MatvecShape = { lanes: 8, slices: 1, tile: 2, table: 'constant' };
const REGISTERS: MatmulShape = { kind: 'registers', lanes: 4, tile: 2, tokens: 3, table: 'constant' };
const TILED: MatmulShape = {
  kind: 'tiled',
  rows: 2,
  tokens: 1,
  lanes: [8, 8],
  slices: 1,
  step: 8,
  f16: false,
  table: 'workgroup',
};

/** Rows and tokens that a thread keeps: several, so that each finds its own scales. */
const INT8: MatmulShape = { ...TILED, rows: 4, tokens: 2, step: 32, int8: true };

interface Case {
  format: MatrixFormat;
  /** rows of the matrix: twice the outputs where gated */
  rows: number;
  cols: number;
  tokens?: number;
  fusion?: Omit<LinearFusion, 'outputStride'> & { outputStride?: number };
  /** what stands beyond the input and must not count; absent: numbers */
  behind?: number;
  /** the input, where it is not random numbers */
  x?: Float32Array;
  shape?: MatvecShape;
}

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterEach(() => lab.dispose());

const GUARD = 40;

/** Runs both; the CPU's rows of outputs, and the GPU's. */
async function both(
  { format, rows, cols, tokens = 1, fusion = {}, behind, x: given, shape }: Case,
  matmul: MatmulShape | null,
) {
  const slice = randomSlice(format, rows, cols, 7);
  const input = randomValues(tokens * cols + GUARD, 11).map((v) => 2 * v);
  if (given) input.set(given);
  if (behind !== undefined) input.fill(behind, tokens * cols);
  const outputs = fusion.gated ? rows / 2 : rows;
  const stride = fusion.outputStride ?? outputs;
  const at = fusion.outputRow ?? 0;
  const before = randomValues(tokens * stride, 13);
  // row factors follow the biases
  const biases = randomValues(2 * stride, 17);
  const weight = new Float32Array(Math.ceil(cols / 32) * 32);
  weight.set(randomValues(cols, 19));

  const whole: LinearFusion = { ...fusion, outputStride: stride };
  const out = lab.buffer(before);
  const state = lab.buffer(passState(3, tokens));
  const buffers = {
    ...matrixBindings(lab, format, slice),
    x: lab.buffer(input),
    out,
    ...(fusion.norm ? { norm_weight: lab.buffer(weight) } : {}),
    ...(fusion.bias ? { bias: lab.buffer(biases) } : {}),
    ...(matmul || fusion.last ? { state } : {}),
  };
  const matrix = deviceMatrix(format, rows, cols, at);
  const int8 = matmul !== null && takesInt8(matrix, matmul);
  if (matmul) {
    const groups = matmulGroups(outputs, tokens, Boolean(fusion.gated), matmul);
    const x = int8 ? lab.buffer(int8Bytes(tokens, cols)) : buffers.x;
    if (int8) await lab.run(int8RowsKernel(cols), { x: buffers.x, out: x, state }, int8RowsGroups(cols, tokens));
    const made = matmulKernel(matrix, whole, matmul, 'matmul');
    await lab.run({ ...made, code: emulated(made.code) }, { ...buffers, x }, groups);
  } else {
    const used = shape ?? SLICED;
    await lab.run(matvecKernel(matrix, whole, used, 'matvec'), buffers, [matvecGroups(outputs, used)]);
  }
  const got = await lab.floats(out);
  const right = before.slice();
  const rowsOf = (all: Float32Array) =>
    Array.from({ length: tokens }, (_, t) => [...int8Row(all.subarray(t * cols, (t + 1) * cols))]);
  const rowsOut = reference(slice, int8 ? int8Format(format) : format, {
    cols,
    tokens,
    fusion,
    input: int8 ? Float32Array.from(rowsOf(input).flat()) : input,
    weight,
    bias: fusion.bias ? biases.slice(at) : null,
    factors: fusion.multiplier ? biases.slice(stride + at) : undefined,
  });
  rowsOut.forEach((values, t) => {
    values.forEach((value, r) => {
      const o = t * stride + at + r;
      right[o] = fusion.accumulate ? right[o] + value : value;
    });
  });
  return { got, right };
}

/** Rows of outputs by the CPU's norm, linear and activation. */
function reference(
  slice: RowSlice,
  format: MatrixFormat,
  run: {
    cols: number;
    tokens: number;
    fusion: Partial<LinearFusion>;
    input: Float32Array;
    weight: Float32Array;
    bias: Float32Array | null;
    factors?: Float32Array;
  },
): Float32Array[] {
  const { cols, fusion } = run;
  const matrix = cpuMatrix(format, slice);
  const first = fusion.last ? run.tokens - 1 : 0;
  const tokens = fusion.last ? 1 : run.tokens;
  return Array.from({ length: tokens }, (_, t) => {
    const x = run.input.slice((first + t) * cols, (first + t + 1) * cols);
    if (fusion.norm) rmsNorm(x, x, 0, run.weight, cols, fusion.norm.eps, fusion.norm.offset);
    const y = new Float32Array(matrix.rows);
    const scratch = {
      x: new Float64Array(4 * cols),
      y: new Float64Array(2 * matrix.rows + 8),
      tile: new Float64Array(2 * cols),
      table: new Float64Array(8192),
    };
    const step = {
      cols,
      accumulate: false,
      scale: fusion.gated ? 1 : (fusion.scale ?? 1),
      softcap: fusion.softcap ?? null,
    };
    const factors = run.factors && [run.factors];
    const product = { step, matrices: [matrix], biases: [run.bias], factors };
    atOnce(linear({ ...product, input: x, inputAt: 0, output: y, tokens: 1 }, scratch));
    if (!fusion.gated) return y;
    const mlp = new Float32Array(matrix.rows / 2);
    activate(y, mlp, 1, matrix.rows / 2, fusion.gated);
    return mlp;
  });
}

async function check(run: Case, matmul: MatmulShape | null): Promise<void> {
  const { got, right } = await both(run, matmul);
  const scale = Math.max(1, ...right.map(Math.abs));
  // Sums of about a hundred products of f32 in another order, or of values of 11 bits: what is gated has two roundings.
  const tolerance = matmul && isHalf(matmul) ? 2e-3 : 2e-6;
  expect(largestDifference(got, right) / scale).toBeLessThan(tolerance);
}

describe.each(FORMATS)('%s', (title, format, cols) => {
  it('matvec: an odd number of rows, with a bias', () =>
    check({ format, rows: 13, cols, fusion: { bias: true } }, null));
  it('matvec: one row, on one slice', () => check({ format, rows: 1, cols, shape: ALONE }, null));
  it('matvec: normed, gated', () =>
    check({ format, rows: 10, cols, fusion: { norm: { eps: 1e-6, offset: 1 }, gated: 'silu' } }, null));
  it('matmul in registers: odd rows, odd tokens, with a bias', () =>
    check({ format, rows: 13, cols, tokens: 7, fusion: { bias: true } }, REGISTERS));
  it('matmul in registers: gated, one token', () =>
    check({ format, rows: 10, cols, fusion: { gated: 'gelu_tanh' } }, REGISTERS));
  // Compiling a tiled kernel takes seconds on a software adapter: every other format is gated.
  const gated = FORMATS.findIndex(([name]) => name === title) % 2 === 1;
  it(`matmul tiled: rows and tokens that end inside a tile${gated ? ', gated' : ', with a bias'}`, () =>
    check(
      { format, rows: gated ? 74 : 67, cols, tokens: 19, fusion: gated ? { gated: 'silu' } : { bias: true } },
      TILED,
    ));
});

describe('products of int8: rows and tokens that end inside a tile', () => {
  const quantised = FORMATS.filter(([, { type }]) => type === 'q4' || type === 'q8');
  it.each(quantised)('%s', (title, format, cols) =>
    title === 'NF4 in 32'
      ? check({ format, rows: 74, cols, tokens: 19, fusion: { gated: 'silu' } }, INT8)
      : check({ format, rows: 67, cols, tokens: 19, fusion: { bias: true, accumulate: true, scale: 0.5 } }, INT8),
  );
  it('a chunk of zeros, one of the smallest numbers, and one token', async () => {
    const x = new Float32Array(160);
    x.set(randomValues(32, 3), 64);
    x.fill(1e-40, 96, 128);
    await check({ format: nf4(32), rows: 5, cols: 160, x }, INT8);
  });
  it('a matrix of 16 bits has exact ones', () =>
    check({ format: { type: 'bf16' }, rows: 9, cols: 60, tokens: 3, behind: Number.NaN }, INT8));
});

/** Sums by shuffles: more lanes than a subgroup has threads, fewer, and a workgroup that is smaller than one may be. */
const SHUFFLED: MatvecShape[] = [
  { lanes: 8, slices: 4, tile: 2, table: 'workgroup', subgroups: true },
  { lanes: 2, slices: 16, tile: 1, table: 'workgroup', subgroups: true, staged: true },
  { lanes: 1, slices: 16, tile: 4, table: 'workgroup', subgroups: true, staged: true },
];

describe.each(SHUFFLED)('matvec by subgroups: %o', (shape) => {
  it.each(FORMATS.filter((_, i) => i % 3 === 0))('%s: odd rows, with a bias', (_, format, cols) =>
    check({ format, rows: 13, cols, fusion: { bias: true }, shape }, null),
  );
  it('normed and gated', () =>
    check(
      { format: nf4(32), rows: 10, cols: 96, fusion: { norm: { eps: 1e-6, offset: 1 }, gated: 'silu' }, shape },
      null,
    ));
  it('the last of several ragged tokens, normed', () => {
    const fusion = { last: true, norm: { eps: 1e-5, offset: 0 }, outputStride: 9 } as const;
    return check({ format: { type: 'bf16' }, rows: 9, cols: 60, tokens: 3, fusion, shape }, null);
  });
});

it('an input that is staged without subgroups, and ragged', () => {
  const shape = { ...SLICED, staged: true };
  return check({ format: { type: 'f32' }, rows: 9, cols: 60, fusion: { accumulate: true }, shape }, null);
});

describe('what is fused', () => {
  const format = nf4(64);
  const cols = 128;
  it.each([0, 1] as const)('norm with offset %i, on one slice', (offset) =>
    check({ format, rows: 9, cols, fusion: { norm: { eps: 1e-2, offset } }, shape: ALONE }, null),
  );
  it('norm of a ragged row, whose neighbour must not count', () =>
    check({ format: { type: 'f32' }, rows: 9, cols: 60, fusion: { norm: { eps: 1e-5, offset: 0 } } }, null));
  it.each([null, REGISTERS])('the residual sum with a scale (matmul: %o)', (matmul) =>
    check({ format, rows: 9, cols, tokens: matmul ? 4 : 1, fusion: { accumulate: true, scale: 0.25 } }, matmul),
  );
  it.each([null, REGISTERS])('a soft cap, after the scale, as the CPU has it (matmul: %o)', (matmul) =>
    check({ format, rows: 9, cols, tokens: matmul ? 4 : 1, fusion: { softcap: 3, scale: 0.5 } }, matmul),
  );
  it.each([null, REGISTERS, TILED])(
    'a block of rows of a larger output, with the bias of those rows (matmul: %o)',
    (matmul) =>
      check(
        { format, rows: 9, cols, tokens: matmul ? 4 : 1, fusion: { outputRow: 5, outputStride: 17, bias: true } },
        matmul,
      ),
  );
  it.each([null, REGISTERS, TILED])(
    'factors of the rows of such a block, before bias and sum (matmul: %o)',
    (matmul) => {
      const block = { outputRow: 5, outputStride: 17 };
      const fusion = { ...block, bias: true, multiplier: true, accumulate: true, scale: 0.5 };
      return check({ format, rows: 9, cols, tokens: matmul ? 4 : 1, fusion }, matmul);
    },
  );
  it('the last of several tokens', () =>
    check({ format, rows: 9, cols, tokens: 5, fusion: { last: true, outputStride: 9 } }, null));
  it('the last of several ragged tokens, normed', () =>
    check(
      {
        format: { type: 'bf16' },
        rows: 9,
        cols: 60,
        tokens: 3,
        fusion: { last: true, norm: { eps: 1e-5, offset: 1 }, outputStride: 9 },
      },
      null,
    ));
});

const { profile } = await testGpu();
// and a small one of f16, as lavapipe takes minutes to compile the others
const candidates = [...MATMULS, ...FEW_TOKENS, ...INT8_MATMULS, { ...TILED, f16: true }].map(
  (shape) => [JSON.stringify(shape), shape] as const,
);
const [suited, lacking] = [true, false].map((suits) =>
  candidates.filter(([, shape]) => matmulSuits(shape, profile) === suits),
);
for (const [title] of lacking)
  console.warn(
    `Not run, as this device (f16: ${profile.f16}, int8: ${profile.intDot}, ${profile.workgroup.bytes} bytes) lacks what it needs: ${title}`,
  );

describe.each(suited)('a tile that a tuner may choose: %s', (_, shape) => {
  const tokens = matmulTokens(shape) + 3;
  it('gated, by table, rows and tokens that end inside a tile', () =>
    check({ format: nf4(64), rows: 2 * 67, cols: 192, tokens, fusion: { gated: 'silu' } }, shape));
  it('an odd number of chunks, with offsets and a bias', () => {
    const format: MatrixFormat = { type: 'q4', block: 32, offset: true, codebook: LINEAR_CODEBOOK };
    return check({ format, rows: 131, cols: 160, tokens, fusion: { bias: true } }, shape);
  });
  it('columns that end inside a chunk, one token, onto a sum', () =>
    check({ format: { type: 'bf16' }, rows: 5, cols: 60, fusion: { accumulate: true, scale: 0.5 } }, shape));
  it('what lies behind a row is not read, be it no number', () =>
    check({ format: { type: 'f32' }, rows: 9, cols: 60, tokens: 3, behind: Number.NaN }, shape));
});

/** Matrices of Apple's GPUs, of NVIDIA's (two) and of Intel's, as far as this device has their types. */
const [APPLE, NVIDIA, NARROW, INTEL] = [
  { m: 8, n: 8, k: 8, f16: false },
  { m: 16, n: 16, k: 16, f16: profile.f16 },
  { m: 16, n: 8, k: 16, f16: profile.f16 },
  { m: 8, n: 16, k: 16, f16: profile.f16 },
].map((sizes) => emulatedProfile(profile, sizes));
if (!profile.f16) console.warn('Subgroup matrices of f16 are emulated in f32, as this device has no shader-f16.');

describe('subgroup matrices, emulated', () => {
  const matrices = (own: DeviceProfile, more: Pick<MatricesShape, 'tile' | 'grid' | 'step'>): MatmulShape => {
    const of = own.matrices as SubgroupMatrices;
    return matricesShape({ of, smaller: false, ...more });
  };
  it.each([
    ['NF4 in 64', matrices(APPLE, { tile: [64, 32], grid: [4, 2], step: 8 })],
    ['q8 in 64 with offsets', matrices(NVIDIA, { tile: [64, 32], grid: [2, 2], step: 16 })],
    ['nested NF4 in 32', matrices(NARROW, { tile: [64, 32], grid: [2, 2], step: 16 })],
    ['Q4_K', matrices(INTEL, { tile: [32, 32], grid: [2, 2], step: 32 })],
    ['Q6_K', matrices(NVIDIA, { tile: [64, 32], grid: [2, 2], step: 16 })],
    ['bf16', matrices(INTEL, { tile: [64, 32], grid: [2, 2], step: 16 })],
    ['f32', matrices(APPLE, { tile: [64, 32], grid: [2, 2], step: 16 })],
  ])('%s: rows, columns and tokens that end inside a tile', (name, shape) => {
    const at = FORMATS.findIndex(([one]) => one === name);
    const [, format, cols] = FORMATS[at];
    const fusion = at % 2 ? ({ gated: 'silu' } as const) : { bias: true };
    return check({ format, rows: at % 2 ? 74 : 67, cols, tokens: 35, fusion }, shape);
  });

  it.each(['matmul', 'few'] as const)(
    '%s: the first tile that a tuner tries; one token, no number behind it',
    async (role) => {
      const [shape] = matricesShapes(APPLE, role);
      const [rows, tokens] = matmulBlock(false, shape);
      const gated = {
        format: nf4(64),
        rows: rows + 6,
        cols: 192,
        tokens: tokens + 3,
        fusion: { gated: 'silu' },
      } as const;
      await check(gated, shape);
      await check(
        { format: { type: 'f32' }, rows: 9, cols: 60, fusion: { accumulate: true }, behind: Number.NaN },
        shape,
      );
    },
  );
});

describe.each(['software', 'gpu'])('the shapes for %s', (variant) => {
  const { matvec, head, matmul } = VARIANTS[variant];
  const five: MatrixFormat = { type: 'q8', block: 32, offset: true };
  it.each([
    ['q8 in 32 with offsets', five, 32],
    ['Q4_K', K_QUANTS.Q4_K, 256],
    ['Q5_K', K_QUANTS.Q5_K, 256],
    ['Q6_K', K_QUANTS.Q6_K, 256],
    ['nested NF4', NESTED_NF4, 64],
  ])('%s', async (_, format, block) => {
    await check({ format, rows: 75, cols: 5 * block, fusion: { norm: { eps: 1e-6, offset: 1 } }, shape: matvec }, null);
    await check({ format, rows: 131, cols: 3 * block, shape: head }, null);
    await check({ format, rows: 67, cols: 3 * block, tokens: 19, fusion: { accumulate: true } }, matmul);
  });
});
