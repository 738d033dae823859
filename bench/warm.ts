/**
 * Weights from the browser's store, beside what reading the store alone takes:
 *
 *   npm run build && node scripts/run.mjs ../bench/warm [--layers 5] [--runs 5] [--folder /tmp/nibble-warm] [--vs DIST]
 *   [--write]
 *
 * A random checkpoint of NF4 without a tokenizer (30 layers make 1 GB), made into --folder where it is not there yet.
 * It is downloaded once into headless Chromium, backend cpu. Then, in turn: its chunks are read out of IndexedDB one
 * after the other and nothing is done with them; and it is loaded, of which the time from the headers to the last
 * weight counts. --vs is another build of the library, which loads in turn with this one. --write puts the table into
 * bench/warm.md.
 */
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { serve } from '../scripts/testing/server';
import { median } from '../src/node/median';
import { between, openLibraryPage } from './library-page';
import { configOf } from './load-1gb';
import { processorSeconds } from './processes';
import { writeRandomCheckpoint } from './random-checkpoint';

interface Timed {
  ms: number;
  cpuSeconds: number;
  bytes: number;
}

/** As text: Vite would rewrite import(). */
const readStore = `(async () => {
  const done = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const db = await done(indexedDB.open('nibble-chunks'));
  const all = () => db.transaction('keyval').objectStore('keyval');
  const keys = (await done(all().getAllKeys())).filter((key) => /safetensors#\\d+$/.test(key));
  const started = performance.now();
  let bytes = 0;
  for (const key of keys) bytes += (await done(all().get(key))).bytes.length;
  const ms = performance.now() - started;
  db.close();
  return { ms, bytes };
})()`;

const loadFrom = (base: string) => `(async () => {
  const { load } = await import('/lib/index.js');
  const at = {};
  const onProgress = ({ phase }) => { at[phase] ??= performance.now(); };
  const engine = await load('${base}', { backend: 'cpu', maxContext: 256, onProgress });
  engine.dispose();
  return { ms: at.compile - (at.upload ?? at.download), bytes: 0 };
})()`;

async function openBuild(dist: string, folder: string) {
  const site = await serve({ mounts: [['/model/', folder]], cors: true });
  const library = await openLibraryPage([], dist);
  const timed = async (script: string): Promise<Timed> => {
    const before = processorSeconds(library.profile);
    const got = await library.page.evaluate<Pick<Timed, 'ms' | 'bytes'>>(script);
    return { ...got, cpuSeconds: processorSeconds(library.profile) - before };
  };
  const load = () => timed(loadFrom(`${site.origin}/model/`));
  const close = () => Promise.all([library.close(), site.close()]);
  await load().catch(async (error) => {
    await close();
    throw error;
  });
  return { machine: library.machine, load, store: () => timed(readStore), close };
}

export async function main(argv: string[]): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      layers: { type: 'string', default: '5' },
      runs: { type: 'string', default: '5' },
      folder: { type: 'string', default: '/tmp/nibble-warm' },
      vs: { type: 'string' },
      write: { type: 'boolean' },
    },
  });
  const folder = join(values.folder, `nf4-${values.layers}`);
  if (!existsSync(join(folder, 'model.safetensors')))
    writeRandomCheckpoint(folder, configOf(Number(values.layers)), 'nf4');
  const names = values.vs ? [values.vs, 'dist'] : ['dist'];
  const builds = await Promise.all(names.map(async (dist) => ({ dist, page: await openBuild(dist, folder) })));
  const stores: Timed[] = [];
  const loads = new Map<string, { load: Timed; ratio: number }[]>();
  try {
    for (let i = 0; i < Number(values.runs); i++) {
      for (const { dist, page } of builds) {
        const store = await page.store();
        const load = await page.load();
        stores.push(store);
        loads.set(dist, [...(loads.get(dist) ?? []), { load, ratio: store.ms / load.ms }]);
        console.log(dist, JSON.stringify({ store, load }));
      }
    }
  } finally {
    await Promise.all(builds.map(({ page }) => page.close()));
  }
  const row = (name: string, all: Timed[], ratio: string) =>
    `| ${name} | ${median(all.map(({ ms }) => ms)).toFixed(0)} | ${median(all.map((one) => one.cpuSeconds)).toFixed(2)} | ${ratio} |`;
  const table = [
    `${new Date().toISOString().slice(0, 10)}, ${builds[0].page.machine}; ${stores[0].bytes} bytes of NF4; medians of ${values.runs}.`,
    '',
    '| | ms | processors, s | store alone / this |',
    '|---|---|---|---|',
    row('the store alone', stores, ''),
    ...[...loads].map(([dist, all]) =>
      row(
        dist === 'dist' ? 'the weights' : `the weights, ${basename(dist)}`,
        all.map(({ load }) => load),
        median(all.map(({ ratio }) => ratio)).toFixed(2),
      ),
    ),
  ].join('\n');
  console.log(`\n${table}`);
  const report = 'bench/warm.md';
  if (values.write) await writeFile(report, between(readFileSync(report, 'utf8'), 'result', table));
  return 0;
}
