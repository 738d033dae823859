/**
 * How many bytes a matrix takes where it is computed with, and how it is cut. Pure.
 *
 * On the GPU a matrix is stored in chunks of 32 columns, chunk-major: [chunk][row][bytes of 32 columns], so that
 * consecutive lanes (rows) read consecutive 16-byte words; scales and offsets are [block][row] f32. Columns are padded
 * to a multiple of 32 with zeros (dense types only; the quantised ones divide by construction). On the CPU a matrix is
 * row-major and unpadded.
 */
import type { MatrixFormat } from '../formats/matrix';
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
}

/** Bytes of a [rows, cols] matrix, by buffer. */
export function matrixBytes(format: MatrixFormat, rows: number, cols: number, target: LayoutTarget): MatrixBytes {
  const columns = target === 'webgpu' ? wholeChunks(cols) : cols;
  const scales = rows * scalesPerRow(format, cols) * 4;
  const offset = (format.type === 'q4' || format.type === 'q8') && format.offset;
  return { codes: (rows * columns * chunkBytes(format)) / CHUNK_COLUMNS, scales, offsets: offset ? scales : 0 };
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

/** The names of a matrix's buffers: scales and offsets where its format has them. */
export const matrixBuffers = ({ name, bytes }: Pick<DeviceMatrix, 'name' | 'bytes'>) => ({
  codes: `${name}.codes`,
  ...(bytes.scales ? { scales: `${name}.scales` } : {}),
  ...(bytes.offsets ? { offsets: `${name}.offsets` } : {}),
});

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
      bytes: matrixBytes(group.format, rows, cols, target),
    });
  }
  return out;
}
