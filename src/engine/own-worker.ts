/**
 * Our own page, the dev server and the tests have the worker as a module: Vite finds it by this very expression. In
 * the package packed-worker.ts stands here (scripts/bundling/vite-worker.ts).
 */
import type { MakeWorker } from './worker-options';

function fromModule(): Worker {
  return new Worker(new URL('../worker/worker.ts', import.meta.url), { type: 'module' });
}

export const ownWorker: readonly MakeWorker[] = [fromModule];
