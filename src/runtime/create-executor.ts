/** The executor of the chosen backend, the only one whose code is fetched. */
import type { NibbleError } from '../errors';
import type { Threads } from '../execute/cpu/team';
import type { Executor } from '../execute/executor';
import type { Gpu } from '../gpu/device';
import { checkTune, type KernelShapes, VARIANTS, variantFor, withInt8 } from '../kernels/variants';
import type { MemoryPlan, ModelGraph } from '../memory/plan';
import type { EffectiveEngineOptions } from './model';

/** Shapes that need nothing of a device. */
const PLAIN = 'small';

const cpuPart = () => import('../execute/on-cpu');
const gpuPart = () => import('../execute/on-gpu');

/** Begins to fetch what createExecutor() will need; a failure is told there. */
export function fetchExecutor(gpu: Gpu | null): void {
  void (gpu ? gpuPart() : cpuPart()).catch(() => {});
}

/**
 * @param options tune is the name of the kernels' shapes, or auto or off for those that suit the kind of adapter
 * @param threads of the CPU's executor, which takes as many as the plan has room for
 * @throws invalid-option for an unknown name, out-of-memory
 */
export async function createExecutor(
  gpu: Gpu | null,
  model: ModelGraph,
  plan: MemoryPlan,
  { tune, activations }: Pick<EffectiveEngineOptions, 'tune' | 'activations'>,
  threads?: Threads,
): Promise<Executor> {
  checkTune(tune);
  if (!gpu)
    return (await cpuPart()).createCpuExecutor(
      model,
      plan,
      threads && { ...threads, count: plan.request.threads ?? 1 },
      activations === 'f32' ? 'f32' : 'int16',
    );
  const variant = variantFor(gpu.profile, tune);
  const { createGpuExecutor } = await gpuPart();
  const own = VARIANTS[variant];
  // what does not compile here, then the next: of the plainest shapes the tuner may find better
  const tries: [name: string, shapes: KernelShapes][] = [
    ...(activations === 'int8' ? [[variant, withInt8(own)] satisfies [string, KernelShapes]] : []),
    [variant, own],
    ...(tune === 'auto' ? [[PLAIN, VARIANTS[PLAIN]] satisfies [string, KernelShapes]] : []),
  ];
  for (let why = ''; ; ) {
    const [name, shapes] = tries.shift()!;
    const chosen = activations === 'int8' ? { matmul: why || 'int8' } : undefined;
    try {
      return await createGpuExecutor(gpu, model, plan, { variant: name, shapes, chosen });
    } catch (error) {
      const { details, message } = error as NibbleError;
      if (details?.kernel === undefined || gpu.health.failure || tries.length === 0) throw error;
      why = `exact, as int8 fails here: ${message}`;
    }
  }
}
