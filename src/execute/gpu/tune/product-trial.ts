/**
 * Small products: rows and columns that end inside a workgroup, a chunk and a slice, with what a model's own product
 * has fused around it. What is right comes from f64 sums on the CPU. Pure.
 */
import { denseValues } from '../../../formats/half';
import type { MatrixFormat } from '../../../formats/matrix';
import { isMatmul, type ProductCandidate } from '../../../kernels/candidates';
import { int8RowsGroups, int8RowsKernel } from '../../../kernels/int8-rows';
import type { LinearFusion } from '../../../kernels/linear';
import { isHalf, matmulBlock, matmulGroups, matmulKernel, takesInt8 } from '../../../kernels/matmul';
import { matvecGroups, matvecKernel } from '../../../kernels/matvec';
import { int8Bytes } from '../../../memory/gpu-scratch';
import { CHUNK_COLUMNS, type DeviceMatrix, matrixBytes, scalesPerRow, wholeChunks } from '../../../memory/layout';
import { int8Format, int8Row } from '../../cpu/int8-rows';
import { bytesOf, sequence, type Trial, type TrialDispatch } from './trial';

/**
 * Largest difference in units of the largest value: of f32 sums of some thousand products in another order, and of
 * products in f16, whose sums of 32 have 11 bits.
 */
const TOLERANCE = { f32: 1e-4, f16: 5e-3 };

/** Bytes of a matrix's codes at most. */
const CODE_BYTES = 128 << 10;

const silu = (v: number): number => v / (1 + Math.exp(-v));

/** What is fused around each product, as in a model of the Llama family, and biases and scales of others. */
const FUSIONS: Record<ProductCandidate['role'], Partial<LinearFusion>> = {
  qkv: { norm: { eps: 1e-5, offset: 1 }, bias: true },
  attn: { accumulate: true, scale: 0.5 },
  gateUp: { norm: { eps: 1e-5, offset: 0 }, gated: 'silu' },
  mlp: { accumulate: true },
  head: { norm: { eps: 1e-5, offset: 0 }, last: true },
  matmul: { gated: 'silu' },
  few: { accumulate: true, bias: true },
};

/** Outputs, tokens, and chunks of columns of a problem: a workgroup and some more, a round of the slices and a bit. */
function sizeFor(
  candidate: ProductCandidate,
  chunksAScale: number,
): { outputs: number; tokens: number; chunks: number } {
  if (isMatmul(candidate)) {
    const few = candidate.role === 'few';
    if (candidate.shape.kind !== 'own') return { outputs: 67, tokens: few ? 7 : 70, chunks: 5 * chunksAScale };
    // Where a device has fewer subgroups than the kernel counts on, a part of a tile is missing: a whole one is filled.
    const [rows, most] = matmulBlock(!few, candidate.shape);
    return { outputs: rows + 3, tokens: few ? most - 1 : most + 6, chunks: Math.max(3, 2 * chunksAScale) };
  }
  const { lanes, slices, tile } = candidate.shape;
  const outputs = (lanes === 'even' ? 8 : lanes) * tile + 3;
  return { outputs, tokens: candidate.role === 'head' ? 3 : 1, chunks: (slices + 1) * chunksAScale };
}

/**
 * @param format of the matrix; scales of two levels are tried as if they were of one
 * @param workgroupBytes of a workgroup's memory
 */
