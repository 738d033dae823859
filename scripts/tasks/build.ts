/**
 * Builds everything into dist/: worker, library, widget, types, chat page, the widget's demo page, and the CLI. Fails
 * over a size limit, and where a public name has no docstring (docs.ts).
 */
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { build, type Rolldown } from 'vite';
import { NODE_ENTRIES, nodeConfig } from '../../vite.node.config.ts';
import { noticesOf } from '../bundling/licences.ts';
import { checkApi } from './docs.ts';
import { emitTypes } from './emit-types.ts';
import { byFolder, checkSizes } from './size.ts';
import { widgetManifest } from './widget-docs.ts';

const CONFIGS = ['vite.lib.config.ts', 'vite.remote.config.ts', 'vite.config.ts', 'vite.embed.config.ts'];

/** @returns what takes how much of the worker's file, as lines to print */
export async function buildAll(): Promise<string[]> {
  process.env.NODE_ENV = 'production'; // run.mjs runs this in Vite's development mode
  await rm('dist', { recursive: true, force: true });
  // first, for library and widget carry its text
  const [{ output }] = (await build({
    configFile: 'vite.worker.config.ts',
    logLevel: 'warn',
  })) as Rolldown.RolldownOutput[];
  for (const configFile of CONFIGS) await build({ configFile, logLevel: 'warn' });
  for (const entry of NODE_ENTRIES) await build({ configFile: false, logLevel: 'warn', ...nodeConfig(entry) });
  // what each carries comes of several builds; the page's has written its own
  await writeFile('dist/LICENSES.txt', noticesOf('package'));
  await writeFile('dist/embed/LICENSES.txt', noticesOf('embed'));
  await cp('src/widget/frame/nibble-frame.html', 'dist/embed/nibble-frame.html');
  await writeFile('dist/custom-elements.json', `${JSON.stringify(widgetManifest(), null, 2)}\n`);
  await mkdir('dist/demo', { recursive: true });
  await cp('src/widget/demo', 'dist/demo', { recursive: true });
  return byFolder(output[0]);
}

export async function main(args: string[]): Promise<number> {
  const started = performance.now();
  const folders = await buildAll();
  const faults: string[] = [];
  if (!args.includes('--no-types')) {
    emitTypes();
    faults.push(...(await checkApi()));
  }
  console.log(`Built dist/ in ${((performance.now() - started) / 1000).toFixed(1)} s.\n`);
  for (const fault of faults) console.log(fault);
  return checkSizes(folders) && faults.length === 0 ? 0 : 1;
}
