/** The Vite plugin that puts the worker inside the widget's one file. */
import type { Plugin } from 'vite';

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
        const inlined = code.replace(BY_URL, 'new InlinedWorker()');
        return { code: `import InlinedWorker from '${worker}?worker&inline';\n${inlined}`, map: null };
      },
    },
    buildEnd(error) {
      if (!error && !replaced)
        this.error('The engine makes its worker in a way that scripts/vite-embed.ts does not know.');
    },
  };
}
