/** For tests: an executor with one conversation, whose cache need not be named. */
import type { MemoryPlan } from '../../memory/plan';
import type { Executor, KvCache, PrefillOptions } from '../executor';
import type { Pooled } from '../pooling';
import type { SampleOptions } from '../sampler/options';

export interface OneCache extends Omit<Executor, 'prefill' | 'decode' | 'pool' | 'score'> {
  /** itself */
  readonly executor: Executor;
  readonly cache: KvCache;
  reserve(plan: MemoryPlan): Promise<void>;
  prefill(ids: ArrayLike<number>, start: number, options?: PrefillOptions): Promise<void>;
  decode(start: number, count: number, sample: SampleOptions, signal?: AbortSignal): AsyncIterable<number>;
  pool(ids: ArrayLike<number>, start: number, pooled: Pooled): Promise<Float32Array>;
  score(ids: ArrayLike<number>, start: number): Promise<Float64Array>;
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
    pool: async (ids, start, pooled) => (await executor.pool([{ cache, ids, start }], pooled))[0],
    score: async (ids, start) => (await executor.score([{ cache, ids, start }]))[0],
    nextLogits: (texts, ids) => executor.nextLogits(texts, ids),
    openStreams: (most) => executor.openStreams(most),
    logits: (ids) => executor.logits(ids),
    memory: () => executor.memory(),
    stats: () => executor.stats(),
    dispose: () => executor.dispose(),
  };
}
