/**
 * Speed against ONNX Runtime Web, in one headless Chromium, the two in turn, on SwiftShader or on the CPU:
 *
 *   npm install --prefix /tmp/ort onnxruntime-web
 *   node scripts/run.mjs ../bench/ort/compare --geometry smollm2 --pairs 5 --ort /tmp/ort [--write]
 *   node scripts/run.mjs ../bench/ort/compare --backend cpu --geometry smollm2 --pairs 3 --ort /tmp/ort [--write]
 *
 * --backend webgpu|cpu       cpu is ORT's wasm and Nibble's backend of that name (default webgpu)
 * --threads A,B              with --backend cpu: of both, one after the other (default 1,2)
 * --geometry smollm2|qwen2|tiny   --pairs N   --new-tokens N (decode steps are one fewer)   --prompt-tokens N
 * --rivals A,B|none          each round runs every rival and Nibble after each; names are in RIVALS; none: Nibble once
 * --tune NAME                Nibble's kernel shapes (default software)
 * --write                    puts the tables into bench/rival.md, in the place of the last ones of geometry and backend
 * --verbose                  prints ORT's log, node placement included
 */
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from '@playwright/test';
import {
  chromiumVersion,
  installChromium,
  QUIET_FLAGS,
  WEBGPU_FLAGS,
  WEBGPU_IGNORED,
} from '../../scripts/testing/chromium.ts';
import { serve } from '../../scripts/testing/server.ts';
import { median } from '../../src/node/median';
import {
  ask,
  buildWorker,
  byProcessor,
  cellsOf,
  type Measured,
  medians,
  openPage,
  PAGE,
  type Pair,
  RATIOS,
  type Run,
  shareOf,
  stopwatch,
  wasmOf,
  writeReport,
} from '../in-page';
import { decoderGraph, type GraphOptions } from './decoder-graph';
import { GEOMETRIES, type Geometry } from './geometries';

/**
 * ORT's builds with WebGPU: webgpu (asyncify, what transformers.js ships), jspi, and all (JSEP, the older one); and the
 * one without: wasm.
 */
interface Rival extends GraphOptions {
  build: 'webgpu' | 'jspi' | 'all' | 'wasm';
  /** graphOptimizationLevel: 'basic' leaves out ORT's own fusions (q, k and v; gate and up) */
  level?: 'basic';
}

const WEBGPU: Readonly<Record<string, Rival>> = {
  nbits: { build: 'webgpu', weights: 'nbits', accuracy: 0, packed: false },
  'nbits-a4': { build: 'webgpu', weights: 'nbits', accuracy: 4, packed: false },
  'nbits-packed': { build: 'webgpu', weights: 'nbits', accuracy: 0, packed: true },
  'nbits-packed-a4': { build: 'webgpu', weights: 'nbits', accuracy: 4, packed: true },
  'nbits-jspi': { build: 'jspi', weights: 'nbits', accuracy: 0, packed: false },
  'nbits-a4-jspi': { build: 'jspi', weights: 'nbits', accuracy: 4, packed: false },
  'nbits-packed-a4-jspi': { build: 'jspi', weights: 'nbits', accuracy: 4, packed: true },
  'nbits-basic': { build: 'webgpu', weights: 'nbits', accuracy: 0, packed: false, level: 'basic' },
  'nbits-packed-basic': { build: 'webgpu', weights: 'nbits', accuracy: 0, packed: true, level: 'basic' },
  'nbits-packed-a4-basic': { build: 'webgpu', weights: 'nbits', accuracy: 4, packed: true, level: 'basic' },
  'nbits-jsep': { build: 'all', weights: 'nbits', accuracy: 0, packed: false },
  'bnb4-packed': { build: 'webgpu', weights: 'bnb4', accuracy: 0, packed: true },
  'bnb4-jspi': { build: 'jspi', weights: 'bnb4', accuracy: 0, packed: false },
  bnb4: { build: 'webgpu', weights: 'bnb4', accuracy: 0, packed: false },
};

const CPU: Readonly<Record<string, Rival>> = {
  nbits: { build: 'wasm', weights: 'nbits', accuracy: 0, packed: true },
  'nbits-a4': { build: 'wasm', weights: 'nbits', accuracy: 4, packed: true },
  nbits8: { build: 'wasm', weights: 'nbits8', accuracy: 0, packed: true },
  q8: { build: 'wasm', weights: 'q8', accuracy: 0, packed: true },
};

/** By backend, and which of them run where `--rivals` does not say. */
const RIVALS = {
  webgpu: { known: WEBGPU, usual: 'nbits-packed,bnb4-packed' },
  cpu: { known: CPU, usual: 'nbits,q8' },
};

