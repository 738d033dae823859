import { afterEach, vi } from 'vitest';
import { f16Table } from '../../formats/half';
import { testGpu } from '../../gpu/test-device';
import type { OneCache } from '../test/one-cache';
import { describeShift } from '../test/shift-cases';
import type { GpuKvCache } from './kv-cache';
import { webgpu } from './test/maker';

const open: OneCache[] = [];
afterEach(() => {
  for (const executor of open.splice(0)) executor.dispose();
  vi.restoreAllMocks();
});

async function read(buffer: GPUBuffer): Promise<ArrayBuffer> {
  const { device } = await testGpu();
  const target = device.createBuffer({ size: buffer.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, target, 0, buffer.size);
  device.queue.submit([encoder.finish()]);
  await target.mapAsync(GPUMapMode.READ);
  const bytes = target.getMappedRange().slice(0);
  target.destroy();
  return bytes;
}

describeShift(
  webgpu(testGpu(), open),
  async (cache, type) => {
    const numbers = async (name: string) => {
      const bytes = await read((cache as GpuKvCache).buffers.get(name)!);
      return type === 'f16'
        ? Array.from(new Uint16Array(bytes), (value) => f16Table()[value])
        : [...new Float32Array(bytes)];
    };
    return { keys: await numbers('kv.0.k'), values: await numbers('kv.0.v') };
  },
  1e-5,
  false,
);