export function productTrial(candidate: ProductCandidate, given: MatrixFormat, workgroupBytes: number): Trial {
  const format = oneLevel(given);
  const next = sequence(7);
  const chunksAScale = 'block' in format && format.block !== 'row' ? Math.max(1, format.block / CHUNK_COLUMNS) : 1;
  const { outputs, tokens, chunks } = sizeFor(candidate, chunksAScale);
  const fusion: LinearFusion = { ...FUSIONS[candidate.role], outputStride: outputs };
  const rows = outputs * (fusion.gated ? 2 : 1);
  const perChunk = matrixBytes(format, rows, CHUNK_COLUMNS, 'webgpu').codes;
  const most = Math.floor(CODE_BYTES / perChunk / chunksAScale) * chunksAScale;
  const columns = Math.min(chunks, most) * CHUNK_COLUMNS;
  // of dense rows the last chunk is not whole
  const cols = scalesPerRow(format, CHUNK_COLUMNS) > 0 ? columns : columns - 20;
  const bytes = matrixBytes(format, rows, cols, 'webgpu');
  const floats = (count: number, by = 1) => Float32Array.from({ length: count }, () => next() * by);
  const codes = codesFor(format, bytes.codes, next);
  clearPadding(codes, rows, cols);
  const scales = floats(bytes.scales / 4, format.type === 'q8' ? 1 / 127 : 1);
  const offsets = floats(bytes.offsets / 4);
  const int8 = isMatmul(candidate) && takesInt8({ format }, candidate.shape);
  const x = floats(tokens * cols + CHUNK_COLUMNS);
  if (int8)
    x.forEach((value, i) => {
      // chunks whose units differ
      const unit = 2 ** -(Math.floor(i / CHUNK_COLUMNS) % 3);
      x[i] = unit * (i % CHUNK_COLUMNS === 0 ? 1 : beforeRounding(value));
    });
  const weight = new Float32Array(wholeChunks(cols));
  weight.set(floats(cols));
  const bias = floats(outputs);
  const before = floats(tokens * outputs);
  const weights = decoded(int8 ? int8Format(format) : format, rows, cols, codes, scales, offsets);
  const parts = [{ tensor: 'w', firstRow: 0, rows, at: 0 }];
  const vectors = {
    scales,
    offsets,
    x,
    ...(fusion.norm && { norm_weight: weight }),
    ...(fusion.bias && { bias }),
    ...((fusion.last || isMatmul(candidate)) && { state: Uint32Array.of(0, tokens, 0, 0) }),
  };
  const inputs = Object.entries(vectors).filter(([, { length }]) => length > 0);
  const inputRows = fusion.last ? [tokens - 1] : Array.from({ length: tokens }, (_, t) => t);
  const matrix: DeviceMatrix = { name: 'w', rows, cols, format, outputRow: 0, parts, bytes };
  const names = ['codes', ...inputs.map(([name]) => name), 'out'];
  // x in int8, where the product reads that
  const rounding: TrialDispatch[] = int8
    ? [
        {
          kernel: int8RowsKernel(cols),
          groups: int8RowsGroups(cols, tokens),
          bound: { x: 'x', out: 'int8', state: 'state' },
        },
      ]
    : [];
  return {
    dispatches: [
      ...rounding,
      {
        ...(isMatmul(candidate)
          ? {
              kernel: matmulKernel(matrix, fusion, candidate.shape, 'tune'),
              groups: matmulGroups(outputs, tokens, fusion.gated !== undefined, candidate.shape),
            }
          : {
              kernel: matvecKernel(matrix, fusion, candidate.shape, 'tune', workgroupBytes),
              groups: [matvecGroups(outputs, candidate.shape)],
            }),
        bound: { ...Object.fromEntries(names.map((name) => [name, name])), ...(int8 && { x: 'int8' }) },
      },
    ],
    reads: { codes, ...Object.fromEntries(inputs.map(([name, values]) => [name, bytesOf(values)])) },
    writes: { out: bytesOf(before) },
    between: int8 ? { int8: int8Bytes(tokens, cols) } : {},
    result: 'out',
    right: Float32Array.from(
      inputRows.flatMap((t, at) => {
        const row = x.subarray(t * cols, (t + 1) * cols);
        return product(int8 ? int8Row(row) : row, at);
      }),
    ),
    tolerance: isMatmul(candidate) && isHalf(candidate.shape) ? TOLERANCE.f16 : TOLERANCE.f32,
  };

  /** Outputs of one token, the `at`-th that is written. */
  function product(input: Float32Array | Float64Array, at: number): number[] {
    const { norm, gated, accumulate, scale = 1 } = fusion;
    const values = Float64Array.from(input);
    const rms = norm ? 1 / Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / cols + norm.eps) : 1;
    const normed = values.map((v, i) => (norm ? v * rms * (weight[i] + norm.offset) : v));
    const sums = Array.from({ length: rows }, (_, row) =>
      normed.reduce((sum, v, c) => sum + v * weights[row * cols + c], 0),
    );
    return Array.from({ length: outputs }, (_, o) => {
      if (gated) return silu(sums[o]) * sums[o + outputs];
      const y = (sums[o] + (fusion.bias ? bias[o] : 0)) * scale;
      return accumulate ? before[at * outputs + o] + y : y;
    });
  }
}

