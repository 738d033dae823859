/** The norms that DoRA divides by (shaders/row_norms.wgsl). */
import type { DeviceMatrix } from '../memory/layout';
import { type Kernel, kernel } from './library';
import { matrixConstants } from './matrix';

const THREADS = 64;

/** @param rank rows of a, columns of b */
export const rowNormsKernel = (matrix: DeviceMatrix, rank: number): Kernel =>
  kernel('row_norms', { ...matrixConstants(matrix, 'workgroup'), THREADS, RANK: rank, FIRST: matrix.outputRow });

export const rowNormsGroups = (rows: number): number => Math.ceil(rows / THREADS);
