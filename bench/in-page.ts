/** What the benches share that run Nibble and a rival in one Chromium, each in a worker of a page of its own. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BrowserContext, Page } from '@playwright/test';
import { build as bundle } from 'vite';
import { simd } from '../scripts/bundling/vite-simd.ts';
import { wgsl } from '../scripts/bundling/vite-wgsl.ts';
import type { ServerOptions } from '../scripts/testing/server.ts';
import { median } from '../src/node/median';
import { processorSeconds } from './processes';

/** Of one prompt and its answer. */
export interface Run {
  ids: number[];
  /** tokens a second: the prompt's over the time to the first new one */
  prefill: number;
  /** tokens a second: the further ones over the time that they take */
  decode: number;
}

export type Rates = Pick<Run, 'prefill' | 'decode'>;

/** One run of each, one right after the other. */
export interface Pair<T extends Rates = Rates> {
  rival: T;
  nibble: T;
}

export interface Measured extends Rates {
  /** tokens a second of the processor's time, in all threads */
  byProcessor: Rates;
  /** how many processors worked on it, on average */
  share: number;
}

/** The same pair by the processor's time. */
export const byProcessor = ({ rival, nibble }: Pair<Measured>): Pair => ({
  rival: rival.byProcessor,
  nibble: nibble.byProcessor,
});

/** How many processors worked on these runs, on average, as text. */
export const shareOf = (runs: readonly Measured[]): string =>
  (runs.reduce((sum, { share }) => sum + share, 0) / runs.length).toFixed(2);

/** How many times as fast Nibble is. */
export const RATIOS = {
  prefill: ({ rival, nibble }: Pair) => nibble.prefill / rival.prefill,
  decode: ({ rival, nibble }: Pair) => nibble.decode / rival.decode,
};

/** The six numbers of a row: rival, Nibble and ratio in prefill, then in decode. */
export const cellsOf = (pair: Pair): number[] => [
  pair.rival.prefill,
  pair.nibble.prefill,
  RATIOS.prefill(pair),
  pair.rival.decode,
  pair.nibble.decode,
  RATIOS.decode(pair),
];

/** The median of each column of cellsOf(). */
export function medians(pairs: readonly Pair[]): number[] {
  const rows = pairs.map(cellsOf);
  return rows[0].map((_, column) => median(rows.map((cells) => cells[column])));
}

/** Builds `outDir`/nibble-worker.js of a worker's source. */
export async function buildWorker(input: string, outDir: string): Promise<void> {
  await bundle({
    root: process.cwd(),
    configFile: false,
    publicDir: false,
    logLevel: 'error',
    plugins: [simd(), wgsl()],
    build: {
      // Vite's helper for it needs a document, which a worker has not
      modulePreload: false,
      outDir,
      target: 'es2022',
      rolldownOptions: { input, output: { entryFileNames: 'nibble-worker.js' } },
    },
  });
}

/** Where openPage() looks for its page. */
export const PAGE: [string, string] = ['/page.html', join(process.cwd(), 'bench/in-page.html')];

/** Answers for .wasm under `/${name}/`, of which the product's server does not know the type as it serves none. */
export const wasmOf =
  (name: string, folder: string): NonNullable<ServerOptions['intercept']> =>
  (_, response, path) => {
    const prefix = `/${name}/`;
    if (!path.startsWith(prefix) || !path.endsWith('.wasm')) return false;
    void readFile(join(folder, path.slice(prefix.length))).then((bytes) => {
      response.writeHead(200, { 'Content-Type': 'application/wasm' }).end(bytes);
    });
    return true;
  };

declare global {
  /** in in-page.html */
  var call: (name: string, argument: unknown) => Promise<unknown>;
}

/** A page with that worker in it. @param log prints what the page says */
export async function openPage(context: BrowserContext, origin: string, worker: string, log: boolean): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(0);
  page.on('console', (message) => {
    if (log) console.log(message.text());
  });
  await page.goto(`${origin}/page.html?worker=${encodeURIComponent(worker)}`);
  return page;
}

/** What the page's worker answers. @throws what it throws */
export const ask = <T>(page: Page, name: string, argument: unknown): Promise<T> =>
  page.evaluate(([n, a]) => globalThis.call(n as string, a), [name, argument] as const) as Promise<T>;

/** What a worker's `run` is asked for; `text` is the prompt for a rival that takes no ids. */
interface Asked {
  prompt: readonly number[];
  newTokens: number;
  text?: string;
}

/**
 * Measures runs by the clock and by the processor's time: that of the renderers of the browser with this profile. The
 * workers tell when they have the first token (event 'firstToken').
 */
export async function stopwatch(context: BrowserContext, profile: string) {
  let first = 0;
  await context.exposeBinding('firstToken', () => {
    first = processorSeconds(profile);
  });
  return async <T extends Rates>(page: Page, job: Asked): Promise<T & Measured> => {
    const [start, clock] = [processorSeconds(profile), performance.now()];
    const run = await ask<T>(page, 'run', job);
    const [end, seconds] = [processorSeconds(profile), (performance.now() - clock) / 1000];
    return {
      ...run,
      byProcessor: { prefill: job.prompt.length / (first - start), decode: (job.newTokens - 1) / (end - first) },
      share: (end - start) / seconds,
    };
  };
}

/** Puts `text` where a report's last result of that name was, between its two comments. */
export async function writeReport(report: string, name: string, text: string): Promise<void> {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const old = await readFile(report, 'utf8');
  const [from, to] = [old.indexOf(open), old.indexOf(close)];
  if (from < 0 || to < from) throw new Error(`${report} has no ${open} … ${close} to write between.`);
  await writeFile(report, `${old.slice(0, from)}${open}\n${text}\n${old.slice(to)}`);
}
