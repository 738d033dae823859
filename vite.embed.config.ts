/** The widget: one file, `dist/embed/nibble-chat.js`, with the worker inside it. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { inlineWorker, leaveOut, partsFromPage } from './scripts/vite-embed.ts';
import { comlinkHalves, markedLexerOnly, trimStyles } from './scripts/vite-trim.ts';
import { wgsl } from './scripts/vite-wgsl.ts';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  base: './',
  publicDir: false,
  plugins: [wgsl(), comlinkHalves(), markedLexerOnly(), trimStyles(), inlineWorker()],
  worker: { format: 'iife', plugins: () => [wgsl(), comlinkHalves(), leaveOut(), partsFromPage('worker|weights')] },
  build: {
    outDir: at('dist/embed'),
    emptyOutDir: true,
    target: 'es2022',
    lib: { entry: at('src/widget/index.ts'), formats: ['es'], fileName: () => 'nibble-chat.js' },
    // Vite keeps the blanks of a library's ES modules; this one is used as it is.
    rolldownOptions: { output: { codeSplitting: false, minify: true } },
  },
});
