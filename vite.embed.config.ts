/**
 * The widget for a script tag: `dist/embed/nibble-chat.js`, and beside it the worker that it fetches when it is needed;
 * and what makes a page of its own of it, for an iframe.
 */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { licences } from './scripts/bundling/licences.ts';
import { trimmed } from './scripts/bundling/vite-trim.ts';
import { wgsl } from './scripts/bundling/vite-wgsl.ts';
import { chunkFileNames, packedWorker } from './scripts/bundling/vite-worker.ts';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  base: './',
  publicDir: false,
  plugins: [wgsl(), ...trimmed(), packedWorker(at('dist/embed')), licences(['embed'])],
  build: {
    outDir: at('dist/embed'),
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
    lib: {
      entry: {
        'nibble-chat': at('src/widget/index.ts'),
        'nibble-frame': at('src/widget/frame/frame.ts'),
        'nibble-frame-host': at('src/widget/frame/host.ts'),
      },
      formats: ['es'],
      fileName: (_, name) => `${name}.js`,
    },
    rolldownOptions: {
      // what is fetched later takes what it shares with the widget from the widget's file, and from no third one
      preserveEntrySignatures: 'allow-extension',
      // Vite keeps the blanks of a library's ES modules; this one is used as it is.
      output: { minify: true, chunkFileNames },
    },
  },
});
