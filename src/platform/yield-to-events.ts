/** Lets the event loop run once, so that a message (a stop, say) can arrive; timers would be throttled in a page. */
export function yieldToEvents(): Promise<void> {
  // Node's
  const { setImmediate } = globalThis as { setImmediate?: (turn: () => void) => unknown };
  if (setImmediate) return new Promise((resolve) => void setImmediate(resolve));
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
