/**
 * Gemma-7B's full geometry as a random NF4 checkpoint (4.4 GB), in Chromium on WebGPU (SwiftShader, whose buffers live
 * in the GPU process), under a budget of 6 GiB: what LitGPT's Python API could not do on a card of 16 GB.
 *
 *   npm run build && node scripts/run.mjs ../bench/gemma7b [--layers 28] [--only library,page,widget,cli] [--folder /tmp/nibble-gemma7b] [--write]
 *
 * The library loads it over HTTP into IndexedDB and answers a prompt of 4 tokens with 2 new ones, with a KV cache of 384
 * slots; with the model's full context the same load is refused. Chat page, widget and CLI then load the same
 * checkpoint (the first two from IndexedDB) with the same options, and every buffer that their worker makes is counted
 * by a wrapper around createBuffer; they are closed once the cache is there, before they answer. --write puts the
 * tables into bench/gemma7b.md. Takes tens of minutes.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { findChromium, vulkanEnvironment } from '../scripts/chromium';
import { openPipedPage, type PipedPage } from '../scripts/devtools-pipe';
import { serve } from '../scripts/server';
import { between } from './library-page';
import { residentBytes } from './processes';
import { writeRandomCheckpoint } from './random-checkpoint';

/** huggingface.co/google/gemma-7b, config.json */
const configOf = (layers: number) => ({
  model_type: 'gemma',
  architectures: ['GemmaForCausalLM'],
  vocab_size: 256000,
  hidden_size: 3072,
  intermediate_size: 24576,
  num_hidden_layers: layers,
  num_attention_heads: 16,
  num_key_value_heads: 16,
  head_dim: 256,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  hidden_act: 'gelu_pytorch_tanh',
  hidden_activation: 'gelu_pytorch_tanh',
  tie_word_embeddings: true,
});

/** any with a chat template, so that page and widget can ask; its ids are within the vocabulary */
const TOKENIZER = 'reference/fixtures/tiny-llama-128/nf4';
const IDS = [2, 7, 11, 13];
const NEW_TOKENS = 2;
const SLOTS = 384;
/** as the story has it; with fewer layers --budget tries the same */
const BUDGET = 6 * 1024 ** 3;
const EVERY_MS = 100;

/** In front of the worker's script: tells who asks on the channel what buffers there are. */
const COUNT = `{
  const counted = { live: 0, peak: 0, buffers: 0 };
  const sizes = new WeakMap();
  const { createBuffer } = GPUDevice.prototype;
  GPUDevice.prototype.createBuffer = function (descriptor) {
    const buffer = createBuffer.call(this, descriptor);
    sizes.set(buffer, descriptor.size);
    counted.buffers++;
    counted.live += descriptor.size;
    counted.peak = Math.max(counted.peak, counted.live);
    return buffer;
  };
  const { destroy } = GPUBuffer.prototype;
  GPUBuffer.prototype.destroy = function () {
    counted.live -= sizes.get(this) ?? 0;
    counted.buffers -= sizes.delete(this) ? 1 : 0;
    return destroy.call(this);
  };
  const channel = new BroadcastChannel('counted');
  channel.onmessage = ({ data }) => data === 'how many?' && channel.postMessage(counted);
}
`;
/** The widget's worker is a blob: the wrapper goes in front of it as the blob is made. */
const IN_BLOBS = `window.Blob = class extends Blob {
  constructor(parts = [], options) {
    super(/javascript/.test(options?.type ?? '') ? [${JSON.stringify(COUNT)}, ...parts] : parts, options);
  }
};`;

interface Counted {
  live: number;
  peak: number;
  buffers: number;
}

/** Of the last worker that was made; a worker that does not answer has none. */
const COUNTED = `new Promise((resolve) => {
  const channel = new BroadcastChannel('counted');
  channel.onmessage = ({ data }) => data !== 'how many?' && (channel.close(), resolve(data));
  channel.postMessage('how many?');
  setTimeout(() => (channel.close(), resolve({ live: 0, peak: 0, buffers: 0 })), 5000);
})`;

interface Usage {
  rendererStart: number;
  rendererPeak: number;
  gpuStart: number;
  gpuPeak: number;
}

/** Runs a task while the browser's processes are watched. */
async function watched<T>({ profile }: PipedPage, task: () => Promise<T>): Promise<{ result: T; usage: Usage }> {
  const renderer = () => residentBytes(profile, 'renderer');
  const gpu = () => residentBytes(profile, 'gpu-process');
  const usage = { rendererStart: renderer(), rendererPeak: 0, gpuStart: gpu(), gpuPeak: 0 };
  const timer = setInterval(() => {
    usage.rendererPeak = Math.max(usage.rendererPeak, renderer());
    usage.gpuPeak = Math.max(usage.gpuPeak, gpu());
  }, EVERY_MS);
  try {
    return { result: await task(), usage };
  } finally {
    clearInterval(timer);
  }
}

