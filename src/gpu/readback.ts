/** Bytes from the GPU back to JavaScript. */
import { NibbleError } from '../errors';
import { mappedForReading } from './wait';

/** Maps a MAP_READ buffer, copies `bytes` of it and unmaps it. @throws NibbleError device-lost */
export async function readMapped(device: GPUDevice, buffer: GPUBuffer, bytes: number): Promise<ArrayBuffer> {
  try {
    await mappedForReading(device, buffer, bytes);
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

/** Some bytes of a buffer, and where in a result they belong; multiples of four. */
export interface Piece {
  from: GPUBuffer;
  at: number;
  to: number;
  bytes: number;
}

/**
 * Reads what pieces make up, `bytes` in all, by way of a MAP_READ buffer of any size, in as many turns as that takes.
 * @throws NibbleError device-lost
 */
export async function readThrough(
  device: GPUDevice,
  through: GPUBuffer,
  pieces: readonly Piece[],
  bytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const result = new Uint8Array(bytes);
  for (let begin = 0; begin < bytes; begin += through.size) {
    const end = Math.min(bytes, begin + through.size);
    const encoder = device.createCommandEncoder();
    for (const piece of pieces) {
      const first = Math.max(begin, piece.to);
      const length = Math.min(end, piece.to + piece.bytes) - first;
      if (length > 0) {
        encoder.copyBufferToBuffer(piece.from, piece.at + first - piece.to, through, first - begin, length);
      }
    }
    device.queue.submit([encoder.finish()]);
    result.set(new Uint8Array(await readMapped(device, through, end - begin)), begin);
  }
  return result;
}

/** f32 values of what pieces make up, by way of such a buffer. @throws NibbleError device-lost */
export async function readFloats(
  device: GPUDevice,
  through: GPUBuffer,
  pieces: readonly Piece[],
): Promise<Float32Array> {
  const bytes = pieces.reduce((sum, piece) => sum + piece.bytes, 0);
  return new Float32Array((await readThrough(device, through, pieces, bytes)).buffer);
}
