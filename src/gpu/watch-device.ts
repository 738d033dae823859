/** Notices the loss of a device, and tells it from the errors that it leaves everywhere. */
import { NibbleError } from '../errors';
import type { Gpu } from './device';

/** The news of a loss may come after the errors that it causes, by this much at most, ms. */
const GRACE_MS = 200;
/** What a call on a lost device may look like, beside WebGPU's own errors. */
const SUSPECT = ['webgpu-unavailable', 'limit-exceeded', 'out-of-memory'];

export interface DeviceWatch {
  /** device-lost, once it is; destroying the device is no loss */
  readonly lost: NibbleError | null;
  /** fires when the device is lost, and when the caller's signal does */
  readonly signal: AbortSignal;
  /** What went wrong: the loss, where one is behind the error. */
  explain(error: unknown): Promise<unknown>;
}

/** @param choosing gives null, or fails, where no device computes: nothing is ever lost then */
export function watchDevice(choosing: Promise<Gpu | null>, signal?: AbortSignal): DeviceWatch {
  let watched = false;
  let lost: NibbleError | null = null;
  const stop = new AbortController();
  const halt = () => stop.abort();
  if (signal?.aborted) halt();
  signal?.addEventListener('abort', halt);
  const loss = (async () => {
    const gpu = await choosing.catch(() => null);
    if (!gpu) return;
    watched = true;
    const { reason, message } = await gpu.device.lost;
    if (reason === 'destroyed') return;
    lost = new NibbleError('device-lost', `The graphics device was lost (${message}). Load the model again.`, {
      reason,
    });
    halt();
  })();
  return {
    get lost() {
      return lost;
    },
    signal: stop.signal,
    async explain(error) {
      if (watched && (!(error instanceof NibbleError) || SUSPECT.includes(error.code))) {
        await Promise.race([loss, new Promise((resolve) => setTimeout(resolve, GRACE_MS))]);
      }
      return lost ?? error;
    },
  };
}
