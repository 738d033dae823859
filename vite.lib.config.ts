/**
 * The library and the widget as a package has them: `dist/index.js` and `dist/widget.js`, what they share, and the
 * worker's text as a module that only the making of a worker imports. Beside them the shapes that other people's
 * clients speak, each a file that shares nothing with the rest: `dist/openai.js`.
 */
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';
import { licences } from './scripts/bundling/licences.ts';
import { trimmed } from './scripts/bundling/vite-trim.ts';
import { wgsl } from './scripts/bundling/vite-wgsl.ts';
import { chunkFileNames, packedWorker } from './scripts/bundling/vite-worker.ts';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The modes of load() as vite.remote.config.ts builds them: what they would share costs who does not use them. */
const modesApart = (): Plugin => ({
  name: 'nibble:modes-apart',
  enforce: 'pre',
  resolveId: { filter: { id: /^\.\/modes$/ }, handler: () => ({ id: './modes.js', external: true }) },
});

export default defineConfig({
  base: './',
  publicDir: false,
  plugins: [wgsl(), ...trimmed(), modesApart(), packedWorker(), licences(['package'])],
  build: {
    outDir: at('dist'),
    emptyOutDir: false,
    target: 'es2022',
    modulePreload: false,
    lib: {
      entry: {
        index: at('src/index.ts'),
        widget: at('src/widget/package.ts'),
        openai: at('src/shapes/openai.ts'),
        'ai-sdk': at('src/shapes/ai-sdk.ts'),
        'prompt-api': at('src/shapes/prompt-api.ts'),
      },
      formats: ['es'],
    },
    rolldownOptions: {
      // beside the entries, for packed-worker.ts names worker.js as its neighbour
      output: {
        minify: true,
        chunkFileNames,
        // one file with all that both entries share: what the library has alone is less than another file would cost
        codeSplitting: { groups: [{ name: 'engine', test: /\/src\/(engine\/(?!tool|partial-json)|remote\/load)/ }] },
      },
    },
  },
});
