/** The worker: `dist/worker.js`, one file that imports nothing and that a page may take as script or as module. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { licences } from './scripts/bundling/licences.ts';
import { simd } from './scripts/bundling/vite-simd.ts';
import { comlinkHalves, nothingLazy, withoutSentences } from './scripts/bundling/vite-trim.ts';
import { wgsl } from './scripts/bundling/vite-wgsl.ts';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  publicDir: false,
  plugins: [
    nothingLazy(),
    simd(),
    wgsl({ together: true }),
    comlinkHalves(),
    withoutSentences('worker'),
    licences(['embed', 'package']),
  ],
  build: {
    outDir: at('dist'),
    emptyOutDir: false,
    target: 'es2022',
    lib: { entry: at('src/worker/worker.ts'), formats: ['iife'], name: 'nibbleWorker', fileName: () => 'worker.js' },
    rolldownOptions: { output: { codeSplitting: false, minify: true } },
  },
});
