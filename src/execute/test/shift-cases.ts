/** What a shift must do, for every executor. */
import { describe, expect, it } from 'vitest';
import type { KvType } from '../../memory/plan';
import { slotOf } from '../../memory/ring';
import type { Shift } from '../../memory/rings';
import { parseSpec } from '../../model/parse';
import type { ModelSpec } from '../../model/spec';
import { GREEDY, largestDifference, type Maker, randomModel, take } from '../cpu/test/models';
import type { KvCache } from '../executor';
import type { OneCache } from './one-cache';

/** The keys and values of the first layer, [slots, kvHeads * headSize] each. */
export type FirstLayer = (cache: KvCache, type: KvType, width: number) => Promise<Record<'keys' | 'values', number[]>>;

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

const ids = Array.from({ length: 90 }, (_, i) => (i * 31 + 7 + (i >> 3)) % 97);
const SIZES = { promptTokens: 100, maxNewTokens: 20, chunk: 8 };

/** A cache of `ids`, shifted. */
async function shifted(kind: ModelSpec, maker: Maker, kvType: KvType, shift: Shift): Promise<OneCache> {
  const executor = await randomModel(kind, { ...SIZES, kvType }, { type: 'f32' }, maker);
  await executor.prefill(ids, 0);
  expect(executor.cache.canShift(shift)).toBe(true);
  await executor.cache.shift(shift);
  return executor;
}

/**
 * @param tolerance of what all layers compute, of the largest magnitude
 * @param both types of the cache for every kind of model; else they take turns, as each compiles anew
 */
export function describeShift(maker: Maker, firstLayer: FirstLayer, tolerance: number, both: boolean): void {
  describe.each(['f32', 'f16'] as const)('the first layer after two shifts, %s', (kvType) => {
    const kinds = KINDS.filter((_, i) => both || (i % 2 === 0) === (kvType === 'f16'));
    it.each(kinds)('holds what a fresh prefill computes: %s', async (_, more) => {
      const kind = spec(more);
      const executor = await shifted(kind, maker, kvType, { keep: 5, drop: 20, end: 88 });
      const again = { keep: 5, drop: 14, end: 66 };
      expect(executor.cache.canShift(again)).toBe(true);
      await executor.cache.shift(again);
      const seen = [...ids.slice(0, 5), ...ids.slice(39, 86)];
      const fresh = await randomModel(kind, { ...SIZES, kvType }, { type: 'f32' }, maker);
      await fresh.prefill(seen, 0);
      const width = kind.kvHeads * kind.headSize;
      const [got, wanted] = await Promise.all([executor, fresh].map(({ cache }) => firstLayer(cache, kvType, width)));
      const slots = wanted.keys.length / width;
      const { window } = kind.layers[0];
      const scale = Math.max(...wanted.keys.map(Math.abs));
      for (let position = window ? seen.length - window + 1 : 0; position < seen.length; position++) {
        const row = (values: number[]) => values.slice(slotOf(position, slots) * width).slice(0, width);
        expect(row(got.values)).toEqual(row(wanted.values));
        // Angles are products in f32. Of f16, each of two turns rounds both numbers that it is made of.
        const rounding = kvType === 'f16' && kind.layers[0].rope ? 5 * 2 ** -11 : ids.length * 2 ** -22;
        expect(largestDifference(row(got.keys), row(wanted.keys))).toBeLessThan(rounding * scale);
      }
    });
  });

  it.each([
    ['llama', {}],
    ["gemma 3's", { model_type: 'gemma3_text', rope_local_base_freq: 1e4 }],
    ['smollm3', { model_type: 'smollm3', no_rope_layers: [1, 0] }],
  ])('changes nothing in any layer that sees none of what is dropped: %s', async (_, more) => {
    const layer_types = ['sliding_attention', 'sliding_attention'];
    const kind = spec({ ...more, sliding_window: 9, layer_types, use_sliding_window: true });
    const sees = { ...kind, layers: kind.layers.map((layer) => ({ ...layer, kind: 'sliding' as const, window: 9 })) };
    const moved = await shifted(sees, maker, 'f32', { keep: 0, drop: 40, end: 90 });
    const stayed = await randomModel(sees, SIZES, { type: 'f32' }, maker);
    await stayed.prefill(ids, 0);
    const next = [3, 1, 4, 1, 5];
    await moved.prefill(next, 50);
    await stayed.prefill(next, 90);
    const wanted = await stayed.logits();
    const scale = Math.max(...wanted.map(Math.abs));
    expect(largestDifference(await moved.logits(), wanted) / scale).toBeLessThan(tolerance);
    expect(await take(moved.decode(55, 12, GREEDY))).toEqual(await take(stayed.decode(95, 12, GREEDY)));
  });

  it('is refused where a ring no longer holds what the next token would see, and allowed before it wrapped', async () => {
    const kind = spec({ model_type: 'mistral', ...sliding });
    const executor = await randomModel(kind, SIZES, { type: 'f32' }, maker);
    await executor.prefill(ids.slice(0, 14), 0);
    const short = { keep: 4, drop: 6, end: 14 };
    expect(executor.cache.canShift(short)).toBe(true);
    expect(executor.cache.canShift({ keep: 4, drop: 11, end: 14 })).toBe(false);
    await executor.prefill(ids.slice(14), 14);
    expect(executor.cache.canShift({ keep: 4, drop: 80, end: 90 })).toBe(false);
    expect(executor.cache.canShift({ keep: 4, drop: 78, end: 90 })).toBe(true);
  });

  it('leaves the bytes as they were, and takes one ring of each size for as long as it lasts', async () => {
    const executor = await randomModel(spec({ model_type: 'mistral', ...sliding }), SIZES, { type: 'f32' }, maker);
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
