/** What every kernel that reads a matrix has to know of it (shaders/lib/matrix-*.wgsl). */
import type { Constants } from '../gpu/preprocess';
import { CHUNK_COLUMNS, chunkBytes, type DeviceMatrix, scalesPerRow } from '../memory/layout';

/** Its buffers; scales and offsets where its format has them. */
export const MATRIX_BINDINGS = { codes: 0, scales: 1, offsets: 2 };

/** Where a kernel keeps the codebook: a constant array of byte pairs, or workgroup memory. */
export type CodebookTable = 'constant' | 'workgroup';

/** WGSL text of a number as f32. */
export const wgslFloat = (value: number): string => {
  const text = String(Math.fround(value));
  return /[.e]/.test(text) ? text : `${text}.0`;
};

export function matrixConstants(
  matrix: Pick<DeviceMatrix, 'rows' | 'cols' | 'format' | 'bytes'>,
  table: CodebookTable,
): Constants {
  const { format, rows, cols, bytes } = matrix;
  const chunks = Math.ceil(cols / CHUNK_COLUMNS);
  const q4 = format.type === 'q4' ? format : null;
  const perRow = scalesPerRow(format, cols);
  // Blocks of 16 are scaled as they are decoded: to the kernel they have no scales.
  const halves = format.type === 'q8' && format.block === 16;
  // One scale a row is applied once, at the end; an offset has to meet its inputs before.
  const rowScaled = !halves && perRow === 1 && bytes.offsets === 0;
  const scaled = !halves && perRow > 0 && !rowScaled;
  const chunksAScale = perRow ? chunks / perRow : 1;
  // Codes that are the values less a constant need no table.
  const base = q4?.codebook[0] ?? 0;
  const linear = q4?.codebook.every((value, i) => value === base + i) ?? false;
  const values = (q4?.codebook ?? []).map(wgslFloat);
  return {
    MATRIX: q4 ? 'matrix-q4' : format.type === 'q8' ? 'matrix-q8' : 'matrix-dense',
    ROWS: rows,
    COLUMNS: cols,
    CHUNKS: chunks,
    RAGGED: cols % CHUNK_COLUMNS !== 0,
    CODE_WORDS: bytes.codes / 16,
    WORDS: chunkBytes(format) / 16,
    SCALES: bytes.scales / 4,
    CHUNKS_A_SCALE: chunksAScale,
    OFFSET: bytes.offsets > 0,
    HALVES: halves,
    QUANTISED: !halves && perRow > 0,
    ROW_SCALED: rowScaled,
    SCALED: scaled,
    // Chunks that share a scale are summed first.
    UNIT: scaled ? chunksAScale : 1,
    LINEAR: linear,
    LINEAR_SHIFTED: base !== 0,
    LINEAR_BASE: wgslFloat(base),
    TABLE_CONST: table === 'constant' && !linear,
    CODEBOOK: values.join(', '),
    BYTE_VALUES:
      table === 'constant' ? values.flatMap((high) => values.map((low) => `vec2f(${high},${low})`)).join(',') : '',
    F32: format.type === 'f32',
    BF16: format.type === 'bf16',
  };
}
