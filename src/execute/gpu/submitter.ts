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

/** Dispatches, and what they are for. */
export type Work = readonly [bound: readonly Bound[], pass: Pass];

export class Submitter {
  dispatches = 0;
  submits = 0;
  readonly #gpu: Gpu;
  /** dispatches a submit, steered towards SUBMIT_MS */
  #batch = 64;
  #profiler: Profiler | null = null;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** Encodes in submits of about SUBMIT_MS, waiting for each but the fastest, so that a request can be stopped. */
  async inPieces(bound: readonly Bound[], pass: Pass, signal?: AbortSignal): Promise<void> {
    const { device, health } = this.#gpu;
    for (let from = 0; from < bound.length; ) {
      throwIfAborted(signal);
      const size = this.#batch;
      const piece = bound.slice(from, from + size);
      const began = performance.now();
      const encoder = device.createCommandEncoder();
      this.encode(encoder, [[piece, pass]]);
      this.submit(encoder);
      await submittedWorkDone(device);
      health.check();
      const ms = performance.now() - began;
      if (ms > 1.5 * SUBMIT_MS) this.#batch = Math.max(1, Math.floor(size / 2));
      else if (ms < 0.5 * SUBMIT_MS && piece.length === size) this.#batch = Math.min(4096, size * 2);
      from += piece.length;
    }
  }

  /** One compute pass of it all: on some GPUs each costs microseconds. */
  encode(encoder: GPUCommandEncoder, work: readonly Work[]): void {
    if (this.#profiler) {
      for (const [bound, of] of work) {
        for (const item of bound) {
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
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(x, y, z);
    this.dispatches++;
  }

  submit(encoder: GPUCommandEncoder): void {
    this.#gpu.device.queue.submit([encoder.finish()]);
    this.submits++;
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
