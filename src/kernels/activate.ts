/**
 * mlp = act(gate) * up over [tokens, 2 width] rows. Reference: execute/cpu/kernels.ts, test: elementwise.gpu.test.ts.
 */
import source from '../../shaders/activate.wgsl?raw';
import type { Activation } from '../model/spec';
import { type Description, kernel } from './kernel';

export const ACTIVATE = {
  label: 'activate',
  source,
  bindings: { x: 0, out: 1, state: 2 },
} satisfies Description;

const ROW_THREADS = 64;

export const activateKernel = (width: number, activation: Activation) =>
  kernel(ACTIVATE, { THREADS: ROW_THREADS, COLUMNS: width, GELU: activation === 'gelu_tanh' });

/** Workgroups: a thread takes a value of a row. */
export const activateGroups = (width: number, tokens: number): [number, number] => [
  Math.ceil(width / ROW_THREADS),
  tokens,
];
