/** The Vite plugins that make the package's one worker file, and put its text into what is built of the library. */
import { copyFileSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';

/** Where vite.worker.config.ts leaves it; it is built first. */
const FILE = fileURLToPath(new URL('../../dist/worker.js', import.meta.url));
const PACKED = fileURLToPath(new URL('../../src/engine/packed-worker.ts', import.meta.url));
const TEXT = 'nibble:worker-text';
/** As the minifier leaves it. */
const ADDRESS = /\bnew URL\(\s*\/\* @vite-ignore \*\/\s*`\.\/worker\.js`,\s*import\.meta\.url\)/g;

/** What chunks are called: the text's module has no file to be named for. */
export const chunkFileNames = ({ name }: { name: string }) =>
  `${({ '_worker-text': 'worker-text', widget: 'nibble-chat' })[name] ?? name}.js`;

/**
 * src/engine/packed-worker.ts in the place of own-worker.ts, and the worker's text as the module that it imports.
 * @param besides folders that get a copy of the file, too
 */
export function packedWorker(...besides: string[]): Plugin {
  let replaced = false;
  return {
    name: 'nibble:packed-worker',
    enforce: 'pre',
    resolveId: {
      filter: { id: /(^|\/)own-worker$|^nibble:worker-text$/ },
      handler(id) {
        if (id === TEXT) return '\0worker-text.js';
        replaced = true;
        return PACKED;
      },
    },
    load: {
      filter: { id: /^\0worker-text\.js$/ },
      handler: () => `export default ${JSON.stringify(readFileSync(FILE, 'utf8'))};`,
    },
    // Bundlers look for a string there, and not all of them take the minifier's template for one.
    generateBundle: {
      order: 'post',
      handler(_, bundle) {
        const addresses: string[] = [];
        for (const chunk of Object.values(bundle)) {
          if (chunk.type !== 'chunk') continue;
          addresses.push(...(chunk.code.match(ADDRESS) ?? []));
          chunk.code = chunk.code
            .replace(/\bimport\(`([^`$]+)`\)/g, "import('$1')")
            .replace(ADDRESS, "new URL('./worker.js',import.meta.url)");
        }
        if (!replaced || addresses.length !== 1)
          this.error('The library makes its worker otherwise: see scripts/bundling/vite-worker.ts.');
      },
    },
    closeBundle() {
      for (const folder of besides) copyFileSync(FILE, `${folder}/worker.js`);
    },
  };
}
