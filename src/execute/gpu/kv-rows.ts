/** Rows of a ring on the GPU, read and written; for who saves them, so that its code comes when somebody does. */
import { readMapped } from '../../gpu/readback';
import { kvBuffer, kvCopies, kvRows } from '../../memory/kv';
import { copySegments } from '../../memory/ring';
import type { GpuCacheOwner, Place } from './kv-cache';

/** MAP_READ, COPY_DST */
const USAGE = 0x1 | 0x8;

/** As KvCache.read(), of a layer's ring; through a buffer that exists meanwhile. */
export async function readRows(
  { device, ledger, spec, plan }: GpuCacheOwner,
  layer: number,
  ring: Place,
  from: number,
  end: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const { kvType } = plan.request;
  const rows = kvRows(kvType, spec, end - from);
  const half = rows.parts[0].bytes;
  const [staging] = await ledger.allocate([{ name: 'read', purpose: 'scratch', bytes: 2 * half, usage: USAGE }]);
  try {
    const encoder = device.createCommandEncoder();
    for (const copy of kvCopies(kvType, spec.headSize, ring, rows, copySegments(ring.slots, end - 1, rows.slots))) {
      for (const [i, kind] of (['k', 'v'] as const).entries()) {
        const source = ring.buffer(kvBuffer(layer, kind, copy.fromPart));
        encoder.copyBufferToBuffer(source, copy.from, staging, i * half + copy.to, copy.bytes);
      }
    }
    device.queue.submit([encoder.finish()]);
    return new Uint8Array(await readMapped(device, staging, 2 * half));
  } finally {
    ledger.release(staging);
  }
}

/** As KvCache.write(). */
export function writeRows(
  { device, spec, plan }: GpuCacheOwner,
  layer: number,
  ring: Place,
  from: number,
  end: number,
  bytes: Uint8Array<ArrayBuffer>,
): void {
  const { kvType } = plan.request;
  const rows = kvRows(kvType, spec, end - from);
  for (const copy of kvCopies(kvType, spec.headSize, rows, ring, copySegments(rows.slots, end - 1, ring.slots))) {
    for (const [i, kind] of (['k', 'v'] as const).entries()) {
      const target = ring.buffer(kvBuffer(layer, kind, copy.toPart));
      device.queue.writeBuffer(target, copy.to, bytes, i * rows.parts[0].bytes + copy.from, copy.bytes);
    }
  }
}
