/** What passes of several tokens read: a chunk of a prompt, a draft. */
import { STATE } from '../../memory/gpu-scratch';
import type { PlanBuffers } from './buffers';
import type { GpuKvCache } from './kv-cache';
import type { Pass } from './submitter';

/** Writes what a pass of several ids reads, the first of them at the position `first`. */
export function beginPass(
  { queue }: GPUDevice,
  buffers: PlanBuffers,
  { held }: Pick<GpuKvCache, 'held'>,
  first: number,
  ids: Uint32Array<ArrayBuffer>,
): Pass {
  const tokens = ids.length;
  const last = first + tokens - 1;
  queue.writeBuffer(buffers.get('ids'), 0, ids);
  queue.writeBuffer(buffers.get('state'), 0, Uint32Array.of(first, tokens));
  held.write(first, last);
  return { tokens, last, slots: held.slots };
}

/** The passes of a prompt, `chunk` ids at most each, whose buffers are written when it is taken. */
export function* passesOf(
  device: GPUDevice,
  buffers: PlanBuffers,
  chunk: number,
  { cache, ids, start }: { cache: Pick<GpuKvCache, 'held'>; ids: ArrayLike<number>; start: number },
) {
  for (let at = 0; at < ids.length; at += chunk) {
    const tokens = Math.min(chunk, ids.length - at);
    const piece = Uint32Array.from({ length: tokens }, (_, i) => ids[at + i]);
    yield { at, pass: beginPass(device, buffers, cache, start + at, piece), ends: at + tokens === ids.length };
  }
}

/** Has the head take a row of the last pass: it takes the last of so many tokens. */
export const takeRow = ({ queue }: GPUDevice, buffers: PlanBuffers, row: number): void =>
  queue.writeBuffer(buffers.get('state'), STATE.tokens * 4, Uint32Array.of(row + 1));
