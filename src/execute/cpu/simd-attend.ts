/** attend.ts in WebAssembly: keys and values are copied to the instance's working arrays, some positions at a time. */
import { ATTEND_POSITIONS } from '../../memory/cpu-banks';
import { roundUp } from '../../memory/layout';
import { slotOf } from '../../memory/ring';
import { type AttendShape, attend } from './attend';
import type { Bank, SimdInstance } from './bank';
import { turnHead, turnsOf } from './kernels';
import { type KeyBias, type KvRing, type KvStore, TURN_COST, UNPACK_COST } from './kv-ring';
import { TIME_SLICE } from './time-slice';

/** What the module calls them. */
const TYPES = { f32: 0, f16: 1, int8: 3 } as const;

/** As attend(), with the bank's working arrays. */
export function* simdAttend(
  bank: Bank,
  shape: AttendShape,
  ring: KvRing,
  qkv: Float32Array,
  start: number,
  tokens: number,
  out: Float32Array,
  scratch: Float64Array,
  bias: KeyBias | null = null,
): Generator<number, void> {
  const { simd } = bank;
  if (!simd) {
    yield* attend(shape, ring, qkv, start, tokens, out, scratch, bias);
    return;
  }
  const { exports, floats, at } = simd;
  const { heads, kvHeads, headSize, window } = shape;
  const queries = tokens * heads;
  const stride = roundUp(headSize, 4);
  putQueries(simd, shape, qkv, tokens);
  floats.fill(0, at.sum / 4, at.sum / 4 + queries * stride);
  floats.fill(Number.NEGATIVE_INFINITY, at.state / 4, at.state / 4 + queries);
  floats.fill(0, at.state / 4 + queries, at.state / 4 + 2 * queries);
  // no conversation has more positions
  const reach = window ?? 0x7fffffff;
  const last = start + tokens;
  const cost = kvHeads * headSize * (2 * tokens * (heads / kvHeads) + 2 * UNPACK_COST + (bias ? TURN_COST : 0));
  const most = Math.max(1, Math.min(ATTEND_POSITIONS, Math.floor(TIME_SLICE / cost)));
  let done = 0;
  for (let p = Math.max(0, start - reach + 1); p < last; ) {
    const slot = slotOf(p, ring.slots);
    const count = Math.min(most, last - p, ring.slots - slot);
    putRows(simd, ring, ring.keys, slot, count, at.keys, at.keyScales);
    putRows(simd, ring, ring.values, slot, count, at.values, at.valueScales);
    if (bias) putBias(simd, bias, shape, p, count);
    exports.attend(
      TYPES[ring.type],
      at.keys,
      at.keyScales,
      at.values,
      at.valueScales,
      bias ? at.bias : 0,
      p,
      count,
      start,
      tokens,
      reach,
      kvHeads,
      heads / kvHeads,
      headSize,
      shape.scale,
      shape.softcap ?? 0,
      at.query,
      at.sum,
      at.state,
      at.head,
      at.weights,
    );
    p += count;
    done += count * cost;
    if (done >= TIME_SLICE) {
      yield done;
      done = 0;
    }
  }
  for (let q = 0; q < queries; q++) {
    const from = at.sum / 4 + q * stride;
    const total = floats[at.state / 4 + queries + q];
    for (let i = 0; i < headSize; i++) out[q * headSize + i] = floats[from + i] / total;
  }
}

/** Queries as rows of whole 16 bytes, 0 beyond the head. */
function putQueries({ floats, at }: SimdInstance, shape: AttendShape, qkv: Float32Array, tokens: number): void {
  const { heads, kvHeads, headSize } = shape;
  const width = (heads + 2 * kvHeads) * headSize;
  const stride = roundUp(headSize, 4);
  const first = at.query / 4;
  for (let t = 0; t < tokens; t++) {
    if (stride === headSize) {
      floats.set(qkv.subarray(t * width, t * width + heads * headSize), first + t * heads * headSize);
      continue;
    }
    for (let h = 0; h < heads; h++) {
      const from = t * width + h * headSize;
      const to = first + (t * heads + h) * stride;
      floats.set(qkv.subarray(from, from + headSize), to);
      floats.fill(0, to + headSize, to + stride);
    }
  }
}

/** Keys, or values, of all heads of `count` slots, and their scales. */
function putRows(
  { floats, bytes }: SimdInstance,
  { kvHeads, headSize, type }: KvRing,
  { values, scales }: KvStore,
  slot: number,
  count: number,
  at: number,
  scalesAt: number,
): void {
  const slotBytes = kvHeads * headSize * values.BYTES_PER_ELEMENT;
  bytes.set(new Uint8Array(values.buffer, values.byteOffset + slot * slotBytes, count * slotBytes), at);
  if (type === 'int8') floats.set(scales.subarray(slot * kvHeads, (slot + count) * kvHeads), scalesAt / 4);
}

/** What keys at `count` positions were stored without, [count, kvHeads, headSize]. */
function putBias(
  { floats, at }: SimdInstance,
  bias: KeyBias,
  shape: AttendShape,
  position: number,
  count: number,
): void {
  const { kvHeads, headSize } = shape;
  let to = at.bias / 4;
  for (let p = position; p < position + count; p++) {
    floats.set(bias.values, to);
    const turns = bias.rope && turnsOf(p, bias.rope, bias.frequencies);
    for (let h = 0; h < kvHeads; h++, to += headSize) if (turns) turnHead(floats, to, turns);
  }
}
