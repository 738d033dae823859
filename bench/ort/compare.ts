/**
 * Speed against ONNX Runtime Web, in one headless Chromium on SwiftShader, the two in turn:
 *
 *   npm install --prefix /tmp/ort onnxruntime-web
 *   node scripts/run.mjs ../bench/ort/compare --geometry smollm2 --pairs 5 --ort /tmp/ort [--write]
 *
 * --geometry smollm2|qwen2|tiny   --pairs N   --new-tokens N (decode steps are one fewer)   --prompt-tokens N
 * --rivals A,B|none          each round runs every rival and Nibble after each; names are in RIVALS; none: Nibble once
 * --tune NAME                Nibble's kernel shapes (default software)
 * --write                    puts the table into bench/rival.md, in the place of that geometry's last one
 * --verbose                  prints ORT's log, node placement included
 */
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium, type Page } from '@playwright/test';
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
  cellsOf,
  medians,
  openPage,
  PAGE,
  type Pair,
  RATIOS,
  type Run,
  wasmOf,
  writeReport,
} from '../in-page';
import { decoderGraph, type GraphOptions } from './decoder-graph';
import { GEOMETRIES, type Geometry } from './geometries';

/** ORT's builds with WebGPU: webgpu (asyncify, what transformers.js ships), jspi, and all (JSEP, the older one). */
interface Rival extends GraphOptions {
  build: 'webgpu' | 'jspi' | 'all';
  /** graphOptimizationLevel: 'basic' leaves out ORT's own fusions (q, k and v; gate and up) */
  level?: 'basic';
}

