/**
 * Hidden states of a pass, pooled onto one row. Reference: poolStates() in execute/pooling.ts, test:
 * reading.gpu.test.ts.
 */
import source from '../../shaders/pool.wgsl?raw';
import { POOLED_ROWS } from '../memory/gpu-scratch';
import { type Description, kernel } from './kernel';

export const POOL = { label: 'pool', source, bindings: { x: 0, pooled: 1, state: 2 } } satisfies Description;

const THREADS = 64;

/** What the shader calls each way, by its number there. */
const MODES = ['sum', 'weighted', 'max', 'first', 'last'] as const;

/** @param row of `pooled` that it is for */
export const poolKernel = (width: number, mode: (typeof MODES)[number], row: number) =>
  kernel(POOL, { THREADS, COLUMNS: width, POOLED_ROWS, ROW: row, MODE: MODES.indexOf(mode) }, `pool ${mode}`);

export const poolGroups = (width: number): number => Math.ceil(width / THREADS);
