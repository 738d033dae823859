/**
 * Moves the rings of one conversation to the front (see KvCache.shift): what stays is copied, keys that move are
 * turned.
 */
import { STORAGE_USAGE } from '../../gpu/usage';
import { bindGroup } from '../../kernels/kernel';
import { shiftGroups, shiftKernel } from '../../kernels/shift';
import { ropeBuffer } from '../../memory/gpu-scratch';
import { kvBuffer, kvCopies } from '../../memory/kv';
import { moveSegments } from '../../memory/ring';
import { noteShift, type Shift, survivors } from '../../memory/shift';
import type { GpuCacheOwner, GpuRings } from './kv-owner';

const KINDS = ['k', 'v'] as const;
/** Buffers by kind and part. */
type Ring = Record<(typeof KINDS)[number], GPUBuffer[]>;

/** What turns the keys of a part of a layer. */
interface Turn {
  kernel: ReturnType<typeof shiftKernel>;
  pipeline: GPUComputePipeline;
  frequencies: GPUBuffer;
}

/** @throws out-of-memory, webgpu-unavailable; nothing has changed then */
export async function shiftRings(owner: GpuCacheOwner, cache: GpuRings, shift: Shift): Promise<void> {
  const { held, buffers, parts } = cache;
  // All that may fail comes first: a layer's old ring then serves the next layer of its size.
  const turns = await turnsOf(owner, cache);
  const spares = await spareRings(owner, cache);
  owner.useFrequencies(cache.reach);
  for (const [layer, slots] of held.slots.entries()) {
    const of = (kind: 'k' | 'v') => parts[layer].map((_, part) => buffers.get(kvBuffer(layer, kind, part))!);
    const old = { k: of('k'), v: of('v') };
    const fresh = spares.get(slots)!;
    moveLayer(owner, cache, shift, layer, turns[layer], old, fresh);
    for (const kind of KINDS) {
      for (const [part, buffer] of fresh[kind].entries()) {
        buffer.label = kvBuffer(layer, kind, part);
        buffers.set(buffer.label, buffer);
      }
    }
    spares.set(slots, old);
  }
  for (const { k, v } of spares.values()) for (const buffer of [...k, ...v]) owner.ledger.release(buffer);
  cache.passes = null;
  noteShift(held, shift);
}

/** By layer, then by part; null: its keys have no positions. */
function turnsOf({ spec, plan, pipelines, buffer }: GpuCacheOwner, { parts }: GpuRings): Promise<(Turn[] | null)[]> {
  return Promise.all(
    spec.layers.map(async ({ rope }, layer) => {
      if (!rope) return null;
      const frequencies = buffer(ropeBuffer(spec, rope));
      return Promise.all(
        parts[layer].map(async (part) => {
          const kernel = shiftKernel(spec, rope, plan.request.kvType, part);
          return { kernel, pipeline: await pipelines.get(kernel), frequencies };
        }),
      );
    }),
  );
}

/** One ring of each size, by slots. */
async function spareRings({ ledger }: GpuCacheOwner, { held, parts }: GpuRings): Promise<Map<number, Ring>> {
  const sizes = new Map(held.slots.map((slots, layer) => [slots, parts[layer]]));
  const wanted = [...sizes.values()].flatMap((parts) => KINDS.flatMap(() => parts));
  const made = await ledger.allocate(
    wanted.map(({ bytes }) => ({ name: 'kv.spare', purpose: 'kv', bytes, usage: STORAGE_USAGE })),
  );
  return new Map(
    [...sizes].map(([slots, { length }]) => [slots, { k: made.splice(0, length), v: made.splice(0, length) }]),
  );
}

function moveLayer(
  { device, spec, plan, buffer }: GpuCacheOwner,
  { held, parts }: GpuRings,
  shift: Shift,
  layer: number,
  turns: Turn[] | null,
  old: Ring,
  fresh: Ring,
): void {
  const { stay, move } = survivors(held, layer, shift);
  const slots = held.slots[layer];
  const shape = { slots, parts: parts[layer] };
  const staying = moveSegments(stay.from, stay.to, 0, slots, slots);
  const moving = moveSegments(move.from, move.to, shift.drop, slots, slots);
  const encoder = device.createCommandEncoder();
  for (const kind of KINDS) {
    const segments = kind === 'k' && turns ? staying : [...staying, ...moving];
    for (const copy of kvCopies(plan.request.kvType, spec.headSize, shape, shape, segments)) {
      encoder.copyBufferToBuffer(old[kind][copy.fromPart], copy.from, fresh[kind][copy.toPart], copy.to, copy.bytes);
    }
  }
  if (turns) {
    const state = buffer('state');
    device.queue.writeBuffer(state, 0, new Uint32Array([move.from, move.to, shift.drop]));
    const pass = encoder.beginComputePass();
    for (const [i, part] of parts[layer].entries()) {
      const { kernel, pipeline, frequencies } = turns[i];
      const bound = { old_keys: old.k[i], keys: fresh.k[i], frequencies, state };
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup(device, pipeline, kernel, bound));
      pass.dispatchWorkgroups(...shiftGroups(part, move.to - move.from));
    }
    pass.end();
  }
  device.queue.submit([encoder.finish()]);
}