const RIVALS: Readonly<Record<string, Rival>> = {
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

function tableOf(name: string, pairs: readonly Pair[]): string {
  const row = (label: string, cells: readonly number[]) =>
    `| ${label} | ${cells.map((value) => value.toFixed(2)).join(' | ')} |`;
  return [
    `| ${name} | rival prefill | Nibble prefill | ratio | rival decode | Nibble decode | ratio |`,
    '|---|---|---|---|---|---|---|',
    ...pairs.map((pair, i) => row(`pair ${i + 1}`, cellsOf(pair))),
    row('**median**', medians(pairs)),
  ].join('\n');
}

export async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      geometry: { type: 'string', default: 'smollm2' },
      pairs: { type: 'string', default: '5' },
      'new-tokens': { type: 'string' },
      'prompt-tokens': { type: 'string', default: '32' },
      ort: { type: 'string', default: '/tmp/ort' },
      rivals: { type: 'string', default: 'nbits-packed,bnb4-packed' },
      tune: { type: 'string', default: 'software' },
      write: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
    },
  });
  const name = values.geometry;
  const geometry = GEOMETRIES[name];
  const rivals = values.rivals === 'none' ? [] : values.rivals.split(',');
  const unknown = rivals.find((rival) => !RIVALS[rival]);
  if (!geometry) throw new Error(`--geometry is ${name}; it must be one of ${Object.keys(GEOMETRIES).join(', ')}.`);
  if (unknown) throw new Error(`--rivals has ${unknown}; there are ${Object.keys(RIVALS).join(', ')}.`);
  const ortFolder = join(values.ort, 'node_modules/onnxruntime-web');
  if (rivals.length > 0 && !(await stat(ortFolder).catch(() => null)))
    throw new Error(`There is no ${ortFolder}. Run: npm install --prefix ${values.ort} onnxruntime-web`);
  const newTokens = Number(values['new-tokens'] ?? (name === 'qwen2' ? 3 : 5));
  const promptTokens = Number(values['prompt-tokens']);
  const prompt = Array.from({ length: promptTokens }, (_, i) => (i * 7919 + 17) % geometry.vocab_size);
  const models = join(values.ort, 'models');
  if (rivals.length > 0) await mkdir(models, { recursive: true });
  const built = await mkdtemp(join(tmpdir(), 'nibble-ort-'));
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
    intercept: wasmOf('ort', ortFolder),
  });
  const browser = await chromium.launch({
    executablePath,
    args: [...QUIET_FLAGS, ...WEBGPU_FLAGS],
    ignoreDefaultArgs: WEBGPU_IGNORED,
  });
  try {
    const context = await browser.newContext();
    const log = (text: string) => console.log(`${new Date().toISOString().slice(11, 19)} ${text}`);
    const nibble = await openPage(context, server.origin, '/nibble-worker.js', true);
    const about = await ask<{ adapter: { description: string; architecture: string }; variants: object }>(
      nibble,
      'load',
      {
        geometry,
        tune: values.tune,
      },
    );
    const answer = await ask<{ ids: number[] }>(nibble, 'generate', { prompt, newTokens });
    log(`Nibble is loaded, generate gives ${answer.ids}`);
    const runNibble = async (): Promise<Run> => {
      const ours = await ask<Run>(nibble, 'run', { prompt, newTokens });
      if (ours.ids.join() === answer.ids.join()) return ours;
      throw new Error(`The bench decoded ${ours.ids} where generate gives ${answer.ids}.`);
    };
    if (rivals.length === 0) {
      const { prefill, decode } = await runNibble();
      log(`Nibble alone: ${prefill.toFixed(2)} and ${decode.toFixed(2)} tok/s`);
      return 0;
    }
    const pages: Record<string, Page> = {};
    let version = '';
    for (const rival of rivals) {
      const file = await graphFile(models, name, geometry, RIVALS[rival]);
      const page = await openPage(context, server.origin, '/rival-worker.mjs', values.verbose);
      const { build, level = 'all' } = RIVALS[rival];
      const argument = { build, level, model: `/models/${file}`, geometry, verbose: values.verbose };
      ({ version } = await ask<{ version: string }>(page, 'load', argument));
      const { ids } = await ask<Run>(page, 'run', { prompt, newTokens: 2 });
      log(`ORT ${version} ${rival} is loaded and warm, its ids begin ${ids}`);
      pages[rival] = page;
    }
    const pairs: Record<string, Pair[]> = Object.fromEntries(rivals.map((rival) => [rival, []]));
    for (let i = 0; i < Number(values.pairs); i++) {
      for (const rival of rivals) {
        const theirs = await ask<Run>(pages[rival], 'run', { prompt, newTokens });
        const ours = await runNibble();
        const pair = { rival: theirs, nibble: ours };
        pairs[rival].push(pair);
        log(
          `pair ${i + 1}: ${rival} ${theirs.prefill.toFixed(2)} and ${theirs.decode.toFixed(2)} tok/s, ` +
            `Nibble ${ours.prefill.toFixed(2)} and ${ours.decode.toFixed(2)}: ` +
            `${RATIOS.prefill(pair).toFixed(2)} and ${RATIOS.decode(pair).toFixed(2)} times`,
        );
      }
    }
    const best = (pick: (pair: Pair) => number) =>
      Math.min(...rivals.map((rival) => median(pairs[rival].map(pick)))).toFixed(2);
    const text = [
      `${new Date().toISOString().slice(0, 10)}, ${chromiumVersion(executablePath)}, ` +
        `${about.adapter.description || about.adapter.architecture}, ${cpus().length} cores (${cpus()[0].model}), ` +
        `onnxruntime-web ${version}, prompt ${promptTokens} tokens, ${newTokens - 1} decode steps, ` +
        `Nibble's shapes ${JSON.stringify(about.variants)}; tokens a second.`,
      '',
      ...rivals.flatMap((rival) => [tableOf(rival, pairs[rival]), '']),
      `Against the best of these: **${best(RATIOS.prefill)} times in prefill, ${best(RATIOS.decode)} times in decode** ` +
        "(median of the pairs' ratios).",
      `Nibble's ids in every run equal generate's: ${answer.ids.join(', ')}.`,
    ].join('\n');
    console.log(`\n${text}`);
    if (values.write) await writeReport(REPORT, name, text);
    return 0;
  } finally {
    await browser.close();
    await server.close();
    await rm(built, { recursive: true, force: true });
  }
}
