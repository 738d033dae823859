/**
 * Turns the keys that a shift moves; fetched beside the weights, as only long conversations need it. Reference:
 * execute/cpu/kv-ring.ts (shiftInto), test: execute/gpu/shift.gpu.test.ts.
 */
import source from '../../shaders/shift.wgsl?raw';
import type { KvPart, KvType } from '../memory/kv';
import type { ModelSpec, Rope } from '../model/spec';
import { HEAD_THREADS, UNITS } from './heads';
import { type Description, kernel } from './kernel';

export const SHIFT = {
  label: 'shift',
  source,
  bindings: { old_keys: 0, keys: 1, frequencies: 2, state: 3 },
} satisfies Description;

/** Workgroups of one dimension, at most half of what every device takes. */
const MAX_ROW = 32768;

type Part = Pick<KvPart, 'heads'>;

export function shiftKernel({ headSize }: Pick<ModelSpec, 'headSize'>, { dim }: Rope, kv: KvType, part: Part) {
  const { unit, unitWords, quadWords } = UNITS[kv];
  return kernel(SHIFT, {
    HEAD_SIZE: headSize,
    PART_HEADS: part.heads,
    ROPE_DIM: dim,
    // it is in the keys already
    ROPE_MAGNITUDE: '1.0',
    KV_F32: kv === 'f32',
    KV_INT8: kv === 'int8',
    HEAD_WORDS: (headSize / unit) * unitWords,
    QUAD_WORDS: quadWords,
    THREAD_QUADS: Math.ceil(headSize / 4 / HEAD_THREADS),
    THREADS: HEAD_THREADS,
  });
}

export const shiftGroups = ({ heads }: Part, positions: number): [number, number, number] => [
  Math.min(positions, MAX_ROW),
  heads,
  Math.ceil(positions / MAX_ROW),
];
