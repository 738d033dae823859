import { expect, it } from 'vitest';
import { NibbleError } from '../errors';
import { planOf, randomModel } from '../execute/cpu/test/models';
import { prompt, tiny, webgpu } from '../execute/gpu/test/maker';
import { DeviceHealth } from './device-health';
import { ownGpu } from './test-device';

it('after a call that the device refused, nothing is answered; to destroy it is no failure', async () => {
  const gpu = await ownGpu({ limits: 'default', features: 'none' });
  const executor = await randomModel(tiny(), { promptTokens: 9 }, undefined, webgpu(Promise.resolve(gpu), []));
  await executor.prefill(prompt(9), 0);
  expect(gpu.health.failure).toBeNull();
  gpu.device.createBuffer({ size: 16, usage: 0 });
  await gpu.health.failed;
  const lost = { code: 'device-lost', message: expect.stringContaining('refused a call') };
  await expect(executor.prefill([1], 9)).rejects.toMatchObject(lost);
  await expect(executor.logits()).rejects.toMatchObject(lost);
  await expect(executor.reserve(planOf(tiny(), {}, undefined, 'webgpu'))).rejects.toMatchObject(lost);
  expect(await gpu.health.explain(new TypeError('because of it'))).toMatchObject(lost);
  executor.dispose();
  gpu.device.destroy();

  const other = await ownGpu({ limits: 'default', features: 'none' });
  other.device.destroy();
  await other.device.lost;
  const error = new NibbleError('out-of-memory', 'of its own');
  expect(await other.health.explain(error)).toBe(error);
  expect(other.health.failure).toBeNull();
});

it('a loss that is told of late is what went wrong, unless the error has another cause for certain', async () => {
  let lose: (info: { reason: string; message: string }) => void = () => {};
  const lost = new Promise((resolve) => {
    lose = resolve;
  });
  const device = { lost, addEventListener: () => {} } as unknown as GPUDevice;
  const health = new DeviceHealth(device);
  const stopped = new NibbleError('aborted', 'stopped');
  expect(await health.explain(stopped)).toBe(stopped);
  const explained = health.explain(new NibbleError('out-of-memory', 'no room'));
  lose({ reason: 'unknown', message: 'the driver failed' });
  expect(await explained).toMatchObject({ code: 'device-lost', details: { reason: 'unknown' } });
  expect(await health.explain(stopped)).toMatchObject({ code: 'device-lost' });
});
