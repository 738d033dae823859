/** Rows of a ring on the GPU, read and written; for who saves them, so that its code comes when somebody does. */
import { readThrough } from '../../gpu/readback';
import { READBACK } from '../../memory/gpu-scratch';
import { kvBuffer, kvCopies, kvRows } from '../../memory/kv';

import { copySegments } from '../../memory/ring';
import type { GpuCacheOwner, RingBuffers } from './kv-owner';

/** As KvCache.read(), of a layer's ring. */
export function readRows(
  { device, spec, plan, buffer }: GpuCacheOwner,
  layer: number,
  ring: RingBuffers,
  from: number,
  end: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const { kvType } = plan.request;
  const rows = kvRows(kvType, spec, end - from);
  const half = rows.parts[0].bytes;
  const copies = kvCopies(kvType, spec.headSize, ring, rows, copySegments(ring.slots, end - 1, rows.slots));
  const pieces = (['k', 'v'] as const).flatMap((kind, i) =>
    copies.map((copy) => ({
      from: ring.buffer(kvBuffer(layer, kind, copy.fromPart)),
      at: copy.from,
      to: i * half + copy.to,
      bytes: copy.bytes,
    })),
  );
  return readThrough(device, buffer(READBACK), pieces, 2 * half);
}

/** As KvCache.write(). */
export function writeRows(
  { device, spec, plan }: GpuCacheOwner,
  layer: number,
  ring: RingBuffers,
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