/** The format with scales of one level, of whole chunks. */
function oneLevel(format: MatrixFormat): MatrixFormat {
  if (!('levels' in format)) return format;
  return format.block === 16 ? { ...format, levels: undefined, block: 32 } : { ...format, levels: undefined };
}

/** A value whose code, where 127 stands for 1, is the same however a GPU divides: no more than 0.3 from a whole one. */
const beforeRounding = (value: number): number => {
  const code = Math.round(126 * value);
  return (code + 0.6 * (126 * value - code)) / 127;
};

/** Random codes; of dense types numbers in [-1, 1). */
function codesFor({ type }: MatrixFormat, bytes: number, next: () => number): Uint8Array {
  if (type === 'f32') return new Uint8Array(Float32Array.from({ length: bytes / 4 }, next).buffer);
  // halves with the exponents of 2^-7 to 2^0, where f16 and bf16 have them
  const [exponent, fraction] = type === 'f16' ? [8 << 10, 0x1fff] : [0x3c00, 0x3ff];
  const half = () => (next() < 0 ? 0x8000 : 0) | (exponent + (Math.floor((next() + 1) * 2 ** 15) & fraction));
  if (type === 'f16' || type === 'bf16') return new Uint8Array(Uint16Array.from({ length: bytes / 2 }, half).buffer);
  return Uint8Array.from({ length: bytes }, () => Math.floor((next() + 1) * 128));
}

/** Columns beyond the last, up to a whole chunk, are zero. */
function clearPadding(codes: Uint8Array, rows: number, cols: number): void {
  const chunk = (codes.length / rows / wholeChunks(cols)) * CHUNK_COLUMNS;
  const used = (chunk / CHUNK_COLUMNS) * (cols % CHUNK_COLUMNS);
  if (used === 0) return;
  const last = Math.floor(cols / CHUNK_COLUMNS) * rows;
  for (let row = 0; row < rows; row++) codes.fill(0, (last + row) * chunk + used, (last + row + 1) * chunk);
}

/** The values, [rows * cols], of buffers in the kernels' layout (memory/layout.ts, shaders/lib/matrix-*.wgsl). */
function decoded(
  format: MatrixFormat,
  rows: number,
  cols: number,
  codes: Uint8Array,
  scales: Float32Array,
  offsets: Float32Array,
): Float64Array {
  const perRow = scalesPerRow(format, cols);
  const dense = format.type === 'q4' || format.type === 'q8' ? null : denseValues(codes, format.type);
  return Float64Array.from({ length: rows * cols }, (_, i) => {
    const [row, column] = [Math.floor(i / cols), i % cols];
    const at = (Math.floor(column / CHUNK_COLUMNS) * rows + row) * CHUNK_COLUMNS + (column % CHUNK_COLUMNS);
    if (dense) return dense[at];
    const byte = codes[format.type === 'q4' ? at >> 1 : at];
    const code = format.type === 'q4' ? format.codebook[column & 1 ? byte & 15 : byte >> 4] : (byte << 24) >> 24;
    const block = Math.floor((column * perRow) / cols) * rows + row;
    return code * scales[block] + (offsets.length > 0 ? offsets[block] : 0);
  });
}
