/**
 * How quick the page stays: a conversation of a thousand messages opens and is scrolled, and hostile texts of 100,000
 * characters stream into an answer. The conversation is the page's own, its engine says what it is told (page-view.ts);
 * Chromium as it is and with its processor slowed four times, the median of some runs. A task counts by the
 * processor's time.
 *
 *   node scripts/run.mjs ../bench/page [--runs 5] [--messages 1000] [--characters 100000] [--slow 4] [--only TEXT]
 *     [--write]
 *
 * --write puts the table into bench/page.md.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { type CDPSession, chromium, type Page } from '@playwright/test';
import { build as bundle } from 'vite';
import { chromiumVersion, installChromium, QUIET_FLAGS } from '../scripts/testing/chromium.ts';
import { serve } from '../scripts/testing/server.ts';
import { median } from '../src/node/median';
import { between } from './library-page';
import type { Bench } from './page-view';
import { runToExit } from './run';

const REPORT = 'bench/page.md';

const SCROLLED = 240;

/** Pieces that are each another one, for an answer that repeats itself is stopped (`loop-detector.ts`). */
function text(length: number, piece: (n: number) => string, head = ''): string {
  let made = head;
  for (let n = 1; made.length < head.length + length; n++) made += piece(n);
  return made.slice(0, head.length + length);
}