interface Answered {
  loadMs: number;
  answerMs: number;
  ids: number[];
  memory: Record<string, number>;
  plan: Record<string, number>;
  counted: Counted;
}

const OPTIONS = { backend: 'webgpu', tune: 'off' };

const inLibrary = (base: string, budget: number) => `(async () => {
  const { load } = await import('/lib/index.js');
  let started = performance.now();
  const engine = await load('${base}', { ...${JSON.stringify(OPTIONS)}, memoryBudget: ${budget}, kvCapacity: ${SLOTS} });
  const loadMs = performance.now() - started;
  const plan = await engine.plan({ promptTokens: ${IDS.length}, maxNewTokens: ${NEW_TOKENS} });
  started = performance.now();
  const { ids, memory } = await engine.generate(${JSON.stringify(IDS)}, { maxNewTokens: ${NEW_TOKENS} }).result;
  const answerMs = performance.now() - started;
  const counted = await ${COUNTED};
  engine.dispose();
  return { loadMs, answerMs, ids, memory, plan, counted };
})()`;

const refusedInLibrary = (base: string, budget: number) => `(async () => {
  const { load } = await import('/lib/index.js');
  const error = await load('${base}', { ...${JSON.stringify(OPTIONS)}, memoryBudget: ${budget}, storage: 'none', kvCapacity: 'full' }).catch((e) => e);
  if (error.code !== 'out-of-memory') throw new Error('It was not refused: ' + error.message);
  return { message: error.message, details: error.details };
})()`;

/**
 * Opens the page's (or the widget's) chat, loads, asks, and counts the buffers once the cache is there: when there are
 * more than before, and no newer ones for two seconds.
 */
const ON_SCREEN = `(async () => {
  const deep = (root, name) => {
    for (const element of root.querySelectorAll('*')) {
      const found = element.localName === name ? element : element.shadowRoot && deep(element.shadowRoot, name);
      if (found) return found;
    }
  };
  const until = async (test) => {
    for (let value; ; await new Promise((resolve) => setTimeout(resolve, 500))) if ((value = await test())) return value;
  };
  deep(document, 'nibble-chat')?.shadowRoot.querySelector('button').click();
  const { session } = await until(() => deep(document, 'nibble-view'));
  const failed = () => { if (session.error) throw session.error; };
  const started = performance.now();
  await until(() => (failed(), session.load(true), session.phase === 'ready'));
  const loadMs = performance.now() - started;
  const before = await ${COUNTED};
  void session.ask('a');
  let counted = before;
  let same = 0;
  await until(async () => {
    failed();
    const seen = await ${COUNTED};
    same = seen.live > before.live && seen.live === counted.live ? same + 1 : 0;
    counted = seen;
    return same === 4;
  });
  const { options } = session.info;
  return { loadMs, counted, kvCapacity: options.kvCapacity, memoryBudget: options.memoryBudget };
})()`;

function commandLine(folder: string, args: string[], env: NodeJS.ProcessEnv) {
  const cli = ['bin/nibble.js', ...args.slice(0, 1), folder, ...args.slice(1), '--json'];
  return JSON.parse(execFileSync(process.execPath, cli, { encoding: 'utf8', env, maxBuffer: 1 << 26 }));
}

const seconds = (ms: number) => (ms / 1000).toFixed(0);
const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(0);

