/** The executor of the chosen backend. */
import { NibbleError } from '../errors';
import { createCpuExecutor } from '../execute/cpu/executor';
import type { Executor } from '../execute/executor';
import { createGpuExecutor } from '../execute/gpu/executor';
import { SHAPES } from '../execute/gpu/shapes';
import type { Gpu } from '../gpu/device';
import type { MemoryPlan, PlanModel } from '../memory/plan';

/**
 * @param tune the name of the kernels' shapes, or auto or off for those that suit the kind of adapter
 * @throws invalid-option for an unknown name, out-of-memory
 */
export async function createExecutor(
  gpu: Gpu | null,
  model: PlanModel,
  plan: MemoryPlan,
  tune: string,
): Promise<Executor> {
  const names = Object.keys(SHAPES);
  const named = names.includes(tune);
  if (!named && tune !== 'auto' && tune !== 'off') {
    throw new NibbleError('invalid-option', `tune is ${tune}; it must be one of auto, off, ${names.join(', ')}.`, {
      option: 'tune',
      value: tune,
    });
  }
  if (!gpu) return createCpuExecutor(model, plan);
  const variant = named ? tune : gpu.adapter.isFallback ? 'software' : 'gpu';
  return createGpuExecutor(gpu, model, plan, { variant, shapes: SHAPES[variant] });
}
