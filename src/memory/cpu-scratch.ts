/** Working arrays of the CPU executor, in f64 elements. Beside the plan, because the plan counts them. Pure. */
import type { ModelSpec } from '../model/spec';
import type { Step } from '../model/steps';

/** Tokens that the CPU runs at once: enough to share a dequantised row, few enough to stop soon when asked. */
export const CPU_CHUNK = 32;

/** Answers that are decoded together, at most: a pass has a token of each. */
export const cpuStreams = (asked: number, chunk: number): number => Math.min(asked, chunk, CPU_CHUNK);

/** Up to this many tokens go through a linear step one by one. */
export const FEW = 2;

export interface CpuScratchSizes {
  /** input of a linear step, [tokens rounded up to 4, cols] */
  x: number;
  /** its sums: [rows] for few tokens, [2, tokens] for many */
  y: number;
  /** two dequantised rows */
  tile: number;
  /** sums of two products for the 256 values of each of 32 bytes */
  table: number;
  /** attention: weighted sum, maximum and total of each query of a kv head; a key, its bias and a value */
  attend: number;
}

/** @param rank of the widest adapted step, 0 without adapters */
export function cpuScratch(spec: ModelSpec, steps: readonly Step[], chunk: number, rank: number): CpuScratchSizes {
  const tokens = Math.ceil(Math.min(chunk, CPU_CHUNK) / 4) * 4;
  const linears = steps.filter((step) => step.op === 'linear');
  const rows = linears.map((step) => step.parts.reduce((sum, part) => sum + part.rows, 0));
  const cols = Math.max(spec.width, rank, ...linears.map((step) => step.cols));
  return {
    x: tokens * cols,
    y: Math.max(2 * tokens, rank, ...rows),
    tile: 2 * cols,
    table: 32 * 256,
    attend: tokens * (spec.heads / spec.kvHeads) * (spec.headSize + 2) + 3 * spec.headSize,
  };
}
