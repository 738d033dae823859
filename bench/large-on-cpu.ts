/**
 * A model of many gigabytes on the CPU in Chromium: Gemma-7B's geometry with random NF4 weights (4.4 GB, more than one
 * memory of WebAssembly holds), over HTTP, with nothing kept. What is allocated is compared with the plan, and the
 * renderer's resident memory with both.
 *
 *   npm run build && node scripts/run.mjs ../bench/large-on-cpu [--layers 28] [--config CONFIG.json]
 *     [--folder /tmp/nibble-gemma7b]
 *
 * Exit status 1 unless the answer's ids came from the CPU in WebAssembly, and the bytes are the plan's. Takes minutes,
 * and about 6 GB of memory and of the disk. Result: bench/gemma7b.md.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { openPipedPage } from '../scripts/testing/devtools-pipe';
import { serve } from '../scripts/testing/server';
import { parse } from '../src/node/arguments';
import type { MemoryInfo, ModelInfo, PlanInfo } from '../src/protocol';
import { geometryOf } from './gemma7b-geometry';
import { residentBytes } from './processes';
import { writeRandomCheckpoint } from './random-checkpoint';
import { runToExit } from './run';

const text = { type: 'string' } as const;
const EVERY_MS = 100;

interface Answered {
  info: ModelInfo;
  plan: PlanInfo;
  memory: MemoryInfo;
  ids: number[];
  /** seconds */
  load: number;
  answer: number;
}

const ASK = `(async () => {
  const { load } = await import('/lib/index.js');
  const begun = performance.now();
  const engine = await load('/model/', { backend: 'cpu', storage: 'none', kvCapacity: 384 });
  const loaded = performance.now();
  const { ids } = await engine.generate([1, 2, 3, 4], { maxNewTokens: 2, temperature: 0, ignoreEos: true }).result;
  const answered = performance.now();
  const plan = await engine.plan({ promptTokens: 4, maxNewTokens: 2 });
  const said = { info: await engine.info(), plan, memory: await engine.memory(), ids };
  return { ...said, load: (loaded - begun) / 1000, answer: (answered - loaded) / 1000 };
})()`;

async function main(): Promise<number> {
  const args = parse('large-on-cpu', process.argv.slice(3), { layers: text, config: text, folder: text }, 0);
  const layers = args.count('layers', 28);
  const config = args.text('config');
  const folder = join(args.text('folder') ?? '/tmp/nibble-gemma7b', config ? 'given' : `cpu-${layers}`);
  const file = join(folder, 'model.safetensors');
  if (!existsSync(file))
    writeRandomCheckpoint(folder, config ? JSON.parse(readFileSync(config, 'utf8')) : geometryOf(layers), 'nf4');
  const mounts: [string, string][] = [
    ['/model/', folder],
    ['/lib/', 'dist'],
    ['/', 'e2e/blank.html'],
  ];
  const site = await serve({ mounts, isolated: true });
  const page = await openPipedPage(site.origin);
  const start = residentBytes(page.profile, 'renderer');
  let most = start;
  const sampling = setInterval(() => {
    most = Math.max(most, residentBytes(page.profile, 'renderer'));
  }, EVERY_MS);
  try {
    const { info, plan, memory, ids, load, answer } = await page.evaluate<Answered>(ASK);
    const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
    console.log(`${statSync(file).size} bytes, ${page.machine}, load ${loadavg()[0].toFixed(1)} at the end`);
    console.log(`${info.backend}: ${info.variants.cpu}; ids ${ids.join(', ')}`);
    console.log(`load ${load.toFixed(0)} s, answer ${answer.toFixed(0)} s`);
    console.log(`planned ${plan.total} bytes (weights ${plan.weights}, KV ${plan.kv}, scratch ${plan.scratch})`);
    console.log(`held ${memory.total} (weights ${memory.weights}, KV ${memory.kv}, scratch ${memory.scratch})`);
    console.log(
      `renderer ${mib(start)} MiB at the start, ${mib(most - start)} more at most, planned ${mib(plan.peak)}`,
    );
    const same = memory.total === plan.total && memory.peak <= plan.peak;
    return same && info.backend === 'cpu' && /^webassembly/.test(info.variants.cpu) ? 0 : 1;
  } finally {
    clearInterval(sampling);
    await page.close();
    await site.close();
  }
}

await runToExit(main);
