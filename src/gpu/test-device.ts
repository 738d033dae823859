/** One device for all GPU tests of a process, on Dawn in Node (each test file must fail without one, not pass). */
import { create, globals } from 'webgpu';
import type { Gpu, GpuOptions } from './device';
import { requestGpu } from './device';
import { ON_SWIFTSHADER } from './on-swiftshader';

Object.assign(globalThis, globals);

/**
 * While anything is pending, Dawn asks in every turn of the event loop whether it is done: half of the processor time
 * of these tests, which SwiftShader needs on few cores. Here it asks once a millisecond. Its callbacks are native.
 */
const { setTimeout } = globalThis;
globalThis.setImmediate = new Proxy(globalThis.setImmediate, {
  apply(setImmediate, _, [callback, ...values]: Parameters<typeof globalThis.setImmediate>) {
    if (!/\[native code\]/.test(Function.prototype.toString.call(callback))) return setImmediate(callback, ...values);
    return setTimeout(callback, 1, ...values);
  },
});

/** Dawn's instance must stay referenced for the life of the process. */
const instance = create([...ON_SWIFTSHADER]);
const devices = new Map<string, Promise<GPUDevice>>();

/**
 * A navigator.gpu for sessions that need no device of their own: who asks for the same gets the same one, which nobody
 * destroys, and with it the kernels that are compiled already. SwiftShader takes longer to compile them than to run
 * them.
 */
export const sharedGpu = {
  wgslLanguageFeatures: instance.wgslLanguageFeatures,
  async requestAdapter(options?: GPURequestAdapterOptions) {
    const adapter = await instance.requestAdapter(options);
    if (!adapter) return null;
    const own = adapter.requestDevice.bind(adapter);
    adapter.requestDevice = (descriptor) => {
      const key = JSON.stringify(descriptor);
      const device = devices.get(key) ?? own(descriptor).then((made) => Object.assign(made, { destroy() {} }));
      devices.set(key, device);
      return device;
    };
    return adapter;
  },
} as GPU;

const ADAPTER: GpuOptions = { limits: 'adapter', features: 'all' };

/** A device of its own, for a test that destroys or alters it. */
export const ownGpu = (options: GpuOptions = ADAPTER): Promise<Gpu> => requestGpu(instance, options);

const gpus = new Map<string, Promise<Gpu>>();

/** The same device, and so the same compiled kernels, for the same options. */
export function testGpu(options: GpuOptions = ADAPTER): Promise<Gpu> {
  const key = JSON.stringify(options);
  const gpu = gpus.get(key) ?? requestGpu(sharedGpu, options);
  gpus.set(key, gpu);
  return gpu;
}

let nothing: Promise<GPUDevice> | undefined;

/**
 * A device of Dawn's null backend, which has every feature, experimental ones too, and computes nothing: it says what
 * is valid. It has WebGPU's default limits, and subgroups of up to 128 threads.
 */
export function nullDevice(): Promise<GPUDevice> {
  nothing ??= (async () => {
    const own = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);
    const adapter = await own.requestAdapter();
    const device = await adapter!.requestDevice({
      requiredFeatures: [...adapter!.features] as GPUFeatureName[],
    });
    // like the other one, it must stay
    return Object.assign(device, { instance: own });
  })();
  return nothing;
}

/** What WGSL's compiler says against a shader, where every feature may be used: errors, and what is to be removed. */
export async function faults(code: string): Promise<string[]> {
  const device = await nullDevice();
  device.pushErrorScope('validation');
  const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
  await device.popErrorScope();
  return messages.filter(({ type }) => type !== 'info').map(({ lineNum, message }) => `${lineNum}: ${message}`);
}
