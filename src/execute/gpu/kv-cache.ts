/** One conversation's rings on the GPU: two buffers a layer, copies of those that slide, and the dispatches bound to them. */
import { NibbleError } from '../../errors';
import type { Ledger } from '../../gpu/ledger';
import { readMapped } from '../../gpu/readback';
import {
  type KvLayerPlan,
  type KvType,
  kvRowBytes,
  type MemoryPlan,
  type PlanRequest,
  reachedTokens,
  ringNames,
  snapshotName,
} from '../../memory/plan';
import { type CopySegment, copySegments } from '../../memory/ring';
import { Rings } from '../../memory/rings';
import type { RingState } from '../../memory/snapshots';
import type { ModelSpec } from '../../model/spec';
import type { KvCache } from '../executor';
import type { Bound } from './bound';

/** GPUBufferUsage: STORAGE, COPY_DST, COPY_SRC (the global does not exist in Node before Dawn is loaded). */
const USAGE = 0x80 | 0x8 | 0x4;
/** MAP_READ, COPY_DST */
const READ_USAGE = 0x1 | 0x8;

/** What it shares with the executor that made it. */
export interface GpuCacheOwner {
  device: GPUDevice;
  ledger: Ledger;
  spec: ModelSpec;
  /** the plan's, the same for every conversation */
  request: Pick<PlanRequest, 'kvType' | 'chunk'>;
  /** @throws device-lost */
  checkAlive(): void;
  dispose(cache: GpuKvCache): void;
}

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
    return this.held.slots.map((_, layer) =>
      ringNames(layer).reduce((sum, name) => {
        const copies = this.#copiesOf(name).reduce((bytes, { size }) => bytes + size, 0);
        return sum + (this.buffers.get(name)?.size ?? 0) + copies;
      }, 0),
    );
  }

  /** The copies of a ring's buffer, by place. */
  #copiesOf(name: string): GPUBuffer[] {
    const copies: GPUBuffer[] = [];
    for (let copy = this.buffers.get(snapshotName(name, 0)); copy; ) {
      copies.push(copy);
      copy = this.buffers.get(snapshotName(name, copies.length));
    }
    return copies;
  }

  /** Positions that it can hold. */
  get capacity(): number {
    return this.held.capacity(this.#owner.request.chunk);
  }

  async reserve(plan: MemoryPlan): Promise<void> {
    this.#owner.checkAlive();
    this.#checkType(plan.request.kvType);
    // none is made of some layers only, should this fail in between
    this.held.snapshots.places = 0;
    for (const layer of plan.kvByLayer) {
      if (layer.slots > this.held.slots[layer.layer]) await this.#growLayer(layer);
      if (layer.snapshots > this.#copiesOf(ringNames(layer.layer)[0]).length) await this.#makeCopies(layer);
    }
    this.held.snapshots.places = Math.max(
      ...plan.kvByLayer.map(({ layer }) => this.#copiesOf(ringNames(layer)[0]).length),
    );
    this.reach = reachedTokens(plan.request);
  }

  #checkType(kvType: KvType): void {
    const own = this.#owner.request.kvType;
    if (kvType === own) return;
    throw new NibbleError('invalid-option', `The cache is ${own} and cannot become ${kvType}; load the model again.`);
  }

  /** A new ring for one layer, what was cached copied over, the old one freed; on failure the old one stays. */
  async #growLayer({ layer, slots, bytes }: KvLayerPlan): Promise<void> {
    const { ledger } = this.#owner;
    const { held } = this;
    const names = ringNames(layer);
    this.#dropCopies(layer);
    const made = await ledger.allocate(
      names.map((name) => ({ name, purpose: 'kv' as const, bytes: bytes / 2, usage: USAGE })),
    );
    const old = names.flatMap((name) => this.buffers.get(name) ?? []);
    if (old.length > 0) {
      this.#copy(old, made, copySegments(held.slots[layer], held.last, slots));
      for (const buffer of old) ledger.release(buffer);
    }
    for (const [i, name] of names.entries()) this.buffers.set(name, made[i]);
    held.slots[layer] = slots;
    this.passes = null;
  }

  async #makeCopies({ layer, bytes, snapshots }: KvLayerPlan): Promise<void> {
    // those that there are have no copy of this layer
    this.held.snapshots.drop(0);
    const names = ringNames(layer).flatMap((name) =>
      Array.from({ length: snapshots }, (_, place) => snapshotName(name, place)),
    );
    const made = await this.#owner.ledger.allocate(
      names.map((name) => ({ name, purpose: 'kv' as const, bytes: bytes / 2, usage: USAGE })),
    );
    for (const [i, name] of names.entries()) this.buffers.set(name, made[i]);
  }

  /** A state without a copy of one layer is none. */
  #dropCopies(layer: number): void {
    for (const name of ringNames(layer)) {
      for (const [place, copy] of this.#copiesOf(name).entries()) {
        this.held.snapshots.drop(0);
        this.#owner.ledger.release(copy);
        this.buffers.delete(snapshotName(name, place));
      }
    }
  }

  /** Copies rows of each buffer into the one at the same place of the other list. */
  #copy(from: readonly GPUBuffer[], to: readonly GPUBuffer[], segments: readonly CopySegment[]): void {
    const { device, spec, request } = this.#owner;
    const row = kvRowBytes(spec, request.kvType);
    const encoder = device.createCommandEncoder();
    for (const { from: source, to: target, count } of segments) {
      for (const [i, buffer] of from.entries()) {
        encoder.copyBufferToBuffer(buffer, source * row, to[i], target * row, count * row);
      }
    }
    device.queue.submit([encoder.finish()]);
  }

  snapshot(end: number): void {
    this.held.keep(end, (place, last) => this.#copySliding(place, last, (ring, copy) => [ring, copy]));
  }

  rewind(position: number): number {
    return this.held.rewind(position, (place, last) => this.#copySliding(place, last, (ring, copy) => [copy, ring]));
  }

  /** @param direction which of a ring's buffer and its copy is the source, and which the target */
  #copySliding(place: number, last: number, direction: (ring: GPUBuffer, copy: GPUBuffer) => GPUBuffer[]): void {
    for (const [layer, slots] of this.held.slots.entries()) {
      const pairs = ringNames(layer).flatMap((name) => {
        const copy = this.buffers.get(snapshotName(name, place));
        return copy ? [direction(this.buffers.get(name)!, copy)] : [];
      });
      const [from, to] = [pairs.map(([source]) => source), pairs.map(([, target]) => target)];
      if (pairs.length > 0) this.#copy(from, to, copySegments(slots, last, slots));
    }
  }

  async read(layer: number, from: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    const { device, ledger, spec, request, checkAlive } = this.#owner;
    checkAlive();
    const row = kvRowBytes(spec, request.kvType);
    const half = (end - from) * row;
    const [staging] = await ledger.allocate([{ name: 'read', purpose: 'scratch', bytes: 2 * half, usage: READ_USAGE }]);
    try {
      const encoder = device.createCommandEncoder();
      for (const [i, name] of ringNames(layer).entries()) {
        for (const { from: slot, to, count } of copySegments(this.held.slots[layer], end - 1, end - from)) {
          const at = i * half + to * row;
          encoder.copyBufferToBuffer(this.buffers.get(name)!, slot * row, staging, at, count * row);
        }
      }
      device.queue.submit([encoder.finish()]);
      return new Uint8Array(await readMapped(device, staging, 2 * half));
    } finally {
      ledger.release(staging);
    }
  }

  write(layer: number, from: number, end: number, bytes: Uint8Array<ArrayBuffer>): void {
    const { device, spec, request } = this.#owner;
    const row = kvRowBytes(spec, request.kvType);
    for (const [i, name] of ringNames(layer).entries()) {
      for (const { from: slot, to, count } of copySegments(end - from, end - 1, this.held.slots[layer])) {
        const at = (i * (end - from) + slot) * row;
        device.queue.writeBuffer(this.buffers.get(name)!, to * row, bytes, at, count * row);
      }
    }
  }

  adopt(state: RingState): void {
    this.held.adopt(state);
  }

  dispose(): void {
    for (const buffer of this.buffers.values()) this.#owner.ledger.release(buffer);
    this.buffers.clear();
    this.held.clear();
    this.passes = null;
    this.#owner.dispose(this);
  }
}
