/** The chat page and its service worker: `dist/site/`. Also the dev server (`npx vite`). */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { licences } from './scripts/licences.ts';
import { inMeta, PAGE_CSP } from './scripts/policy.ts';
import { simd } from './scripts/vite-simd.ts';
import { copyPublic, policy, serviceWorker } from './scripts/vite-site.ts';
import { comlinkHalves, markedLexerOnly, trimStyles, withoutSentences } from './scripts/vite-trim.ts';
import { wgsl } from './scripts/vite-wgsl.ts';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: at('src/chat'),
  base: './',
  publicDir: at('public'),
  plugins: [
    simd(),
    wgsl(),
    comlinkHalves(),
    markedLexerOnly(),
    trimStyles(),
    withoutSentences(),
    copyPublic(at('public'), ['models']),
    policy(inMeta(PAGE_CSP)),
    licences(['site'], true),
    serviceWorker('sw.js'),
  ],
  worker: {
    format: 'es',
    plugins: () => [simd(), wgsl(), comlinkHalves(), withoutSentences(), licences(['site'])],
    rolldownOptions: {
      output: {
        // WebKit runs a worker's first file again when a later one imports it, and the second run answers for a session
        // that has no model: so all that others share stands in a file beside it.
        codeSplitting: {
          groups: [
            { name: 'session', tags: ['$initial'], test: /^(?!.*\/src\/worker\/worker\.ts$)/ },
            // What both executors need and nothing before them: neither waits for the other's file.
            {
              name: 'ring-cache',
              test: /\/src\/(execute\/(ring-cache|check-prompt)|memory\/(rings?|snapshots|shift))\.ts$/,
            },
            // One file for all kernels but those that few need: what these share with the others would be a file of its
            // own.
            {
              name: 'on-gpu',
              test: /\/(shaders|src\/kernels|src\/execute\/(on-)?gpu)(\.ts|\/)(?!adapters|quantize|row-norms|read-rows|shift|kv-rows)/,
            },
          ],
        },
      },
    },
  },
  build: {
    outDir: at('dist/site'),
    emptyOutDir: true,
    copyPublicDir: false,
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: { index: at('src/chat/index.html'), sw: at('src/pwa/sw.ts') },
      output: { entryFileNames: (chunk) => (chunk.name === 'sw' ? 'sw.js' : 'assets/[name]-[hash].js') },
    },
  },
});
