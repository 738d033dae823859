/**
 * One layer's ring of keys and values: [slots, kvHeads * headSize], f32 or f16 as bit patterns (rounded to nearest
 * even, as WGSL's pack2x16float does). Index arithmetic: memory/ring.ts.
 */
import { f16Table, toF16 } from '../../formats/half';
import type { KvType } from '../../memory/plan';
import { type CopySegment, copySegments, moveSegments, slotOf } from '../../memory/ring';
import type { Span } from '../../memory/rings';

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
  const { width } = old;
  for (const segment of copySegments(old.slots, last, slots)) {
    copy(old.keys, ring.keys, segment, width);
    copy(old.values, ring.values, segment, width);
  }
  return ring;
}

function copy(old: Store, fresh: Store, { from, to, count }: CopySegment, width: number): void {
  fresh.set(old.subarray(from * width, (from + count) * width), to * width);
}

/**
 * Puts what survives a shift by `drop` positions into another ring of the same size.
 * @param turn turns the keys of one position, [width], back by so many; null: they have no positions
 */
export function shiftInto(
  ring: KvRing,
  old: KvRing,
  { stay, move }: { stay: Span; move: Span },
  drop: number,
  turn: ((keys: Float64Array) => void) | null,
): void {
  const { width, slots } = old;
  const staying = moveSegments(stay.from, stay.to, 0, slots, slots);
  const moving = moveSegments(move.from, move.to, drop, slots, slots);
  for (const segment of [...staying, ...moving]) copy(old.values, ring.values, segment, width);
  for (const segment of turn ? staying : [...staying, ...moving]) copy(old.keys, ring.keys, segment, width);
  if (!turn) return;
  const keys = new Float64Array(width);
  for (const { from, to, count } of moving) {
    for (let i = 0; i < count; i++) {
      load(old, old.keys, (from + i) * width, width, keys);
      turn(keys);
      save(ring, ring.keys, (to + i) * width, keys);
    }
  }
}

/** Writes the keys and values of one position from qkv, where they stand side by side from `at`. */
export function append(ring: KvRing, position: number, qkv: Float32Array, at: number): void {
  const { width } = ring;
  const to = slotOf(position, ring.slots) * width;
  save(ring, ring.keys, to, qkv.subarray(at, at + width));
  save(ring, ring.values, to, qkv.subarray(at + width, at + 2 * width));
}

/** Puts numbers into a store, from `at`. */
function save(ring: KvRing, store: Store, at: number, values: Float32Array | Float64Array): void {
  if (ring.type === 'f32') store.set(values, at);
  else for (let i = 0; i < values.length; i++) store[at + i] = toF16(values[i]);
}

/** out = `count` values of a store from `at`, as numbers. */
export function load(ring: KvRing, store: Store, at: number, count: number, out: Float64Array): void {
  if (ring.type === 'f32') for (let i = 0; i < count; i++) out[i] = store[at + i];
  else {
    const values = f16Table();
    for (let i = 0; i < count; i++) out[i] = values[store[at + i]];
  }
}
