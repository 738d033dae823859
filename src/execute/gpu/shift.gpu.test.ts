import { afterEach, expect, it, vi } from 'vitest';
import { type MatrixFormat, NF4_CODEBOOK } from '../../formats/matrix';
import { testGpu } from '../../gpu/test-device';
import { largestDifference } from '../cpu/test/models';
import type { OneCache } from '../test/one-cache';
import { describeShift, logitsAfterShift } from '../test/shift-cases';
import type { GpuKvCache } from './kv-cache';
import { webgpu } from './test/maker';

const NF4: MatrixFormat = { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK };
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
  async (cache) => {
    const { buffers } = cache as GpuKvCache;
    return { keys: await read(buffers.get('kv.0.k.0')!), values: await read(buffers.get('kv.0.v.0')!) };
  },
  1e-5,
  false,
);

it('moves heads that have buffers of their own', async () => {
  const cut = await logitsAfterShift(webgpu(testGpu(), open, 4500), 'int8', NF4);
  expect([...(open[0].cache as GpuKvCache).buffers.keys()]).toContain('kv.0.k.1');
  const whole = await logitsAfterShift(webgpu(testGpu(), open), 'int8', NF4);
  const scale = Math.max(...whole.map(Math.abs));
  expect(largestDifference(cut, whole) / scale).toBeLessThan(1e-5);
});
