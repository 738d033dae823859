/** x[t] = table[ids[t]] * scale. Reference: execute/cpu/kernels.ts, test: elementwise.gpu.test.ts. */
import source from '../../shaders/embed.wgsl?raw';
import { CHUNK_COLUMNS, type DeviceMatrix } from '../memory/layout';
import { type Description, kernel } from './kernel';
import { type CodebookTable, MATRIX_BINDINGS, matrixConstants, wgslFloat } from './matrix';

export const EMBED = {
  label: 'embed',
  source,
  bindings: { ...MATRIX_BINDINGS, ids: 3, out: 4, state: 7 },
} satisfies Description;

const THREADS = 64;

/** For the rows that `matrix` holds of the table. */
export const embedKernel = (matrix: DeviceMatrix, scale: number, table: CodebookTable) =>
  kernel(EMBED, {
    ...matrixConstants(matrix, table),
    THREADS,
    FIRST_ROW: matrix.outputRow,
    X_STRIDE: matrix.cols / 4,
    SCALE: wgslFloat(scale),
  });

export const embedGroups = (cols: number, tokens: number): number =>
  Math.ceil((Math.ceil(cols / CHUNK_COLUMNS) * tokens) / THREADS);
