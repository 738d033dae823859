/**
 * The sampler's randomness: a function of (seed, step, id), 32-bit integers all, so that both executors draw the same
 * ids. `step` counts samples of one request from 0:
 *
 *   h = mix(id ^ mix(step ^ mix(seed ^ 0x9e3779b9)))   as mix(0) = 0; "lowbias32" (Chris Wellons, Hash Prospector)
 *   w = ((h >>> 9) + 0.5) * 2^-23           in (0, 1), exact in f32
 *   g = -log(-log(1 - w))                   for small w take the series of log1p: WGSL's log is absolute near 1
 *
 * Whether a draw's chance comes (XTC) is one more number of the step, of an id that no vocabulary has.
 */

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

/** The number of a step in [0, 1) that a chance is compared with, exact in f32. */
export const chanceOf = (seed: number, step: number): number =>
  (mix(0xffffffff ^ stepKey(seed, step)) >>> 8) * 2 ** -24;
