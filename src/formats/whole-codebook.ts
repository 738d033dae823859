/**
 * A q4 codebook in whole numbers, for products of integers: of 16 bits on the CPU (q4Vector16 of
 * execute/cpu/simd.as.ts), of 8 on the GPU (shaders/matmul-tiled.wgsl).
 */

/**
 * The largest value: with x within 32767, 8 products of values up to 8192 stay within 31 bits and a sign; 127 is an
 * int8's.
 */
export type LargestWhole = 8192 | 127;

export interface WholeCodebook {
  /** [16], none beyond the largest in magnitude */
  values: Int16Array;
  /** what a value of 1 stands for */
  unit: number;
}

const made = { 8192: new WeakMap<readonly number[], WholeCodebook>(), 127: new WeakMap() };

/**
 * The codebook times the factor, of those that make its largest value a whole number within an eighth of `most`, whose
 * rounding changes its values least: not at all where they are whole numbers or, of 8192, fractions of one (GGUF's
 * types, FP4, which needs a multiple of 192), and half as much as a factor taken blindly for NF4.
 */
export function wholeCodebook(codebook: readonly number[], most: LargestWhole): WholeCodebook {
  const known = made[most].get(codebook);
  if (known) return known;
  const largest = Math.max(...codebook.map(Math.abs)) || 1;
  let best = most / largest;
  let least = Number.POSITIVE_INFINITY;
  for (let whole: number = most; whole > (7 / 8) * most; whole--) {
    const factor = whole / largest;
    let error = 0;
    for (const value of codebook) error += (Math.round(value * factor) / factor - value) ** 2;
    if (error >= least) continue;
    least = error;
    best = factor;
  }
  const result = { values: Int16Array.from(codebook, (value) => Math.round(value * best)), unit: 1 / best };
  made[most].set(codebook, result);
  return result;
}
