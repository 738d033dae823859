/** Models for tests: fixtures from disk, and random weights for any spec. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadWeights } from '../../../checkpoint/load-weights';
import { openCheckpoint } from '../../../checkpoint/open-checkpoint';
import type { MatrixFormat } from '../../../formats/matrix';
import { chooseFormats, type WeightsOption } from '../../../memory/formats';
import type { LayoutTarget } from '../../../memory/layout';
import {
  DEFAULT_LIMITS,
  type MemoryPlan,
  type ModelGraph,
  NO_LIMITS,
  type PlanLimits,
  type PlanRequest,
  planMemory,
} from '../../../memory/plan';
import { forwardSteps, tensorTable } from '../../../model/decoder';
import { parseSpec } from '../../../model/parse';
import type { ModelSpec } from '../../../model/spec';
import { startNodeThread } from '../../../node/compute-threads';
import { createFolderSource } from '../../../node/folder-source';
import { yieldToEvents } from '../../../platform/yield-to-events';
import { type OneCache, withOneCache } from '../../test/one-cache';
import { type Arithmetic, arithmetic, type Computing, inJavaScript } from '../arithmetic';
import { createCpuExecutor } from '../executor';
import type { Threads } from '../team';

export interface Expected {
  vocab: number;
  logitScale: number;
  prompts: { ids: number[]; positions: number[]; logits: number[][]; greedy: number[]; margins: number[] }[];
}

const FIXTURES = 'reference/fixtures';

export const expected = (folder: string): Expected =>
  JSON.parse(readFileSync(join(FIXTURES, folder, 'expected.json'), 'utf8')) as Expected;

/**
 * Largest difference of logits that is allowed, in units of the largest magnitude, by the type of keys and values: f32
 * sums in another order, f16 and int8 round what is kept, too (bench/kv.md measures how much).
 */
export const TOLERANCE = { f32: 1e-3, f16: 5e-3, int8: 5e-2 } as const;

/**
 * The same for prompts with activations of int8, of random models of two layers: 3.2e-2 was measured (bench/int8.md).
 */
export const INT8_TOLERANCE = 5e-2;

export const GREEDY = { temperature: 0, topK: 0, topP: 1, seed: 0 };

export async function take(ids: AsyncIterable<number>): Promise<number[]> {
  const all: number[] = [];
  for await (const id of ids) all.push(id);
  return all;
}

/** One row of logits a position of `ids`. */
export async function allLogits(executor: OneCache, ids: number[], start = 0): Promise<Float32Array[]> {
  const rows: Float32Array[] = [];
  await executor.prefill(ids, start, {
    onLogits(position, logits) {
      if (position !== start + rows.length) throw new Error(`row ${position} came after ${rows.length}`);
      rows.push(logits.slice());
    },
  });
  return rows;
}

/** Greedy steps before the first whose margin is under `least`: another sum may choose another id there. */
export function sureSteps(margins: readonly number[], least: number): number {
  const unsure = margins.findIndex((margin) => margin < least);
  return unsure < 0 ? margins.length : unsure;
}

export const request = (more: Partial<PlanRequest> = {}): PlanRequest => ({
  promptTokens: 1,
  maxNewTokens: 200,
  kvType: 'f32',
  kvCapacity: 'auto',
  maxContext: null,
  chunk: 128,
  budget: null,
  snapshots: 0,
  ...more,
});

/** Which executor a test is about. */
export interface Maker {
  target: LayoutTarget;
  make(model: ModelGraph, plan: MemoryPlan): OneCache | Promise<OneCache>;
  limits?: PlanLimits;
}

const cpuMaker = (way?: Arithmetic, threads?: Threads): Maker => ({
  target: 'cpu',
  async make(model, plan) {
    // the plan with room for the threads
    const wide = planMemory(model, { ...plan.request, threads: threads?.count }, NO_LIMITS, 'cpu');
    const executor = createCpuExecutor(model, wide, threads, way);
    while (threads && !executor.stats().variants.cpu.endsWith(`, ${threads.count} threads`)) await yieldToEvents();
    return withOneCache(executor);
  },
});

/** As it runs here, all of it exact: in WebAssembly. */
export const CPU = cpuMaker();

