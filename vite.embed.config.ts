/** The widget: one file, `dist/embed/nibble-chat.js`, with the worker inside it. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { wgsl } from './scripts/vite-wgsl.ts';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  base: './',
  publicDir: false,
  plugins: [wgsl()],
  worker: { format: 'iife', plugins: () => [wgsl()] },
  build: {
    outDir: at('dist/embed'),
    emptyOutDir: true,
    target: 'es2022',
    minify: true,
    lib: { entry: at('src/widget/index.ts'), formats: ['es'], fileName: () => 'nibble-chat.js' },
    rolldownOptions: { output: { codeSplitting: false } },
  },
});
