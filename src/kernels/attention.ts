/**
 * Attention over a conversation's ring: its shapes, which kernel computes it with one, and how decode splits a context
 * among workgroups. Prefill's kernels leave finished rows; decode's leave parts, of which merge.ts or the linear step
 * that follows makes rows.
 */
import type { DeviceProfile } from '../gpu/device-profile';
import type { Constants } from '../gpu/preprocess';
import { maxSplits, partialsCount } from '../memory/gpu-scratch';
import { wholeChunks } from '../memory/layout';
import { type AttendShape, attendKernel, attendQueries } from './attend';
import { attendLanesKernel, type LanesShape } from './attend-lanes';
import { attendTiledKernel, type TiledAttention, tiledLayout } from './attend-tiled';
import { HEAD_THREADS, type HeadPart, type Heads } from './heads';

/** What of a device's profile the kernels depend on: what it has not, they do without. */
type Device = Pick<DeviceProfile, 'subgroups' | 'workgroup'>;

/** How decode splits the slots of a ring into parts, each a workgroup for each KV head. */
export interface SplitShape {
  /** the most parts; few KV heads allow as many as maxSplits() (memory/gpu-scratch.ts) says */
  splits: number;
  /** a part has this many slots or a multiple of it; of 'slots' itself a multiple of 64 */
  splitSlots: number;
  /** up to this many slots there is one part */
  whole: number;
  /**
   * who makes rows of several parts: every workgroup of the linear step that follows (inside), or a dispatch of its own
   * (apart), which there is only where there are several
   */
  merge: 'inside' | 'apart';
}

/**
 * 'slots': a thread takes a slot, then some dimensions of all slots' values (attend.ts): software adapters.
 * 'lanes': several threads share a slot (attend-lanes.ts): real GPUs.
 */
export type DecodeAttention = SplitShape & ({ kind: 'slots' } | ({ kind: 'lanes' } & LanesShape));

/**
 * 'registers': a workgroup keeps at most `rows` query rows (tokens x query heads of a KV head) in registers
 * (attend.ts). 'tiled': keys and values go through workgroup memory (attend-tiled.ts); where a token's query heads have
 * no room there, registers for four rows.
 */
export type PrefillAttention = { kind: 'registers'; rows: number } | ({ kind: 'tiled' } & TiledAttention);

/** A shape's name in info() and in tables: threads, lanes a slot, reads and values a thread, then how it splits. */
export const decodeName = (shape: DecodeAttention): string => {
  const split = `${shape.splits} parts of ${shape.splitSlots} beyond ${shape.whole}, merged ${shape.merge}`;
  if (shape.kind === 'slots') return `slots, ${split}`;
  const { threads, lanes, reads, values, subgroups } = shape;
  return `lanes ${threads}x${lanes}x${reads}x${values}${subgroups ? ' subgroups' : ''}, ${split}`;
};

/** The same of prefill. */
export const prefillName = (shape: PrefillAttention): string =>
  shape.kind === 'registers'
    ? `registers of ${shape.rows} rows`
    : `tiled ${shape.threads}x${shape.rows}x${shape.slots}`;

/** Shapes of attention by use. */
export interface AttentionShapes {
  decode: DecodeAttention;
  prefill: PrefillAttention;
}

/** The most parts that decode has with these heads. */
export const mostSplits = (spec: Heads, { splits }: SplitShape): number => Math.min(splits, maxSplits(spec));

/** Parts that decode splits `filled` slots into; shaders/lib/split.wgsl computes the same. */
export function splitsOf(spec: Heads, shape: SplitShape, filled: number): number {
  if (filled <= shape.whole) return 1;
  const tiles = Math.ceil(filled / shape.splitSlots);
  const size = Math.ceil(tiles / Math.min(tiles, mostSplits(spec, shape))) * shape.splitSlots;
  return Math.ceil(filled / size);
}

/** Constants of shaders/lib/split.wgsl. */
function splitConstants(spec: Heads, shape: SplitShape): Constants {
  const splits = mostSplits(spec, shape);
  return {
    MAX_SPLITS: splits,
    SPLIT_SLOTS: shape.splitSlots,
    WHOLE: shape.whole,
    OUT_STRIDE: wholeChunks(spec.heads * spec.headSize),
    COUNT_AT: partialsCount(spec, splits),
  };
}

export function decodeAttendKernel(
  spec: Heads,
  shape: AttendShape,
  part: HeadPart,
  attention: DecodeAttention,
  profile: Device,
) {
  const split = splitConstants(spec, attention);
  return attention.kind === 'lanes'
    ? attendLanesKernel(spec, shape, part, attention, split, profile)
    : attendKernel(spec, shape, part, split, 1);
}

/** How a workgroup of prefill is laid out: the tiles', or the tokens of one that keeps rows in registers. */
function prefillLayout(spec: Heads, shape: AttendShape, attention: PrefillAttention, profile: Device) {
  const tiles = attention.kind === 'tiled' ? tiledLayout(spec, shape, attention, profile) : null;
  const rows = attention.kind === 'tiled' ? 4 : attention.rows;
  return { tiles, queries: tiles?.queries ?? attendQueries(spec, rows) };
}

export function prefillAttendKernel(
  spec: Heads,
  shape: AttendShape,
  part: HeadPart,
  attention: PrefillAttention,
  profile: Device,
) {
  const { tiles, queries } = prefillLayout(spec, shape, attention, profile);
  return tiles ? attendTiledKernel(spec, shape, part, tiles) : attendKernel(spec, shape, part, null, queries);
}

/** Workgroups of decode attention over a part of a layer's ring, given the slots of all. */
export const decodeAttendGroups =
  (spec: Heads, part: HeadPart, shape: SplitShape, layer: number) =>
  (_: number, last: number, slots: readonly number[]): [number, number, number] => [
    1,
    part.heads,
    splitsOf(spec, shape, Math.min(slots[layer], last + 1)),
  ];

/** Workgroups of prefill attention over a part of a layer's ring. */
export function prefillAttendGroups(
  spec: Heads,
  shape: AttendShape,
  part: HeadPart,
  attention: PrefillAttention,
  profile: Device,
) {
  const { queries } = prefillLayout(spec, shape, attention, profile);
  return (tokens: number): [number, number] => [Math.ceil(tokens / queries), part.heads];
}

/** Workgroups of the merge (merge.ts) to another buffer. */
export const mergeRowGroups = (spec: Heads): [number] => [Math.ceil((spec.heads * spec.headSize) / 4 / HEAD_THREADS)];

/** Workgroups of the merge in place: none where there is one part. */
export const mergeGroups =
  (spec: Heads, shape: SplitShape, layer: number) =>
  (_: number, last: number, slots: readonly number[]): [number] =>
    splitsOf(spec, shape, Math.min(slots[layer], last + 1)) > 1 ? mergeRowGroups(spec) : [0];
