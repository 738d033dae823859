/** out += scale * x over [tokens, width] rows. Reference: execute/cpu/kernels.ts, test: elementwise.gpu.test.ts. */
import source from '../../shaders/add.wgsl?raw';
import { type Description, kernel } from './kernel';
import { wgslFloat } from './matrix';

export const ADD = { label: 'add', source, bindings: { x: 0, out: 1, state: 2 } } satisfies Description;

export const ROW_THREADS = 64;

export const addKernel = (width: number, scale: number) =>
  kernel(ADD, { THREADS: ROW_THREADS, COLUMNS: width, SCALE: wgslFloat(scale) });

/** Workgroups of a kernel whose threads take a value of a row each: add and activate. */
export const rowGroups = (width: number, tokens: number): [number, number] => [Math.ceil(width / ROW_THREADS), tokens];
