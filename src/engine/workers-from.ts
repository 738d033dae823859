import { ownWorker } from './own-worker';
import { place } from './place';
import { trustedAddress } from './trusted-address';

/** Makes a worker that has said nothing yet. */
export type MakeWorker = () => Worker | Promise<Worker>;

/** Where the worker comes from, when not from the library itself. */
export interface WorkerOptions {
  /**
   * Address of the file that the package exports as `nibble-llm/worker`, for pages whose Content-Security-Policy allows
   * no `blob:` workers; relative to the page. One on another origin is allowed, if its server sends
   * `Access-Control-Allow-Origin` and the policy allows `blob:`. Default: the library's own.
   */
  workerUrl?: string | URL;
  /**
   * Makes the worker itself, e.g. `() => new Worker(new URL('nibble-llm/worker', import.meta.url))`. Default: the
   * library makes it.
   */
  createWorker?: MakeWorker;
}

/** The ways to make a worker, in the order in which they are tried. */
export function workersFrom({ workerUrl, createWorker }: WorkerOptions): readonly MakeWorker[] {
  if (createWorker) return [createWorker];
  if (place.createWorker) return [() => place.createWorker!(workerUrl)];
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
