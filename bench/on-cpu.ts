/** A model on the CPU in several ways in one process, for benches that compare them in turn. */
import process from 'node:process';
import { loadWeights } from '../src/checkpoint/load-weights';
import { openCheckpoint } from '../src/checkpoint/open-checkpoint';
import type { Arithmetic } from '../src/execute/cpu/arithmetic';
import { createCpuExecutor } from '../src/execute/cpu/executor';
import { request } from '../src/execute/cpu/test/models';
import type { Executor, KvCache } from '../src/execute/executor';
import { chooseFormats } from '../src/memory/formats';
import { NO_LIMITS, type PlanRequest, planMemory } from '../src/memory/plan';
import { forwardSteps, tensorTable } from '../src/model/decoder';
import { parseSpec } from '../src/model/parse';
import { createFolderSource } from '../src/node/folder-source';

export interface OnCpu {
  name: string;
  executor: Executor;
  cache: KvCache;
}

/** @param path a folder or a GGUF, whose weights are kept as they are @param more what its caches are made for */
export async function openOnCpu(path: string, ways: readonly Arithmetic[], more: Partial<PlanRequest>) {
  const checkpoint = await openCheckpoint(createFolderSource(path));
  const spec = parseSpec(checkpoint.config);
  const table = tensorTable(spec);
  const names = table.flatMap(({ name, kind }) => (kind === 'matrix' ? [name] : []));
  const model = { spec, steps: forwardSteps(spec), formats: chooseFormats(checkpoint.tensors, names, 'keep') };
  const plan = planMemory(model, request(more), NO_LIMITS, 'cpu');
  const runs: OnCpu[] = [];
  for (const way of ways) {
    const executor = createCpuExecutor(model, plan, way);
    await loadWeights(checkpoint, table, executor.sink, { formats: model.formats });
    const cache = executor.createCache();
    await cache.reserve(plan);
    runs.push({ name: way.name, executor, cache });
  }
  return { spec, runs, checkpoint };
}

/** Seconds of the processor, and what came of it. */
export async function timed<T>(work: () => Promise<T>): Promise<[number, T]> {
  const before = process.cpuUsage();
  const result = await work();
  return [process.cpuUsage(before).user / 1e6, result];
}
