/**
 * Which kernel shapes are fastest on this adapter: every candidate runs the same random model, prefill and decode.
 *
 *   node scripts/run.mjs ../bench/shapes CONFIG.json [PROMPT] [NEW] [all|NAME,…] [BASE] [profile]
 *
 * Through Dawn, without a browser; where the system has no Vulkan driver, on the SwiftShader of an installed Chromium.
 * NAME is the beginning of a candidate's, BASE one of the sets of shapes, of which each candidate changes a part. RUNS
 * in the environment is how often each runs (4); the best counts. Exit status 1 when none ran.
 */
import { readFileSync } from 'node:fs';
import { loadWeights } from '../src/checkpoint/load-weights';
import { openCheckpoint } from '../src/checkpoint/open-checkpoint';
import { GREEDY, request } from '../src/execute/cpu/test/models';
import { createGpuExecutor } from '../src/execute/gpu/executor';
import { requestGpu } from '../src/gpu/device';
import { FEW_TOKENS, type KernelShapes, MATMULS, VARIANTS } from '../src/kernels/variants';
import { planMemory } from '../src/memory/plan';
import { tensorTable } from '../src/model/decoder';
import { gpuFor } from '../src/node/dawn';
import { createRandomSource } from '../src/node/random-source';
import { graphOf } from '../src/runtime/planning';
import { runToExit } from './run';

const CANDIDATES: Record<string, Partial<KernelShapes>> = { base: {} };
for (const [lanes, slices, tile] of [
  [4, 32, 1],
  [8, 16, 1],
  [8, 32, 1],
  [16, 8, 1],
  [16, 16, 1],
  [32, 4, 1],
  [32, 8, 1],
  [8, 16, 2],
  [16, 8, 2],
  [8, 32, 2],
  [4, 64, 1],
  [2, 64, 1],
]) {
  for (const table of ['workgroup', 'constant'] as const)
    CANDIDATES[`mv-${lanes}x${slices}x${tile}-${table[0]}`] = { matvec: { lanes, slices, tile, table } };
}
for (const [lanes, slices, tile] of [
  [16, 8, 1],
  [32, 8, 1],
  [32, 4, 2],
  [64, 4, 1],
  [8, 16, 1],
  [16, 16, 1],
]) {
  for (const table of ['workgroup', 'constant'] as const)
    CANDIDATES[`hd-${lanes}x${slices}x${tile}-${table[0]}`] = { head: { lanes, slices, tile, table } };
}
for (const [lanes, tile, tokens] of [
  [64, 1, 8],
  [64, 2, 8],
  [64, 4, 4],
  [64, 2, 16],
  [32, 2, 8],
  [32, 4, 8],
  [128, 2, 8],
  [64, 1, 16],
]) {
  for (const table of ['workgroup', 'constant'] as const)
    CANDIDATES[`mm-${lanes}x${tile}x${tokens}-${table[0]}`] = {
      matmul: { kind: 'registers', lanes, tile, tokens, table },
    };
}
for (const [lanes, slices, tile] of [
  [32, 1, 4],
  [16, 1, 8],
  [64, 1, 8],
  [32, 1, 12],
  [32, 1, 16],
])
  CANDIDATES[`sv-${lanes}x${tile}`] = { matvec: { lanes, slices, tile, table: 'constant' } };
for (const [lanes, tile, tokens] of [
  [16, 8, 8],
  [64, 8, 8],
  [32, 4, 8],
  [32, 4, 16],
  [32, 8, 16],
  [32, 8, 4],
])
  CANDIDATES[`sm-${lanes}x${tile}x${tokens}`] = {
    matmul: { kind: 'registers', lanes, tile, tokens, table: 'constant' },
  };
