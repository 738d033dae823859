/** One conversation's rings on the GPU, copies of those that slide, and the dispatches that are bound to them. */
import { NibbleError } from '../../errors';
import { STORAGE_USAGE } from '../../gpu/usage';
import {
  type KvLayerPlan,
  type KvPart,
  type KvType,
  kvBuffer,
  kvBuffers,
  kvCopies,
  snapshotBuffers,
  snapshotOf,
} from '../../memory/kv';
import { type MemoryPlan, reachedTokens } from '../../memory/plan';
import { copySegments } from '../../memory/ring';
import { Rings } from '../../memory/rings';
import type { Shift } from '../../memory/shift';
import type { KvCache } from '../executor';
import type { GpuCacheOwner, GpuRings, Place } from './kv-owner';
import type { Bound } from './op';

/** Only long conversations need it. */
export const shiftPart = () => import('./shift-rings');

const KINDS = ['k', 'v'] as const;

export class GpuKvCache implements KvCache, GpuRings {
  readonly held: Rings;
  readonly parts: (readonly KvPart[])[];
  /** by layer, how many copies there are of its ring */
  readonly #copies: number[];
  readonly buffers = new Map<string, GPUBuffer>();
  reach = 0;
  passes: Record<'decode' | 'prefill', Bound[]> | null = null;
  readonly #owner: GpuCacheOwner;

  constructor(owner: GpuCacheOwner) {
    this.#owner = owner;
    this.held = new Rings(owner.spec);
    this.parts = owner.plan.kvByLayer.map(({ parts }) => parts);
    this.#copies = this.parts.map(() => 0);
  }

  get bytes(): number {
    return this.layerBytes.reduce((sum, bytes) => sum + bytes, 0);
  }

  get layerBytes(): number[] {
    return this.parts.map((parts, layer) =>
      [...kvBuffers({ layer, parts }), ...this.#copiesOf(layer)].reduce(
        (sum, { name }) => sum + (this.buffers.get(name)?.size ?? 0),
        0,
      ),
    );
  }

  #copiesOf(layer: number): { name: string; bytes: number }[] {
    return snapshotBuffers({ layer, parts: this.parts[layer], snapshots: this.#copies[layer] });
  }

  /** Positions that it can hold. */
  get capacity(): number {
    return this.held.capacity(this.#owner.plan.request.chunk);
  }

  async shift(shift: Shift): Promise<void> {
    this.#owner.health.check();
    const { shiftRings } = await shiftPart();
    await shiftRings(this.#owner, this, shift);
  }

  async reserve(plan: MemoryPlan): Promise<void> {
    this.#owner.health.check();
    this.#checkType(plan.request.kvType);
    // none is made of some layers only, should this fail in between
    this.held.snapshots.places = 0;
    for (const ring of plan.kvByLayer) {
      if (ring.slots > this.held.slots[ring.layer]) await this.#growLayer(ring);
      if (ring.snapshots > this.#copies[ring.layer]) await this.#makeCopies(ring);
    }
    this.held.snapshots.places = Math.max(...this.#copies);
    this.reach = reachedTokens(plan.request);
  }

  #checkType(kvType: KvType): void {
    const own = this.#owner.plan.request.kvType;
    if (kvType === own) return;
    throw new NibbleError('invalid-option', `The cache is ${own} and cannot become ${kvType}; load the model again.`);
  }

  /** A new ring for one layer, what was cached copied over, the old one freed; on failure the old one stays. */
  async #growLayer(ring: KvLayerPlan): Promise<void> {
    const { held, parts } = this;
    const { layer } = ring;
    this.#dropCopies(layer);
    const fresh = await this.#allocate(kvBuffers(ring));
    if (held.slots[layer] > 0) {
      const next = { ...ring, buffer: (name: string) => fresh.get(name)! };
      this.#submit((encoder) => this.#copy(encoder, layer, this.#ring(layer), next, held.last));
      this.#free(kvBuffers({ layer, parts: parts[layer] }));
    }
    for (const [name, buffer] of fresh) this.buffers.set(name, buffer);
    held.slots[layer] = ring.slots;
    parts[layer] = ring.parts;
    this.passes = null;
  }

  dropSnapshots(): void {
    for (const layer of this.#copies.keys()) this.#dropCopies(layer);
    this.held.snapshots.places = 0;
  }

  /** A state without a copy of one layer is none. */
  #dropCopies(layer: number): void {
    if (this.#copies[layer] > 0) this.held.snapshots.drop(0);
    this.#free(this.#copiesOf(layer));
    this.#copies[layer] = 0;
  }

  async #makeCopies(ring: KvLayerPlan): Promise<void> {
    // those that there are have no copy of this layer
    this.held.snapshots.drop(0);
    for (const [name, buffer] of await this.#allocate(snapshotBuffers(ring))) this.buffers.set(name, buffer);
    this.#copies[ring.layer] = ring.snapshots;
  }

  async #allocate(wanted: { name: string; bytes: number }[]): Promise<Map<string, GPUBuffer>> {
    const requests = wanted.map((one) => ({ ...one, purpose: 'kv' as const, usage: STORAGE_USAGE }));
    const made = await this.#owner.ledger.allocate(requests);
    return new Map(wanted.map(({ name }, i) => [name, made[i]]));
  }

  #free(buffers: { name: string }[]): void {
    for (const { name } of buffers) {
      this.#owner.ledger.release(this.buffers.get(name)!);
      this.buffers.delete(name);
    }
  }

  #ring(layer: number): Place {
    return { slots: this.held.slots[layer], parts: this.parts[layer], buffer: (name) => this.buffers.get(name)! };
  }

  #submit(encode: (encoder: GPUCommandEncoder) => void): void {
    const { device } = this.#owner;
    const encoder = device.createCommandEncoder();
    encode(encoder);
    device.queue.submit([encoder.finish()]);
  }

