/**
 * One layer's ring of keys and values, in the bytes of memory/kv.ts: f32, f16 (rounded to nearest even, as WGSL's
 * pack2x16float does) or int8 (as pack4x8snorm does). Index arithmetic: memory/ring.ts.
 */
import { f16Table, toF16 } from '../../formats/half';
import { type KvHeads, type KvType, kvBytes, kvCopies, kvRows, kvScalesAt } from '../../memory/kv';
import { type CopySegment, copySegments, moveSegments, slotOf } from '../../memory/ring';
import type { Span } from '../../memory/shift';
import type { Rope } from '../../model/spec';
import { rotateHead } from './kernels';
import { TIME_SLICE } from './time-slice';

/** What one number of a key takes to unpack or pack, and to turn, in multiplications (see time-slice.ts). */
export const UNPACK_COST = 2;
export const TURN_COST = 40;

/** K or V, two views of the same bytes. */
export interface KvStore {
  /** [slots, kvHeads, headSize] */
  readonly values: Float32Array | Uint16Array | Int8Array;
  /** of int8, [slots, kvHeads] */
  readonly scales: Float32Array;
}

export interface KvRing extends KvHeads {
  readonly type: KvType;
  readonly slots: number;
  readonly keys: KvStore;
  readonly values: KvStore;
}

/** The bias that a layer's keys had before they were turned; int8 keys are kept without it (bench/kv.md). */
export interface KeyBias {
  /** [kvHeads, headSize] */
  values: Float32Array;
  rope: Rope | null;
  frequencies: readonly number[];
}

export function createRing(type: KvType, slots: number, { kvHeads, headSize }: KvHeads): KvRing {
  const store = () => kvStore(type, slots, { kvHeads, headSize }, kvBytes(type, headSize, kvHeads, slots));
  return { type, slots, kvHeads, headSize, keys: store(), values: store() };
}

/** @param bytes the buffer's content, or how long it is */
export function kvStore(type: KvType, slots: number, { kvHeads, headSize }: KvHeads, bytes: number | ArrayBuffer) {
  const buffer = typeof bytes === 'number' ? new ArrayBuffer(bytes) : bytes;
  const count = slots * kvHeads * headSize;
  if (type === 'f32') return { values: new Float32Array(buffer, 0, count), scales: new Float32Array() };
  if (type === 'f16') return { values: new Uint16Array(buffer, 0, count), scales: new Float32Array() };
  const scales = new Float32Array(buffer, kvScalesAt(headSize, kvHeads, slots), slots * kvHeads);
  return { values: new Int8Array(buffer, 0, count), scales };
}

export const ringBytes = ({ keys, values }: KvRing): number =>
  keys.values.buffer.byteLength + values.values.buffer.byteLength;

/** A ring of `slots` with what `old` holds of positions up to `last`. */
export function resized(old: KvRing, slots: number, last: number): KvRing {
  const ring = createRing(old.type, slots, old);
  copyRing(old, ring, last);
  return ring;
}

/** Puts what one ring holds of positions up to `last`, the newest of it, into another. */
export function copyRing(from: KvRing, to: KvRing, last: number): void {
  const segments = copySegments(from.slots, last, to.slots);
  for (const kind of ['keys', 'values'] as const) copySlots(from, to, kind, segments);
}

/** The bytes of a ring, keys first; they share its memory. */
export const bytesOf = ({ keys, values }: KvRing): Uint8Array[] =>
  [keys, values].map((store) => new Uint8Array(store.values.buffer));

function copySlots(old: KvRing, ring: KvRing, kind: 'keys' | 'values', segments: readonly CopySegment[]): void {
  const shape = ({ slots }: KvRing) => kvRows(old.type, old, slots);
  for (const { from, to, bytes } of kvCopies(old.type, old.headSize, shape(old), shape(ring), segments))
    new Uint8Array(ring[kind].values.buffer, to, bytes).set(new Uint8Array(old[kind].values.buffer, from, bytes));
}

