/**
 * Attention over a conversation's ring: split for decode (merge.ts puts the parts together), whole for prefill.
 * Reference: execute/cpu/attend.ts, test: attention.gpu.test.ts.
 */
import source from '../../shaders/attend.wgsl?raw';
import { MAX_SPLITS } from '../memory/gpu-scratch';
import { wholeChunks } from '../memory/layout';
import { HEAD_BINDINGS, HEAD_THREADS, type HeadPart, type HeadShape, type Heads, headConstants, UNITS } from './heads';
import { type Description, kernel } from './kernel';
import { wgslFloat } from './matrix';

export const ATTEND = { label: 'attend', source, bindings: { ...HEAD_BINDINGS, out: 6 } } satisfies Description;

/** f32 values of query rows in workgroup memory at most: half of the default 16 KiB. */
const QUERY_VALUES = 2048;

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
export const attendSplits = (filled: number): number => Math.min(MAX_SPLITS, Math.ceil(filled / HEAD_THREADS));

export function attendKernel(spec: Heads, shape: AttendShape, part: HeadPart, split: boolean, rows: number) {
  const group = spec.heads / spec.kvHeads;
  const queries = split ? 1 : attendQueries(spec, rows);
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
  const width = spec.heads * spec.headSize;
  return kernel(
    ATTEND,
    {
      ...headConstants(spec, shape, part, split ? 'both' : 'queries'),
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
      OUT_STRIDE: split ? wholeChunks(width) : width,
    },
    split ? 'attend_split' : 'attend',
  );
}

/** Workgroups of attention over a part of a layer's ring, given the slots of all. */
export function attendGroupsOf(spec: Heads, part: HeadPart, split: boolean, rows: number, layer: number) {
  const queries = attendQueries(spec, rows);
  return (tokens: number, last: number, slots: readonly number[]): [number, number, number] =>
    split
      ? [1, part.heads, attendSplits(Math.min(slots[layer], last + 1))]
      : [Math.ceil(tokens / queries), part.heads, 1];
}
