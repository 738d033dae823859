/** what waits for its turn, the oldest first */
const waiting: (() => void)[] = [];
let channel: MessageChannel | undefined;

/** Lets the event loop run once, so that a message (a stop, say) can arrive; timers would be throttled in a page. */
export function yieldToEvents(): Promise<void> {
  // Node's
  const { setImmediate } = globalThis as { setImmediate?: (turn: () => void) => unknown };
  if (setImmediate) return new Promise((resolve) => void setImmediate(resolve));
  if (!channel) {
    channel = new MessageChannel();
    channel.port1.onmessage = () => waiting.shift()!();
  }
  const { port2 } = channel;
  return new Promise((resolve) => {
    waiting.push(resolve);
    port2.postMessage(null);
  });
}
