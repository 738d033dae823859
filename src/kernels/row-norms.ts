/** The norms that DoRA divides by (shaders/row_norms.wgsl). */
import rowNorms from '../../shaders/row_norms.wgsl?raw';
import type { DeviceMatrix } from '../memory/layout';
import { type Kernel, kernelFrom } from './library';
import { matrixConstants } from './matrix';

const THREADS = 64;

/** @param rank rows of a, columns of b */
export function rowNormsKernel(matrix: DeviceMatrix, rank: number): Kernel {
  const constants = { ...matrixConstants(matrix, 'workgroup'), THREADS, RANK: rank, FIRST: matrix.outputRow };
  return kernelFrom(rowNorms, constants, 'row_norms');
}

export const rowNormsGroups = (rows: number): number => Math.ceil(rows / THREADS);
