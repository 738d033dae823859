/**
 * Where everything waits for the GPU. Elsewhere nobody awaits onSubmittedWorkDone() or mapAsync(): they would wait too
 * long in Firefox, which learns that GPU work is done by looking every 100 ms (bug 1870699): a mapAsync() that takes
 * 0.5 ms in Chrome takes 103 ms there. Any submit makes it look at once, so empty submits while waiting bring it down
 * to about 1.4 ms (measured by jax-js, PR 124, Firefox 153). Delete the nudging when that bug is fixed.
 */

const isFirefox = (): boolean => typeof navigator !== 'undefined' && /\bFirefox\//.test(navigator.userAgent ?? '');

/** The first nudge comes after this time, ms: shorter timers do not exist. */
const FIRST_MS = 1;
/**
 * Each comes later than the one before by this part of the time waited, so that a wait is prolonged by at most as much.
 */
const PART = 1 / 8;
/** From here on the browser's own 100 ms are a twentieth of the wait at most, and nudging is no longer worth it. */
const DEADLINE_MS = 2000;

/** Awaits GPU work; in Firefox with empty submits meanwhile, ever less often, and none after two seconds. */
async function nudged<T>(device: GPUDevice, work: Promise<T>): Promise<T> {
  if (!isFirefox()) return work;
  const began = performance.now();
  let timer: ReturnType<typeof setTimeout>;
  const wait = () => {
    const waited = performance.now() - began;
    if (waited < DEADLINE_MS) timer = setTimeout(nudge, Math.max(FIRST_MS, waited * PART));
  };
  const nudge = () => {
    device.queue.submit([]);
    wait();
  };
  wait();
  return work.finally(() => clearTimeout(timer));
}

/** Waits until all that was submitted so far is done. */
export function submittedWorkDone(device: GPUDevice): Promise<unknown> {
  return nudged(device, device.queue.onSubmittedWorkDone());
}

/** Waits until the first bytes of a MAP_READ buffer can be read. @throws OperationError when the device is lost */
export function mappedForReading(device: GPUDevice, buffer: GPUBuffer, bytes: number): Promise<unknown> {
  return nudged(device, buffer.mapAsync(GPUMapMode.READ, 0, bytes));
}
