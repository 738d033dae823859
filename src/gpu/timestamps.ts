/**
 * Milliseconds by kernel, from timestamp queries around passes of one dispatch each. Browsers coarsen timestamps to
 * 100 us unless developer features are on, so sums over many dispatches mean more than single ones.
 */
import { readMapped } from './readback';
import { READ_USAGE, usage } from './usage';

/** Passes that one query set can time. */
const CAPACITY = 2048;

export interface KernelProfile {
  kernel: string;
  dispatches: number;
  ms: number;
}

export interface Profiler {
  /** The descriptor of the next pass, timed where there is room. */
  pass(label: string): GPUComputePassDescriptor | undefined;
  /** To be called once an encoder, after its passes. */
  resolve(encoder: GPUCommandEncoder): void;
  /** By kernel, slowest first. */
  finish(): Promise<KernelProfile[]>;
}

/** @returns null where the device has no timestamps */
export function createProfiler(device: GPUDevice, features: ReadonlySet<string>): Profiler | null {
  if (!features.has('timestamp-query')) return null;
  const sets: { queries: GPUQuerySet; buffer: GPUBuffer; labels: string[] }[] = [];
  let current: (typeof sets)[number] | null = null;
  return {
    pass(label) {
      if (!current || current.labels.length === CAPACITY) {
        current = {
          queries: device.createQuerySet({ type: 'timestamp', count: 2 * CAPACITY }),
          buffer: device.createBuffer({ size: 16 * CAPACITY, usage: usage('QUERY_RESOLVE', 'COPY_SRC') }),
          labels: [],
        };
        sets.push(current);
      }
      const at = 2 * current.labels.push(label) - 2;
      return {
        timestampWrites: { querySet: current.queries, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 },
      };
    },
    resolve(encoder) {
      for (const { queries, buffer, labels } of sets.slice(-2))
        encoder.resolveQuerySet(queries, 0, 2 * labels.length, buffer, 0);
    },
    async finish() {
      const totals = new Map<string, KernelProfile>();
      for (const { queries, buffer, labels } of sets) {
        const target = device.createBuffer({ size: 16 * CAPACITY, usage: READ_USAGE });
        const encoder = device.createCommandEncoder();
        encoder.copyBufferToBuffer(buffer, 0, target, 0, 16 * CAPACITY);
        device.queue.submit([encoder.finish()]);
        const times = new BigUint64Array(await readMapped(device, target, 16 * labels.length));
        labels.forEach((kernel, i) => {
          const entry = totals.get(kernel) ?? { kernel, dispatches: 0, ms: 0 };
          entry.dispatches++;
          // Drivers may report an end before its beginning: such a pass counts as nothing.
          entry.ms += Math.max(0, Number(times[2 * i + 1] - times[2 * i]) / 1e6);
          totals.set(kernel, entry);
        });
        for (const resource of [queries, buffer, target]) resource.destroy();
      }
      return [...totals.values()].sort((a, b) => b.ms - a.ms);
    },
  };
}
