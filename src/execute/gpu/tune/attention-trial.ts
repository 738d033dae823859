/**
 * Attention over a ring that has turned, split where the shape splits (decode), or of several tokens that see no more
 * than what is before them (prefill). What is right comes from f64 sums on the CPU. Pure.
 */

import { f16Table, toF16 } from '../../../formats/half';
import type { DeviceProfile } from '../../../gpu/device-profile';
import {
  type AttentionShapes,
  decodeAttendGroups,
  decodeAttendKernel,
  mergeGroups,
  mostSplits,
  prefillAttendGroups,
  prefillAttendKernel,
} from '../../../kernels/attention';
import type { Heads } from '../../../kernels/heads';
import { mergeKernel } from '../../../kernels/merge';
import { partialsCount, stateWords } from '../../../memory/gpu-scratch';
import type { ModelSpec } from '../../../model/spec';
import { bytesOf, sequence, type Trial } from './trial';

/** Slots of the ring: three parts of decode, whose parts are few and small here, so that little room is enough. */
const SLOTS = 150;
const SPLIT = { splits: 4, splitSlots: 64, whole: 64 };
/** Bytes of keys and values at most: of wide heads an f32 cache is tried as f16. */
const RING_BYTES = 160 << 10;
/** Positions that decode has passed, so that the ring has turned, and those that prefill has. */
const DECODE_AT = 3 * SLOTS + 100;
const PREFILL_AT = 103;
/** Tokens of a prefill: not a multiple of what a workgroup takes. */
const TOKENS = 11;

/** Sums of some hundred products in another order, of what an f16 cache rounds. */
const TOLERANCE = { f32: 1e-4, f16: 2e-3 };

interface Layer {
  heads: Heads;
  kv: 'f32' | 'f16';
  profile: DeviceProfile;
}

/** One KV head of the model's size, with as many query heads as the model has for each. */
const headsOf = ({ heads, kvHeads, headSize }: ModelSpec): Heads => ({ heads: heads / kvHeads, kvHeads: 1, headSize });

/** @param kv type of the model's cache; int8 is tried as f16 */
export function attentionTrial(
  spec: ModelSpec,
  kv: 'f32' | 'f16' | 'int8',
  profile: DeviceProfile,
  shape: Partial<AttentionShapes>,
): Trial {
  const wide = 2 * SLOTS * spec.headSize * 4 > RING_BYTES;
  const layer: Layer = { heads: headsOf(spec), kv: kv === 'f32' && !wide ? 'f32' : 'f16', profile };
  return shape.decode ? decodeTrial(layer, shape.decode) : prefillTrial(layer, shape.prefill!);
}

/** What both need: queries, keys and values of some tokens, the ring without and with them, and what is right. */
function inputsOf({ heads: { heads, kvHeads, headSize }, kv }: Layer, tokens: number, start: number) {
  const next = sequence(11);
  const width = (heads + 2 * kvHeads) * headSize;
  const random = (length: number) => Float32Array.from({ length }, next);
  const qkv = random(tokens * width);
  const keys = random(SLOTS * kvHeads * headSize);
  const values = random(SLOTS * kvHeads * headSize);
  const round = (value: number) => (kv === 'f16' ? f16Table()[toF16(value)] : value);
  // copies: the ring changes
  const kept = (all: Float32Array) => bytesOf(kv === 'f16' ? Uint16Array.from(all, toF16) : all.slice());
  const before = { keys: kept(keys), values: kept(values) };
  for (let t = 0; t < tokens; t++) {
    const slot = ((start + t) % SLOTS) * kvHeads * headSize;
    const row = t * width + heads * headSize;
    keys.set(qkv.subarray(row, row + kvHeads * headSize), slot);
    values.set(qkv.subarray(row + kvHeads * headSize, row + 2 * kvHeads * headSize), slot);
  }
  /** Attention of each token and head, [tokens, heads * headSize]. */
  const right = () => {
    const out = new Float32Array(tokens * heads * headSize);
    for (let t = 0; t < tokens; t++) {
      for (let head = 0; head < heads; head++) {
        const query = qkv.subarray(t * width + head * headSize, t * width + (head + 1) * headSize);
        const seen = Math.min(SLOTS, start + t + 1);
        const at = (back: number) =>
          (((start + t - back) % SLOTS) * kvHeads + Math.floor((head * kvHeads) / heads)) * headSize;
        const weights = Float64Array.from({ length: seen }, (_, back) =>
          Math.exp(query.reduce((sum, q, d) => sum + q * round(keys[at(back) + d]), 0) / Math.sqrt(headSize)),
        );
        const all = weights.reduce((sum, weight) => sum + weight, 0);
        for (let d = 0; d < headSize; d++) {
          const sum = weights.reduce((total, weight, back) => total + weight * round(values[at(back) + d]), 0);
          out[(t * heads + head) * headSize + d] = sum / all;
        }
      }
    }
    return out;
  };
  const state = bytesOf(stateWords(start, tokens));
  return {
    reads: { qkv: bytesOf(qkv), state },
    before,
    after: { keys: kept(keys), values: kept(values) },
    right: right(),
  };
}

const plainScores = ({ heads: { headSize }, kv }: Layer) => ({
  rope: null,
  norm: null,
  kv,
  keyBias: false,
  scale: 1 / Math.sqrt(headSize),
  softcap: null,
  window: null,
});

const BOUND = { qkv: 'qkv', keys: 'keys', values: 'values', state: 'state', out: 'out' };

function decodeTrial(layer: Layer, given: AttentionShapes['decode']): Trial {
  const shape = { ...given, ...SPLIT };
  const { heads, kv, profile } = layer;
  const part = { firstHead: 0, heads: heads.kvHeads };
  const { reads, before, right } = inputsOf(layer, 1, DECODE_AT);
  const count = (groups: (tokens: number, last: number, slots: readonly number[]) => readonly number[]) =>
    groups(1, DECODE_AT, [SLOTS]);
  const merge = count(mergeGroups(heads, shape, 0));
  const out = new Float32Array(partialsCount(heads, SPLIT.splits) + 4);
  return {
    dispatches: [
      {
        kernel: decodeAttendKernel(heads, plainScores(layer), part, shape, profile),
        groups: count(decodeAttendGroups(heads, part, shape, 0)),
        bound: BOUND,
      },
      ...(merge[0] > 0
        ? [{ kernel: mergeKernel(heads, mostSplits(heads, shape)), groups: merge, bound: { x: 'out', state: 'state' } }]
        : []),
    ],
    reads,
    writes: { ...before, out: bytesOf(out) },
    result: 'out',
    right,
    tolerance: TOLERANCE[kv],
  };
}

function prefillTrial(layer: Layer, shape: AttentionShapes['prefill']): Trial {
  const { heads, kv, profile } = layer;
  const part = { firstHead: 0, heads: heads.kvHeads };
  const { reads, after, right } = inputsOf(layer, TOKENS, PREFILL_AT);
  const scores = plainScores(layer);
  return {
    dispatches: [
      {
        kernel: prefillAttendKernel(heads, scores, part, shape, profile),
        groups: prefillAttendGroups(heads, scores, part, shape, profile)(TOKENS),
        bound: BOUND,
      },
    ],
    reads: { ...reads, ...after },
    writes: { out: new Uint8Array(TOKENS * heads.heads * heads.headSize * 4) },
    result: 'out',
    right,
    tolerance: TOLERANCE[kv],
  };
}
