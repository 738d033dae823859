/**
 * Attention over a conversation's ring, a thread a slot: split for decode (merge.ts puts the parts together), whole for
 * prefill. attention.ts says where it is used. Reference: execute/cpu/attend.ts, test: attention.gpu.test.ts.
 */
import source from '../../shaders/attend.wgsl?raw';
import type { Constants } from '../gpu/preprocess';
import { HEAD_BINDINGS, HEAD_THREADS, type HeadPart, type HeadShape, type Heads, headConstants, UNITS } from './heads';
import { type Description, kernel } from './kernel';
import { wgslFloat } from './matrix';

export const ATTEND = { label: 'attend', source, bindings: { ...HEAD_BINDINGS, out: 6 } } satisfies Description;

/** f32 values of query rows in workgroup memory at most: half of the default 16 KiB. */
const QUERY_VALUES = 2048;

/** What becomes of a product of a query and a key, and who sees it. */
export interface AttendShape extends HeadShape {
  scale: number;
  softcap: number | null;
  window: number | null;
}

/** The constants of AttendShape's own fields. */
export const scoreConstants = ({ scale, softcap, window }: AttendShape): Constants => ({
  SCALE: wgslFloat(scale),
  SOFTCAP: Boolean(softcap),
  CAP: wgslFloat(softcap ?? 1),
  WINDOWED: window !== null,
  WINDOW: window ?? 0,
});

/** Tokens a prefill workgroup takes: as many as its query rows (at most `rows`) fit workgroup memory and registers. */
export function attendQueries(spec: Heads, rows: number): number {
  const group = spec.heads / spec.kvHeads;
  return Math.max(1, Math.min(Math.floor(rows / group), Math.floor(QUERY_VALUES / (group * spec.headSize))));
}

/**
 * @param split constants of shaders/lib/split.wgsl, for decode; null: whole, for prefill
 * @param queries tokens a workgroup takes
 */
export function attendKernel(
  spec: Heads,
  shape: AttendShape,
  part: HeadPart,
  split: Constants | null,
  queries: number,
) {
  const group = spec.heads / spec.kvHeads;
  const m = queries * group;
  const { unit, quadWords } = UNITS[shape.kv];
  // Keys are read 16 bytes at a time where heads divide by that; where the newest is written too, not those of int8,
  // whose scales are single words.
  const vectors = shape.kv === 'int8' ? !split && spec.headSize % 16 === 0 : spec.headSize % 8 === 0;
  const loadQuads = vectors ? 4 / quadWords : 1;
  const units = spec.headSize / unit;
  // Every lane takes the same number of units, so f16 heads of 160 have 40 lanes of two.
  let outUnits = Math.ceil(units / HEAD_THREADS);
  while (units % outUnits) outUnits++;
  const lanes = units / outUnits;
  return kernel(
    ATTEND,
    {
      ...headConstants(spec, shape, part, split ? 'both' : 'queries'),
      ...scoreConstants(shape),
      SPLIT: split !== null,
      M: m,
      GROUP: group,
      QUERIES: queries,
      KEY_VECTORS: vectors,
      VALUE_VECTORS: false,
      QUAD_WORDS: quadWords,
      LOAD_QUADS: loadQuads,
      LOAD: 4 * loadQuads,
      UNIT: unit,
      QUERY_VALUES: m * spec.headSize,
      SCORE_VALUES: m * HEAD_THREADS,
      TOP_VALUES: m * 8,
      OUT_LANES: lanes,
      OUT_UNITS: outUnits,
      OUT_SLOTS: Math.floor(HEAD_THREADS / lanes),
      OUT_STRIDE: spec.heads * spec.headSize,
      ...split,
    },
    split ? 'attend_split' : 'attend',
  );
}
