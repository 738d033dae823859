/** One conversation's rings on the GPU: two buffers a layer, and the dispatches that are bound to them. */
import { NibbleError } from '../../errors';
import type { Ledger } from '../../gpu/ledger';
import type { Pipelines } from '../../gpu/pipelines';
import { type KvLayerPlan, type KvPart, type KvType, kvBuffer, kvBuffers, kvCopies } from '../../memory/kv';
import { type MemoryPlan, reachedTokens } from '../../memory/plan';
import { copySegments } from '../../memory/ring';
import { Rings } from '../../memory/rings';
import type { Shift } from '../../memory/shift';
import type { ModelSpec } from '../../model/spec';
import type { KvCache } from '../executor';
import type { Bound } from './bound';

/** GPUBufferUsage: STORAGE, COPY_DST, COPY_SRC (the global does not exist in Node before Dawn is loaded). */
export const KV_USAGE = 0x80 | 0x8 | 0x4;

/** Only long conversations need it. */
export const shiftPart = () => import('./shift-rings');

/** What it shares with the executor that made it. */
export interface GpuCacheOwner {
  device: GPUDevice;
  ledger: Ledger;
  pipelines: Pipelines;
  spec: ModelSpec;
  /** what the model was loaded with: type and chunk are the same for every conversation */
  plan: MemoryPlan;
  /** of those that all conversations share, by the plan's name */
  buffer(name: string): GPUBuffer;
  /** puts the frequencies of conversations that reach so far in place */
  useFrequencies(reach: number): void;
  /** @throws device-lost */
  checkAlive(): void;
  dispose(cache: GpuKvCache): void;
}

export class GpuKvCache implements KvCache {
  readonly held: Rings;
  /** by layer, which heads its buffers hold */
  readonly parts: (readonly KvPart[])[];
  /** by the plan's names */
  readonly buffers = new Map<string, GPUBuffer>();
  /** positions that the reserved request reaches */
  reach = 0;
  /** the passes on these buffers; null: to be bound anew */
  passes: Record<'decode' | 'prefill', Bound[]> | null = null;
  readonly #owner: GpuCacheOwner;

  constructor(owner: GpuCacheOwner) {
    this.#owner = owner;
    this.held = new Rings(owner.spec);
    this.parts = owner.plan.kvByLayer.map(({ parts }) => parts);
  }

  get bytes(): number {
    return this.layerBytes.reduce((sum, bytes) => sum + bytes, 0);
  }

  get layerBytes(): number[] {
    return this.parts.map((parts, layer) =>
      kvBuffers({ layer, parts }).reduce((sum, { name }) => sum + (this.buffers.get(name)?.size ?? 0), 0),
    );
  }

  /** Positions that it can hold. */
  get capacity(): number {
    return this.held.capacity(this.#owner.plan.request.chunk);
  }

  canResume(position: number): boolean {
    return this.held.canResume(position);
  }

  async shift(shift: Shift): Promise<void> {
    this.#owner.checkAlive();
    const { shiftRings } = await shiftPart();
    await shiftRings(this.#owner, this, shift);
  }

  async reserve(plan: MemoryPlan): Promise<void> {
    this.#owner.checkAlive();
    this.#checkType(plan.request.kvType);
    for (const ring of plan.kvByLayer) if (ring.slots > this.held.slots[ring.layer]) await this.#growLayer(ring);
    this.reach = reachedTokens(plan.request);
  }

  #checkType(kvType: KvType): void {
    const own = this.#owner.plan.request.kvType;
    if (kvType === own) return;
    throw new NibbleError('invalid-option', `The cache is ${own} and cannot become ${kvType}; load the model again.`);
  }

  /** A new ring for one layer, what was cached copied over, the old one freed; on failure the old one stays. */
  async #growLayer(ring: KvLayerPlan): Promise<void> {
    const { device, ledger, spec, plan } = this.#owner;
    const { held, buffers, parts } = this;
    const { layer } = ring;
    const wanted = kvBuffers(ring);
    const made = await ledger.allocate(wanted.map((one) => ({ ...one, purpose: 'kv' as const, usage: KV_USAGE })));
    const fresh = new Map(wanted.map(({ name }, i) => [name, made[i]]));
    if (held.slots[layer] > 0) {
      const old = { slots: held.slots[layer], parts: parts[layer] };
      const encoder = device.createCommandEncoder();
      const segments = copySegments(old.slots, held.last, ring.slots);
      for (const copy of kvCopies(plan.request.kvType, spec.headSize, old, ring, segments)) {
        for (const kind of ['k', 'v'] as const) {
          const from = buffers.get(kvBuffer(layer, kind, copy.fromPart))!;
          const to = fresh.get(kvBuffer(layer, kind, copy.toPart))!;
          encoder.copyBufferToBuffer(from, copy.from, to, copy.to, copy.bytes);
        }
      }
      device.queue.submit([encoder.finish()]);
      for (const { name } of kvBuffers({ layer, parts: old.parts })) {
        ledger.release(buffers.get(name)!);
        buffers.delete(name);
      }
    }
    for (const [name, buffer] of fresh) buffers.set(name, buffer);
    held.slots[layer] = ring.slots;
    parts[layer] = ring.parts;
    this.passes = null;
  }

  dispose(): void {
    for (const buffer of this.buffers.values()) this.#owner.ledger.release(buffer);
    this.buffers.clear();
    this.held.clear();
    this.passes = null;
    this.#owner.dispose(this);
  }
}