  /** Copies the newest that one place holds of positions up to `last` into another. */
  #copy(encoder: GPUCommandEncoder, layer: number, from: Place, to: Place, last: number): void {
    const { spec, plan } = this.#owner;
    const segments = copySegments(from.slots, last, to.slots);
    for (const copy of kvCopies(plan.request.kvType, spec.headSize, from, to, segments)) {
      for (const kind of KINDS) {
        const source = from.buffer(kvBuffer(layer, kind, copy.fromPart));
        encoder.copyBufferToBuffer(
          source,
          copy.from,
          to.buffer(kvBuffer(layer, kind, copy.toPart)),
          copy.to,
          copy.bytes,
        );
      }
    }
  }

  snapshot(end: number): void {
    this.held.keep(end, (place, last) =>
      this.#submit((encoder) =>
        this.#eachCopy(place, (layer, ring, copy) => this.#copy(encoder, layer, ring, copy, last)),
      ),
    );
  }

  rewind(position: number): number {
    return this.held.rewind(position, (place, last) =>
      this.#submit((encoder) =>
        this.#eachCopy(place, (layer, ring, copy) => this.#copy(encoder, layer, copy, ring, last)),
      ),
    );
  }

  #eachCopy(place: number, run: (layer: number, ring: Place, copy: Place) => void): void {
    for (const [layer, copies] of this.#copies.entries()) {
      const ring = this.#ring(layer);
      if (place < copies) run(layer, ring, { ...ring, buffer: (name) => ring.buffer(snapshotOf(name, place)) });
    }
  }

  async read(layer: number, from: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    const { readRows } = await import('./kv-rows');
    this.#owner.health.check();
    return readRows(this.#owner, layer, this.#ring(layer), from, end);
  }

  async write(layer: number, from: number, end: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const { writeRows } = await import('./kv-rows');
    this.#owner.health.check();
    writeRows(this.#owner, layer, this.#ring(layer), from, end, bytes);
  }

  dispose(): void {
    for (const buffer of this.buffers.values()) this.#owner.ledger.release(buffer);
    this.buffers.clear();
    this.held.clear();
    this.passes = null;
    this.#owner.dispose();
  }
}
