/** A q4 codebook in 16 bits, for products of 16-bit numbers (q4Vector16 of simd.as.ts). */

/** With x within 32767, 8 products of values up to this one stay within 31 bits and a sign. */
const LARGEST = 8192;

/** Enough to meet a multiple of 192, which FP4 needs, and few enough to take no time. */
const TRIED = 1024;

export interface Int16Codebook {
  /** [16], none beyond LARGEST in magnitude */
  values: Int16Array;
  /** what a value of 1 stands for */
  unit: number;
}

const made = new WeakMap<readonly number[], Int16Codebook>();

/**
 * The codebook times the factor, of those that make its largest value a whole number near LARGEST, whose rounding
 * changes its values least: not at all where they are whole numbers or fractions of one (GGUF's types, FP4), and half
 * as much as a factor taken blindly for NF4.
 */
export function int16Codebook(codebook: readonly number[]): Int16Codebook {
  const known = made.get(codebook);
  if (known) return known;
  const largest = Math.max(...codebook.map(Math.abs)) || 1;
  let best = LARGEST / largest;
  let least = Number.POSITIVE_INFINITY;
  for (let most = LARGEST; most > LARGEST - TRIED; most--) {
    const factor = most / largest;
    let error = 0;
    for (const value of codebook) error += (Math.round(value * factor) / factor - value) ** 2;
    if (error >= least) continue;
    least = error;
    best = factor;
  }
  const result = { values: Int16Array.from(codebook, (value) => Math.round(value * best)), unit: 1 / best };
  made.set(codebook, result);
  return result;
}
