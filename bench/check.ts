/**
 * The fixtures of every format and family, and of adapters (`lora/…`), on this machine's GPU, with every set of shapes,
 * with all features at the adapter's limits and with none at WebGPU's default ones: as transformers and PEFT compute
 * them?
 *
 *   node scripts/run.mjs ../bench/check [--adapter NAME] [--shapes NAME] [--features all|none] [--kv TYPE] [--only
 *   TEXT] [--matrix [--most CELLS] [--dry]]
 *
 * --matrix runs every variant of a kernel instead, and fills the table in check.md (check-matrix.ts), which
 * --dry leaves alone.
 *
 * Where the system has no Vulkan driver, the SwiftShader of an installed Chromium is taken; VK_ICD_FILENAMES or
 * VK_DRIVER_FILES (lavapipe) names another. Exit status 1 when one differs.
 */
import { parseArgs } from 'node:util';
import { FAMILY_FIXTURES, FORMAT_FIXTURES, GGUF_FIXTURES } from '../src/execute/cpu/test/fixtures';
import { type Expected, expected, TOLERANCE } from '../src/execute/cpu/test/models';
import { requestGpu } from '../src/gpu/device';
import { VARIANTS } from '../src/kernels/variants';
import { baseOf, EXPECTED } from '../src/lora/test/adapters';
import type { WeightsOption } from '../src/memory/formats';
import type { KvType } from '../src/memory/kv';
import { gpuFor } from '../src/node/dawn';
import { compare } from './check-variants';
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
      dry: { type: 'boolean' },
      most: { type: 'string', default: 'Infinity' },
    },
  });
  const instance = await gpuFor('webgpu', values.adapter, values.matrix);
  if (values.matrix) {
    const { checkMatrix } = await import('./check-matrix');
    return (await checkMatrix(instance, values.only, Number(values.most), Boolean(values.dry))) ? 1 : 0;
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
