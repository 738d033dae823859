/** What a shift must do, for every executor. */
import { describe, expect, it } from 'vitest';
import type { MatrixFormat } from '../../formats/matrix';
import type { KvType } from '../../memory/kv';
import { slotOf } from '../../memory/ring';
import { canShift, type Shift } from '../../memory/shift';
import { parseSpec } from '../../model/parse';
import type { ModelSpec } from '../../model/spec';
import { kvStore, load } from '../cpu/kv-ring';
import { GREEDY, largestDifference, type Maker, planOf, randomModel, take } from '../cpu/test/models';
import type { KvCache } from '../executor';
import type { OneCache } from './one-cache';

/** The buffers of the first layer's keys and values, as memory/kv.ts has them. */
export type FirstLayer = (cache: KvCache) => Promise<Record<'keys' | 'values', ArrayBuffer>>;

const spec = (more: object): ModelSpec =>
  parseSpec({
    model_type: 'llama',
    hidden_size: 64,
    intermediate_size: 128,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 16,
    vocab_size: 97,
    max_position_embeddings: 256,
    ...more,
  });

const llama3 = {
  rope_type: 'llama3',
  rope_theta: 500000,
  factor: 32,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 64,
};
const longrope = {
  rope_type: 'longrope',
  rope_theta: 10000,
  partial_rotary_factor: 0.75,
  short_factor: [1, 1.1, 1.2, 1.5, 1.9, 2.5],
  long_factor: [1.3, 2, 3.5, 6, 9, 15],
  original_max_position_embeddings: 39,
};
const sliding = { sliding_window: 9, layer_types: ['sliding_attention', 'full_attention'] };

/** What stays of an older context is kept in the ring where its window is shorter than what moves. */
const KINDS: [string, object][] = [
  ['llama', {}],
  ["llama 3's scaling", { rope_parameters: llama3 }],
  ['half of a head turns', { rope_parameters: { rope_theta: 10000, partial_rotary_factor: 0.5 } }],
  ['heads of 20, of which 10 turn', { head_dim: 20, rope_parameters: { partial_rotary_factor: 0.5 } }],
  ['longrope, whose long frequencies and magnitude are in use', { model_type: 'phi3', rope_parameters: longrope }],
  ['no positions in the first layer', { model_type: 'smollm3', no_rope_layers: [0, 1] }],
  ['a norm of each head', { model_type: 'qwen3' }],
  ['a norm of all heads', { model_type: 'olmo2' }],
  ['biases of q, k and v', { model_type: 'qwen2' }],
  ['a sliding window', { model_type: 'mistral', ...sliding }],
  ['two ropes', { model_type: 'gemma3_text', ...sliding, rope_local_base_freq: 1e4, rope_theta: 1e6 }],
];

const TYPES: readonly KvType[] = ['f32', 'f16', 'int8'];

/**
 * How far keys may be from a fresh prefill's, of the largest magnitude of a head. Angles are products in f32, and each
 * of two turns rounds to the cache's type both of the numbers that it is made of.
 */
const ROUNDING: Record<KvType, number> = { f32: 90 * 2 ** -22, f16: 5 * 2 ** -11, int8: 5 / 254 };

const ids = Array.from({ length: 90 }, (_, i) => (i * 31 + 7 + (i >> 3)) % 97);
const F32: MatrixFormat = { type: 'f32' };
const NEXT = [3, 1, 4, 1, 5];
const SIZES = { promptTokens: 100, maxNewTokens: 20, chunk: 8 };

/** A cache of `ids`, shifted. */
async function shifted(kind: ModelSpec, maker: Maker, kvType: KvType, shift: Shift, format = F32): Promise<OneCache> {
  const executor = await randomModel(kind, { ...SIZES, kvType }, format, maker);
  await executor.prefill(ids, 0);
  expect(canShift(executor.cache.held, shift)).toBe(true);
  await executor.cache.shift(shift);
  return executor;
}

/**
 * @param tolerance of what all layers compute, of the largest magnitude
 * @param all types of the cache for every kind of model; else they take turns, as each compiles anew
 */
