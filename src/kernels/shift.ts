/** Turns the keys that a shift moves (shaders/shift): fetched beside the weights, as only long conversations need it. */
import shift from '../../shaders/shift.wgsl?raw';
import type { KvPart, KvType } from '../memory/kv';
import type { ModelSpec, Rope } from '../model/spec';
import { UNITS } from './attention';
import { type Kernel, kernelFrom } from './library';

const THREADS = 64;
/** Workgroups of one dimension, at most half of what every device takes. */
const MAX_ROW = 32768;

type Part = Pick<KvPart, 'heads'>;

export function shiftKernel({ headSize }: Pick<ModelSpec, 'headSize'>, { dim }: Rope, kv: KvType, part: Part): Kernel {
  const { unit, unitWords, quadWords } = UNITS[kv];
  const constants = {
    HEAD_SIZE: headSize,
    PART_HEADS: part.heads,
    ROPE_DIM: dim,
    // it is in the keys already
    ROPE_MAGNITUDE: '1.0',
    KV_F32: kv === 'f32',
    KV_INT8: kv === 'int8',
    HEAD_WORDS: (headSize / unit) * unitWords,
    QUAD_WORDS: quadWords,
    THREAD_QUADS: Math.ceil(headSize / 4 / THREADS),
    THREADS,
  };
  return kernelFrom(shift, constants, 'shift');
}

export const shiftGroups = ({ heads }: Part, positions: number): [number, number, number] => [
  Math.min(positions, MAX_ROW),
  heads,
  Math.ceil(positions / MAX_ROW),
];
