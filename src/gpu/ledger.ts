/**
 * Every GPUBuffer that Nibble makes is made here, by name and purpose, so that the sum can be shown and compared with
 * the plan. Allocation is checked in error scopes: a failed step leaves nothing behind.
 */
import { NibbleError } from '../errors';

export type Purpose = 'weights' | 'kv' | 'scratch' | 'staging';

/** Bytes by purpose as allocated now, and the highest total so far. */
export interface MemoryReport extends Record<Purpose, number> {
  total: number;
  peak: number;
}

export interface BufferRequest {
  name: string;
  purpose: Purpose;
  bytes: number;
  usage: number;
}

export class Ledger {
  readonly #device: GPUDevice;
  readonly #live = new Map<GPUBuffer, Purpose>();
  readonly #bytes: Record<Purpose, number> = { weights: 0, kv: 0, scratch: 0, staging: 0 };
  #peak = 0;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /**
   * Creates all buffers of one step, or none.
   * @throws NibbleError out-of-memory (bytes asked, bytes held), limit-exceeded
   */
  async allocate(requests: readonly BufferRequest[]): Promise<GPUBuffer[]> {
    const device = this.#device;
    const asked = requests.reduce((sum, request) => sum + request.bytes, 0);
    device.pushErrorScope('out-of-memory');
    device.pushErrorScope('validation');
    const buffers: GPUBuffer[] = [];
    let thrown: unknown = null;
    try {
      for (const { name, bytes, usage } of requests)
        buffers.push(device.createBuffer({ label: name, size: bytes, usage }));
    } catch (error) {
      thrown = error;
    }
    const [invalid, exhausted] = await Promise.all([device.popErrorScope(), device.popErrorScope()]);
    if (invalid || exhausted || thrown) {
      for (const buffer of buffers) buffer.destroy();
      const held = this.report().total;
      const details = { asked, held };
      if (invalid) throw new NibbleError('limit-exceeded', `The GPU refused a buffer: ${invalid.message}`, details);
      throw new NibbleError(
        'out-of-memory',
        `The GPU has no room for ${asked} more bytes beside the ${held} in use. Close other tabs, shorten the answer, or choose a smaller model.`,
        details,
        { cause: thrown ?? undefined },
      );
    }
    requests.forEach((request, i) => {
      this.#live.set(buffers[i], request.purpose);
      this.#bytes[request.purpose] += request.bytes;
    });
    this.#peak = Math.max(this.#peak, this.report().total);
    return buffers;
  }

  release(buffer: GPUBuffer): void {
    const purpose = this.#live.get(buffer);
    if (purpose === undefined) return;
    this.#live.delete(buffer);
    this.#bytes[purpose] -= buffer.size;
    buffer.destroy();
  }

  report(): MemoryReport {
    const { weights, kv, scratch, staging } = this.#bytes;
    return { weights, kv, scratch, staging, total: weights + kv + scratch + staging, peak: this.#peak };
  }

  dispose(): void {
    for (const buffer of [...this.#live.keys()]) this.release(buffer);
  }
}
