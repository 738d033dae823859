/**
 * attend.ts in WebAssembly: keys and values are copied to the instance's working arrays, some positions at a time, and
 * threads share the heads.
 */
import { ATTEND_POSITIONS } from '../../memory/cpu-banks';
import { roundUp } from '../../memory/layout';
import { slotOf } from '../../memory/ring';
import { type AttendShape, attend } from './attend';
import type { Bank, SimdInstance } from './bank';
import { turnHead, turnsOf } from './kernels';
import { type KeyBias, type KvRing, type KvStore, TURN_COST, UNPACK_COST } from './kv-ring';
import type { Part } from './team';
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
  const { heads, kvHeads, headSize, window } = shape;
  putQueries(simd, shape, qkv, tokens);
  // no conversation has more positions
  const reach = window ?? 0x7fffffff;
  const last = start + tokens;
  const first = Math.max(0, start - reach + 1);
  const cost = kvHeads * headSize * (2 * tokens * (heads / kvHeads) + 2 * UNPACK_COST + (bias ? TURN_COST : 0));
  const most = Math.max(1, Math.min(ATTEND_POSITIONS, Math.floor(TIME_SLICE / cost)));
  const { at, threads, team } = simd;
  let parts = team.parts(heads, 1, cost * Math.min(most, last - first));
  clear(simd, parts, shape, tokens);
  let done = 0;
  for (let p = first; p < last; ) {
    const slot = slotOf(p, ring.slots);
    const count = Math.min(most, last - p, ring.slots - slot);
    putRows(simd, ring, ring.keys, slot, count, at.keys, at.keyScales);
    putRows(simd, ring, ring.values, slot, count, at.values, at.valueScales);
    if (bias) putBias(simd, bias, shape, p, count);
    const argumentsOf = ({ thread, from, end }: Part) => {
      const own = threads[thread];
      return [
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
        from,
        end,
        own.sum,
        own.state,
        own.head,
        own.weights,
      ];
    };
    const whole = team.run(simd, 'attend', parts, count * cost, argumentsOf, true);
    p += count;
    done += count * cost;
    if (!whole) {
      // what a helper had summed up is lost
      parts = [{ thread: 0, from: 0, end: heads }];
      clear(simd, parts, shape, tokens);
      p = first;
    }
    if (done >= TIME_SLICE) {
      yield done;
      done = 0;
    }
  }
  for (const part of parts) takeSums(simd, part, shape, tokens, out);
}

/** No scores and no sums yet, for the heads of each part. */
function clear({ floats, threads }: SimdInstance, parts: readonly Part[], shape: AttendShape, tokens: number): void {
  const queries = tokens * shape.heads;
  for (const { thread } of parts) {
    const [sum, state] = [threads[thread].sum / 4, threads[thread].state / 4];
    floats.fill(0, sum, sum + queries * roundUp(shape.headSize, 4));
    floats.fill(Number.NEGATIVE_INFINITY, state, state + queries);
    floats.fill(0, state + queries, state + 2 * queries);
  }
}

/** out[t, h] = the sum of head h's values over that of their weights. */
function takeSums(
  { floats, threads }: SimdInstance,
  { thread, from, end }: Part,
  { heads, headSize }: AttendShape,
  tokens: number,
  out: Float32Array,
): void {
  const stride = roundUp(headSize, 4);
  const totals = threads[thread].state / 4 + tokens * heads;
  for (let t = 0; t < tokens; t++) {
    for (let q = t * heads + from; q < t * heads + end; q++) {
      const sum = threads[thread].sum / 4 + q * stride;
      const total = floats[totals + q];
      for (let i = 0; i < headSize; i++) out[q * headSize + i] = floats[sum + i] / total;
    }
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
