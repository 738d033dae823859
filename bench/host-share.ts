/**
 * What the host does of a step on WebGPU, the GPU's own time taken out: before a mask is made, the GPU is waited for,
 * so that a software GPU does not take the processor from it, and calls of submit() are left out, for such a GPU
 * begins within them; what a submit and an id's way back cost by themselves is a round of nothing. Seen from outside,
 * by what the API is called with. Once for a process.
 */
import { median } from '../src/node/median';

/** Milliseconds of one step. */
export interface HostStep {
  /** all of what follows */
  all: number;
  /** the id's way to its reader, and encoding the pass between, where that has not been ahead */
  way: number;
  mask: number;
  /** writing the mask, and whatever else the draw has to know, into the GPU's buffers */
  upload: number;
  /** encoding the draw's commands */
  encode: number;
}

export class HostShare {
  readonly steps: HostStep[] = [];
  #device: GPUDevice | null = null;
  /** when the last id came; 0: none since the answer began, or its step is known */
  #arrived = 0;
  #way = 0;
  #mask = 0;
  /** when the mask was there; 0: it was not asked for */
  #masked = 0;
  #upload = 0;
  /** within submits since the last id came */
  #submits = 0;

  /** Watches all devices of this process, from now on. */
  constructor() {
    const [queue, buffer, device] = [GPUQueue.prototype, GPUBuffer.prototype, GPUDevice.prototype];
    const { submit, writeBuffer } = queue;
    const { mapAsync } = buffer;
    const { createCommandEncoder } = device;
    const share = this;
    buffer.mapAsync = async function (...given) {
      await mapAsync.apply(this, given);
      share.#arrived = performance.now();
      share.#submits = 0;
      return undefined;
    };
    device.createCommandEncoder = function (...given) {
      share.#device = this;
      return createCommandEncoder.apply(this, given);
    };
    queue.writeBuffer = function (...given: unknown[]) {
      const before = performance.now();
      (writeBuffer as (...given: unknown[]) => undefined).apply(this, given);
      share.#upload += performance.now() - before;
      return undefined;
    };
    queue.submit = function (work) {
      share.#encoded();
      const before = performance.now();
      submit.call(this, work);
      share.#submits += performance.now() - before;
      return undefined;
    };
  }

  /** An answer, or its rest behind text that was forced, begins: no id is waited for. */
  begins(): void {
    this.#arrived = this.#masked = 0;
  }

  /** Makes a mask when the GPU is idle. */
  async masked<T>(make: () => T): Promise<Awaited<T>> {
    this.#way = performance.now() - this.#arrived - this.#submits;
    await this.#device?.queue.onSubmittedWorkDone();
    const before = performance.now();
    const words = await make();
    this.#masked = performance.now();
    this.#mask = this.#masked - before;
    this.#upload = 0;
    return words;
  }

  #encoded(): void {
    if (this.#masked === 0) return;
    const [way, mask, upload] = [this.#way, this.#mask, this.#upload];
    const encode = performance.now() - this.#masked - upload;
    if (this.#arrived > 0) this.steps.push({ all: way + mask + upload + encode, way, mask, upload, encode });
    this.#arrived = this.#masked = 0;
  }

  /** The median milliseconds of a round with nothing for the GPU to do but to copy one word: submitted, and back. */
  async waking(rounds = 200): Promise<number> {
    const device = this.#device!;
    const from = device.createBuffer({ size: 4, usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
    const to = device.createBuffer({ size: 4, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const encoder = device.createCommandEncoder();
      encoder.copyBufferToBuffer(from, 0, to, 0, 4);
      const commands = encoder.finish();
      const before = performance.now();
      device.queue.submit([commands]);
      await to.mapAsync(GPUMapMode.READ);
      times.push(performance.now() - before);
      to.unmap();
    }
    for (const buffer of [from, to]) buffer.destroy();
    return median(times);
  }
}
