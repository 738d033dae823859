/** What allocating typed arrays throws, as the error that a caller can act on. */
import { NibbleError } from '../../errors';
import type { MemoryPlan } from '../../memory/plan';

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
