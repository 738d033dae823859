/**
 * The remote engine as a package has it, by itself: `dist/remote.js`, and `dist/modes.js`, which the library imports
 * when load() is told of a server; `dist/remote/` is what the two share, and what only tools and objects need. They
 * take nothing from the library's files: most of those are about the worker, and what is shared costs its every
 * visitor.
 */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { licences } from './scripts/bundling/licences.ts';
import { trimmed } from './scripts/bundling/vite-trim.ts';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  base: './',
  publicDir: false,
  plugins: [...trimmed(), licences(['package'])],
  build: {
    outDir: at('dist'),
    emptyOutDir: false,
    target: 'es2022',
    modulePreload: false,
    lib: { entry: { remote: at('src/remote/index.ts'), modes: at('src/remote/modes.ts') }, formats: ['es'] },
    rolldownOptions: { output: { minify: true, chunkFileNames: 'remote/[name].js' } },
  },
});
