/**
 * The KV cache in bytes: what a layer's ring takes, in which buffers it stands, and what to copy as it grows. Pure.
 *
 * A buffer holds K (or V) of neighbouring kv heads for every slot of the ring:
 *
 *   f16, f32   [slots][heads][headSize]
 *   int8       codes [slots][heads][headSize], then one f32 a slot and head, [slots][heads]: value = code / 127 * that
 *
 * Usually that is all of a layer's heads; where it would pass what the device binds, it is several buffers of some
 * heads each. Why one scale a head, and what becomes of biased keys: bench/kv.md.
 */
import type { LayerSpec, ModelSpec } from '../model/spec';
import { roundUp } from './layout';
import type { CopySegment } from './ring';

export type KvType = 'f16' | 'f32' | 'int8';
export type KvCapacity = 'auto' | 'full' | number;

/** KV slots are allocated in multiples of this: a conversation that goes on by a few tokens seldom grows its cache. */
export const KV_TILE = 32;

export type KvHeads = Pick<ModelSpec, 'kvHeads' | 'headSize'>;

/** Neighbouring heads of a layer that share a buffer for K, and one for V. */
export interface KvPart {
  firstHead: number;
  heads: number;
  /** of K; V takes as many */
  bytes: number;
}

/** One layer's ring as buffers. */
export interface KvShape {
  slots: number;
  parts: readonly KvPart[];
}

export interface KvLayerPlan extends KvShape {
  layer: number;
  kind: 'global' | 'sliding';
  /** K and V together, without copies */
  bytes: number;
  /** copies of it that there is room for: none where it keeps everything */
  snapshots: number;
}

/** A stretch of a buffer, [slots][heads][headBytes] from `at`. */
interface Region {
  at: number;
  headBytes: number;
}

function regions(type: KvType, headSize: number, heads: number, slots: number): Region[] {
  if (type !== 'int8') return [{ at: 0, headBytes: headSize * (type === 'f16' ? 2 : 4) }];
  return [
    { at: 0, headBytes: headSize },
    { at: kvScalesAt(headSize, heads, slots), headBytes: 4 },
  ];
}

/** Where the scales of an int8 buffer begin, bytes: after the codes, at a whole word. */
export const kvScalesAt = (headSize: number, heads: number, slots: number): number =>
  roundUp(slots * heads * headSize, 4);

/**
 * Bytes of K (or V) of some heads. Keys that are read 16 bytes at a time need a buffer of whole 16 bytes; what is added
 * for that is less than a slot, so the number of slots still follows from the buffer's length.
 */
export function kvBytes(type: KvType, headSize: number, heads: number, slots: number): number {
  const { at, headBytes } = regions(type, headSize, heads, slots).at(-1)!;
  const bytes = at + slots * heads * headBytes;
  return type === 'int8' && headSize % 16 === 0 ? roundUp(bytes, 16) : bytes;
}

/**
 * As few parts as a buffer of `maxBytes` allows, of as even sizes as can be; where not one head fits, one head each.
 */
export function kvParts(type: KvType, { kvHeads, headSize }: KvHeads, slots: number, maxBytes: number): KvPart[] {
  let heads = kvHeads;
  while (heads > 1 && kvBytes(type, headSize, heads, slots) > maxBytes) heads--;
  heads = Math.ceil(kvHeads / Math.ceil(kvHeads / heads));
  const parts: KvPart[] = [];
  for (let firstHead = 0; firstHead < kvHeads; firstHead += heads) {
    const own = Math.min(heads, kvHeads - firstHead);
    parts.push({ firstHead, heads: own, bytes: kvBytes(type, headSize, own, slots) });
  }
  return parts;
}

