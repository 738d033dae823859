/** What every kernel that reads a matrix has to know of it (shaders/lib/matrix-*.wgsl). */
import { levelsOf, type MatrixFormat, NESTED_BLOCK } from '../formats/matrix';
import type { Constants } from '../gpu/preprocess';
import {
  CHUNK_COLUMNS,
  chunkBytes,
  type DeviceMatrix,
  NESTED_HEAD,
  NESTED_PAIR,
  nestedGroups,
  scalesPerRow,
} from '../memory/layout';

/** Its buffers; beside the codes, those that its format has: three at most. */
export const MATRIX_BINDINGS = { codes: 0, scales: 1, offsets: 2, high: 8, nested: 9 };

/** Where a kernel keeps the codebook: a constant array of byte pairs, or workgroup memory. */
export type CodebookTable = 'constant' | 'workgroup';

/** WGSL text of a number as f32. */
export const wgslFloat = (value: number): string => {
  const text = String(Math.fround(value));
  return /[.e]/.test(text) ? text : `${text}.0`;
};

/** The includes that read its codes, and its scales. */
function includesOf(format: MatrixFormat): { MATRIX: string; SCALING: string } {
  const levels = levelsOf(format);
  const plain = format.type === 'q4' || format.type === 'q8' ? `matrix-${format.type}` : 'matrix-dense';
  const MATRIX = levels === 'Q5_K' ? 'matrix-q5' : levels === 'Q6_K' ? 'matrix-q6' : plain;
  return { MATRIX, SCALING: levels === 'Q4_K' ? 'scales-k' : levels === 'nested' ? 'scales-nested' : 'scales' };
}

/** Bytes of an element of the array that its scales are to a kernel. */
const scaleBytes = (format: MatrixFormat): number => (['Q4_K', 'Q5_K'].includes(levelsOf(format) ?? '') ? 16 : 4);

/** What shaders/lib/scales-nested.wgsl has to know of the tensors that a matrix holds. */
export function nestedParts({ parts, cols, format }: Pick<DeviceMatrix, 'parts' | 'cols' | 'format'>) {
  const blocks = scalesPerRow(format, cols);
  let end = 0;
  return parts.map(({ tensor, firstRow, rows, at }) => {
    const groups = nestedGroups(firstRow, rows, blocks);
    const table = end;
    end += NESTED_HEAD + groups.count;
    return { tensor, firstRow, at, groups, table, firstInGroup: (firstRow * blocks) % NESTED_BLOCK };
  });
}

function nestedConstants(matrix: Pick<DeviceMatrix, 'parts' | 'cols' | 'format' | 'bytes'>): Constants {
  const [first, ...parts] = levelsOf(matrix.format) === 'nested' ? nestedParts(matrix) : [];
  return {
    NESTED: matrix.bytes.nested / NESTED_PAIR,
    ROW_SCALES: scalesPerRow(matrix.format, matrix.cols),
    FIRST_IN_GROUP: first?.firstInGroup ?? 0,
    PARTS: parts.length,
    PART_AT: parts.map(({ at }) => at).join(', '),
    PART_FIRST: parts.map(({ firstInGroup }) => firstInGroup).join(', '),
    PART_TABLE: parts.map(({ table }) => table).join(', '),
  };
}

export function matrixConstants(
  matrix: Pick<DeviceMatrix, 'rows' | 'cols' | 'format' | 'bytes' | 'parts'>,
  table: CodebookTable,
): Constants {
  const { format, rows, cols, bytes } = matrix;
  const chunks = Math.ceil(cols / CHUNK_COLUMNS);
  const q4 = format.type === 'q4' ? format : null;
  const perRow = scalesPerRow(format, cols);
  const offset = (format.type === 'q4' || format.type === 'q8') && format.offset;
  // Blocks of 16 (Q6_K) are scaled as they are decoded: to the kernel they have no scales.
  const halves = format.type === 'q8' && format.block === 16;
  // One scale a row is applied once, at the end; an offset has to meet its inputs before.
  const rowScaled = !halves && perRow === 1 && !offset;
  const scaled = !halves && perRow > 0 && !rowScaled;
  const chunksAScale = perRow ? chunks / perRow : 1;
  // Codes that are the values less a constant need no table.
  const base = q4?.codebook[0] ?? 0;
  const linear = q4?.codebook.every((value, i) => value === base + i) ?? false;
  const values = (q4?.codebook ?? []).map(wgslFloat);
  return {
    ...includesOf(format),
    ...nestedConstants(matrix),
    ROWS: rows,
    COLUMNS: cols,
    CHUNKS: chunks,
    RAGGED: cols % CHUNK_COLUMNS !== 0,
    CODE_WORDS: bytes.codes / 16,
    WORDS: chunkBytes(format) / 16,
    SCALES: bytes.scales / scaleBytes(format),
    SCALES_OF: (rows * cols) / 64,
    HIGH: bytes.high / (halves ? 8 : 4),
    HALVES: halves,
    // of products of int8 true (matmul-tiled.ts)
    INT8: false,
    CHUNKS_A_SCALE: chunksAScale,
    OFFSET: offset,
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
