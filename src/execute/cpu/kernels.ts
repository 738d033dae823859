/**
 * The steps that cost little, written for clarity: the reference of the GPU's kernels. Activations are [tokens, width]
 * row-major f32; sums are f64. Formulas: transformers' modeling_llama.py and its kin.
 */
import type { Activation, ModelSpec, Rope } from '../../model/spec';
import type { StepOf } from '../../model/steps';
import { type CpuMatrix, rowValues } from './matrix';

/** x[t] = table[ids[t]] * scale */
export function embed(
  table: CpuMatrix,
  ids: ArrayLike<number>,
  tokens: number,
  scale: number,
  x: Float32Array,
  row: Float64Array,
): void {
  for (let t = 0; t < tokens; t++) {
    rowValues(table, ids[t], row, 0);
    // The product of two f32 is rounded to f32 once, as on the GPU.
    for (let c = 0; c < table.cols; c++) x[t * table.cols + c] = Math.fround(row[c]) * scale;
  }
}

/** out[at..at + width) = in * rsqrt(mean(in^2) + eps) * (offset + weight) */
export function rmsNorm(
  input: Float32Array,
  output: Float32Array,
  at: number,
  weight: Float32Array,
  width: number,
  eps: number,
  offset: number,
): void {
  let squares = 0;
  for (let i = at; i < at + width; i++) squares += input[i] * input[i];
  const scale = 1 / Math.sqrt(squares / width + eps);
  for (let i = 0; i < width; i++) output[at + i] = input[at + i] * scale * (offset + weight[i]);
}

/** Makes a pass of several tokens one of its last: that token's rows of x and qkv become the first. */
export function lastRow(
  { x, qkv }: Readonly<Record<string, Float32Array>>,
  { width, heads, kvHeads, headSize }: Pick<ModelSpec, 'width' | 'heads' | 'kvHeads' | 'headSize'>,
  tokens: number,
): void {
  const qkvWidth = (heads + 2 * kvHeads) * headSize;
  x.copyWithin(0, (tokens - 1) * width, tokens * width);
  qkv.copyWithin(0, (tokens - 1) * qkvWidth, tokens * qkvWidth);
}

/** As rmsNorm(), of `count` heads side by side from `at`: of each by itself, or of all as one. */
export function normHeads(
  values: Float32Array,
  at: number,
  count: number,
  headSize: number,
  weight: Float32Array,
  { eps, offset, normOver }: Pick<StepOf<'rotate'>, 'eps' | 'offset' | 'normOver'>,
): void {
  const width = normOver === 'projection' ? count * headSize : headSize;
  for (let i = at; i < at + count * headSize; i += width) rmsNorm(values, values, i, weight, width, eps, offset);
}

/** Cosines of position * frequencies[j] times `magnitude`, [dim / 2], and then the sines: what turnHead() takes. */
export function turnsOf(
  position: number,
  { dim, magnitude }: Pick<Rope, 'dim' | 'magnitude'>,
  frequencies: readonly number[],
): Float64Array {
  const half = dim / 2;
  const turns = new Float64Array(dim);
  for (let j = 0; j < half; j++) {
    turns[j] = Math.cos(position * frequencies[j]) * magnitude;
    turns[half + j] = Math.sin(position * frequencies[j]) * magnitude;
  }
  return turns;
}

/** Turns pairs (j, j + dim/2) of a head at `at` by position * frequencies[j], times `magnitude`. */
export function rotateHead(
  values: Float32Array | Float64Array,
  at: number,
  position: number,
  rope: Pick<Rope, 'dim' | 'magnitude'>,
  frequencies: readonly number[],
): void {
  turnHead(values, at, turnsOf(position, rope, frequencies));
}

/** As rotateHead(), by a position's cosines and sines. */
export function turnHead(values: Float32Array | Float64Array, at: number, turns: Float64Array): void {
  const half = turns.length / 2;
  for (let j = 0; j < half; j++) {
    const cos = turns[j];
    const sin = turns[half + j];
    const a = values[at + j];
    const b = values[at + half + j];
    values[at + j] = a * cos - b * sin;
    values[at + half + j] = b * cos + a * sin;
  }
}

const SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);

const activations: Record<Activation, (x: number) => number> = {
  silu: (x) => x / (1 + Math.exp(-x)),
  gelu_tanh: (x) => 0.5 * x * (1 + Math.tanh(SQRT_2_OVER_PI * (x + 0.044715 * x * x * x))),
};

/** mlp[t] = act(gate[t]) * up[t], gate and up side by side in gateUp */
export function activate(
  gateUp: Float32Array,
  mlp: Float32Array,
  tokens: number,
  width: number,
  activation: Activation,
): void {
  const act = activations[activation];
  for (let t = 0; t < tokens; t++) {
    for (let i = 0; i < width; i++)
      mlp[t * width + i] = act(gateUp[2 * t * width + i]) * gateUp[(2 * t + 1) * width + i];
  }
}

/** out += scale * in */
export function add(input: Float32Array, output: Float32Array, count: number, scale: number): void {
  for (let i = 0; i < count; i++) output[i] += scale * input[i];
}
