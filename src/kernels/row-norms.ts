/** The norms that DoRA divides by. Reference: execute/cpu/adapters.ts, test: row-norms.gpu.test.ts. */
import source from '../../shaders/row-norms.wgsl?raw';
import type { DeviceMatrix } from '../memory/layout';
import { type Description, kernel } from './kernel';
import { MATRIX_BINDINGS, matrixConstants } from './matrix';

export const ROW_NORMS = {
  label: 'row_norms',
  source,
  bindings: { ...MATRIX_BINDINGS, a: 3, b: 4, norms: 5 },
} satisfies Description;

const THREADS = 64;

/** @param rank rows of a, columns of b */
export const rowNormsKernel = (matrix: DeviceMatrix, rank: number) =>
  kernel(ROW_NORMS, { ...matrixConstants(matrix, 'workgroup'), THREADS, RANK: rank, FIRST: matrix.outputRow });

export const rowNormsGroups = (rows: number): number => Math.ceil(rows / THREADS);
