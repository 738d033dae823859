/** For tests: a wrapper around the device that the executor cannot see. */
import { vi } from 'vitest';

/** Bytes alive by label, as the device itself was asked. */
export function watch(device: GPUDevice) {
  const alive = new Map<GPUBuffer, { label: string; bytes: number }>();
  const made: string[] = [];
  let peak = 0;
  const create = device.createBuffer.bind(device);
  vi.spyOn(device, 'createBuffer').mockImplementation((descriptor) => {
    const buffer = create(descriptor);
    const destroy = buffer.destroy.bind(buffer);
    alive.set(buffer, { label: descriptor.label ?? '', bytes: descriptor.size });
    made.push(descriptor.label ?? '');
    peak = Math.max(peak, bytes());
    buffer.destroy = () => {
      alive.delete(buffer);
      destroy();
    };
    return buffer;
  });
  const bytes = () => [...alive.values()].reduce((sum, buffer) => sum + buffer.bytes, 0);
  const list = () => [...alive.values()].map((buffer) => `${buffer.label} ${buffer.bytes}`).sort();
  return { bytes, list, made, peak: () => peak };
}
