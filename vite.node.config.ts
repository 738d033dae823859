/**
 * For Node: the command line, the library and its thread, each one file, so that a bundler that copies one has all of
 * it (`dist/node/cli.js`, `index.js`, `worker.js`). Dawn is loaded when it is needed, from node_modules.
 */
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin, type UserConfig } from 'vite';
import { licences } from './scripts/bundling/licences.ts';
import { simd } from './scripts/bundling/vite-simd.ts';
import { wgsl } from './scripts/bundling/vite-wgsl.ts';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export const NODE_ENTRIES = ['cli', 'index', 'worker'] as const;

/** A page's way to its worker, which Node does not go (src/engine/environment.ts) and bundlers would follow. */
const noPageWorker = (): Plugin => ({
  name: 'nibble:no-page-worker',
  enforce: 'pre',
  resolveId: { filter: { id: /(^|\/)own-worker$/ }, handler: () => '\0no-page-worker' },
  load: { filter: { id: /^\0no-page-worker$/ }, handler: () => 'export const ownWorker = [];' },
});

export const nodeConfig = (entry: (typeof NODE_ENTRIES)[number]): UserConfig => ({
  publicDir: false,
  plugins: [simd(), wgsl(), noPageWorker(), licences(['package'])],
  ssr: { noExternal: true, external: ['webgpu'] },
  build: {
    ssr: at(`src/node/${entry}.ts`),
    outDir: at('dist/node'),
    emptyOutDir: false,
    target: 'node20',
    minify: false,
    rolldownOptions: { output: { entryFileNames: `${entry}.js`, codeSplitting: false } },
  },
});

/** What bin/nibble.js builds when it is missing or old: the entry that the mode names. */
export default defineConfig(({ mode }) => nodeConfig(NODE_ENTRIES.find((entry) => entry === mode) ?? 'cli'));