/** What streams, by name, of so many characters. */
const TEXTS: Readonly<Record<string, (length: number) => string>> = {
  prose: (length) => text(length, (n) => `One and **${n}** of *them*, and so on.\nAnd then, too.\n\n`),
  'one line': (length) => text(length, (n) => `one *${n}* \`three\` [four](https://a.example) `),
  'a fence without an end': (length) => text(length, (n) => `const a${n} = "b"; // and so on\n`, '```js\n'),
  'many pieces of code': (length) =>
    text(length, (n) => `\`\`\`js\n${text(1100, (line) => `const a${line} = ${n}; // and so on\n`)}\n\`\`\`\n\n`),
  'a table without an end': (length) =>
    text(length, (n) => `| one | ${n} | three |\n`, '| a | b | c |\n|---|--:|:-:|\n'),
  'nested quotes': (length) => text(length / 10, () => '> ') + text((length * 9) / 10, (n) => `deep ${n} `),
  'a list without an end': (length) => text(length, (n) => `- one\n  - ${n} and **three**\n`),
  formulas: (length) => text(length, (n) => `so $x_{${n}}^2 + \\sqrt{y}$, which\n\n$$\n\\frac{a}{${n}}\n$$\n\n`),
  'one word': (length) => text(length, (n) => n.toString(36)),
};

interface TraceEvent {
  name: string;
  tid: number;
  pid: number;
  /** of the processor, in µs */
  tdur?: number;
  args?: { name?: string };
}

/**
 * The longest task of the page's main thread while `work` runs, with scripts, styles, layout and paint: in ms of the
 * processor, which is what counts where other programs run, too.
 */
async function longestTask<T>(cdp: CDPSession, work: () => Promise<T>): Promise<{ longest: number; result: T }> {
  const events: TraceEvent[] = [];
  const collect = ({ value }: { value: unknown[] }) => void events.push(...(value as TraceEvent[]));
  cdp.on('Tracing.dataCollected', collect);
  await cdp.send('Tracing.start', {
    transferMode: 'ReportEvents',
    traceConfig: { includedCategories: ['disabled-by-default-devtools.timeline', '__metadata'] },
  });
  const result = await work();
  const complete = new Promise<void>((resolve) => cdp.once('Tracing.tracingComplete', () => resolve()));
  await cdp.send('Tracing.end');
  await complete;
  cdp.off('Tracing.dataCollected', collect);
  const mains = new Set(
    events
      .filter(({ name, args }) => name === 'thread_name' && args?.name === 'CrRendererMain')
      .map(({ pid, tid }) => `${pid} ${tid}`),
  );
  const tasks = events.filter(({ name, pid, tid }) => name === 'RunTask' && mains.has(`${pid} ${tid}`));
  return { longest: tasks.reduce((most, { tdur = 0 }) => Math.max(most, tdur), 0) / 1000, result };
}

/** Builds the page of the bench. @returns its folder */
async function built(): Promise<string> {
  const outDir = await mkdtemp(join(tmpdir(), 'nibble-page-'));
  await bundle({
    root: 'bench',
    base: './',
    configFile: false,
    publicDir: false,
    logLevel: 'error',
    build: { outDir, emptyOutDir: true, target: 'es2022', rolldownOptions: { input: 'bench/page-view.html' } },
  });
  return outDir;
}

const round = (value: number) => (value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString('en'));

async function main(): Promise<number> {
  const { values } = parseArgs({
    args: process.argv.slice(3),
    options: {
      runs: { type: 'string', default: '5' },
      messages: { type: 'string', default: '1000' },
      characters: { type: 'string', default: '100000' },
      slow: { type: 'string', default: '4' },
      only: { type: 'string', default: '' },
      write: { type: 'boolean', default: false },
    },
  });
  const [runs, messages, characters, slow] = [values.runs, values.messages, values.characters, values.slow].map(Number);
  const folder = await built();
  const site = await serve({ mounts: [['/', folder]] });
  const executablePath = await installChromium();
  const browser = await chromium.launch({ executablePath, args: QUIET_FLAGS });
  const lines: string[] = [];
  const row = (...cells: string[]) => {
    lines.push(`| ${cells.join(' | ')} |`);
    console.log(lines.at(-1));
  };
  try {
    const measure = async (rate: number, work: (page: Page, cdp: CDPSession) => Promise<number[]>) => {
      const found: number[][] = [];
      for (let run = 0; run < runs; run++) {
        const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
        await page.goto(`${site.origin}/page-view.html`);
        await page.waitForFunction(() => 'bench' in globalThis);
        const cdp = await page.context().newCDPSession(page);
        await cdp.send('Emulation.setCPUThrottlingRate', { rate });
        found.push(await work(page, cdp));
        await page.close();
      }
      return found[0].map((_, index) => median(found.map((each) => each[index])));
    };
    const inPage = { bench: undefined as unknown as Bench };
    type InPage = typeof inPage;
    const of = (name: string) => name.includes(values.only);
    const open = (page: Page) => page.evaluate((n) => (globalThis as unknown as InPage).bench.open(n), messages);
    const rates = [1, slow];

    console.log(`${chromiumVersion(executablePath)}, ${cpus().length} cores (${cpus()[0]?.model.trim()})\n`);
    row('what', 'plain', `slowed ${slow} times`, 'wanted');
    row('---', '---', '---', '---');
    if (of('opens')) {
      const cells: string[] = [];
      for (const rate of rates) cells.push(round((await measure(rate, async (page) => [await open(page)]))[0]));
      row(`a conversation of ${messages} messages opens, ms`, ...cells, 'under 300');
    }
    if (of('scrolls')) {
      const cells: string[][] = [[], []];
      for (const rate of rates) {
        const [middle, late] = await measure(rate, async (page) => {
          await open(page);
          const times = await page.evaluate((n) => (globalThis as unknown as InPage).bench.scroll(n), SCROLLED);
          return [median(times), (100 * times.filter((time) => time > 25).length) / times.length];
        });
        cells[0].push(round(1000 / middle));
        cells[1].push(round(late));
      }
      row('it scrolls from its end to its beginning, frames a second', ...cells[0], '60');
      row('frames of it that come late (after 25 ms or more), %', ...cells[1], '0');
    }
    for (const [name, make] of Object.entries(TEXTS).filter(([each]) => of(each))) {
      const cells: string[] = [];
      for (const rate of rates) {
        const [longest] = await measure(rate, async (page, cdp) => {
          await page.evaluate(() => (globalThis as unknown as InPage).bench.begin());
          const said = make(characters);
          const work = () => page.evaluate((each) => (globalThis as unknown as InPage).bench.stream(each), said);
          const { longest, result } = await longestTask(cdp, work);
          if (result < characters / 20) throw new Error(`Of ${name}, ${result} characters are shown.`);
          return [longest];
        });
        cells.push(round(longest));
      }
      row(`${characters.toLocaleString('en')} characters stream, ${name}: the longest task, ms`, ...cells, 'under 50');
    }
  } finally {
    await browser.close();
    await site.close();
    await rm(folder, { recursive: true, force: true });
  }
  if (values.write) writeFileSync(REPORT, between(readFileSync(REPORT, 'utf8'), 'result', lines.join('\n')));
  return 0;
}

await runToExit(main);
