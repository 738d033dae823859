/** LLM.int8's rounding by blocks: scale = absmax / 127, code = value / scale to the nearest integer. Pure. */

export interface Int8Rows {
  codes: Int8Array;
  /** f32, one a block */
  scales: Float32Array;
}

/** @param block elements that a scale covers; it divides their number */
export function quantizeInt8(values: Float32Array, block: number): Int8Rows {
  const codes = new Int8Array(values.length);
  const scales = new Float32Array(values.length / block);
  for (let i = 0, b = 0; i < values.length; i += block, b++) {
    let largest = 0;
    for (let j = i; j < i + block; j++) largest = Math.max(largest, Math.abs(values[j]));
    scales[b] = largest / 127;
    const inverse = largest ? 127 / largest : 0;
    for (let j = i; j < i + block; j++) codes[j] = Math.round(values[j] * inverse);
  }
  return { codes, scales };
}
