/**
 * The chat page and its service worker: `dist/site/`. Also the dev server (`npx vite`) and one of the built page (`npx
 * vite preview`), which isolate it as `npm start` does.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { chunkName, LATER } from './scripts/bundling/lazy-modules.ts';
import { licences } from './scripts/bundling/licences.ts';
import { inMeta, PAGE_CSP } from './scripts/bundling/policy.ts';
import { simd } from './scripts/bundling/vite-simd.ts';
import { characterMaps, copyPublic, policy, serviceWorker } from './scripts/bundling/vite-site.ts';
import {
  comlinkHalves,
  markedLexerOnly,
  pdfWithoutEval,
  trimStyles,
  withoutSentences,
} from './scripts/bundling/vite-trim.ts';
import { wgsl } from './scripts/bundling/vite-wgsl.ts';
import { PAGE_HEADERS } from './src/pwa/isolation.ts';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

const LAZY = Object.keys(LATER).map(chunkName).join('|');

/** What reads PDFs lies in a folder of its own: the service worker keeps it when it is first used. */
const fileName = (name: string) => `${/^(read-pdf|pdf-worker)$/.test(name) ? 'pdf' : 'assets'}/[name]-[hash].js`;

const { version } = JSON.parse(readFileSync(at('package.json'), 'utf8'));

export default defineConfig({
  define: { 'import.meta.env.NIBBLE_VERSION': JSON.stringify(version) },
  root: at('src/chat'),
  base: './',
  publicDir: at('public'),
  server: { headers: PAGE_HEADERS },
  preview: { headers: PAGE_HEADERS },
  plugins: [
    simd(),
    wgsl(),
    comlinkHalves(),
    markedLexerOnly(),
    trimStyles(),
    withoutSentences('page'),
    pdfWithoutEval(),
    characterMaps(),
    copyPublic(at('public'), ['models']),
    policy(inMeta(PAGE_CSP)),
    licences(['site'], true),
    serviceWorker(at('src/pwa/sw.ts'), 'sw.js'),
  ],
  worker: {
    format: 'es',
    plugins: () => [simd(), wgsl(), comlinkHalves(), pdfWithoutEval(), withoutSentences('worker'), licences(['site'])],
    rolldownOptions: {
      output: {
        entryFileNames: (chunk) => fileName(chunk.name),
        // WebKit runs a worker's first file again when a later one imports it, and the second run answers for a session
        // that has no model: so all that others share stands in a file beside it.
        codeSplitting: {
          groups: [
            {
              name: 'session',
              tags: ['$initial'],
              test: /^(?!.*(\/src\/worker\/worker\.ts$|pdfjs-dist|\/pdf-worker\.ts$))/,
            },
            // What both executors need and nothing before them: neither waits for the other's file.
            {
              name: 'ring-cache',
              test: /\/src\/(execute\/(ring-cache|check-prompt|pack|sampler\/(adjustments|links|options))|memory\/(rings?|snapshots|shift))\.ts$/,
            },
            // One file for all kernels but those of lazy modules, which have their names: what these share with the
            // others would be a file of its own.
            {
              name: 'on-gpu',
              test: new RegExp(
                `/(shaders|src/kernels|src/execute/(on-)?gpu)(\\.ts|/)(?!(${LAZY}|candidates|matmul-matrices)\\.|tune/)`,
              ),
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
      input: { index: at('src/chat/index.html') },
      output: {
        entryFileNames: (chunk) => fileName(chunk.name),
        chunkFileNames: (chunk) => fileName(chunk.name),
        // what lazy modules share with the page is in one file with it: that compresses better than pieces do
        codeSplitting: {
          groups: [
            {
              name: 'page',
              tags: ['$initial'],
              test: /^(?!.*\/src\/chat\/index\.html)/,
            },
          ],
        },
      },
    },
  },
});