/**
 * Puts what survives a shift by `drop` positions into another ring of the same size.
 * @param turn turns a head's key back by so many; null: it has no position
 * @yields after each piece of the work, see time-slice.ts
 */
export function* shiftInto(
  ring: KvRing,
  old: KvRing,
  { stay, move }: { stay: Span; move: Span },
  drop: number,
  turn: ((key: Float64Array) => void) | null,
): Generator<number, void> {
  const { slots, kvHeads } = old;
  const staying = moveSegments(stay.from, stay.to, 0, slots, slots);
  const moving = moveSegments(move.from, move.to, drop, slots, slots);
  copySlots(old, ring, 'values', [...staying, ...moving]);
  copySlots(old, ring, 'keys', turn ? staying : [...staying, ...moving]);
  if (!turn) return;
  const key = new Float64Array(old.headSize);
  const cost = old.headSize * (2 * UNPACK_COST + TURN_COST);
  let done = 0;
  for (const { from, to, count } of moving) {
    for (let i = 0; i < count * kvHeads; i++) {
      load(old.type, old.keys, from * kvHeads + i, key);
      turn(key);
      store(ring.type, ring.keys, to * kvHeads + i, key);
      done += cost;
      if (done >= TIME_SLICE) {
        yield done;
        done = 0;
      }
    }
  }
}

/**
 * Writes the keys and values of one position from qkv, where they stand side by side from `at`.
 * @param bias of the keys, for int8
 * @param scratch at least 2 * headSize
 */
export function append(
  ring: KvRing,
  position: number,
  qkv: Float32Array,
  at: number,
  bias: KeyBias | null,
  scratch: Float64Array,
): void {
  const { kvHeads, headSize } = ring;
  const row = scratch.subarray(0, headSize);
  const turned = scratch.subarray(headSize, 2 * headSize);
  const slot = slotOf(position, ring.slots);
  for (let head = 0; head < 2 * kvHeads; head++) {
    const isKey = head < kvHeads;
    row.set(qkv.subarray(at + head * headSize, at + (head + 1) * headSize));
    if (isKey && bias) {
      turnedBias(bias, head, position, turned);
      for (let i = 0; i < headSize; i++) row[i] -= turned[i];
    }
    store(ring.type, isKey ? ring.keys : ring.values, slot * kvHeads + (head % kvHeads), row);
  }
}

/** @param index slot * kvHeads + head */
function store(type: KvType, { values, scales }: KvStore, index: number, row: Float64Array): void {
  const at = index * row.length;
  if (type === 'f32') values.set(row, at);
  else if (type === 'f16') for (let i = 0; i < row.length; i++) values[at + i] = toF16(row[i]);
  else {
    let most = 0;
    for (let i = 0; i < row.length; i++) most = Math.max(most, Math.abs(row[i]));
    scales[index] = most;
    for (let i = 0; i < row.length; i++) values[at + i] = most > 0 ? Math.floor(0.5 + (127 * row[i]) / most) : 0;
  }
}

/** out = the values of head `index`, slot * kvHeads + head, as numbers. */
export function load(type: KvType, { values, scales }: KvStore, index: number, out: Float64Array): void {
  const at = index * out.length;
  if (type === 'f16') {
    const table = f16Table();
    for (let i = 0; i < out.length; i++) out[i] = table[values[at + i]];
  } else {
    const scale = type === 'int8' ? scales[index] / 127 : 1;
    for (let i = 0; i < out.length; i++) out[i] = values[at + i] * scale;
  }
}

/** out = the bias of kv head `head` in a key at `position`, [headSize] */
export function turnedBias({ values, rope, frequencies }: KeyBias, head: number, position: number, out: Float64Array) {
  out.set(values.subarray(head * out.length, (head + 1) * out.length));
  if (rope) rotateHead(out, 0, position, rope, frequencies);
}
