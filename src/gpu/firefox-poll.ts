/**
 * Firefox learns that GPU work is done by polling every 100 ms (bug 1870699): a mapAsync that takes 0.5 ms in Chrome
 * takes 103 ms there. Any submit polls at once, so empty submits while waiting bring it down to about 1.4 ms
 * (measured by jax-js, PR 124, Firefox 153). Delete this file when that bug is fixed.
 */

const isFirefox = (): boolean => typeof navigator !== 'undefined' && /\bFirefox\//.test(navigator.userAgent ?? '');

/** Awaits GPU work, nudging Firefox meanwhile; elsewhere it only awaits. */
export async function nudged<T>(device: GPUDevice, work: Promise<T>): Promise<T> {
  if (!isFirefox()) return work;
  let done = false;
  const settled = work.finally(() => {
    done = true;
  });
  const channel = new MessageChannel();
  const nudge = () => {
    if (done) return channel.port1.close();
    device.queue.submit([]);
    channel.port2.postMessage(null);
  };
  channel.port1.onmessage = nudge;
  nudge();
  return settled;
}
