/** The tiny model answers in a fraction of a second: a worker that waits can be interrupted where a test wants it. */
import { readFileSync } from 'node:fs';
import type { ServerOptions } from '../scripts/testing/server';

/**
 * Runs in the worker before anything of ours. On the GPU it waits after each submit, for as long as the channel `pace`
 * says, ms, and from the submit `holdAt` until it is released or the device is lost. Counts submits, those before the
 * page's last `cancel` apart, and the bytes that are written to buffers. On the CPU `paceOnCpu`, ms, has the executor
 * give the event loop a turn whenever it looks at the clock, tens of times a token, and lets each turn take that long.
 */
const SLOW = `if (PACE_ON_CPU > 0) {
  const { now } = performance;
  let looks = 0;
  performance.now = () => now.call(performance) + 1000 * looks++;
  const Channel = self.MessageChannel;
  self.MessageChannel = class extends Channel {
    constructor() {
      super();
      const { postMessage } = this.port2;
      this.port2.postMessage = (...args) => setTimeout(() => postMessage.apply(this.port2, args), PACE_ON_CPU);
    }
  };
}
if (self.GPUQueue) {
  const held = [];
  const seen = (self.seen = { submits: 0, atCancel: null, written: 0, holdAt: Infinity });
  self.release = () => {
    seen.holdAt = Infinity;
    for (const go of held.splice(0)) go();
  };
  let pace = 0;
  new BroadcastChannel('pace').onmessage = ({ data }) => (pace = data);
  const slow = (type, name) => {
    const original = type.prototype[name];
    type.prototype[name] = async function (...args) {
      await original.apply(this, args);
      await new Promise((go) => (seen.submits < seen.holdAt ? setTimeout(go, pace) : held.push(go)));
    };
  };
  slow(GPUQueue, 'onSubmittedWorkDone');
  slow(GPUBuffer, 'mapAsync');
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (...args) {
    const device = await requestDevice.apply(this, args);
    device.lost.then(self.release);
    return device;
  };
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
  holdAt: number;
}

/** Where the workers that are served from now on hold by themselves. */
export const next = { holdAt: Number.POSITIVE_INFINITY };

type Intercept = NonNullable<ServerOptions['intercept']>;

/** Serves the page's worker with that in front. */
const serveSlow =
  (paceOnCpu: number): Intercept =>
  (_, response, path) => {
    if (!path.startsWith('/assets/worker-') || !path.endsWith('.js')) return false;
    response.writeHead(200, { 'Content-Type': 'text/javascript' });
    const slow = SLOW.replace('Infinity', String(next.holdAt)).replaceAll('PACE_ON_CPU', String(paceOnCpu));
    response.end(slow + readFileSync(`dist/site${path}`, 'utf8'));
    return true;
  };
export const slowWorker = serveSlow(0);
/** About ten tokens a second on the CPU. */
export const slowOnCpu = serveSlow(2);
