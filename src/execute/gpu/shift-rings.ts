/** Moves the rings of one conversation to the front (see KvCache.shift): what stays is copied, keys that move are turned. */
import { shiftGroups, shiftKernel } from '../../kernels/shift';
import { distinctRopes, kvRowBytes } from '../../memory/plan';
import { moveSegments } from '../../memory/ring';
import type { Shift } from '../../memory/rings';
import { type GpuCacheOwner, type GpuKvCache, KV_USAGE, ringNames } from './kv-cache';

/** @throws out-of-memory, webgpu-unavailable; nothing has changed then */
export async function shiftRings(owner: GpuCacheOwner, cache: GpuKvCache, shift: Shift): Promise<void> {
  const { device, ledger, spec, request } = owner;
  const { held, buffers } = cache;
  const ropes = distinctRopes(spec);
  const pipelines = await Promise.all(
    ropes.map((rope) => owner.pipelines.get(shiftKernel(spec, rope, request.kvType))),
  );
  const row = kvRowBytes(spec, request.kvType);
  // All that may fail comes first: a layer's old ring serves the next layer of its size.
  const sizes = [...new Set(held.slots)];
  const wanted = sizes.flatMap((slots) =>
    ['k', 'v'].map((kind) => ({
      name: `kv.${kind}.spare`,
      purpose: 'kv' as const,
      bytes: slots * row,
      usage: KV_USAGE,
    })),
  );
  const made = await ledger.allocate(wanted);
  const spares = new Map(sizes.map((slots, i) => [slots, made.slice(2 * i, 2 * i + 2)]));
  owner.useFrequencies(cache.reach);
  for (const [layer, slots] of held.slots.entries()) {
    const { stay, move } = held.survivors(layer, shift);
    const names = ringNames(layer);
    const old = names.map((name) => buffers.get(name)!);
    const fresh = spares.get(slots)!;
    const { rope } = spec.layers[layer];
    const encoder = device.createCommandEncoder();
    const staying = moveSegments(stay.from, stay.to, 0, slots, slots);
    const moving = moveSegments(move.from, move.to, shift.drop, slots, slots);
    const copies = [rope ? staying : [...staying, ...moving], [...staying, ...moving]];
    for (const [i, segments] of copies.entries()) {
      for (const { from, to, count } of segments)
        encoder.copyBufferToBuffer(old[i], from * row, fresh[i], to * row, count * row);
    }
    if (rope) {
      const index = ropes.findIndex((known) => JSON.stringify(known) === JSON.stringify(rope));
      const state = owner.buffer('state');
      device.queue.writeBuffer(state, 0, new Uint32Array([move.from, move.to, shift.drop]));
      const layout = pipelines[index].getBindGroupLayout(0);
      const bound = [old[0], fresh[0], owner.buffer(`rope.${index}`), state];
      const entries = bound.map((buffer, binding) => ({ binding, resource: { buffer } }));
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipelines[index]);
      pass.setBindGroup(0, device.createBindGroup({ layout, entries }));
      pass.dispatchWorkgroups(...shiftGroups(spec, move.to - move.from));
      pass.end();
    }
    device.queue.submit([encoder.finish()]);
    for (const [i, name] of names.entries()) {
      fresh[i].label = name;
      buffers.set(name, fresh[i]);
    }
    spares.set(slots, old);
  }
  for (const buffer of [...spares.values()].flat()) ledger.release(buffer);
  cache.passes = null;
  held.shift(shift);
}