/** Products of 16 bits in WebAssembly, and every token by itself, so that all products are. */
export const INT16: Maker = {
  target: 'cpu',
  make: (model, plan) => cpuMaker(arithmetic('int16')).make(model, { ...plan, request: { ...plan.request, chunk: 1 } }),
};

/** As it runs where WebAssembly is forbidden. */
export const JAVASCRIPT = cpuMaker(inJavaScript('a test'));

/**
 * In threads, however little there is to split and however long it takes, as all processors may be at work on other
 * tests.
 * @param opened gets what computes
 */
export const threaded = (opened: Computing[], threads: Partial<Threads> = {}): Maker =>
  cpuMaker(
    {
      name: 'webassembly-simd in threads',
      open(...given) {
        const computing = arithmetic().open(...given);
        opened.push(computing);
        return computing;
      },
    },
    { count: 2, start: startNodeThread, patience: 1000, leastWork: 0, ...threads },
  );

/** By name, for tests that both must pass. */
export const CPU_WAYS = [
  ['WebAssembly', CPU],
  ['JavaScript', JAVASCRIPT],
] as const;

/** Opens a fixture with its cache reserved. */
export async function openFixture(
  path: string,
  more: Partial<PlanRequest> = {},
  weights: WeightsOption = 'keep',
  maker: Maker = CPU,
): Promise<{ executor: OneCache; model: ModelGraph; plan: MemoryPlan }> {
  const checkpoint = await openCheckpoint(createFolderSource(join(FIXTURES, path)));
  const spec = parseSpec(checkpoint.config);
  const table = tensorTable(spec);
  const matrices = table.flatMap(({ name, kind }) => (kind === 'matrix' ? [name] : []));
  const model = { spec, steps: forwardSteps(spec), formats: chooseFormats(checkpoint.tensors, matrices, weights) };
  const plan = planMemory(model, request(more), maker.limits ?? DEFAULT_LIMITS, maker.target);
  const executor = await maker.make(model, plan);
  await loadWeights(checkpoint, table, executor.sink, { formats: model.formats });
  await executor.reserve(plan);
  checkpoint.close();
  return { executor, model, plan };
}

/** Numbers in [-1, 1) that depend on the seed only. */
export function randomValues(count: number, seed: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** What randomModel() reserves. */
export function planOf(
  spec: ModelSpec,
  more: Partial<PlanRequest> = {},
  format: MatrixFormat = { type: 'f32' },
  target: LayoutTarget = 'cpu',
  limits: PlanLimits = DEFAULT_LIMITS,
): MemoryPlan {
  return planMemory(graphOf(spec, format), request(more), limits, target);
}

/** A model of any spec; @param format of every matrix, or of each by its name */
export function graphOf(spec: ModelSpec, format: MatrixFormat | ((name: string) => MatrixFormat)): ModelGraph {
  const names = tensorTable(spec).flatMap(({ name, kind }) => (kind === 'matrix' ? [name] : []));
  const formatOf = typeof format === 'function' ? format : () => format;
  return { spec, steps: forwardSteps(spec), formats: new Map(names.map((name) => [name, formatOf(name)])) };
}

/** A model of any spec with random weights, every matrix in `format`. */
export async function randomModel(
  spec: ModelSpec,
  more: Partial<PlanRequest> = {},
  format: MatrixFormat = { type: 'f32' },
  maker: Maker = CPU,
): Promise<OneCache> {
  const table = tensorTable(spec);
  const plan = planOf(spec, more, format, maker.target, maker.limits);
  const executor = await maker.make(graphOf(spec, format), plan);
  for (const [i, { name, rows, cols, kind }] of table.entries()) {
    const values = randomValues(rows * cols, i + 1).map((v) =>
      kind === 'vector' ? 1 + 0.3 * v : (2 * v) / Math.sqrt(cols),
    );
    if (kind === 'vector') executor.sink.writeVector(name, values);
    else
      await executor.sink.write(name, {
        row0: 0,
        rows,
        cols,
        type: 'dense',
        dense: 'f32',
        data: new Uint8Array(values.buffer),
      });
  }
  await executor.sink.finish();
  await executor.reserve(plan);
  return executor;
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < Math.max(a.length, b.length); i++) largest = Math.max(largest, Math.abs(a[i] - b[i]));
  return largest;
}
