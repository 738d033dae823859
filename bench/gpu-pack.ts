/**
 * Packs bench/gpu for a machine that has a GPU and Node and nothing else: one bundled file, its two fixtures, this
 * platform's Dawn, and bench/shapes of the commit before the kernels of real GPUs, which runs in the same session.
 *
 *   node scripts/run.mjs ../bench/gpu-pack [--platform linux-x64] [--before COMMIT|none]
 *
 * Writes dist/gpu, under 64 MiB; there: `node gpu.mjs --out FOLDER`. Exit status 1 where it is larger.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'vite';
import { FIXTURES } from './check-variants';
import { GPU_GEOMETRIES } from './gpu-geometries';
import { runToExit } from './run';

/** The last commit whose kernels use no subgroups, and take six dispatches a layer. */
const BEFORE = 'd2cf437';
const OUT = resolve('dist/gpu');
const MOST_BYTES = 64 << 20;

/** One file that runs what `entry` exports as main(). */
async function bundle(root: string, entry: string, file: string): Promise<void> {
  const { simd } = await import('../scripts/bundling/vite-simd');
  const starter = join(root, 'bench', `start-${file}`);
  writeFileSync(starter, `import { main } from './${entry}';\nawait main(process.argv.slice(2));\n`);
  try {
    await build({
      root,
      configFile: false,
      publicDir: false,
      logLevel: 'error',
      plugins: [simd()],
      ssr: { noExternal: true, external: ['webgpu'] },
      build: {
        ssr: starter,
        outDir: OUT,
        emptyOutDir: false,
        target: 'node20',
        minify: false,
        rolldownOptions: { output: { entryFileNames: file, codeSplitting: false } },
      },
    });
  } finally {
    rmSync(starter, { force: true });
  }
}

/** The benchmark of an earlier commit, in a checkout of it that shares this one's packages. */
async function bundleBefore(commit: string): Promise<void> {
  const tree = mkdtempSync(join(tmpdir(), 'nibble-before-'));
  execFileSync('git', ['worktree', 'add', '--detach', '--force', tree, commit], { stdio: 'ignore' });
  try {
    symlinkSync(resolve('node_modules'), join(tree, 'node_modules'));
    await bundle(tree, 'shapes', 'before.mjs');
  } finally {
    execFileSync('git', ['worktree', 'remove', '--force', tree]);
  }
}

const bytesIn = (folder: string): number =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).reduce((sum, name) => {
    const found = statSync(join(folder, name));
    return found.isFile() ? sum + found.size : sum;
  }, 0);

async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      platform: { type: 'string', default: `${process.platform}-${process.arch}` },
      before: { type: 'string', default: BEFORE },
    },
  });
  rmSync(OUT, { recursive: true, force: true });
  mkdirSync(OUT, { recursive: true });
  await bundle(resolve('.'), 'gpu', 'gpu.mjs');
  if (values.before !== 'none') await bundleBefore(values.before);
  for (const fixture of FIXTURES) {
    cpSync(`reference/fixtures/${fixture}`, join(OUT, 'reference/fixtures', fixture), { recursive: true });
    const facts = join('reference/fixtures', fixture, 'expected.json');
    cpSync(facts, join(OUT, facts));
  }
  for (const [name, config] of Object.entries(GPU_GEOMETRIES))
    writeFileSync(join(OUT, `${name}.json`), JSON.stringify(config));
  for (const file of ['package.json', 'index.js', `dist/${values.platform}`])
    cpSync(join('node_modules/webgpu', file), join(OUT, 'node_modules/webgpu', file), { recursive: true });
  const bytes = bytesIn(OUT);
  console.log(`dist/gpu: ${(bytes / 2 ** 20).toFixed(1)} MiB of ${MOST_BYTES / 2 ** 20}`);
  return bytes > MOST_BYTES ? 1 : 0;
}

export const main = (argv: readonly string[]): Promise<never> => runToExit(() => run(argv));
