/** The library: `dist/index.js`, with the worker as a file beside it that bundlers and CDNs find (base './'). */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { comlinkHalves } from './scripts/vite-trim.ts';
import { wgsl } from './scripts/vite-wgsl.ts';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  base: './',
  publicDir: false,
  plugins: [wgsl(), comlinkHalves()],
  worker: { format: 'es', plugins: () => [wgsl(), comlinkHalves()] },
  build: {
    outDir: at('dist'),
    emptyOutDir: false,
    target: 'es2022',
    assetsInlineLimit: 0,
    lib: { entry: { index: at('src/index.ts') }, formats: ['es'] },
    // Vite keeps the blanks of a library's ES modules; this one is used as it is.
    rolldownOptions: { output: { minify: true } },
  },
});
