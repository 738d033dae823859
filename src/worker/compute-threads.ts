/** Threads of a page that share memory with the worker that computes (execute/cpu/team.ts). */
import type { Threads } from '../execute/cpu/team';
import { trustedAddress } from '../platform/trusted-address';

/** From a blob, as the one worker file has no other beside it, wherever it came from. */
const start: Threads['start'] = (run, order, fail) => {
  const address = URL.createObjectURL(
    new Blob([`onmessage = ({ data }) => (${run})(data);`], { type: 'text/javascript' }),
  );
  // the name shows which of a page's workers it is
  const thread = new Worker(trustedAddress(`${address}#compute`));
  thread.onerror = ({ message }) => fail(message || "the page's policy forbids its script");
  thread.postMessage(order);
  return { end: () => thread.terminate() };
};

/**
 * What this scope may have: memory is shared only where the page is isolated from other origins, and not even there by
 * WebKitGTK 2.50.
 */
export function pageThreads(): Threads {
  if (!globalThis.crossOriginIsolated) return { count: 1, why: 'the page is not cross-origin isolated', start };
  if (typeof SharedArrayBuffer === 'undefined') return { count: 1, why: 'this browser shares no memory', start };
  // Firefox 153 at times never ends a load beside a worker that waits for work, for a reason not yet known
  if (navigator.userAgent.includes('Firefox/')) return { count: 1, why: 'not tried in Firefox yet', start };
  return { count: navigator.hardwareConcurrency, start };
}
