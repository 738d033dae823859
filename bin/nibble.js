#!/usr/bin/env node
// Starts the command line. In a checkout it is built first, when it is missing or older than its sources.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const built = join(root, 'dist/node/cli.js');

/** Newest change of any file below, ms. */
function newest(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Math.max(0, ...files.map((entry) => statSync(join(entry.parentPath ?? entry.path, entry.name)).mtimeMs));
}

function isStale() {
  if (!existsSync(built)) return true;
  if (!existsSync(join(root, 'src/node/cli.ts'))) return false;
  const made = statSync(built).mtimeMs;
  return ['src', 'shaders'].some((folder) => newest(join(root, folder)) > made);
}

if (isStale()) {
  const { build } = await import('vite');
  // Beside its place, then moved: another nibble may be starting from the old one.
  const outDir = join(root, `dist/node-${process.pid}`);
  mkdirSync(join(root, 'dist/node'), { recursive: true });
  // the command last: by it is seen how old both are
  for (const mode of ['worker', 'cli']) {
    const configFile = join(root, 'vite.node.config.ts');
    await build({ root, configFile, mode, logLevel: 'error', build: { outDir } });
    renameSync(join(outDir, `${mode}.js`), join(root, `dist/node/${mode}.js`));
  }
  rmSync(outDir, { recursive: true });
}
// until the command listens itself
const interrupted = () => process.exit(130);
process.on('SIGINT', interrupted);
const { main } = await import(pathToFileURL(built).href);
process.removeListener('SIGINT', interrupted);
// Dawn keeps threads alive, so the process does not end by itself.
process.exit(await main(process.argv.slice(2)));
