/**
 * From load() to the first token, over a network of a stated latency and bandwidth, beside the time that the bytes
 * alone would take:
 *
 *   npm run build && node scripts/run.mjs ../bench/first-token [--latency 50] [--mbit 100] [--runs 3] [--model FOLDER]
 *   [--vs DIST] [--write]
 *
 * The default model from a server that behaves as the Hub does (scripts/testing/fake-hub.ts), into headless Chromium
 * with an empty profile each time, backend cpu. Once as the folder is, and once without its manifest.json, as most
 * repositories are. --model is another folder than the default model's; --vs is another build of the library, which
 * loads in turn with this one. --write puts the table into bench/first-token.md.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { serveFakeHub } from '../scripts/testing/fake-hub';
import { median } from '../src/node/median';
import { between, openLibraryPage } from './library-page';
import { processorSeconds } from './processes';

const FOLDER = 'public/models/smollm2-135m-instruct-nf4';
/** of which the fake Hub knows it */
const ID = 'nibble/model';

interface Run {
  loadMs: number;
  firstTokenMs: number;
  bytes: number;
  requests: number;
  /** of all processors, for the page and its worker */
  cpuSeconds: number;
  machine: string;
}

type Files = ReadonlyMap<string, Uint8Array>;

async function run(dist: string, files: Files, latencyMs: number, bytesPerSecond: number): Promise<Run> {
  const hub = await serveFakeHub({ repos: { [ID]: { files } }, latencyMs, bytesPerSecond });
  const { page, profile, machine, close } = await openLibraryPage([], dist);
  // the Hub knows the digests that it lists; this one takes them when it is first asked
  await (await fetch(`${hub.origin}/api/models/${ID}/revision/main?blobs=true`)).text();
  hub.reset();
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
    return { ...times, bytes: hub.bytes(), requests, cpuSeconds: processorSeconds(profile), machine };
  } finally {
    await close();
    await hub.close();
  }
}

const seconds = (ms: number) => (ms / 1000).toFixed(2);

export async function main(argv: string[]): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      latency: { type: 'string', default: '50' },
      mbit: { type: 'string', default: '100' },
      runs: { type: 'string', default: '3' },
      model: { type: 'string', default: FOLDER },
      vs: { type: 'string' },
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
    '| | bytes | requests | bytes alone | load() | first token | times the bytes alone | processors |',
    '|---|---|---|---|---|---|---|---|',
  ];
  let machine = '';
  for (const [name, files] of [
    ['with manifest.json', whole],
    ['without', bare],
  ] as const) {
    const builds = new Map<string, Run[]>();
    for (let i = 0; i < Number(values.runs); i++) {
      for (const dist of values.vs ? [values.vs, 'dist'] : ['dist']) {
        const one = await run(dist, files, latency, bytesPerSecond);
        builds.set(dist, [...(builds.get(dist) ?? []), one]);
        console.log(dist, name, JSON.stringify(one));
      }
    }
    for (const [dist, runs] of builds) {
      machine = runs[0].machine;
      const middle = (of: (one: Run) => number) => median(runs.map(of));
      const bytes = middle((one) => one.bytes);
      const alone = (1000 * bytes) / bytesPerSecond;
      const first = middle(({ firstTokenMs }) => firstTokenMs);
      const load = seconds(middle(({ loadMs }) => loadMs));
      const cells = [
        dist === 'dist' ? name : `${name}, ${basename(dist)}`,
        ...[bytes, middle(({ requests }) => requests), `${seconds(alone)} s`, `${load} s`, `${seconds(first)} s`],
        ...[(first / alone).toFixed(2), `${middle(({ cpuSeconds }) => cpuSeconds).toFixed(1)} s`],
      ];
      lines.push(`| ${cells.join(' | ')} |`);
    }
  }
  const day = new Date().toISOString().slice(0, 10);
  const head = `${day}, ${machine}; ${latency} ms of latency a request (a file of weights takes two: the Hub’s redirect and the CDN’s answer), ${values.mbit} Mbit/s for all connections together; medians of ${values.runs}.`;
  const table = `${head}\n\n${lines.join('\n')}`;
  console.log(`\n${table}`);
  const page = 'bench/first-token.md';
  if (values.write) await writeFile(page, between(readFileSync(page, 'utf8'), 'result', table));
  return 0;
}
