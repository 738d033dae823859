/** Small pieces of work one after another, between what the person waits for. */

/** ms of work after which a slice ends: several follow each other without a long task. */
const SLICE = 8;

const waiting: (() => void)[] = [];
let begun = false;

function next(): void {
  begun = true;
  // not in WebKit
  if ('requestIdleCallback' in globalThis) requestIdleCallback(slice, { timeout: 300 });
  else setTimeout(slice, 16);
}

function slice(): void {
  const end = performance.now() + SLICE;
  do waiting.shift()?.();
  while (waiting.length > 0 && performance.now() < end);
  begun = false;
  if (waiting.length > 0) next();
}

/** Runs it after all that wait already. It may not throw. */
export function inTurn(work: () => void): void {
  waiting.push(work);
  if (!begun) next();
}
