/**
 * What the kernels that read or write a conversation's rings have to know of heads (shaders/lib/head-value, kv,
 * rotate).
 */
import type { Constants } from '../gpu/preprocess';
import type { KvPart, KvType } from '../memory/kv';
import type { ModelSpec, Rope } from '../model/spec';
import { wgslFloat } from './matrix';

export const HEAD_THREADS = 64;

export interface HeadShape {
  rope: Rope | null;
  /** RMSNorm of each q and k head */
  norm: { eps: number; offset: 0 | 1 } | null;
  kv: KvType;
  /** int8 keys are kept without their bias, which is in the bias buffer of the step that made q, k and v */
  keyBias: boolean;
}

export type Heads = Pick<ModelSpec, 'heads' | 'kvHeads' | 'headSize'>;

/** The heads that a buffer of the ring holds. */
export type HeadPart = Pick<KvPart, 'firstHead' | 'heads'>;

/** Values that are read and written together, and the 32-bit words that they and four of them take. */
export const UNITS: Record<KvType, { unit: number; unitWords: number; quadWords: number }> = {
  f32: { unit: 2, unitWords: 2, quadWords: 4 },
  f16: { unit: 2, unitWords: 1, quadWords: 2 },
  int8: { unit: 4, unitWords: 1, quadWords: 1 },
};

/**
 * What append and attend both bind. Biases and norms never come together, so that eight buffers are the most.
 */
export const HEAD_BINDINGS = {
  qkv: 0,
  keys: 1,
  values: 2,
  state: 3,
  frequencies: 4,
  q_norm: 5,
  bias: 7,
  k_norm: 8,
};

/** @param makes which heads of the new tokens the kernel norms and turns */
export function headConstants(
  spec: Heads,
  shape: HeadShape,
  part: HeadPart,
  makes: 'queries' | 'keys' | 'both',
): Constants {
  const { unit, unitWords } = UNITS[shape.kv];
  const norm = shape.norm !== null;
  return {
    HEADS: spec.heads,
    KV_HEADS: spec.kvHeads,
    HEAD_SIZE: spec.headSize,
    QKV_WIDTH: (spec.heads + 2 * spec.kvHeads) * spec.headSize,
    ROPE: shape.rope !== null,
    ROPE_DIM: shape.rope?.dim ?? 0,
    ROPE_MAGNITUDE: wgslFloat(shape.rope?.magnitude ?? 1),
    HEAD_NORM: norm,
    Q_NORM: norm && makes !== 'keys',
    K_NORM: norm && makes !== 'queries',
    KEY_BIAS: shape.keyBias,
    NORM_PLUS_ONE: shape.norm?.offset === 1,
    EPS: wgslFloat(shape.norm?.eps ?? 0),
    FIRST_HEAD: part.firstHead,
    PART_HEADS: part.heads,
    KV_F32: shape.kv === 'f32',
    KV_INT8: shape.kv === 'int8',
    UNIT_WORDS: unitWords,
    HEAD_WORDS: (spec.headSize / unit) * unitWords,
    THREADS: HEAD_THREADS,
  };
}

/**
 * Constants of shaders/lib/element.wgsl.
 * @param writes whether the kernel writes to the ring, too: the scales of int8 are single words, so its buffers are of
 * words then
 */
export function elementConstants({ headSize }: Heads, kv: KvType, writes: boolean): Constants {
  const { quadWords } = UNITS[kv];
  const vectors = headSize % (16 / quadWords) === 0 && !(writes && kv === 'int8');
  const parts = vectors ? 4 / quadWords : 1;
  return {
    VECTORS: vectors,
    KEY_VECTORS: vectors,
    VALUE_VECTORS: vectors,
    ARRAY_WORDS: vectors ? 4 : 1,
    ELEMENT_WORDS: vectors ? 4 : quadWords,
    PARTS: parts,
    LOAD: 4 * parts,
  };
}
