/**
 * How a token is chosen from logits: the definition that both executors follow (WGSL: shaders/sample*.wgsl).
 *
 *   1. temperature 0 or topP 0: the largest logit, the lowest id on ties. Nothing below applies.
 *   2. top-k (0 = off): keep { l >= the k-th largest l }; ties are kept.
 *   3. temperature: z = l / temperature.
 *   4. top-p (1 = off): p = softmax(z) over what is kept; keep the fewest largest whose sum is >= topP. Ties with the
 *      smallest of them are kept, and at least one always is.
 *   5. Gumbel-max: the id with the largest z + g(seed, step, id), lowest id on ties. That is a draw from softmax(z)
 *      over what is kept, without a sum, a division or an order of evaluation (Gumbel 1954; Maddison et al. 2014).
 *
 * Randomness is a function of (seed, step, id), 32-bit integers all; `step` counts samples of one request from 0:
 *
 *   h = mix(id ^ mix(step ^ mix(seed ^ 0x9e3779b9)))     as mix(0) = 0; mix: "lowbias32" (Chris Wellons, Hash Prospector)
 *   w = ((h >>> 9) + 0.5) * 2^-23           in (0, 1), exact in f32
 *   g = -log(-log(1 - w))                   for small w take the series of log1p: WGSL's log is absolute near 1
 */
import type { SampleOptions } from './executor';

/** A bijective mixer of 32-bit integers. */
export function mix(x: number): number {
  let h = x >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}

/** The key of one step's random numbers: g(seed, step, id) needs only one further mix. */
export const stepKey = (seed: number, step: number): number => mix(step ^ mix(seed ^ 0x9e3779b9));

/** Standard Gumbel noise of one id. */
export function gumbel(key: number, id: number): number {
  const w = ((mix(id ^ key) >>> 9) + 0.5) * 2 ** -23;
  return -Math.log(-Math.log1p(-w));
}

/** Index of the largest value, the lowest on ties. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** The smallest logit that top-k and top-p keep; -Infinity when neither applies. */
export function keepThreshold(logits: Float32Array, { temperature, topK, topP }: SampleOptions): number {
  const byK = topK > 0 && topK < logits.length;
  if (!byK && topP >= 1) return Number.NEGATIVE_INFINITY;
  const sorted = logits.slice().sort();
  const n = sorted.length;
  const lowest = byK ? sorted[n - topK] : sorted[0];
  if (topP >= 1) return lowest;
  const top = sorted[n - 1];
  let total = 0;
  for (let i = n - 1; i >= 0 && sorted[i] >= lowest; i--) total += Math.exp((sorted[i] - top) / temperature);
  let mass = 0;
  let i = n;
  while (i > 0 && sorted[i - 1] >= lowest && mass < topP * total) mass += Math.exp((sorted[--i] - top) / temperature);
  return sorted[Math.min(i, n - 1)];
}

/** Chooses an id from logits [vocab]. */
export function sampleToken(logits: Float32Array, options: SampleOptions, step: number): number {
  const { temperature, topP, seed } = options;
  if (temperature === 0 || topP === 0) return argmax(logits);
  const threshold = keepThreshold(logits, options);
  const key = stepKey(seed, step);
  let best = -1;
  let bestScore = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id++) {
    if (!(logits[id] >= threshold)) continue;
    const score = logits[id] / temperature + gumbel(key, id);
    if (score > bestScore) {
      best = id;
      bestScore = score;
    }
  }
  return best < 0 ? argmax(logits) : best;
}
