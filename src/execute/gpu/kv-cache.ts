/** One conversation's rings on the GPU: two buffers a layer, and the dispatches that are bound to them. */
import { NibbleError } from '../../errors';
import type { Ledger } from '../../gpu/ledger';
import type { Pipelines } from '../../gpu/pipelines';
import { type KvType, kvRowBytes, type MemoryPlan, type PlanRequest, reachedTokens } from '../../memory/plan';
import { copySegments } from '../../memory/ring';
import { Rings, type Shift } from '../../memory/rings';
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
  /** the plan's, the same for every conversation */
  request: Pick<PlanRequest, 'kvType' | 'chunk'>;
  /** of those that all conversations share, by the plan's name */
  buffer(name: string): GPUBuffer;
  /** puts the frequencies of conversations that reach so far in place */
  useFrequencies(reach: number): void;
  /** @throws device-lost */
  checkAlive(): void;
  dispose(cache: GpuKvCache): void;
}

export const ringNames = (layer: number) => [`kv.${layer}.k`, `kv.${layer}.v`];

export class GpuKvCache implements KvCache {
  readonly held: Rings;
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
  }

  get bytes(): number {
    return this.layerBytes.reduce((sum, bytes) => sum + bytes, 0);
  }

  get layerBytes(): number[] {
    return this.held.slots.map((_, layer) => ringNames(layer).reduce((sum, name) => sum + this.#size(name), 0));
  }

  #size(name: string): number {
    return this.buffers.get(name)?.size ?? 0;
  }

  /** Positions that it can hold. */
  get capacity(): number {
    return this.held.capacity(this.#owner.request.chunk);
  }

  canResume(position: number): boolean {
    return this.held.canResume(position);
  }

  canShift(shift: Shift): boolean {
    return this.held.canShift(shift);
  }

  async shift(shift: Shift): Promise<void> {
    this.#owner.checkAlive();
    const { shiftRings } = await shiftPart();
    await shiftRings(this.#owner, this, shift);
  }

  async reserve(plan: MemoryPlan): Promise<void> {
    this.#owner.checkAlive();
    this.#checkType(plan.request.kvType);
    for (const { layer, slots, bytes } of plan.kvByLayer) {
      if (slots > this.held.slots[layer]) await this.#growLayer(layer, slots, bytes / 2);
    }
    this.reach = reachedTokens(plan.request);
  }

  #checkType(kvType: KvType): void {
    const own = this.#owner.request.kvType;
    if (kvType === own) return;
    throw new NibbleError('invalid-option', `The cache is ${own} and cannot become ${kvType}; load the model again.`);
  }

  /** A new ring for one layer, what was cached copied over, the old one freed; on failure the old one stays. */
  async #growLayer(layer: number, slots: number, bytes: number): Promise<void> {
    const { device, ledger, spec, request } = this.#owner;
    const { held } = this;
    const names = ringNames(layer);
    const made = await ledger.allocate(names.map((name) => ({ name, purpose: 'kv' as const, bytes, usage: KV_USAGE })));
    const old = names.map((name) => this.buffers.get(name));
    if (old[0]) {
      const row = kvRowBytes(spec, request.kvType);
      const encoder = device.createCommandEncoder();
      for (const { from, to, count } of copySegments(held.slots[layer], held.last, slots)) {
        for (const i of [0, 1]) encoder.copyBufferToBuffer(old[i]!, from * row, made[i], to * row, count * row);
      }
      device.queue.submit([encoder.finish()]);
      for (const buffer of old) ledger.release(buffer!);
    }
    for (const [i, name] of names.entries()) this.buffers.set(name, made[i]);
    held.slots[layer] = slots;
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
