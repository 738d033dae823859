/**
 * Kernel shapes by kind of adapter. Software adapters pay for memory instructions and nothing else, and want big
 * register tiles and no workgroup memory; real GPUs want many threads that share a row's columns.
 */
import type { KernelShapes } from './lower';

export const SHAPES: Readonly<Record<string, KernelShapes>> = {
  software: {
    matvec: { lanes: 'even', slices: 1, tile: 8, table: 'constant' },
    head: { lanes: 64, slices: 1, tile: 8, table: 'constant' },
    matmul: { kind: 'registers', lanes: 16, tile: 8, tokens: 16, table: 'constant' },
    attendRows: 6,
  },
  /** compiles quickly and takes every path: for tests */
  small: {
    matvec: { lanes: 8, slices: 4, tile: 2, table: 'workgroup' },
    head: { lanes: 16, slices: 1, tile: 2, table: 'constant' },
    matmul: { kind: 'registers', lanes: 16, tile: 2, tokens: 3, table: 'workgroup' },
    attendRows: 4,
  },
  /** the best of those tried on an H100 (bench/h100.md) */
  gpu: {
    matvec: { lanes: 8, slices: 32, tile: 1, table: 'workgroup' },
    head: { lanes: 32, slices: 4, tile: 2, table: 'workgroup' },
    matmul: { kind: 'tiled', tokens: 2, table: 'workgroup' },
    attendRows: 4,
  },
};
