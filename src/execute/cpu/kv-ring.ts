/**
 * One layer's ring of keys and values: [slots, kvHeads * headSize], f32 or f16 as bit patterns (rounded to nearest
 * even, as WGSL's pack2x16float does). Index arithmetic: memory/ring.ts.
 */
import { f16Table, toF16 } from '../../formats/half';
import type { KvType } from '../../memory/plan';
import { copySegments, slotOf } from '../../memory/ring';

type Store = Float32Array | Uint16Array;

export interface KvRing {
  readonly type: KvType;
  readonly slots: number;
  /** values a position */
  readonly width: number;
  readonly keys: Store;
  readonly values: Store;
}

export function createRing(type: KvType, slots: number, width: number): KvRing {
  const store = () => (type === 'f16' ? new Uint16Array(slots * width) : new Float32Array(slots * width));
  return { type, slots, width, keys: store(), values: store() };
}

export const ringBytes = ({ keys, values }: KvRing): number => keys.byteLength + values.byteLength;

/** A ring of `slots` with what `old` holds of positions up to `last`. */
export function resized(old: KvRing, slots: number, last: number): KvRing {
  const ring = createRing(old.type, slots, old.width);
  copyRing(old, ring, last);
  return ring;
}

/** Puts what one ring holds of positions up to `last`, the newest of it, into another. */
export function copyRing(from: KvRing, to: KvRing, last: number): void {
  const { width } = from;
  for (const { from: source, to: target, count } of copySegments(from.slots, last, to.slots)) {
    to.keys.set(from.keys.subarray(source * width, (source + count) * width), target * width);
    to.values.set(from.values.subarray(source * width, (source + count) * width), target * width);
  }
}

/** The bytes of a ring, keys first; they share its memory. */
export const bytesOf = ({ keys, values }: KvRing): Uint8Array[] =>
  [keys, values].map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength));

/** Writes the keys and values of one position from qkv, where they stand side by side from `at`. */
export function append(ring: KvRing, position: number, qkv: Float32Array, at: number): void {
  const { width } = ring;
  const to = slotOf(position, ring.slots) * width;
  if (ring.type === 'f32') {
    ring.keys.set(qkv.subarray(at, at + width), to);
    ring.values.set(qkv.subarray(at + width, at + 2 * width), to);
    return;
  }
  for (let i = 0; i < width; i++) {
    ring.keys[to + i] = toF16(qkv[at + i]);
    ring.values[to + i] = toF16(qkv[at + width + i]);
  }
}

/** out = `count` values of a store from `at`, as numbers. */
export function load(ring: KvRing, store: Store, at: number, count: number, out: Float64Array): void {
  if (ring.type === 'f32') for (let i = 0; i < count; i++) out[i] = store[at + i];
  else {
    const values = f16Table();
    for (let i = 0; i < count; i++) out[i] = values[store[at + i]];
  }
}
