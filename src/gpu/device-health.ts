/** Notices that a device can no longer be trusted, and tells it from the errors that this leaves everywhere. */
import { NibbleError } from '../errors';

/** The news of a loss may come after the errors that it causes, by this much at most, ms. */
const GRACE_MS = 200;
/** What a call on a lost device may look like, beside WebGPU's own errors. */
const SUSPECT = ['webgpu-unavailable', 'limit-exceeded', 'out-of-memory'];

export class DeviceHealth {
  /** device-lost, once the device is, or once it refused a call; destroying it is neither */
  failure: NibbleError | null = null;
  /** resolves when there is one */
  readonly failed: Promise<void>;

  constructor(device: GPUDevice) {
    this.failed = new Promise((resolve) => {
      const fail = (what: string, details: { reason: string }) => {
        this.failure ??= new NibbleError('device-lost', `${what}. Load the model again.`, details);
        resolve();
      };
      device.lost.then(({ reason, message }) => {
        if (reason !== 'destroyed') fail(`The graphics device was lost (${message})`, { reason });
      });
      // such a call leaves wrong numbers behind: nothing may be answered after one
      device.addEventListener('uncapturederror', ({ error }) =>
        fail(`The graphics device refused a call (${error.message})`, { reason: 'refused' }),
      );
    });
  }

  /** @throws device-lost */
  check(): void {
    if (this.failure) throw this.failure;
  }

  /** What went wrong: the device's failure, where one is behind the error. */
  async explain(error: unknown): Promise<unknown> {
    if (!(error instanceof NibbleError) || SUSPECT.includes(error.code)) {
      await Promise.race([this.failed, new Promise((resolve) => setTimeout(resolve, GRACE_MS))]);
    }
    return this.failure ?? error;
  }
}
