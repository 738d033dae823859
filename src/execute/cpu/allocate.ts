/** Working arrays, and what allocating typed arrays throws, as the error that a caller can act on. */
import { NibbleError } from '../../errors';
import { type CpuScratchSizes, cpuScratch } from '../../memory/cpu-scratch';
import type { MemoryPlan, ModelGraph } from '../../memory/plan';

export type CpuScratch = Record<keyof CpuScratchSizes, Float64Array>;

/** As the plan has them. @param rank of the widest adapted step */
export function createScratch({ spec, steps }: ModelGraph, { request }: MemoryPlan, rank: number): CpuScratch {
  const arrays = Object.entries(cpuScratch(spec, steps, request.chunk, rank));
  return Object.fromEntries(arrays.map(([name, size]) => [name, new Float64Array(size)])) as CpuScratch;
}

/** @throws out-of-memory with the plan's numbers */
export function outOfMemoryAsError<T>(plan: MemoryPlan, allocate: () => T): T {
  try {
    return allocate();
  } catch (cause) {
    throw asOutOfMemory(plan, cause);
  }
}

/** What an allocation throws; anything else passes. */
export function asOutOfMemory(plan: MemoryPlan, cause: unknown): unknown {
  if (!(cause instanceof RangeError)) return cause;
  return new NibbleError(
    'out-of-memory',
    `${plan.total} bytes could not be allocated; ask for fewer new tokens or choose a smaller model.`,
    { weights: plan.weights, kv: plan.kv, scratch: plan.scratch },
    { cause },
  );
}
