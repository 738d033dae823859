/** The executor of the chosen backend, the only one whose code is fetched. */
import type { NibbleError } from '../errors';
import type { Threads } from '../execute/cpu/team';
import type { Executor } from '../execute/executor';
import type { Gpu } from '../gpu/device';
import { checkTune, VARIANTS, variantFor } from '../kernels/variants';
import type { MemoryPlan, ModelGraph } from '../memory/plan';

/** Shapes that need nothing of a device. */
const PLAIN = 'small';

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
  const make = (name: string) => createGpuExecutor(gpu, model, plan, { variant: name, shapes: VARIANTS[name] });
  try {
    return await make(variant);
  } catch (error) {
    // shapes that do not compile here: the plainest ones, until the tuner has found better
    const refused = tune === 'auto' && (error as NibbleError).details?.kernel !== undefined;
    if (!refused || gpu.health.failure) throw error;
    return make(PLAIN);
  }
}
