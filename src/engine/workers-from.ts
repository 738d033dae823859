import { trustedAddress } from '../platform/trusted-address';
import { environment } from './environment';
import { ownWorker } from './own-worker';
import type { MakeWorker, WorkerOptions } from './worker-options';

/** The ways to make a worker, in the order in which they are tried. */
export function workersFrom({ workerUrl, createWorker }: WorkerOptions): readonly MakeWorker[] {
  if (createWorker) return [createWorker];
  if (environment.createWorker) return [() => environment.createWorker!(workerUrl)];
  return workerUrl ? [() => fromAddress(workerUrl)] : ownWorker;
}

function fromAddress(workerUrl: string | URL): Worker {
  const { href, origin, protocol } = new URL(workerUrl, globalThis.document?.baseURI ?? location.href);
  if (origin === location.origin || !protocol.startsWith('http'))
    return new Worker(trustedAddress(href), { type: 'module' });
  // no browser starts a worker from another origin, but one of this page may import it
  const text = new Blob([`import ${JSON.stringify(href)};`], { type: 'text/javascript' });
  return new Worker(trustedAddress(URL.createObjectURL(text)), { type: 'module' });
}
