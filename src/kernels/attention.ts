/** The ring's kernels: append, attend (split for decode, whole for prefill) and merge (shaders/append, attend, merge). */
import type { Constants } from '../gpu/preprocess';
import type { KvPart, KvType } from '../memory/kv';
import { wholeChunks } from '../memory/layout';
import { MAX_SPLITS } from '../memory/plan';
import type { ModelSpec, Rope } from '../model/spec';
import { type Kernel, kernel } from './library';
import { wgslFloat } from './matrix';

const THREADS = 64;
/** f32 values of query rows in workgroup memory at most: half of the default 16 KiB. */
const QUERY_VALUES = 2048;

export interface HeadShape {
  rope: Rope | null;
  /** RMSNorm of each q and k head */
  norm: { eps: number; offset: 0 | 1 } | null;
  kv: KvType;
  /** int8 keys are kept without their bias, which is in the bias buffer of the step that made q, k and v */
  keyBias: boolean;
}

type Heads = Pick<ModelSpec, 'heads' | 'kvHeads' | 'headSize'>;

/** The heads that a buffer of the ring holds. */
type Part = Pick<KvPart, 'firstHead' | 'heads'>;

/** Values that are read and written together, and the 32-bit words that they and four of them take. */
export const UNITS: Record<KvType, { unit: number; unitWords: number; quadWords: number }> = {
  f32: { unit: 2, unitWords: 2, quadWords: 4 },
  f16: { unit: 2, unitWords: 1, quadWords: 2 },
  int8: { unit: 4, unitWords: 1, quadWords: 1 },
};

function headConstants(spec: Heads, shape: HeadShape, part: Part): Constants {
  const { unit, unitWords } = UNITS[shape.kv];
  return {
    HEADS: spec.heads,
    KV_HEADS: spec.kvHeads,
    HEAD_SIZE: spec.headSize,
    QKV_WIDTH: (spec.heads + 2 * spec.kvHeads) * spec.headSize,
    ROPE: shape.rope !== null,
    ROPE_DIM: shape.rope?.dim ?? 0,
    ROPE_MAGNITUDE: wgslFloat(shape.rope?.magnitude ?? 1),
    HEAD_NORM: shape.norm !== null,
    NORM_OFFSET: shape.norm?.offset ? ' + 1.0' : '',
    EPS: wgslFloat(shape.norm?.eps ?? 0),
    FIRST_HEAD: part.firstHead,
    PART_HEADS: part.heads,
    KV_F32: shape.kv === 'f32',
    KV_INT8: shape.kv === 'int8',
    UNIT_WORDS: unitWords,
    HEAD_WORDS: (spec.headSize / unit) * unitWords,
    THREADS,
  };
}

export const appendKernel = (spec: Heads, shape: HeadShape, part: Part): Kernel =>
  kernel('append', {
    ...headConstants(spec, shape, part),
    LESS_BIAS: shape.keyBias,
    THREAD_QUADS: Math.ceil(spec.headSize / 4 / THREADS),
  });

/** int8 takes a workgroup a head, which shares a scale; the others a thread for two values. */
export const appendGroups = (spec: Heads, kv: KvType, part: Part, tokens: number): [number, number] =>
  kv === 'int8' ? [tokens, part.heads] : [Math.ceil((tokens * part.heads * spec.headSize) / 2 / THREADS), 1];

export interface AttendShape extends HeadShape {
  scale: number;
  softcap: number | null;
  window: number | null;
}

/** Tokens a prefill workgroup takes: as many as its query rows (at most `rows`) fit workgroup memory and registers. */
export function attendQueries(spec: Heads, rows: number): number {
  const group = spec.heads / spec.kvHeads;
  return Math.max(1, Math.min(Math.floor(rows / group), Math.floor(QUERY_VALUES / (group * spec.headSize))));
}

/** Parts that decode attention splits `filled` slots into; the kernel computes the same. */
export const attendSplits = (filled: number): number => Math.min(MAX_SPLITS, Math.ceil(filled / THREADS));

export function attendKernel(spec: Heads, shape: AttendShape, part: Part, split: boolean, rows: number): Kernel {
  const group = spec.heads / spec.kvHeads;
  const queries = split ? 1 : attendQueries(spec, rows);
  const m = queries * group;
  const { unit, quadWords } = UNITS[shape.kv];
  // Keys are read 16 bytes at a time where heads divide by that.
  const vectors = spec.headSize % (shape.kv === 'int8' ? 16 : 8) === 0;
  const loadQuads = vectors ? 4 / quadWords : 1;
  const units = spec.headSize / unit;
  // Every lane takes the same number of units, so f16 heads of 160 have 40 lanes of two.
  let outUnits = Math.ceil(units / THREADS);
  while (units % outUnits) outUnits++;
  const lanes = units / outUnits;
  const width = spec.heads * spec.headSize;
  return kernel(
    'attend',
    {
      ...headConstants(spec, shape, part),
      LESS_BIAS: false,
      KEY_BIAS: shape.keyBias,
      SPLIT: split,
      MAX_SPLITS,
      M: m,
      GROUP: group,
      QUERIES: queries,
      SCALE: wgslFloat(shape.scale),
      SOFTCAP: Boolean(shape.softcap),
      CAP: wgslFloat(shape.softcap ?? 1),
      WINDOWED: shape.window !== null,
      WINDOW: shape.window ?? 0,
      KV_VECTORS: vectors,
      QUAD_WORDS: quadWords,
      LOAD_QUADS: loadQuads,
      LOAD: 4 * loadQuads,
      UNIT: unit,
      QUERY_VALUES: m * spec.headSize,
      SCORE_VALUES: m * THREADS,
      TOP_VALUES: m * 8,
      OUT_LANES: lanes,
      OUT_UNITS: outUnits,
      OUT_SLOTS: Math.floor(THREADS / lanes),
      OUT_STRIDE: split ? wholeChunks(width) : width,
    },
    split ? 'attend_split' : 'attend',
  );
}

export function mergeKernel(spec: Heads): Kernel {
  const width = spec.heads * spec.headSize;
  return kernel('merge', {
    HEADS: spec.heads,
    HEAD_SIZE: spec.headSize,
    COLUMNS: width,
    X_WORDS: wholeChunks(width) / 4,
    MAX_SPLITS,
    THREADS,
  });
}

export const mergeGroups = (spec: Heads): number => Math.ceil((spec.heads * spec.headSize) / 4 / THREADS);

/** Workgroups of attention over a part of a layer's ring, given the slots of all. */
export function attendGroupsOf(spec: Heads, part: Part, split: boolean, rows: number, layer: number) {
  const queries = attendQueries(spec, rows);
  return (tokens: number, last: number, slots: readonly number[]): [number, number, number] =>
    split
      ? [1, part.heads, attendSplits(Math.min(slots[layer], last + 1))]
      : [Math.ceil(tokens / queries), part.heads, 1];
}
