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
  /** fires when the device is lost, and when `signal` does */
  readonly signal: AbortSignal | undefined;
  /** What went wrong: the loss, where one is behind the error. */
  explain(error: unknown): Promise<unknown>;
}

/** @param gpu null: the CPU computes, and nothing is ever lost */
export function watchDevice(gpu: Gpu | null, signal?: AbortSignal): DeviceWatch {
  if (!gpu) return { lost: null, signal, explain: async (error) => error };
  let lost: NibbleError | null = null;
  const stop = new AbortController();
  const loss = gpu.device.lost.then(({ reason, message }) => {
    if (reason === 'destroyed') return;
    lost = new NibbleError('device-lost', `The graphics device was lost (${message}). Load the model again.`, {
      reason,
    });
    stop.abort();
  });
  return {
    get lost() {
      return lost;
    },
    signal: AbortSignal.any(signal ? [signal, stop.signal] : [stop.signal]),
    async explain(error) {
      if (!(error instanceof NibbleError) || SUSPECT.includes(error.code)) {
        await Promise.race([loss, new Promise((resolve) => setTimeout(resolve, GRACE_MS))]);
      }
      return lost ?? error;
    },
  };
}
