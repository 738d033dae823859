/**
 * Memory while a checkpoint of about 1 GB is loaded in Chromium on WebGPU (SwiftShader, whose buffers live in the GPU
 * process), or on the CPU: the worker's JavaScript heap with its array buffers (CDP Runtime.getHeapUsage: usedSize +
 * backingStorageSize) and the renderer's resident memory, each above what it was at the start.
 *
 *   npm run build && node scripts/run.mjs ../bench/load-1gb [--layers 30] [--forms nf4,bf16] [--config CONFIG.json]
 *     [--tune NAME] [--backend cpu] [--folder /tmp/nibble-1gb] [--write]
 *
 * A tiny model comes first, in the same page: what it takes is the worker, its code and the device, and what the big
 * ones find. The checkpoint is random, made into --folder where it is not there yet (bf16: four times the bytes),
 * without a tokenizer; --config gives another geometry than one whose 30 layers make 1 GB. First a download into an
 * empty IndexedDB, then a load from it. On the CPU the renderer holds the weights: what counts is what it has beside
 * them. --write puts the table into bench/load-1gb.md, in the place of that list of forms. Takes minutes.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openPipedPage, type PipedPage } from '../scripts/testing/devtools-pipe';
import { serve } from '../scripts/testing/server';
import { between } from './library-page';
import { residentBytes } from './processes';
import { writeRandomCheckpoint } from './random-checkpoint';

const EVERY_MS = 50;
/** after which a worker that has ended has given its memory back, or never will */
const GONE_MS = 10_000;
/** what a worker, its code and a device take, whatever the model: loaded first */
const TINY = 'reference/fixtures/tiny-llama-128/nf4';
const MIB = 1 << 20;

export const configOf = (layers: number) => ({
  model_type: 'llama',
  architectures: ['LlamaForCausalLM'],
  vocab_size: 32000,
  hidden_size: 2048,
  intermediate_size: 8192,
  num_hidden_layers: layers,
  num_attention_heads: 16,
  num_key_value_heads: 4,
  max_position_embeddings: 2048,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: true,
});

interface Measured {
  seconds: number;
  heapPeak: number;
  rssStart: number;
  rssPeak: number;
  /** that the engine holds in the renderer, bytes: weights, and keys, values and activations; none on WebGPU */
  held: number;
  samples: number;
}

async function measure(page: PipedPage, base: string, backend: string, tune: string): Promise<Measured> {
  await page.evaluate(`import('/lib/index.js').then(() => {})`);
  const rssStart = residentBytes(page.profile, 'renderer');
  const measured = { seconds: 0, heapPeak: 0, rssStart, rssPeak: 0, held: 0, samples: 0 };
  let done = false;
  const sampling = (async () => {
    while (!done) {
      measured.heapPeak = Math.max(measured.heapPeak, await page.workerHeap());
      measured.rssPeak = Math.max(measured.rssPeak, residentBytes(page.profile, 'renderer'));
      measured.samples++;
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
  })();
  try {
    const info = await page.evaluate<{ backend: string; storage: string; held: number; ms: number }>(`(async () => {
      const { load } = await import('/lib/index.js');
      const started = performance.now();
      const engine = await load('${base}', { backend: '${backend}', tune: '${tune}', maxContext: 256 });
      const ms = performance.now() - started;
      const { backend, options } = await engine.info();
      const { total } = await engine.memory();
      engine.dispose();
      return { backend, storage: options.storage, held: total, ms };
    })()`);
    if (info.backend !== backend || info.storage !== 'indexeddb') throw new Error(JSON.stringify(info));
    if (backend === 'cpu') measured.held = info.held;
    measured.seconds = info.ms / 1000;
  } finally {
    done = true;
    await sampling;
  }
  const isGone = () => residentBytes(page.profile, 'renderer') <= rssStart + measured.held / 2;
  // or the next one would start with these weights; what lay on the GPU was never here
  for (let ms = 0; measured.held > 0 && ms < GONE_MS && !isGone(); ms += EVERY_MS)
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  return measured;
}

const mib = (bytes: number) => (bytes / MIB).toFixed(1);

export async function main(argv: string[]): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      layers: { type: 'string', default: '30' },
      forms: { type: 'string', default: 'nf4,bf16' },
      config: { type: 'string' },
      tune: { type: 'string', default: 'off' },
      folder: { type: 'string', default: '/tmp/nibble-1gb' },
      backend: { type: 'string', default: 'webgpu' },
      write: { type: 'boolean' },
    },
  });
  const onCpu = values.backend === 'cpu';
  const config = values.config ? JSON.parse(readFileSync(values.config, 'utf8')) : configOf(Number(values.layers));
  const lines = [
    `| checkpoint | bytes | from | seconds | heap: peak | renderer: start | peak above ${onCpu ? 'start and weights' : 'it'} |`,
    '|---|---|---|---|---|---|---|',
  ];
  let machine = '';
  for (const form of values.forms.split(',') as ('nf4' | 'bf16')[]) {
    const folder = join(values.folder, `${form}-${values.layers}`);
    const file = join(folder, 'model.safetensors');
    const bytes = existsSync(file) ? statSync(file).size : writeRandomCheckpoint(folder, config, form);
    const site = await serve({
      mounts: [
        ['/model/', folder],
        ['/tiny/', TINY],
        ['/lib/', 'dist'],
        ['/', 'e2e/blank.html'],
      ],
    });
    const page = await openPipedPage(site.origin);
    machine = page.machine;
    try {
      for (const [name, from] of [
        ['tiny', 'network'],
        [form, 'network'],
        [form, 'IndexedDB'],
      ]) {
        site.reset();
        const got = await measure(
          page,
          `${site.origin}/${name === 'tiny' ? 'tiny' : 'model'}/`,
          values.backend,
          values.tune,
        );
        console.log(name, from, JSON.stringify(got), site.bytes('/'));
        lines.push(
          `| ${name} | ${name === 'tiny' ? statSync(join(TINY, 'model.safetensors')).size : bytes} | ${from} | ${got.seconds.toFixed(0)} | ${mib(got.heapPeak)} | ${mib(got.rssStart)} | ${mib(got.rssPeak - got.rssStart - got.held)} |`,
        );
      }
    } finally {
      await page.close();
      await site.close();
    }
  }
  const day = new Date().toISOString().slice(0, 10);
  const busy = `load average ${loadavg()[0].toFixed(0)} at the end`;
  const table = `${day}, ${machine}, ${busy}; MiB, sampled every ${EVERY_MS} ms or as the worker answers.\n\n${lines.join('\n')}`;
  console.log(`\n${table}`);
  const report = 'bench/load-1gb.md';
  if (values.write)
    await writeFile(report, between(readFileSync(report, 'utf8'), onCpu ? `${values.forms} cpu` : values.forms, table));
  return 0;
}
