/** Bytes from the GPU back to JavaScript. */
import { NibbleError } from '../errors';
import { nudged } from './firefox-poll';

/** Maps a MAP_READ buffer, copies `bytes` of it and unmaps it. @throws NibbleError device-lost */
export async function readMapped(device: GPUDevice, buffer: GPUBuffer, bytes: number): Promise<ArrayBuffer> {
  try {
    await nudged(device, buffer.mapAsync(GPUMapMode.READ, 0, bytes));
  } catch (cause) {
    throw new NibbleError(
      'device-lost',
      `The GPU stopped answering: ${(cause as Error).message} Reload the page to go on.`,
      {},
      { cause },
    );
  }
  const copy = buffer.getMappedRange(0, bytes).slice(0);
  buffer.unmap();
  return copy;
}
