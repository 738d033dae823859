/** The CPU's executor as a part that is fetched only where it answers. */
import type { MemoryPlan, ModelGraph } from '../memory/plan';
import { type Activations, arithmetic } from './cpu/arithmetic';
import { createCpuExecutor as createIn } from './cpu/executor';
import type { Threads } from './cpu/team';
import type { Executor } from './executor';

/**
 * As cpu/executor.ts has it, in the fastest way that runs here: unless exact ones are asked for, one token's products
 * with quantised weights are of 16 bits, which moves logits by less than 1e-3 of their scale (bench/cpu.md).
 * @throws out-of-memory
 */
export const createCpuExecutor = (
  model: ModelGraph,
  plan: MemoryPlan,
  threads?: Threads,
  activations: Activations = 'int16',
): Executor => createIn(model, plan, threads, arithmetic(activations));
