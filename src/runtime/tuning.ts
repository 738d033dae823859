/** The choice of kernels of a load (choose-kernels.ts), beside its download. */
import type { Executor } from '../execute/executor';
import type { GpuExecutor } from '../execute/gpu/executor';
import type { Gpu } from '../gpu/device';
import type { MemoryPlan } from '../memory/plan';
import type { ModelInfo } from '../protocol';
import type { ModelStore } from '../store/chunk-store';
import type { EffectiveEngineOptions } from './model';

/** The choice of kernels of one load. */
export interface Tuning {
  /** Ends it and takes what it found; what it did not get to keeps the profile's choice. @throws what tune() does */
  finish(): Promise<ModelInfo['tuning']>;
}

/** Nothing is chosen: the CPU answers, or a software adapter, or shapes are named. */
const NONE: Tuning = { finish: async () => null };

/**
 * Begins to check and time kernels beside a download.
 * @param options load()'s: only `tune: 'auto'` checks and times
 * @param store null: nothing is remembered
 * @param userAgent the browser's, '' in Node
 */
export function beginTuning(
  gpu: Gpu | null,
  executor: Executor,
  plan: MemoryPlan,
  { tune, activations }: Pick<EffectiveEngineOptions, 'tune' | 'activations'>,
  store: ModelStore | null,
  userAgent: string,
): Tuning {
  if (!gpu || gpu.profile.software || tune !== 'auto') return NONE;
  const stop = new AbortController();
  const done = import('./choose-kernels').then(({ chooseKernels }) =>
    chooseKernels(gpu, executor as GpuExecutor, plan, activations, store, userAgent, stop.signal),
  );
  done.catch(() => {});
  return {
    async finish() {
      stop.abort();
      const { how, ms, rejected } = await done;
      return { how, ms: Math.round(ms), rejected };
    },
  };
}