const BENCH = join(process.cwd(), 'bench/ort');
const REPORT = join(process.cwd(), 'bench/rival.md');

/** The graph's file under `folder`, made at first use. */
async function graphFile(folder: string, name: string, geometry: Geometry, options: GraphOptions): Promise<string> {
  const { weights, accuracy, packed } = options;
  const file = `${name}-${weights}-a${accuracy}${packed ? '-packed' : ''}.onnx`;
  const path = join(folder, file);
  if (await stat(path).catch(() => null)) return file;
  const out = createWriteStream(`${path}.part`);
  for (const piece of decoderGraph(geometry, options)) {
    if (!out.write(piece)) await new Promise<void>((done) => out.once('drain', done));
  }
  await new Promise<void>((done) => out.end(done));
  await rename(`${path}.part`, path);
  return file;
}

type Backend = keyof typeof RIVALS;

interface Contest {
  title: string;
  /** of each */
  threads: number;
  rival: () => Promise<Run & Measured>;
  nibble: () => Promise<Run & Measured>;
  pairs: Pair<Measured>[];
}

const told = ({ prefill, decode }: Run) => `${prefill.toFixed(2)} and ${decode.toFixed(2)} tok/s`;

/** Every pair and their medians; on the CPU the processors at work, too, and of one thread by their time. */
function tableOf({ title, threads, pairs }: Contest, backend: Backend): string[] {
  const row = (label: string, cells: readonly number[]) =>
    `| ${label} | ${cells.map((value) => value.toFixed(2)).join(' | ')} |`;
  const lines = [
    `| ${title} | rival prefill | Nibble prefill | ratio | rival decode | Nibble decode | ratio |`,
    '|---|---|---|---|---|---|---|',
    ...pairs.map((pair, i) => row(`pair ${i + 1}`, cellsOf(pair))),
    row('**median**', medians(pairs)),
  ];
  if (backend === 'webgpu') return lines;
  if (threads === 1) lines.push(row("median, by the processor's time", medians(pairs.map(byProcessor))));
  const [theirs, ours] = [pairs.map(({ rival }) => rival), pairs.map(({ nibble }) => nibble)];
  return [
    ...lines,
    '',
    `Processors at work, on average: ${shareOf(theirs)} in the rival's runs, ${shareOf(ours)} in Nibble's.`,
  ];
}

