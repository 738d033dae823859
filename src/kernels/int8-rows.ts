/**
 * Activations in int8, once for all products that read them. Reference: execute/cpu/int8-rows.ts, test:
 * int8.gpu.test.ts.
 */
import source from '../../shaders/int8-rows.wgsl?raw';
import { CHUNK_COLUMNS } from '../memory/layout';
import { type Description, kernel } from './kernel';

export const INT8_ROWS = {
  label: 'int8_rows',
  source,
  bindings: { x: 0, out: 1, state: 2 },
} satisfies Description;

const chunksOf = (cols: number): number => Math.ceil(cols / CHUNK_COLUMNS);

export const int8RowsKernel = (cols: number) => kernel(INT8_ROWS, { CHUNKS: chunksOf(cols), X_STRIDE: cols / 4 });

/** Workgroups: each takes eight chunks of eight tokens. */
export const int8RowsGroups = (cols: number, tokens: number): [number, number] => [
  Math.ceil(chunksOf(cols) / 8),
  Math.ceil(tokens / 8),
];
