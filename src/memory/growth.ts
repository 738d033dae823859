/** What exists while a cache grows or shifts: one layer at a time, the new ring beside the old one. Pure. */
import type { KvLayerPlan } from './kv';

/**
 * The most bytes that a cache takes on its way from `held` to the plan's layers.
 * @param held bytes by layer as they are now, 0 for none; of a ring that cannot wrap, or with all of its copies
 */
export function growthPeak(held: readonly number[], wanted: readonly KvLayerPlan[]): number {
  let now = held.reduce((sum, bytes) => sum + bytes, 0);
  let peak = now;
  for (const { layer, bytes, snapshots } of wanted) {
    const old = held[layer] ?? 0;
    if (bytes > old) {
      peak = Math.max(peak, now + bytes);
      now += bytes - old;
    }
    if (old <= bytes) now += snapshots * bytes;
    peak = Math.max(peak, now);
  }
  return peak;
}

/**
 * Bytes of the spare rings that a shift moves into: one of each size, as a layer's old ring then serves the next layer.
 */
export function shiftSpare(layers: readonly KvLayerPlan[]): number {
  return [...new Set(layers.map(({ bytes }) => bytes))].reduce((sum, bytes) => sum + bytes, 0);
}