export async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      backend: { type: 'string', default: 'webgpu' },
      threads: { type: 'string', default: '1,2' },
      geometry: { type: 'string', default: 'smollm2' },
      pairs: { type: 'string', default: '5' },
      'new-tokens': { type: 'string' },
      'prompt-tokens': { type: 'string', default: '32' },
      ort: { type: 'string', default: '/tmp/ort' },
      rivals: { type: 'string' },
      tune: { type: 'string', default: 'software' },
      write: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
    },
  });
  const name = values.geometry;
  const geometry = GEOMETRIES[name];
  const { backend } = values;
  if (backend !== 'webgpu' && backend !== 'cpu') throw new Error(`--backend is ${backend}; it must be webgpu or cpu.`);
  const { known, usual } = RIVALS[backend];
  const rivals = values.rivals === 'none' ? [] : (values.rivals ?? usual).split(',');
  const unknown = rivals.find((rival) => !known[rival]);
  const threadCounts = backend === 'cpu' ? values.threads.split(',').map(Number) : [1];
  if (!geometry) throw new Error(`--geometry is ${name}; it must be one of ${Object.keys(GEOMETRIES).join(', ')}.`);
  if (unknown) throw new Error(`--rivals has ${unknown}; there are ${Object.keys(known).join(', ')}.`);
  const ortFolder = join(values.ort, 'node_modules/onnxruntime-web');
  if (rivals.length > 0 && !(await stat(ortFolder).catch(() => null)))
    throw new Error(`There is no ${ortFolder}. Run: npm install --prefix ${values.ort} onnxruntime-web`);
  const newTokens = Number(values['new-tokens'] ?? (name === 'qwen2' ? 3 : 5));
  const promptTokens = Number(values['prompt-tokens']);
  const prompt = Array.from({ length: promptTokens }, (_, i) => (i * 7919 + 17) % geometry.vocab_size);
  const models = join(values.ort, 'models');
  if (rivals.length > 0) await mkdir(models, { recursive: true });
  const built = await mkdtemp(join(tmpdir(), 'nibble-ort-'));
  const profile = await mkdtemp(join(tmpdir(), 'nibble-ort-profile-'));
  await buildWorker(join(BENCH, 'nibble-worker.ts'), built);

  const executablePath = await installChromium();
  const server = await serve({
    mounts: [
      PAGE,
      ['/rival-worker.mjs', join(BENCH, 'rival-worker.mjs')],
      ['/ort/', ortFolder],
      ['/models/', models],
      ['/', built],
    ],
    // so that both may have threads
    isolated: true,
    intercept: wasmOf('ort', ortFolder),
  });
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    args: [...QUIET_FLAGS, ...WEBGPU_FLAGS],
    ignoreDefaultArgs: WEBGPU_IGNORED,
  });
  try {
    const log = (text: string) => console.log(`${new Date().toISOString().slice(11, 19)} ${text}`);
    const measure = await stopwatch(context, profile);
    const contests: Contest[] = [];
    let version = '';
    const devices = new Set<string>();
    let answer: number[] = [];
    for (const threads of threadCounts) {
      const page = await openPage(context, server.origin, '/nibble-worker.js', true);
      const asked = { geometry, backend, threads, tune: values.tune };
      await ask(page, 'load', asked);
      const { ids, device } = await ask<{ ids: number[]; device: string }>(page, 'generate', { prompt, newTokens });
      devices.add(device);
      log(`Nibble is loaded (${device}), generate gives ${ids}`);
      answer = ids;
      const nibble = async () => {
        const ours = await measure<Run>(page, { prompt, newTokens });
        if (ours.ids.join() === ids.join()) return ours;
        throw new Error(`The bench decoded ${ours.ids} where generate gives ${ids}.`);
      };
      if (rivals.length === 0) log(`Nibble alone: ${told(await nibble())}`);
      for (const rival of rivals) {
        const title = backend === 'cpu' ? `${rival}, threads: ${threads}` : rival;
        const file = await graphFile(models, name, geometry, known[rival]);
        const page = await openPage(context, server.origin, '/rival-worker.mjs', values.verbose);
        const { build, level = 'all' } = known[rival];
        const argument = { build, level, model: `/models/${file}`, geometry, threads, verbose: values.verbose };
        ({ version } = await ask<{ version: string }>(page, 'load', argument));
        const { ids } = await ask<Run>(page, 'run', { prompt, newTokens: 2 });
        log(`ORT ${version} ${title} is loaded and warm, its ids begin ${ids}`);
        contests.push({ title, threads, nibble, rival: () => measure(page, { prompt, newTokens }), pairs: [] });
      }
    }
    if (contests.length === 0) return 0;
    const load: number[] = [];
    for (let i = 0; i < Number(values.pairs); i++) {
      for (const { title, rival, nibble, pairs } of contests) {
        load.push(loadavg()[0]);
        const pair = { rival: await rival(), nibble: await nibble() };
        pairs.push(pair);
        log(
          `pair ${i + 1}: ${title} ${told(pair.rival)}, Nibble ${told(pair.nibble)}: ` +
            `${RATIOS.prefill(pair).toFixed(2)} and ${RATIOS.decode(pair).toFixed(2)} times`,
        );
      }
    }
    const best = (of: readonly Contest[], pick: (pair: Pair) => number) =>
      Math.min(...of.map(({ pairs }) => median(pairs.map(pick)))).toFixed(2);
    const text = [
      `${new Date().toISOString().slice(0, 10)}, ${chromiumVersion(executablePath)}, ` +
        `${cpus().length} cores (${cpus()[0].model}), ` +
        `onnxruntime-web ${version}, prompt ${promptTokens} tokens, ${newTokens - 1} decode steps, ` +
        `Nibble in ${[...devices].join(' and in ')}; tokens a second. ` +
        `Load of the machine meanwhile: ${Math.min(...load).toFixed(1)} to ${Math.max(...load).toFixed(1)}.`,
      '',
      ...contests.flatMap((contest) => [...tableOf(contest, backend), '']),
      ...threadCounts.map((threads) => {
        const of = contests.filter((contest) => contest.threads === threads);
        return (
          `Against the best of these${backend === 'cpu' ? ` on ${threads}` : ''}: **${best(of, RATIOS.prefill)} times ` +
          `in prefill, ${best(of, RATIOS.decode)} times in decode** (median of the pairs' ratios).`
        );
      }),
      `Nibble's ids in every run equal generate's: ${answer.join(', ')}.`,
    ].join('\n');
    console.log(`\n${text}`);
    if (values.write) await writeReport(REPORT, backend === 'cpu' ? `${name} cpu` : name, text);
    return 0;
  } finally {
    await context.close();
    await server.close();
    for (const folder of [built, profile]) await rm(folder, { recursive: true, force: true });
  }
}