export async function main(argv: string[]): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      layers: { type: 'string', default: '28' },
      only: { type: 'string', default: 'library,page,widget,cli' },
      folder: { type: 'string', default: '/tmp/nibble-gemma7b' },
      budget: { type: 'string', default: String(BUDGET) },
      write: { type: 'boolean' },
    },
  });
  const layers = Number(values.layers);
  const budget = Number(values.budget);
  const wanted = values.only.split(',');
  const folder = join(values.folder, `nf4-${layers}`);
  const file = join(folder, 'model.safetensors');
  const bytes = existsSync(file) ? statSync(file).size : writeRandomCheckpoint(folder, configOf(layers), 'nf4');
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    copyFileSync(join(TOKENIZER, name), join(folder, name));
  const site = await serve({
    mounts: [
      ['/model/', folder],
      ['/lib/', 'dist'],
      ['/embed/', 'dist/embed'],
      ['/blank.html', 'e2e/blank.html'],
      ['/', 'dist/site'],
    ],
    intercept(_, response, path) {
      if (path === '/widget.html') {
        const options = `model="/model/" backend="webgpu" tune="off" kv-capacity="${SLOTS}" memory-budget="${budget}"`;
        const body = `<!doctype html><script>${IN_BLOBS}</script><script type="module" src="/embed/nibble-chat.js"></script><nibble-chat ${options}></nibble-chat>`;
        response.writeHead(200, { 'Content-Type': 'text/html' }).end(body);
        return true;
      }
      const script =
        /\/assets\/worker-.*\.js$/.test(path) &&
        (path.startsWith('/lib/') ? `dist/${path.slice(5)}` : `dist/site${path}`);
      if (!script) return false;
      response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(COUNT + readFileSync(script, 'utf8'));
      return true;
    },
  });
  const base = `${site.origin}/model/`;
  const lines: string[] = [];
  const rows: string[] = [];
  const say = (line: string) => {
    console.log(line);
    lines.push(line);
  };
  const row = (face: string, ...cells: string[]) => {
    console.log(face, ...cells);
    rows.push(`| ${[face, ...cells].join(' | ')} |`);
  };
  const totals = new Set<number>();
  const page = await openPipedPage(`${site.origin}/blank.html`);
  try {
    if (wanted.includes('library')) {
      const refused = await page.evaluate<{ message: string; details: object }>(refusedInLibrary(base, budget));
      say(
        `\`kvCapacity: 'full'\`: refused before any weight was fetched (${site.bytes('/model/')} bytes sent): ${refused.message} \`${JSON.stringify(refused.details)}\`\n`,
      );
      site.reset();
      const { result, usage } = await watched(page, () => page.evaluate<Answered>(inLibrary(base, budget)));
      const { memory, plan, counted, ids, loadMs, answerMs } = result;
      console.log(JSON.stringify({ result, usage }));
      totals.add(memory.total).add(plan.total).add(counted.live);
      say(
        `\`kvCapacity: ${SLOTS}\`: planned ${plan.total} bytes (weights ${plan.weights}, KV ${plan.kv}, scratch ${plan.scratch}, staging ${plan.staging}); the ledger says ${memory.total}, at most ${memory.peak}; the wrapper counted ${counted.live} in ${counted.buffers} buffers, at most ${counted.peak}. KV of the full context would be ${memory.kvFullContext}. New ids ${ids.join(', ')}.\n`,
      );
      say(
        `Renderer: ${mib(usage.rendererStart)} MiB at the start, ${mib(usage.rendererPeak)} at most. GPU process: ${mib(usage.gpuStart)} and ${mib(usage.gpuPeak)} MiB. ${site.bytes('/model/')} bytes sent for a file of ${bytes}.\n`,
      );
      row(
        'library',
        'HTTP, into IndexedDB',
        seconds(loadMs),
        seconds(answerMs),
        String(counted.live),
        String(memory.total),
      );
    }
    for (const [face, url] of [
      ['page', `/?model=/model/&backend=webgpu&tune=off&kv-capacity=${SLOTS}&memory-budget=${budget}`],
      ['widget', '/widget.html'],
    ]) {
      if (!wanted.includes(face)) continue;
      site.reset();
      await page.navigate(site.origin + url);
      const { result, usage } = await watched(page, () =>
        page.evaluate<{ loadMs: number; counted: Counted }>(ON_SCREEN),
      );
      console.log(JSON.stringify({ result, usage }));
      totals.add(result.counted.live);
      const from = site.bytes('/model/model.safetensors') > bytes / 2 ? 'HTTP' : 'IndexedDB';
      row(face, from, seconds(result.loadMs), '', String(result.counted.live), '');
    }
    if (wanted.includes('cli')) {
      await page.navigate(`${site.origin}/blank.html`);
      const env = { ...process.env, ...vulkanEnvironment(await findChromium()) };
      const options = [
        '--kv-capacity',
        String(SLOTS),
        '--budget',
        String(budget),
        '--backend',
        'webgpu',
        '--tune',
        'off',
      ];
      const started = performance.now();
      const answer = commandLine(
        folder,
        ['generate', '--ids', IDS.join(), '--max-new-tokens', String(NEW_TOKENS), ...options],
        env,
      );
      totals.add(answer.memory.total);
      row('CLI', 'disk', 'with the answer', seconds(performance.now() - started), '', String(answer.memory.total));
      say(`CLI: new ids ${answer.ids.join(', ')}.\n`);
    }
  } finally {
    await page.close();
    await site.close();
  }
  const day = new Date().toISOString().slice(0, 10);
  const table = [
    `${day}, ${page.machine}, load average ${loadavg()[0].toFixed(0)} at the end; ${layers} layers, ${bytes} bytes.\n`,
    ...lines,
    '| through | from | load, s | answer, s | bytes of all GPU buffers, counted | by the ledger |',
    '|---|---|---|---|---|---|',
    ...rows,
  ].join('\n');
  console.log(`\n${table}`);
  const report = 'bench/gemma7b.md';
  if (values.write) await writeFile(report, between(readFileSync(report, 'utf8'), `${layers} layers`, table));
  if (totals.size !== 1) console.log(`The bytes DIFFER: ${[...totals].join(', ')}`);
  return totals.size === 1 ? 0 : 1;
}
