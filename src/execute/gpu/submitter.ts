/** Encodes dispatches and submits them, counts both, and times them where somebody asks. */
import { throwIfAborted } from '../../errors';
import type { Gpu } from '../../gpu/device';
import type { KernelProfile, Profiler } from '../../gpu/timestamps';
import { submittedWorkDone } from '../../gpu/wait';
import type { Bound } from './op';

/** Work is cut into submits of about this long, ms: Windows resets a GPU that is busy for 2 s. */
export const SUBMIT_MS = 100;

/** One chunk of prefill or one step of decode. */
export interface Pass {
  tokens: number;
  /** position of the newest token */
  last: number;
  /** of the conversation's rings, by layer */
  slots: readonly number[];
}

/** Submits that the GPU has at a time: when it is done with one it has the next, and need not wait until we hear. */
const IN_FLIGHT = 2;

/** A piece of a pass that was submitted and is not known to be done. */
interface Flight {
  /** when it was submitted */
  began: number;
  dispatches: number;
  /** whether it is as long as it may be */
  whole: boolean;
  done: Promise<unknown>;
  onDone?(): void;
}

/** Dispatches, and what they are for. */
export type Work = readonly [bound: readonly Bound[], pass: Pass];

export class Submitter {
  dispatches = 0;
  submits = 0;
  readonly #gpu: Gpu;
  /** dispatches a submit, steered towards SUBMIT_MS */
  #batch = 64;
  /** the oldest first */
  readonly #flights: Flight[] = [];
  /** when the last that is done was */
  #landed = 0;
  #profiler: Profiler | null = null;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /**
   * Encodes in submits of about SUBMIT_MS, so that a request can be stopped, and leaves the last IN_FLIGHT of them to
   * the GPU: settle() waits for those.
   * @param onDone told when all of this is done, and nothing if that is not waited for
   */
  inPieces(bound: readonly Bound[], pass: Pass, signal?: AbortSignal, onDone?: () => void): Promise<void> {
    return this.worksInPieces([[bound, pass]], signal, onDone);
  }

  /** The same of dispatches that are for several conversations. */
  async worksInPieces(works: readonly Work[], signal?: AbortSignal, onDone?: () => void): Promise<void> {
    const { device } = this.#gpu;
    const all = works.flatMap(([bound, pass]) => bound.map((one): Work => [[one], pass]));
    for (let from = 0; from < all.length; ) {
      while (this.#flights.length >= IN_FLIGHT) await this.#land();
      throwIfAborted(signal);
      const piece = all.slice(from, from + this.#batch);
      from += piece.length;
      const began = performance.now();
      this.run(piece);
      const done = submittedWorkDone(device);
      // a stop may be heard before anybody waits for it
      done.catch(() => {});
      const [dispatches, whole] = [piece.length, piece.length === this.#batch];
      this.#flights.push({ began, dispatches, whole, done, ...(from === all.length ? { onDone } : {}) });
    }
  }

  /** Waits until all that inPieces() submitted is done. @throws device-lost */
  async settle(): Promise<void> {
    while (this.#flights.length > 0) await this.#land();
  }

  /** Waits for the oldest. */
  async #land(): Promise<void> {
    const { began, dispatches, whole, done, onDone } = this.#flights.shift() as Flight;
    await done;
    this.#gpu.health.check();
    const now = performance.now();
    // It had the GPU since then.
    const ms = now - Math.max(began, this.#landed);
    this.#landed = now;
    if (ms > 1.5 * SUBMIT_MS) this.#batch = Math.max(1, Math.floor(dispatches / 2));
    else if (ms < 0.5 * SUBMIT_MS && whole) this.#batch = Math.min(4096, dispatches * 2);
    onDone?.();
  }

  /** Encodes work and submits it. @param after what is encoded behind it */
  run(work: readonly Work[], after?: (encoder: GPUCommandEncoder) => void): void {
    const { device } = this.#gpu;
    const encoder = device.createCommandEncoder();
    this.#encode(encoder, work);
    after?.(encoder);
    device.queue.submit([encoder.finish()]);
    this.submits++;
  }

  /** One compute pass of it all: on some GPUs each costs microseconds. */
  #encode(encoder: GPUCommandEncoder, work: readonly Work[]): void {
    if (this.#profiler) {
      for (const [bound, of] of work) {
        for (const item of bound) {
          if (item.op.groups(of.tokens, of.last, of.slots)[0] === 0) continue;
          const pass = encoder.beginComputePass(this.#profiler.pass(item.op.kernel.label));
          this.#dispatch(pass, item, of);
          pass.end();
        }
        this.#profiler.resolve(encoder);
      }
      return;
    }
    const pass = encoder.beginComputePass();
    for (const [bound, of] of work) for (const item of bound) this.#dispatch(pass, item, of);
    pass.end();
  }

  #dispatch(pass: GPUComputePassEncoder, { op, pipeline, group }: Bound, { tokens, last, slots }: Pass): void {
    const [x, y = 1, z = 1] = op.groups(tokens, last, slots);
    if (x === 0) return;
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(x, y, z);
    this.dispatches++;
  }

  /** As GpuExecutor.profile(). */
  async profile(work: () => Promise<void>): Promise<KernelProfile[] | null> {
    const { createProfiler } = await import('../../gpu/timestamps');
    this.#profiler = createProfiler(this.#gpu.device, this.#gpu.features);
    if (!this.#profiler) return null;
    try {
      await work();
      return await this.#profiler.finish();
    } finally {
      this.#profiler = null;
    }
  }
}
