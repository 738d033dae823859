#!/usr/bin/env node
// Runs a TypeScript script of this folder: `node scripts/run.mjs start --port 8000`. Node 20 strips no types; Vite does.
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

const [name = '', ...args] = process.argv.slice(2);
const root = fileURLToPath(new URL('..', import.meta.url));
const { module } = await runnerImport(fileURLToPath(new URL(`./${name}.ts`, import.meta.url)), {
  root,
  configFile: false,
  logLevel: 'error',
});
try {
  process.exitCode = (await module.main(args)) ?? 0;
} catch (error) {
  console.error(error?.message ?? error);
  if (process.env.DEBUG) console.error(error?.stack);
  process.exitCode = 1;
}
