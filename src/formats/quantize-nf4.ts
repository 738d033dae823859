/**
 * NF4 as bitsandbytes quantises it, in plain JavaScript: the reference for the GPU's quantiser, and what `nibble
 * quantize` writes. Codes are bit-equal to bitsandbytes'.
 * Source: Dettmers et al. 2023 (QLoRA); rounding and packing as in bitsandbytes' backends/default/ops.py.
 */
import { corrupt } from './json';
import { NF4_CODEBOOK } from './matrix';
import type { NewTensor } from './safetensors';

const { fround } = Math;
const TINY = fround(1e-38); // bitsandbytes' floor of a divisor
const ZERO = 7; // the code of 0

/** f32 midpoints of neighbouring codes; a value on one takes the lower code. */
export const NF4_THRESHOLDS: Float32Array = Float32Array.from(
  { length: 15 },
  (_, i) => fround(NF4_CODEBOOK[i] + NF4_CODEBOOK[i + 1]) / 2,
);

export interface Nf4 {
  /** two codes a byte, the even element in the high nibble; an odd count is padded with code 7 (zero) */
  codes: Uint8Array;
  /** f32, one a block of consecutive elements; the last block may be short */
  absmax: Float32Array;
}

/** max |v| of each block. @throws NibbleError corrupt-checkpoint when a value is infinite or not a number */
function blockMaxima(values: Float32Array, block: number): Float32Array {
  const out = new Float32Array(Math.ceil(values.length / block));
  for (let b = 0, i = 0; b < out.length; b++) {
    const end = Math.min(values.length, i + block);
    let largest = 0;
    for (; i < end; i++) {
      const magnitude = Math.abs(values[i]);
      if (!(magnitude < Number.POSITIVE_INFINITY)) {
        throw corrupt(`Element ${i} of a tensor to quantise is ${values[i]}`, { element: i });
      }
      if (magnitude > largest) largest = magnitude;
    }
    out[b] = largest;
  }
  return out;
}

/** cells of the table below in 1: narrower than the thresholds are apart */
const CELLS = 128;
/** By cell of [-1, 1], which has one threshold at most: how many lie below the cell. */
const BELOW = Uint8Array.from(
  { length: 2 * CELLS + 1 },
  (_, cell) => NF4_THRESHOLDS.filter((threshold) => threshold < cell / CELLS - 1).length,
);
/** the last code has no end */
const ENDS = Float32Array.of(...NF4_THRESHOLDS, Number.POSITIVE_INFINITY);

/** How many thresholds lie strictly below x, which is in [-1, 1] or just outside. */
function nf4Code(x: number): number {
  const below = BELOW[((x + 1) * CELLS) | 0];
  return x > ENDS[below] ? below + 1 : below;
}

/**
 * Quantises a flattened tensor, or a part of one that starts on a block.
 * @param block an even number
 * @throws NibbleError corrupt-checkpoint when a value is infinite or not a number
 */
export function quantizeNf4(values: Float32Array, block = 64): Nf4 {
  const absmax = blockMaxima(values, block);
  const codes = new Uint8Array(Math.ceil(values.length / 2));
  for (let b = 0; b < absmax.length; b++) {
    const inverse = fround(1 / Math.max(absmax[b], TINY));
    const end = Math.min(values.length, (b + 1) * block);
    for (let i = b * block; i < end; i += 2) {
      const low = i + 1 < end ? nf4Code(fround(values[i + 1] * inverse)) : ZERO;
      codes[i >> 1] = (nf4Code(fround(values[i] * inverse)) << 4) | low;
    }
  }
  return { codes, absmax };
}

export interface NestedAbsmax {
  codes: Uint8Array;
  /** f32, one a 256 codes */
  absmax: Float32Array;
  /** f32 mean of the absmax, which is taken off before they are quantised */
  offset: number;
}

const NESTED_BLOCK = 256;
let dynamicMap: Float32Array | null = null;

/**
 * The signed 8-bit dynamic map, 256 ascending f32: for i = 0…6 the midpoints of 2^i equal parts of [0.1, 1], times
 * 10^(i-6), with both signs; then 0 and 1. In the f32 steps of torch.linspace (which multiplies and adds in one
 * rounding, from the nearer end), so that it is bitsandbytes' table to the bit.
 */
export function nestedQuantMap(): Float32Array {
  if (dynamicMap) return dynamicMap;
  const values = [0, 1];
  const start = fround(0.1);
  for (let i = 0; i < 7; i++) {
    const parts = 2 ** i;
    const step = fround(fround(1 - start) / parts);
    const edge = (k: number) => fround(k < (parts + 1) >> 1 ? start + step * k : 1 - step * (parts - k));
    for (let k = 0; k < parts; k++) {
      const value = fround(fround(fround(edge(k) + edge(k + 1)) / 2) * fround(10 ** (i - 6)));
      values.push(value, -value);
    }
  }
  dynamicMap = Float32Array.from(values).sort();
  return dynamicMap;
}

/**
 * Double quantisation of absmax, in blocks of 256. Another order of summation may change the offset's last bit and a
 * few codes.
 */
export function quantizeAbsmax(absmax: Float32Array): NestedAbsmax {
  const offset = fround(absmax.reduce((sum, value) => sum + value, 0) / absmax.length);
  const rest = absmax.map((value) => value - offset);
  const nested = blockMaxima(rest, NESTED_BLOCK);
  const map = nestedQuantMap();
  const codes = Uint8Array.from(rest, (value, i) => nearest(map, value / Math.max(nested[i >> 8], TINY)));
  return { codes, absmax: nested, offset };
}

/** Index of the nearest value of an ascending list, the lower one on a tie. */
function nearest(sorted: Float32Array, x: number): number {
  let low = 0;
  let high = sorted.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (sorted[middle] > x) high = middle;
    else low = middle;
  }
  return sorted[high] - x < x - sorted[low] ? high : low;
}

const bytesOf = (values: Float32Array) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/**
 * The safetensors entries of one NF4 weight under bitsandbytes' names.
 * @param name with `.weight`
 * @param dtype what config.json calls the model's own number type: what other readers dequantise to
 * @param double quantise the absmax too
 */
export function nf4Tensors(
  name: string,
  [rows, cols]: readonly [number, number],
  { codes, absmax }: Nf4,
  { dtype = 'bfloat16', block = 64, double = false } = {},
): NewTensor[] {
  const nested = double ? quantizeAbsmax(absmax) : null;
  const state = {
    quant_type: 'nf4',
    blocksize: block,
    dtype,
    shape: [rows, cols],
    ...(nested && { nested_blocksize: NESTED_BLOCK, nested_dtype: 'float32', nested_offset: nested.offset }),
  };
  const u8 = (suffix: string, data: Uint8Array, shape = [data.length]): NewTensor => ({
    name: name + suffix,
    dtype: 'U8',
    shape,
    data,
  });
  const f32 = (suffix: string, values: Float32Array): NewTensor => ({
    name: name + suffix,
    dtype: 'F32',
    shape: [values.length],
    data: bytesOf(values),
  });
  return [
    u8('', codes, [codes.length, 1]),
    ...(nested
      ? [u8('.absmax', nested.codes), f32('.nested_absmax', nested.absmax), f32('.nested_quant_map', nestedQuantMap())]
      : [f32('.absmax', absmax)]),
    f32('.quant_map', Float32Array.from(NF4_CODEBOOK)),
    u8('.quant_state.bitsandbytes__nf4', new TextEncoder().encode(JSON.stringify(state))),
  ];
}
