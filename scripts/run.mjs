#!/usr/bin/env node
// Runs a task of scripts/tasks/: `node scripts/run.mjs start --port 8000`; another script by its path from here:
// `node scripts/run.mjs ../bench/check`. Node 20 strips no types; Vite does.
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { createServer } from 'vite';

const [name = '', ...args] = process.argv.slice(2);
const root = fileURLToPath(new URL('..', import.meta.url));
// Open until main() is done: a script may import more on its way.
const vite = await createServer({
  root,
  configFile: fileURLToPath(new URL('vite-run.config.ts', import.meta.url)),
  logLevel: 'error',
  appType: 'custom',
  optimizeDeps: { noDiscovery: true },
  server: { middlewareMode: true, hmr: false, ws: false, watch: null },
});
try {
  const path = name.startsWith('../') ? name : `./tasks/${name}`;
  const module = await vite.ssrLoadModule(fileURLToPath(new URL(`${path}.ts`, import.meta.url)));
  process.exitCode = (await module.main(args)) ?? 0;
} catch (error) {
  console.error(error?.message ?? error);
  if (process.env.DEBUG) console.error(error?.stack);
  process.exitCode = 1;
} finally {
  await vite.close();
}
