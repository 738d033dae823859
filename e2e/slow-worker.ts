/** The tiny model answers in a fraction of a second: a worker that waits gives tests the time to interrupt it. */
import { readFileSync } from 'node:fs';
import type { ServerOptions } from '../scripts/server';

/**
 * Runs in the worker before anything of ours: waits after each submit, for 40 ms or what the channel `pace` says, and
 * counts them, those before the page's last `cancel` apart, and the bytes that are written to buffers.
 */
const SLOW = `if (self.GPUQueue) {
  const seen = (self.seen = { submits: 0, atCancel: null, written: 0 });
  let pace = 40;
  new BroadcastChannel('pace').onmessage = ({ data }) => (pace = data);
  const slow = (type, name) => {
    const original = type.prototype[name];
    type.prototype[name] = async function (...args) {
      await original.apply(this, args);
      await new Promise((resolve) => setTimeout(resolve, pace));
    };
  };
  slow(GPUQueue, 'onSubmittedWorkDone');
  slow(GPUBuffer, 'mapAsync');
  const { submit } = GPUQueue.prototype;
  GPUQueue.prototype.submit = function (...args) {
    seen.submits++;
    return submit.apply(this, args);
  };
  const { writeBuffer } = GPUQueue.prototype;
  GPUQueue.prototype.writeBuffer = function (...args) {
    const [, , data, from = 0, size = data.length - from] = args;
    seen.written += size * (data.BYTES_PER_ELEMENT ?? 1);
    return writeBuffer.apply(this, args);
  };
  addEventListener('message', ({ data }) => {
    if (data?.path?.[0] === 'cancel') seen.atCancel = seen.submits;
  });
}
`;

/** What `seen` is in such a worker. */
export interface Seen {
  submits: number;
  atCancel: number | null;
  written: number;
}

/** Serves the page's worker with that in front. */
export const slowWorker: NonNullable<ServerOptions['intercept']> = (_, response, path) => {
  if (!path.startsWith('/assets/worker-') || !path.endsWith('.js')) return false;
  response.writeHead(200, { 'Content-Type': 'text/javascript' });
  response.end(SLOW + readFileSync(`dist/site${path}`, 'utf8'));
  return true;
};
