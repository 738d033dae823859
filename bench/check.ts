/**
 * The fixtures of every format and family, and of adapters (`lora/…`), on this machine's GPU, with every set of shapes,
 * with all features at the adapter's limits and with none at WebGPU's default ones: as transformers and PEFT compute
 * them?
 *
 *   node scripts/run.mjs ../bench/check [--adapter NAME] [--shapes NAME] [--features all|none] [--kv TYPE] [--only
 *   TEXT] [--matrix [--most CELLS]]
 *
 * --matrix runs every variant of a kernel instead, and fills the table in check.md (check-matrix.ts).
 *
 * Where the system has no Vulkan driver, the SwiftShader of an installed Chromium is taken; VK_ICD_FILENAMES or
 * VK_DRIVER_FILES (lavapipe) names another. Exit status 1 when one differs.
 */
import { parseArgs } from 'node:util';
import { FAMILY_FIXTURES, FORMAT_FIXTURES, GGUF_FIXTURES } from '../src/execute/cpu/test/fixtures';
import {
  type Expected,
  expected,
  GREEDY,
  largestDifference,
  type Maker,
  openFixture,
  request,
  sureSteps,
  TOLERANCE,
  take,
} from '../src/execute/cpu/test/models';
import { createGpuExecutor } from '../src/execute/gpu/executor';
import { type OneCache, withOneCache } from '../src/execute/test/one-cache';
import { type Gpu, requestGpu } from '../src/gpu/device';
import { type KernelShapes, VARIANTS } from '../src/kernels/variants';
import { active, baseOf, EXPECTED } from '../src/lora/test/adapters';
import type { WeightsOption } from '../src/memory/formats';
import type { KvType } from '../src/memory/kv';
import { planMemory } from '../src/memory/plan';
import { gpuFor } from '../src/node/dawn';
import type { Compare } from './check-matrix';
import { runToExit } from './run';

interface Case {
  name: string;
  path: string;
  weights: WeightsOption;
  adapters: readonly string[];
  kvTypes: readonly KvType[];
  facts(): Expected;
}

const CASES: readonly Case[] = [
  ...[...FORMAT_FIXTURES, ...GGUF_FIXTURES, ...FAMILY_FIXTURES].map(([path, weights]) => ({
    name: path,
    path,
    weights,
    adapters: [],
    kvTypes: ['f32', 'f16', 'int8'] as const,
    facts: () => expected(path.replace(/\/[^/]+\.gguf$/, '')),
  })),
  ...EXPECTED.map((facts) => ({
    name: `lora/${facts.adapters.join('+')} on ${facts.model} ${facts.variant}`,
    ...baseOf(facts),
    adapters: facts.adapters,
    // rslora is so strong that an f16 cache's rounding is 1.3e-2 of the scale, on every adapter
    kvTypes: ['f32'] as const,
    facts: () => facts,
  })),
];

/** Of odd sizes, and with layers that slide and cap. */
const MATRIX_FIXTURES = ['tiny-llama-odd/nf4', 'families/gemma2/nf4'];

interface Trial extends Case {
  gpu: Gpu;
  variant: string;
  shapes: KernelShapes;
  kvType: KvType;
}

/** The largest difference in units of the scale, and whether all ids that are sure are equal. */
async function compare({ gpu, variant, shapes, kvType, path, weights, adapters, facts }: Trial) {
  const maker: Maker = {
    target: 'webgpu',
    limits: gpu.limits,
    make: async (model, plan) => withOneCache(await createGpuExecutor(gpu, model, plan, { variant, shapes })),
  };
  const { logitScale, prompts } = facts();
  const { executor, model } = await openFixture(path, { kvType }, weights, maker);
  if (adapters.length > 0) await executor.setAdapters(await active(model.steps, adapters));
  let worst = 0;
  let equal = true;
  for (const { ids, positions, logits, greedy, margins } of prompts) {
    const size = request({ kvType, promptTokens: ids.length, maxNewTokens: greedy.length });
    await executor.reserve(planMemory(model, size, gpu.limits, 'webgpu'));
    await executor.prefill(ids, 0);
    const right = logits[positions.indexOf(ids.length - 1)];
    worst = Math.max(worst, largestDifference(await executor.logits(), right) / logitScale);
    equal &&= await sameIds(executor, ids.length, greedy, margins, 2 * TOLERANCE[kvType] * logitScale);
  }
  executor.dispose();
  return { worst, equal };
}

async function sameIds(executor: OneCache, start: number, greedy: number[], margins: number[], least: number) {
  const made = await take(executor.decode(start, greedy.length, GREEDY));
  const sure = sureSteps(margins, least);
  return made.slice(0, sure).join() === greedy.slice(0, sure).join();
}

async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      adapter: { type: 'string' },
      shapes: { type: 'string' },
      features: { type: 'string' },
      kv: { type: 'string' },
      only: { type: 'string', default: '' },
      matrix: { type: 'boolean' },
      most: { type: 'string', default: 'Infinity' },
    },
  });
  const instance = await gpuFor('webgpu', values.adapter);
  if (values.matrix) {
    const { checkMatrix } = await import('./check-matrix');
    const forced: Compare = (gpu, shapes, path) => {
      const found = CASES.find((one) => one.name === path);
      if (!found) throw new Error(`There is no fixture ${path}.`);
      return compare({ ...found, gpu, variant: 'forced', shapes, kvType: 'f32' });
    };
    return (await checkMatrix(instance, forced, MATRIX_FIXTURES, values.only, Number(values.most))) ? 1 : 0;
  }
  const cases = CASES.filter(({ name }) => name.includes(values.only));
  const variants = Object.keys(VARIANTS).filter((name) => !values.shapes || name === values.shapes);
  let failed = 0;
  let count = 0;
  for (const options of [
    { limits: 'adapter', features: 'all' },
    { limits: 'default', features: 'none' },
  ] as const) {
    if (values.features && values.features !== options.features) continue;
    const gpu = await requestGpu(instance, options);
    console.log(JSON.stringify(gpu.adapter), [...gpu.features].join(' '));
    for (const variant of variants) {
      // a case's kernels but two serve either kind of cache: lavapipe takes half a minute to compile them
      for (const each of cases) {
        for (const kvType of each.kvTypes.filter((type) => !values.kv || type === values.kv)) {
          const name = `${variant} kv ${kvType} ${each.name}`;
          count++;
          try {
            const { worst, equal } = await compare({ ...each, gpu, variant, shapes: VARIANTS[variant], kvType });
            const good = equal && worst < TOLERANCE[kvType];
            if (!good) failed++;
            const ids = equal ? 'equal' : 'DIFFER';
            console.log(`${good ? 'ok  ' : 'FAIL'} ${name} logits ${worst.toExponential(1)} of the scale, ids ${ids}`);
          } catch (error) {
            failed++;
            console.log('FAIL', name, (error as Error).message.slice(0, 500));
          }
        }
      }
    }
  }
  if (count === 0)
    throw new Error(`Nothing to check: no case and no shapes are called so (shapes: ${Object.keys(VARIANTS)}).`);
  console.log(`${count - failed} of ${count} ok`);
  return failed ? 1 : 0;
}

export const main = (argv: readonly string[]): Promise<never> => runToExit(() => run(argv));
