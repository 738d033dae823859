/**
 * From load() to the first token, over a network of a stated latency and bandwidth, beside the time that the bytes
 * alone would take:
 *
 *   npm run build && node scripts/run.mjs ../bench/first-token [--latency 50] [--mbit 100] [--runs 3] [--model FOLDER]
 *   [--write]
 *
 * The default model from a server that behaves as the Hub does (scripts/testing/fake-hub.ts), into headless Chromium
 * with an empty profile each time, backend cpu. Once as the folder is, and once without its manifest.json, as most
 * repositories are. --model is another folder than the default model's. --write puts the table into
 * bench/first-token.md.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { serveFakeHub } from '../scripts/testing/fake-hub';
import { between, openLibraryPage } from './library-page';

const FOLDER = 'public/models/smollm2-135m-instruct-nf4';
/** of which the fake Hub knows it */
const ID = 'nibble/model';

interface Run {
  loadMs: number;
  firstTokenMs: number;
  bytes: number;
  requests: number;
  machine: string;
}

async function run(files: Map<string, Uint8Array>, latencyMs: number, bytesPerSecond: number): Promise<Run> {
  const hub = await serveFakeHub({ repos: { [ID]: { files } }, latencyMs, bytesPerSecond });
  const { page, machine, close } = await openLibraryPage();
  try {
    // as text: Vite would rewrite import()
    const times = await page.evaluate<Pick<Run, 'loadMs' | 'firstTokenMs'>>(`(async () => {
      const { load } = await import('/lib/index.js');
      const started = performance.now();
      const engine = await load('${ID}', { hub: '${hub.origin}', backend: 'cpu' });
      const loadMs = performance.now() - started;
      await engine.chat([{ role: 'user', content: 'Hello' }], { maxNewTokens: 1 }).result;
      return { loadMs, firstTokenMs: performance.now() - started };
    })()`);
    if (hub.complaints.length > 0) throw new Error(hub.complaints.join('\n'));
    const requests = hub.requests.filter((line) => !line.startsWith('cdn')).length;
    return { ...times, bytes: hub.bytes(), requests, machine };
  } finally {
    await close();
    await hub.close();
  }
}

const seconds = (ms: number) => (ms / 1000).toFixed(2);
const median = (values: number[]) => [...values].sort((a, b) => a - b)[values.length >> 1];

export async function main(argv: string[]): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      latency: { type: 'string', default: '50' },
      mbit: { type: 'string', default: '100' },
      runs: { type: 'string', default: '3' },
      model: { type: 'string', default: FOLDER },
      write: { type: 'boolean' },
    },
  });
  const latency = Number(values.latency);
  const bytesPerSecond = (Number(values.mbit) * 1e6) / 8;
  const whole = new Map(
    readdirSync(values.model).map((name) => [name, new Uint8Array(readFileSync(join(values.model, name)))] as const),
  );
  const bare = new Map([...whole].filter(([name]) => name !== 'manifest.json'));
  const lines = [
    '| | bytes | requests | bytes alone | load() | first token | over the bytes alone |',
    '|---|---|---|---|---|---|---|',
  ];
  let machine = '';
  for (const [name, files] of [
    ['with manifest.json', whole],
    ['without', bare],
  ] as const) {
    const runs: Run[] = [];
    for (let i = 0; i < Number(values.runs); i++) {
      runs.push(await run(files, latency, bytesPerSecond));
      console.log(name, JSON.stringify(runs.at(-1)));
    }
    machine = runs[0].machine;
    const bytes = median(runs.map((each) => each.bytes));
    const alone = (1000 * bytes) / bytesPerSecond;
    const loaded = median(runs.map(({ loadMs }) => loadMs));
    const first = median(runs.map(({ firstTokenMs }) => firstTokenMs));
    const requests = median(runs.map((each) => each.requests));
    lines.push(
      `| ${name} | ${bytes} | ${requests} | ${seconds(alone)} s | ${seconds(loaded)} s | ${seconds(first)} s | ${seconds(first - alone)} s, ${((100 * first) / alone - 100).toFixed(0)} % |`,
    );
  }
  const day = new Date().toISOString().slice(0, 10);
  const head = `${day}, ${machine}; ${latency} ms of latency a request (a file of weights takes two: the Hub’s redirect and the CDN’s answer), ${values.mbit} Mbit/s for all connections together; medians of ${values.runs}.`;
  const table = `${head}\n\n${lines.join('\n')}`;
  console.log(`\n${table}`);
  const page = 'bench/first-token.md';
  if (values.write) await writeFile(page, between(readFileSync(page, 'utf8'), 'result', table));
  return 0;
}