/** @param maxBytes of a buffer */
export function kvLayer(
  spec: KvHeads & { layers: readonly Pick<LayerSpec, 'kind' | 'window'>[] },
  layer: number,
  contextTokens: number,
  { kvType, chunk, snapshots }: { kvType: KvType; chunk: number; snapshots: number },
  maxBytes: number,
): KvLayerPlan {
  const { kind, window } = spec.layers[layer];
  const ring = kind === 'sliding' && window !== null ? roundUp(window + chunk - 1, KV_TILE) : Number.POSITIVE_INFINITY;
  const slots = Math.min(contextTokens, ring);
  const parts = kvParts(kvType, spec, slots, maxBytes);
  return {
    layer,
    kind,
    slots,
    parts,
    bytes: 2 * parts.reduce((sum, { bytes }) => sum + bytes, 0),
    // as long as it cannot wrap, it can be taken back anywhere without a copy
    snapshots: slots < contextTokens ? snapshots : 0,
  };
}

/** The buffer of a layer's K or V of one part. */
export const kvBuffer = (layer: number, kind: 'k' | 'v', part: number): string => `kv.${layer}.${kind}.${part}`;

/** Every buffer of a layer's ring, by name. */
export const kvBuffers = ({ layer, parts }: Pick<KvLayerPlan, 'layer' | 'parts'>): { name: string; bytes: number }[] =>
  parts.flatMap(({ bytes }, i) => [
    { name: kvBuffer(layer, 'k', i), bytes },
    { name: kvBuffer(layer, 'v', i), bytes },
  ]);

/** The buffer of a copy of a ring's buffer. */
export const snapshotOf = (buffer: string, place: number): string => `${buffer}.snapshot.${place}`;

/** Every buffer of the copies of a layer's ring, by name. */
export const snapshotBuffers = (ring: Pick<KvLayerPlan, 'layer' | 'parts' | 'snapshots'>) =>
  Array.from({ length: ring.snapshots }, (_, place) =>
    kvBuffers(ring).map(({ name, bytes }) => ({ name: snapshotOf(name, place), bytes })),
  ).flat();

/** Every buffer of a layer, by name: its ring's and those of the copies. */
export const layerBuffers = (ring: KvLayerPlan) => [...kvBuffers(ring), ...snapshotBuffers(ring)];

/** Some rows alone, as a ring of so many slots in one buffer for K and one for V. */
export const kvRows = (type: KvType, spec: KvHeads, slots: number): KvShape => ({
  slots,
  parts: kvParts(type, spec, slots, Number.POSITIVE_INFINITY),
});

/** `bytes` from `from` of one buffer to `to` of another; the same for K and V. */
export interface KvCopy {
  fromPart: number;
  from: number;
  toPart: number;
  to: number;
  bytes: number;
}

/**
 * What to copy as slots of a layer's ring move into another ring. A few runs where the parts hold the same heads; where
 * growth cuts them anew, one a slot, as a slot's heads part ways.
 */
export function kvCopies(
  type: KvType,
  headSize: number,
  old: KvShape,
  next: KvShape,
  segments: readonly CopySegment[],
): KvCopy[] {
  return next.parts.flatMap((to, toPart) =>
    old.parts.flatMap((from, fromPart) => {
      const first = Math.max(from.firstHead, to.firstHead);
      const heads = Math.min(from.firstHead + from.heads, to.firstHead + to.heads) - first;
      if (heads <= 0) return [];
      const whole = heads === from.heads && heads === to.heads;
      const target = regions(type, headSize, to.heads, next.slots);
      return regions(type, headSize, from.heads, old.slots).flatMap(({ at, headBytes }, i) => {
        const run = (fromSlot: number, toSlot: number, count: number): KvCopy => ({
          fromPart,
          from: at + (fromSlot * from.heads + first - from.firstHead) * headBytes,
          toPart,
          to: target[i].at + (toSlot * to.heads + first - to.firstHead) * headBytes,
          bytes: count * heads * headBytes,
        });
        return segments.flatMap(({ from: fromSlot, to: toSlot, count }) =>
          whole
            ? [run(fromSlot, toSlot, count)]
            : Array.from({ length: count }, (_, slot) => run(fromSlot + slot, toSlot + slot, 1)),
        );
      });
    }),
  );
}
