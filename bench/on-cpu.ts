/** A model on the CPU in several ways in one process, for benches that compare them in turn. */
import process from 'node:process';
import { loadWeights } from '../src/checkpoint/load-weights';
import { openCheckpoint } from '../src/checkpoint/open-checkpoint';
import type { Arithmetic } from '../src/execute/cpu/arithmetic';
import { createCpuExecutor } from '../src/execute/cpu/executor';
import { request } from '../src/execute/cpu/test/models';
import type { Executor, KvCache } from '../src/execute/executor';
import { NO_LIMITS, type PlanRequest, planMemory } from '../src/memory/plan';
import { tensorTable } from '../src/model/decoder';
import { startNodeThread } from '../src/node/compute-threads';
import { createFolderSource } from '../src/node/folder-source';
import { graphOf } from '../src/runtime/planning';

/** How many threads compute in which way. */
export interface Way {
  way: Arithmetic;
  threads?: number;
}

export interface OnCpu {
  name: string;
  executor: Executor;
  cache: KvCache;
}

/** @param path a folder or a GGUF, whose weights are kept as they are @param more what its caches are made for */
export async function openOnCpu(path: string, ways: readonly Way[], more: Partial<PlanRequest>) {
  const checkpoint = await openCheckpoint(createFolderSource(path));
  const model = graphOf(checkpoint, { weights: 'keep', keep: [] });
  const { spec } = model;
  const table = tensorTable(spec);
  const runs: OnCpu[] = [];
  for (const { way, threads: count = 1 } of ways) {
    const plan = planMemory(model, request({ ...more, threads: count }), NO_LIMITS, 'cpu');
    const executor = createCpuExecutor(model, plan, { count, start: startNodeThread }, way);
    await loadWeights(checkpoint, table, executor.sink, { formats: model.formats });
    const cache = executor.createCache();
    await cache.reserve(plan);
    runs.push({ name: count > 1 ? `${way.name}, ${count} threads` : way.name, executor, cache });
  }
  return { spec, runs, checkpoint };
}

/** Seconds by the clock, and of the processor, and what came of it. */
export async function timed<T>(work: () => Promise<T>): Promise<{ clock: number; processor: number; result: T }> {
  const [clock, processor] = [performance.now(), process.cpuUsage()];
  const result = await work();
  return {
    clock: (performance.now() - clock) / 1000,
    processor: process.cpuUsage(processor).user / 1e6,
    result,
  };
}