export function describeShift(maker: Maker, firstLayer: FirstLayer, tolerance: number, all: boolean): void {
  describe.each(TYPES)('the first layer after two shifts, %s', (kvType) => {
    const kinds = KINDS.filter((_, i) => all || TYPES[i % TYPES.length] === kvType);
    it.each(kinds)('holds what a fresh prefill computes: %s', async (_, more) => {
      const kind = spec(more);
      const executor = await shifted(kind, maker, kvType, { keep: 5, drop: 20, end: 88 });
      const again = { keep: 5, drop: 14, end: 66 };
      expect(canShift(executor.cache.held, again)).toBe(true);
      await executor.cache.shift(again);
      const seen = [...ids.slice(0, 5), ...ids.slice(39, 86)];
      const fresh = await randomModel(kind, { ...SIZES, kvType }, F32, maker);
      await fresh.prefill(seen, 0);
      const [got, wanted] = await Promise.all([executor, fresh].map(({ cache }) => firstLayer(cache)));
      const { rope, window } = kind.layers[0];
      const { slots } = planOf(kind, { ...SIZES, kvType }).kvByLayer[0];
      for (let position = window ? seen.length - window + 1 : 0; position < seen.length; position++) {
        for (let head = 0; head < kind.kvHeads; head++) {
          const numbers = (buffer: ArrayBuffer) => {
            const values = new Float64Array(kind.headSize);
            load(kvType, kvStore(kvType, slots, kind, buffer), slotOf(position, slots) * kind.kvHeads + head, values);
            return values;
          };
          expect(numbers(got.values)).toEqual(numbers(wanted.values));
          const keys = numbers(wanted.keys);
          const scale = Math.max(...keys.map(Math.abs));
          expect(largestDifference(numbers(got.keys), keys)).toBeLessThan(rope ? ROUNDING[kvType] * scale : 1e-6);
        }
      }
    });
  });

  it.each([
    ['llama', {}],
    ["gemma 3's", { model_type: 'gemma3_text', rope_local_base_freq: 1e4 }],
    ['smollm3', { model_type: 'smollm3', no_rope_layers: [1, 0] }],
  ])('changes nothing in any layer that sees none of what is dropped: %s', async (_, more) => {
    const kind = spec(more);
    const sees = { ...kind, layers: kind.layers.map((layer) => ({ ...layer, kind: 'sliding' as const, window: 9 })) };
    const moved = await shifted(sees, maker, 'f32', { keep: 0, drop: 40, end: 90 });
    const stayed = await randomModel(sees, SIZES, F32, maker);
    await stayed.prefill(ids, 0);
    await moved.prefill(NEXT, 50);
    await stayed.prefill(NEXT, 90);
    const wanted = await stayed.logits();
    const scale = Math.max(...wanted.map(Math.abs));
    expect(largestDifference(await moved.logits(), wanted) / scale).toBeLessThan(tolerance);
    expect(await take(moved.decode(55, 12, GREEDY))).toEqual(await take(stayed.decode(95, 12, GREEDY)));
  });

  it('is refused where a ring no longer holds what the next token would see, and allowed before it wrapped', async () => {
    const kind = spec({ model_type: 'mistral', ...sliding });
    const executor = await randomModel(kind, SIZES, F32, maker);
    await executor.prefill(ids.slice(0, 14), 0);
    const short = { keep: 4, drop: 6, end: 14 };
    expect(canShift(executor.cache.held, short)).toBe(true);
    expect(canShift(executor.cache.held, { keep: 4, drop: 11, end: 14 })).toBe(false);
    await executor.prefill(ids.slice(14), 14);
    expect(canShift(executor.cache.held, { keep: 4, drop: 80, end: 90 })).toBe(false);
    expect(canShift(executor.cache.held, { keep: 4, drop: 78, end: 90 })).toBe(true);
  });

  it('moves what a copy of wrapped rings has brought back as what never went on', async () => {
    const kind = spec({ model_type: 'mistral', ...sliding });
    const sizes = { ...SIZES, snapshots: 1 };
    const shift = { keep: 5, drop: 20, end: 40 };
    const answer = async (goesOn: boolean) => {
      const executor = await randomModel(kind, sizes, F32, maker);
      await executor.prefill(ids.slice(0, 40), 0);
      if (goesOn) {
        executor.cache.snapshot(40);
        await executor.prefill(ids.slice(40), 40);
        expect(executor.cache.held.canResume(40)).toBe(false);
        expect(canShift(executor.cache.held, shift)).toBe(false);
        expect(executor.cache.rewind(40)).toBe(40);
      }
      expect(canShift(executor.cache.held, shift)).toBe(true);
      await executor.cache.shift(shift);
      // the copy is of positions that are others now
      expect(executor.cache.held.snapshots.count).toBe(0);
      await executor.prefill(NEXT, 20);
      return [await executor.logits(), await take(executor.decode(25, 12, GREEDY))];
    };
    expect(await answer(true)).toEqual(await answer(false));
  });

  it('leaves the bytes as they were, and takes one ring of each size for as long as it lasts', async () => {
    const executor = await randomModel(spec({ model_type: 'mistral', ...sliding }), SIZES, F32, maker);
    const before = executor.memory();
    expect(new Set(executor.cache.layerBytes).size).toBe(2);
    await executor.prefill(ids, 0);
    await executor.cache.shift({ keep: 4, drop: 30, end: 90 });
    const { peak, ...after } = executor.memory();
    const { peak: _, ...steady } = before;
    expect(after).toEqual(steady);
    expect(peak).toBe(Math.max(before.peak, before.total + executor.cache.bytes));
  });
}

/** The logits of a model with global layers, after a shift and some tokens more. */
export async function logitsAfterShift(maker: Maker, kvType: KvType, format: MatrixFormat): Promise<Float32Array> {
  const executor = await shifted(spec({}), maker, kvType, { keep: 4, drop: 30, end: 90 }, format);
  await executor.prefill(NEXT, 60);
  return executor.logits();
}
