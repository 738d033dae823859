/** Around a navigator.gpu: what its devices are asked for, counted where the engine cannot see it. */

/** Bytes of the buffers that exist now, and the most that existed at once. */
export interface Counted {
  now: number;
  peak: number;
}

export function countingGpu(gpu: GPU): { gpu: GPU; seen: Counted } {
  const seen: Counted = { now: 0, peak: 0 };
  // a device may be handed out again
  const known = new WeakSet<GPUDevice>();
  function watched(device: GPUDevice): GPUDevice {
    if (known.has(device)) return device;
    known.add(device);
    const create = device.createBuffer.bind(device);
    device.createBuffer = (descriptor) => {
      const buffer = create(descriptor);
      const destroy = buffer.destroy.bind(buffer);
      seen.now += descriptor.size;
      seen.peak = Math.max(seen.peak, seen.now);
      buffer.destroy = () => {
        seen.now -= descriptor.size;
        destroy();
      };
      return buffer;
    };
    return device;
  }
  const requestAdapter = async (options?: GPURequestAdapterOptions) => {
    const adapter = await gpu.requestAdapter(options);
    if (!adapter) return null;
    const request = adapter.requestDevice.bind(adapter);
    adapter.requestDevice = async (descriptor) => watched(await request(descriptor));
    return adapter;
  };
  return { gpu: { requestAdapter } as GPU, seen };
}
