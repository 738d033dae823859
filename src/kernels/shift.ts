/** Turns the keys that a shift moves (shaders/shift): fetched beside the weights, as only long conversations need it. */
import shift from '../../shaders/shift.wgsl?raw';
import type { KvType } from '../memory/plan';
import type { ModelSpec, Rope } from '../model/spec';
import { type Kernel, kernelFrom } from './library';

const THREADS = 64;
/** Rows of workgroups at most: each takes every so many positions, and computes its angles once. */
const MAX_ROWS = 256;

type Heads = Pick<ModelSpec, 'kvHeads' | 'headSize'>;

export const shiftKernel = ({ kvHeads, headSize }: Heads, { dim }: Rope, kv: KvType): Kernel =>
  kernelFrom(
    shift,
    {
      KV_HEADS: kvHeads,
      HEAD_SIZE: headSize,
      ROPE_DIM: dim,
      KV_F32: kv === 'f32',
      KV_WORDS: kv === 'f32' ? 2 : 1,
      THREADS,
    },
    'shift',
  );

export const shiftGroups = ({ kvHeads, headSize }: Heads, positions: number): [number, number] => [
  Math.ceil((kvHeads * headSize) / 2 / THREADS),
  Math.min(positions, MAX_ROWS),
];
