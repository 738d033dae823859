/** The Vite plugins that put the worker inside the widget's script, and its later parts beside it. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { InlineConfig, Plugin } from 'vite';
import { wgsl } from './vite-wgsl.ts';

const BY_URL = /new Worker\(new URL\('(\.\.\/worker\/worker\.ts)', import\.meta\.url\), \{ type: 'module' \}\)/;

/**
 * Where the engine makes its worker from a file beside its own, the widget makes it from text that it carries: a page
 * on another origin could not start a worker from ours. The page's CSP must allow `worker-src blob:`.
 */
export function inlineWorker(): Plugin {
  let replaced = false;
  return {
    name: 'nibble:inline-worker',
    enforce: 'pre',
    transform: {
      filter: { id: /\/src\/engine\/[\w-]+\.ts$/, code: BY_URL },
      handler(code) {
        replaced = true;
        const [, worker] = BY_URL.exec(code)!;
        const inlined = code.replace(BY_URL, 'withParts(new InlinedWorker())');
        return {
          code: `import InlinedWorker from '${worker}?worker&inline';\nimport { withParts } from '../widget/worker-parts';\n${inlined}`,
          map: null,
        };
      },
    },
    buildEnd(error) {
      if (!error && !replaced)
        this.error('The engine makes its worker in a way that scripts/vite-embed.ts does not know.');
    },
  };
}

/** What only some models or machines need, or what is needed once weights stream, by its place in src/. */
const PARTS: Record<string, string> = {
  advice: 'memory/advice',
  answer: 'worker/answer',
  text: 'text/index',
  gguf: 'formats/gguf',
  'hub-source': 'weights/hub-source',
  lora: 'worker/lora',
  quantised: 'weights/quantised',
  'sha256-in-pieces': 'weights/sha256-in-pieces',
  'row-norms': 'execute/gpu/row-norms',
  'shift-rings': 'execute/gpu/shift-rings',
  'stored-models': 'weights/stored-models',
  'on-cpu': 'execute/on-cpu',
  'on-gpu': 'execute/on-gpu',
};
const src = fileURLToPath(new URL('../src', import.meta.url));
const LATER = /\bimport\('(\.[\w./-]+)'\)/g;
/** @param from the file that imports it */
const partOf = (specifier: string, from: string) => {
  const wanted = join(dirname(from), specifier);
  return Object.keys(PARTS).find((name) => join(src, PARTS[name]) === wanted);
};

/** Reached by `import()` from calls that the widget never makes. */
const LEFT_OUT = /\/src\/(worker\/(inspect|saved-caches)|execute\/gpu\/kv-rows|gpu\/timestamps)\.ts$/;

export function leaveOut(): Plugin {
  return {
    name: 'nibble:leave-out',
    enforce: 'pre',
    load: { filter: { id: LEFT_OUT }, handler: () => 'export {};' },
  };
}

/** In the inlined worker, and in parts, `import()` of a part by files of these folders becomes a question to the page. */
export function partsFromPage(folders: string): Plugin {
  return {
    name: 'nibble:parts-from-page',
    enforce: 'pre',
    transform: {
      filter: { id: new RegExp(`/src/(${folders})/[\\w-]+\\.ts$`), code: LATER },
      handler(code, id) {
        const asked = code.replace(LATER, (whole, specifier) => {
          const part = partOf(specifier, id);
          return part ? `partFromPage('${part}')` : whole;
        });
        return { code: `import { partFromPage } from '${src}/worker/part-from-page';\n${asked}`, map: null };
      },
    },
  };
}

/** The builds of the parts: `dist/embed/nibble-text.js` and its like, each with everything it imports. */
export function partBuilds(): InlineConfig[] {
  return Object.entries(PARTS).map(([name, entry]) => ({
    configFile: false,
    publicDir: false,
    logLevel: 'warn',
    plugins: [wgsl(), leaveOut(), partsFromPage('execute/gpu')],
    build: {
      outDir: 'dist/embed',
      emptyOutDir: false,
      target: 'es2022',
      lib: {
        entry: join(src, `${entry}.ts`),
        formats: ['iife'],
        name: `nibble_${name.replaceAll('-', '_')}`,
        fileName: () => `nibble-${name}.js`,
      },
      rolldownOptions: { output: { codeSplitting: false, minify: true } },
    },
  }));
}
