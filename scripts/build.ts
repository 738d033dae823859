/** Builds everything into dist/: library, types, worker, chat page, widget, its demo page, and the CLI. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, rm } from 'node:fs/promises';
import { build } from 'vite';
import { NODE_ENTRIES, nodeConfig } from '../vite.node.config.ts';
import { checkSizes } from './size.ts';
import { partBuilds } from './vite-embed.ts';

const CONFIGS = ['vite.lib.config.ts', 'vite.config.ts', 'vite.embed.config.ts'];

export async function buildAll(): Promise<void> {
  process.env.NODE_ENV = 'production'; // run.mjs runs this in Vite's development mode
  await rm('dist', { recursive: true, force: true });
  for (const configFile of CONFIGS) {
    if (existsSync(configFile)) await build({ configFile, logLevel: 'warn' });
  }
  for (const config of partBuilds()) await build(config);
  for (const entry of NODE_ENTRIES) await build({ configFile: false, logLevel: 'warn', ...nodeConfig(entry) });
  await mkdir('dist/demo', { recursive: true });
  await cp('src/widget/demo', 'dist/demo', { recursive: true });
}

export async function main(args: string[]): Promise<number> {
  const started = performance.now();
  await buildAll();
  if (!args.includes('--no-types'))
    execFileSync('npx', ['tsc', '-p', 'scripts/tsconfig.types.json'], { stdio: 'inherit' });
  console.log(`Built dist/ in ${((performance.now() - started) / 1000).toFixed(1)} s.\n`);
  return checkSizes() ? 0 : 1;
}
