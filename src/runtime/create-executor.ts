/** The executor of the chosen backend, the only one whose code is fetched. */
import type { Threads } from '../execute/cpu/team';
import type { Executor } from '../execute/executor';
import type { Gpu } from '../gpu/device';
import { checkTune, VARIANTS, variantFor } from '../kernels/variants';
import type { MemoryPlan, ModelGraph } from '../memory/plan';

const cpuPart = () => import('../execute/on-cpu');
const gpuPart = () => import('../execute/on-gpu');

/** Begins to fetch what createExecutor() will need; a failure is told there. */
export function fetchExecutor(gpu: Gpu | null): void {
  void (gpu ? gpuPart() : cpuPart()).catch(() => {});
}

/**
 * @param tune the name of the kernels' shapes, or auto or off for those that suit the kind of adapter
 * @param threads of the CPU's executor, which takes as many as the plan has room for
 * @throws invalid-option for an unknown name, out-of-memory
 */
export async function createExecutor(
  gpu: Gpu | null,
  model: ModelGraph,
  plan: MemoryPlan,
  tune: string,
  threads?: Threads,
): Promise<Executor> {
  checkTune(tune);
  if (!gpu)
    return (await cpuPart()).createCpuExecutor(
      model,
      plan,
      threads && { ...threads, count: plan.request.threads ?? 1 },
    );
  const variant = variantFor(gpu.profile, tune);
  const { createGpuExecutor } = await gpuPart();
  return createGpuExecutor(gpu, model, plan, { variant, shapes: VARIANTS[variant] });
}
