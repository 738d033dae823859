/**
 * How many bytes a matrix takes where it is computed with, and how it is cut. Pure.
 *
 * On the GPU a matrix is stored in chunks of 32 columns, chunk-major: [chunk][row][bytes of 32 columns], so that
 * consecutive lanes (rows) read consecutive 16-byte words; scales and offsets are [block][row] f32. Columns are padded
 * to a multiple of 32 with zeros (dense types only; the quantised ones divide by construction). Scales of two levels
 * stay two, so that a matrix takes what it takes in the file (shaders/lib/scales-k.wgsl, matrix-q6.wgsl and
 * scales-nested.wgsl have them in bits):
 *
 *   Q4_K    codes as q4, scales [block of 256][row] 16 bytes                                        4.5 bits a weight
 *   Q5_K    the same, and of each code the fifth bit: high [chunk][row] 4 bytes                     5.5
 *   Q6_K    codes as q4, high [chunk][row] 8 bytes; scales [64 columns][row] four int8, then
 *           [block of 256][row] f32                                                                 6.625
 *   nested  codes as q4, scales [four blocks][row] a byte each; nested, of each tensor in the matrix: 2 KiB of its
 *           map and offset, absmax of each group                                        4.13 with blocks of 64
 *
 * On the CPU a matrix is row-major and unpadded, its scales and offsets f32.
 */
import { levelsOf, type MatrixFormat, NESTED_BLOCK } from '../formats/matrix';
import type { StepOf } from '../model/steps';

/** columns a chunk covers */
export const CHUNK_COLUMNS = 32;

export const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;

/** Columns as the GPU stores them: whole chunks. */
export const wholeChunks = (columns: number): number => roundUp(columns, CHUNK_COLUMNS);

export type LayoutTarget = 'webgpu' | 'cpu';

/** Bytes of 32 columns of one row. */
export function chunkBytes(format: MatrixFormat): number {
  switch (format.type) {
    case 'q4':
      return 16;
    case 'q8':
      return 32;
    case 'f16':
    case 'bf16':
      return 64;
    case 'f32':
      return 128;
  }
}

/** Scales (and offsets) of one row; 0 for dense types. */
export function scalesPerRow(format: MatrixFormat, cols: number): number {
  if (format.type !== 'q4' && format.type !== 'q8') return 0;
  return format.block === 'row' ? 1 : cols / format.block;
}

export interface MatrixBytes {
  codes: number;
  scales: number;
  offsets: number;
  /** what of codes of 5 and 6 bits is above 4 */
  high: number;
  /** what nested scales are made with */
  nested: number;
}

/** What of that the CPU has. */
export type CpuBytes = Pick<MatrixBytes, 'codes' | 'scales' | 'offsets'>;

/** columns of a block of a K-quant */
export const SUPER_COLUMNS = 256;

/** Bytes that a K-quant has for each chunk of a row above its codes' 4 bits, and for each block of scales. */
export const K_BYTES = {
  Q4_K: { high: 0, scales: 16 },
  Q5_K: { high: 4, scales: 16 },
  Q6_K: { high: 8, scales: 20 },
} as const;

/** Bytes of an element of `nested`: a value of the map and the offset that goes with it, or a group's absmax and 0. */
export const NESTED_PAIR = 8;

/** How many elements of a tensor are its map's: its groups' follow. */
export const NESTED_HEAD = 256;

/** Groups of nested scales that some rows of a tensor meet: the first, and how many. */
export function nestedGroups(firstRow: number, rows: number, blocks: number): { first: number; count: number } {
  const first = Math.floor((firstRow * blocks) / NESTED_BLOCK);
  return { first, count: Math.floor(((firstRow + rows) * blocks - 1) / NESTED_BLOCK) + 1 - first };
}

/**
 * Bytes of a [rows, cols] matrix, by buffer.
 * @param parts which rows of which tensors it holds; absent: all of one
 */
