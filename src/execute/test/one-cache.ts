/** For tests: an executor with one conversation, whose cache need not be named. */
import type { MemoryPlan } from '../../memory/plan';
import type { Executor, KvCache, PrefillOptions } from '../executor';
import type { SampleOptions } from '../sampler/options';

export interface OneCache extends Omit<Executor, 'prefill' | 'decode'> {
  /** itself */
  readonly executor: Executor;
  readonly cache: KvCache;
  reserve(plan: MemoryPlan): Promise<void>;
  prefill(ids: ArrayLike<number>, start: number, options?: PrefillOptions): Promise<void>;
  decode(start: number, count: number, sample: SampleOptions, signal?: AbortSignal): AsyncIterable<number>;
}

export function withOneCache(executor: Executor): OneCache {
  const cache = executor.createCache();
  return {
    executor,
    cache,
    backend: executor.backend,
    sink: executor.sink,
    createCache: () => executor.createCache(),
    reserve: (plan) => cache.reserve(plan),
    prefill: (ids, start, options) => executor.prefill(cache, ids, start, options),
    decode: (start, count, sample, signal) => executor.decode(cache, start, count, sample, signal),
    setAdapters: (active) => executor.setAdapters(active),
    logits: () => executor.logits(),
    memory: () => executor.memory(),
    stats: () => executor.stats(),
    dispose: () => executor.dispose(),
  };
}
