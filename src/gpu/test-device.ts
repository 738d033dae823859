/** One device for all GPU tests of a process, on Dawn in Node (each test file must fail without one, not pass). */
import { create, globals } from 'webgpu';
import type { Gpu, GpuOptions } from './device';
import { requestGpu } from './device';

Object.assign(globalThis, globals);
/** Dawn's instance must stay referenced for the life of the process. */
const instance = create([]);
const devices = new Map<string, Promise<Gpu>>();

/** A device of its own, for a test that destroys or alters it. */
export const ownGpu = (options: GpuOptions = { limits: 'adapter', features: 'all' }): Promise<Gpu> =>
  requestGpu(instance, options);

/** The same device, and so the same compiled kernels, for the same options. */
export function testGpu(options: GpuOptions = { limits: 'adapter', features: 'all' }): Promise<Gpu> {
  const key = JSON.stringify(options);
  const device = devices.get(key) ?? ownGpu(options);
  devices.set(key, device);
  return device;
}