export function matrixBytes(
  format: MatrixFormat,
  rows: number,
  cols: number,
  target: LayoutTarget,
  parts: readonly { firstRow: number; rows: number }[] = [{ firstRow: 0, rows }],
): MatrixBytes {
  const columns = target === 'webgpu' ? wholeChunks(cols) : cols;
  const perRow = scalesPerRow(format, cols);
  const scales = rows * perRow * 4;
  const offset = (format.type === 'q4' || format.type === 'q8') && format.offset;
  const levels = target === 'webgpu' ? levelsOf(format) : null;
  const codes = (rows * columns * (levels ? 16 : chunkBytes(format))) / CHUNK_COLUMNS;
  if (levels === 'nested') {
    const groups = parts.reduce((sum, part) => sum + nestedGroups(part.firstRow, part.rows, perRow).count, 0);
    const nested = (parts.length * NESTED_HEAD + groups) * NESTED_PAIR;
    return { codes, scales: rows * roundUp(perRow, 4), offsets: 0, high: 0, nested };
  }
  if (levels) {
    const { high, scales: header } = K_BYTES[levels];
    const blocks = (rows * cols) / SUPER_COLUMNS;
    return { codes, scales: blocks * header, offsets: 0, high: (rows * cols * high) / CHUNK_COLUMNS, nested: 0 };
  }
  return { codes, scales, offsets: offset ? scales : 0, high: 0, nested: 0 };
}

export function sameFormat(a: MatrixFormat, b: MatrixFormat): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** A matrix as the device holds it: one or more checkpoint tensors stacked by rows, or some rows of one. */
export interface DeviceMatrix {
  name: string;
  rows: number;
  cols: number;
  format: MatrixFormat;
  /** first row of this matrix within the output of its linear step */
  outputRow: number;
  /** which rows of which tensors it holds, in order; `at` is the first row here */
  parts: readonly { tensor: string; firstRow: number; rows: number; at: number }[];
  bytes: MatrixBytes;
}

/** The names of a matrix's buffers: beside the codes, those that its format has. */
export const matrixBuffers = ({ name, bytes }: Pick<DeviceMatrix, 'name' | 'bytes'>) => ({
  codes: `${name}.codes`,
  ...(bytes.scales ? { scales: `${name}.scales` } : {}),
  ...(bytes.offsets ? { offsets: `${name}.offsets` } : {}),
  ...(bytes.high ? { high: `${name}.high` } : {}),
  ...(bytes.nested ? { nested: `${name}.nested` } : {}),
});

/** All that a matrix takes. */
export const wholeBytes = ({ codes, scales, offsets, high, nested }: MatrixBytes): number =>
  codes + scales + offsets + high + nested;

/**
 * The device matrices of a linear step: neighbouring parts of one format are joined by rows (q, k, v; gate, up), and
 * what would exceed one binding is split by rows (the vocabulary of a large head).
 */
export function deviceMatrices(
  step: Pick<StepOf<'linear'>, 'parts' | 'cols'>,
  formatOf: (name: string) => MatrixFormat,
  maxBinding: number,
  target: LayoutTarget,
): DeviceMatrix[] {
  const groups: { format: MatrixFormat; outputRow: number; parts: { tensor: string; rows: number }[] }[] = [];
  let row = 0;
  for (const part of step.parts) {
    const format = formatOf(part.name);
    const last = groups.at(-1);
    if (target === 'webgpu' && last && sameFormat(last.format, format))
      last.parts.push({ tensor: part.name, rows: part.rows });
    else groups.push({ format, outputRow: row, parts: [{ tensor: part.name, rows: part.rows }] });
    row += part.rows;
  }
  return groups.flatMap((group) => splitRows(group, step.cols, maxBinding, target));
}

function splitRows(
  group: { format: MatrixFormat; outputRow: number; parts: { tensor: string; rows: number }[] },
  cols: number,
  maxBinding: number,
  target: LayoutTarget,
): DeviceMatrix[] {
  const total = group.parts.reduce((sum, part) => sum + part.rows, 0);
  const perRow = matrixBytes(group.format, 1, cols, target).codes;
  const limit = target === 'webgpu' ? Math.max(8, Math.floor(maxBinding / perRow / 8) * 8) : total;
  const out: DeviceMatrix[] = [];
  for (let first = 0; first < total; first += limit) {
    const rows = Math.min(limit, total - first);
    const parts: { tensor: string; firstRow: number; rows: number; at: number }[] = [];
    let start = 0;
    for (const part of group.parts) {
      const from = Math.max(first, start);
      const to = Math.min(first + rows, start + part.rows);
      if (from < to) parts.push({ tensor: part.tensor, firstRow: from - start, rows: to - from, at: from - first });
      start += part.rows;
    }
    out.push({
      name:
        total > limit
          ? `${group.parts[0].tensor}[${first}..${first + rows})`
          : group.parts.map((p) => p.tensor).join('+'),
      rows,
      cols,
      format: group.format,
      outputRow: group.outputRow + first,
      parts,
      bytes: matrixBytes(group.format, rows, cols, target, parts),
    });
  }
  return out;
}
