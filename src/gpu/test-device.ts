/** One device for all GPU tests of a process, on Dawn in Node (each test file must fail without one, not pass). */
import { create, globals } from 'webgpu';
import type { Gpu, GpuOptions } from './device';
import { requestGpu } from './device';

Object.assign(globalThis, globals);
/** Dawn's instance must stay referenced for the life of the process. */
const instance = create([]);

export const testGpu = (options: GpuOptions = { limits: 'adapter', features: 'all' }): Promise<Gpu> => requestGpu(instance, options);