for (const [kind, shapes] of Object.entries({ matmul: MATMULS, few: FEW_TOKENS })) {
  for (const shape of shapes) {
    if (shape.kind !== 'tiled') continue;
    const { rows, tokens, lanes, slices, step, f16 } = shape;
    const name = `${kind}-${rows}x${tokens}-${lanes.join('x')}-${slices}-${step}${f16 ? '-f16' : ''}`;
    CANDIDATES[name] = { [kind]: shape };
  }
}
for (const tile of [4, 6, 8, 12])
  CANDIDATES[`ev-${tile}`] = { matvec: { lanes: 'even', slices: 1, tile, table: 'constant' } };
for (const rows of [1, 4, 6, 9])
  CANDIDATES[`at-${rows}`] = { attend: { ...VARIANTS.gpu.attend, prefill: { kind: 'registers', rows } } };

async function run([
  configFile,
  promptText = '128',
  newText = '64',
  which = 'all',
  baseName = 'gpu',
  profile = '',
]: readonly string[]): Promise<number> {
  if (!configFile) throw new Error('Whose geometry? node scripts/run.mjs ../bench/shapes CONFIG.json');
  const base = VARIANTS[baseName];
  if (!base) throw new Error(`There are no shapes ${baseName}; there are ${Object.keys(VARIANTS).join(', ')}.`);
  const gpu = await requestGpu(await gpuFor('webgpu', undefined), { limits: 'adapter', features: 'all' });
  console.log(JSON.stringify(gpu.adapter), [...gpu.features].join(' '), gpu.limits.maxComputeWorkgroupStorageSize);
  const config = JSON.parse(readFileSync(configFile, 'utf8'));
  const checkpoint = await openCheckpoint(createRandomSource(config));
  const model = graphOf(checkpoint, { weights: 'keep', keep: [] });
  const { spec } = model;
  const table = tensorTable(spec);
  const [prompt, count] = [Number(promptText), Number(newText)];
  const plan = planMemory(
    model,
    request({ promptTokens: prompt, maxNewTokens: count, kvType: 'f16' }),
    gpu.limits,
    'webgpu',
  );
  const ids = Array.from({ length: prompt }, (_, i) => (i * 7919 + 17) % spec.vocab);
  let reference = '';
  let ran = 0;
  for (const [name, change] of Object.entries(CANDIDATES)) {
    if (which !== 'all' && !which.split(',').some((w) => name.startsWith(w))) continue;
    try {
      const t0 = performance.now();
      const executor = await createGpuExecutor(gpu, model, plan, { variant: name, shapes: { ...base, ...change } });
      const t1 = performance.now();
      await loadWeights(checkpoint, table, executor.sink);
      const cache = executor.createCache();
      await cache.reserve(plan);
      const t2 = performance.now();
      let best = { prefill: 0, decode: 0, ids: '' };
      for (let run = 0; run < Number(process.env.RUNS ?? 4); run++) {
        const a = performance.now();
        await executor.prefill(cache, ids, 0);
        const b = performance.now();
        const out: number[] = [];
        for await (const id of executor.decode(cache, prompt, count, GREEDY)) out.push(id);
        const c = performance.now();
        best = {
          prefill: Math.max(best.prefill, (prompt * 1000) / (b - a)),
          decode: Math.max(best.decode, (count * 1000) / (c - b)),
          ids: out.join(),
        };
      }
      reference ||= best.ids;
      ran++;
      console.log(
        `${name.padEnd(22)} prefill ${best.prefill.toFixed(1).padStart(9)} decode ${best.decode.toFixed(1).padStart(8)} compile ${(t1 - t0).toFixed(0)} load ${(t2 - t1).toFixed(0)} ms ${best.ids === reference ? 'same ids' : 'OTHER IDS'}`,
      );
      if (profile) {
        console.log(JSON.stringify(await executor.profile(() => executor.prefill(cache, ids, 0))));
        console.log(
          JSON.stringify(
            await executor.profile(async () => {
              for await (const _ of executor.decode(cache, prompt, 16, GREEDY));
            }),
          ),
        );
      }
      executor.dispose();
    } catch (error) {
      console.log(name, (error as Error).message.slice(0, 300));
    }
  }
  return ran > 0 ? 0 : 1;
}

export const main = (argv: readonly string[]): Promise<never> => runToExit(() => run(argv));
