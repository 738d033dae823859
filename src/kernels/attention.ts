/** The ring's kernels: append, attend (split for decode, whole for prefill) and merge (shaders/append, attend, merge). */
import type { Constants } from '../gpu/preprocess';
import { CHUNK_COLUMNS } from '../memory/layout';
import { type KvType, MAX_SPLITS } from '../memory/plan';
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
}

type Heads = Pick<ModelSpec, 'heads' | 'kvHeads' | 'headSize'>;

function headConstants(spec: Heads, shape: HeadShape): Constants {
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
    KV_F32: shape.kv === 'f32',
    KV_WORDS: shape.kv === 'f32' ? 2 : 1,
    THREADS,
  };
}

export const appendKernel = (spec: Heads, shape: HeadShape): Kernel => kernel('append', headConstants(spec, shape));

export const appendGroups = (spec: Heads, tokens: number): number =>
  Math.ceil((tokens * spec.kvHeads * spec.headSize) / 2 / THREADS);

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

export function attendKernel(spec: Heads, shape: AttendShape, split: boolean, rows: number): Kernel {
  const group = spec.heads / spec.kvHeads;
  const queries = split ? 1 : attendQueries(spec, rows);
  const m = queries * group;
  const pairs = spec.headSize / 2;
  // Every lane takes the same number of pairs, so heads of 160 have 40 lanes of two.
  let outPairs = Math.ceil(pairs / THREADS);
  while (pairs % outPairs) outPairs++;
  const lanes = pairs / outPairs;
  const width = spec.heads * spec.headSize;
  return kernel(
    'attend',
    {
      ...headConstants(spec, shape),
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
      KV_VECTORS: spec.headSize % 8 === 0,
      QUERY_VALUES: m * spec.headSize,
      SCORE_VALUES: m * THREADS,
      TOP_VALUES: m * 8,
      OUT_LANES: lanes,
      OUT_PAIRS: outPairs,
      OUT_SLOTS: Math.floor(THREADS / lanes),
      OUT_STRIDE: split ? Math.ceil(width / CHUNK_COLUMNS) * CHUNK_COLUMNS : width,
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
    X_WORDS: (Math.ceil(width / CHUNK_COLUMNS) * CHUNK_COLUMNS) / 4,
    MAX_SPLITS,
    THREADS,
  });
}

export const mergeGroups = (spec: Heads): number => Math.ceil((spec.heads * spec.headSize) / 4 / THREADS);

/** Workgroups of attention over a layer's ring, given the slots of all. */
export function attendGroupsOf(spec: Heads, split: boolean, rows: number, layer: number) {
  const queries = attendQueries(spec, rows);
  return (tokens: number, last: number, slots: readonly number[]): [number, number, number] =>
    split
      ? [1, spec.kvHeads, attendSplits(Math.min(slots[layer], last + 1))]
      : [Math.ceil(tokens / queries), spec.kvHeads, 1];
}
