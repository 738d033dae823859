/**
 * Attention over a ring: out[t, h] = softmax(cap(scale q·k) + mask) v, query head h reading kv head h /
 * (heads/kvHeads). A query at q sees positions max(0, q - window + 1) .. q. One pass over the keys with a running
 * maximum (Milakov & Gimelshein 2018): nothing as long as the context is stored, and a key is unpacked once for all
 * queries of its head. Over a long ring that takes seconds, so it is cut into pieces by positions.
 */
import { slotOf } from '../../memory/ring';
import { type KeyBias, type KvRing, load, TURN_COST, turnedBias, UNPACK_COST } from './kv-ring';
import { TIME_SLICE } from './time-slice';

export interface AttendShape {
  heads: number;
  kvHeads: number;
  headSize: number;
  scale: number;
  softcap: number | null;
  window: number | null;
}

/** What a step reads, and where its sums are: `state` of the queries of one kv head. */
interface Attending {
  shape: AttendShape;
  ring: KvRing;
  qkv: Float32Array;
  start: number;
  tokens: number;
  bias: KeyBias | null;
  key: Float64Array;
  value: Float64Array;
  turned: Float64Array;
  state: Float64Array;
}

/**
 * `scratch` is its own until the end.
 * @param qkv [tokens, (heads + 2 kvHeads) * headSize], already rotated and appended to the ring
 * @param start position of the first token
 * @param scratch at least tokens * heads/kvHeads * (headSize + 2) + 3 * headSize
 * @param bias what the keys were stored without
 * @yields multiplications, or what takes as long, since it last did: 2 * TIME_SLICE at most
 */
export function* attend(
  shape: AttendShape,
  ring: KvRing,
  qkv: Float32Array,
  start: number,
  tokens: number,
  out: Float32Array,
  scratch: Float64Array,
  bias: KeyBias | null = null,
): Generator<number, void> {
  const { heads, kvHeads, headSize, window } = shape;
  const group = heads / kvHeads;
  const key = scratch.subarray(0, headSize);
  const value = scratch.subarray(headSize, 2 * headSize);
  const turned = scratch.subarray(2 * headSize, 3 * headSize);
  const state = scratch.subarray(3 * headSize, 3 * headSize + tokens * group * (headSize + 2));
  const attending = { shape, ring, qkv, start, tokens, bias, key, value, turned, state };
  const reach = window ?? Number.POSITIVE_INFINITY;
  const first = Math.max(0, start - reach + 1);
  const last = start + tokens;
  const cost = headSize * (2 * tokens * group + 2 * UNPACK_COST + (bias ? TURN_COST : 0));
  const step = Math.max(1, Math.floor(TIME_SLICE / cost));
  let done = 0;
  for (let kv = 0; kv < kvHeads; kv++) {
    state.fill(0);
    for (let q = 0; q < tokens * group; q++) state[q * (headSize + 2) + headSize] = Number.NEGATIVE_INFINITY;
    for (let p = first; p < last; p += step) {
      const end = Math.min(p + step, last);
      visitKeys(attending, kv, p, end, reach);
      done += (end - p) * cost;
      if (done >= TIME_SLICE) {
        yield done;
        done = 0;
      }
    }
    for (let q = 0; q < tokens * group; q++) {
      const from = q * (headSize + 2);
      const to = (Math.floor(q / group) * heads + kv * group + (q % group)) * headSize;
      for (let i = 0; i < headSize; i++) out[to + i] = state[from + i] / state[from + headSize + 1];
    }
  }
}

/** The queries of kv head `kv` meet the keys of positions from..end. */
function visitKeys(
  { shape, ring, qkv, start, tokens, bias, key, value, turned, state }: Attending,
  kv: number,
  from: number,
  end: number,
  reach: number,
): void {
  const { heads, kvHeads, headSize } = shape;
  const group = heads / kvHeads;
  for (let p = from; p < end; p++) {
    const index = slotOf(p, ring.slots) * kvHeads + kv;
    load(ring.type, ring.keys, index, key);
    load(ring.type, ring.values, index, value);
    if (bias) {
      turnedBias(bias, kv, p, turned);
      for (let i = 0; i < headSize; i++) key[i] += turned[i];
    }
    const lastSeer = Math.min(tokens, p + reach - start);
    for (let t = Math.max(0, p - start); t < lastSeer; t++) {
      for (let g = 0; g < group; g++) {
        const query = (t * (heads + 2 * kvHeads) + kv * group + g) * headSize;
        visit(shape, qkv, query, key, value, state, (t * group + g) * (headSize + 2));
      }
    }
  }
}

/** One query meets one key: state at `s` is [weighted sum of values, maximum score, sum of weights]. */
function visit(
  { headSize, scale, softcap }: AttendShape,
  qkv: Float32Array,
  query: number,
  key: Float64Array,
  value: Float64Array,
  state: Float64Array,
  s: number,
): void {
  let score = 0;
  for (let i = 0; i < headSize; i++) score += qkv[query + i] * key[i];
  score *= scale;
  if (softcap !== null) score = softcap * Math.tanh(score / softcap);
  const maximum = state[s + headSize];
  let weight = 1;
  if (score > maximum) {
    const shrink = Math.exp(maximum - score);
    for (let i = 0; i < headSize; i++) state[s + i] *= shrink;
    state[s + headSize] = score;
    state[s + headSize + 1] *= shrink;
  } else weight = Math.exp(score - maximum);
  state[s + headSize + 1] += weight;
  for (let i = 0; i < headSize; i++) state[s + i] += weight * value[i];
}
