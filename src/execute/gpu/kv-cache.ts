/** One conversation's rings on the GPU, copies of those that slide, and the dispatches that are bound to them. */
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
import type { MemoryPlan } from '../../memory/plan';
import { copySegments } from '../../memory/ring';
import type { Shift } from '../../memory/shift';
import type { KvCache } from '../executor';
import { RingCache } from '../ring-cache';
import type { GpuCacheOwner, GpuRings, RingBuffers } from './kv-owner';
import type { Bound } from './op';

/** Only long conversations need it. */
export const shiftPart = () => import('./shift');

const KINDS = ['k', 'v'] as const;

export class GpuKvCache extends RingCache implements KvCache, GpuRings {
  readonly parts: (readonly KvPart[])[];
  readonly buffers = new Map<string, GPUBuffer>();
  #passes: Record<'decode' | 'prefill', Bound[]> | null = null;
  /** stands for its buffers, and what is computed with them: another one when those are others */
  bindings: object = {};
  readonly #owner: GpuCacheOwner;

  constructor(owner: GpuCacheOwner) {
    super(owner.spec);
    this.#owner = owner;
    this.parts = owner.plan.kvByLayer.map(({ parts }) => parts);
  }

  protected get type(): KvType {
    return this.#owner.plan.request.kvType;
  }

  get passes(): Record<'decode' | 'prefill', Bound[]> | null {
    return this.#passes;
  }

  set passes(bound: Record<'decode' | 'prefill', Bound[]> | null) {
    this.#passes = bound;
    if (!bound) this.bindings = {};
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
    return snapshotBuffers({ layer, parts: this.parts[layer], snapshots: this.copies[layer] });
  }

  async shift(shift: Shift): Promise<void> {
    this.#owner.health.check();
    const { shiftRings } = await shiftPart();
    await shiftRings(this.#owner, this, shift);
  }

  override async reserve(plan: MemoryPlan): Promise<void> {
    this.#owner.health.check();
    await super.reserve(plan);
  }

  protected async grow(ring: KvLayerPlan): Promise<void> {
    const { held, parts } = this;
    const { layer } = ring;
    const fresh = await this.#allocate(kvBuffers(ring));
    if (held.slots[layer] > 0) {
      const next = { ...ring, buffer: (name: string) => fresh.get(name)! };
      this.#submit((encoder) => this.#copy(encoder, layer, this.#ring(layer), next, held.last));
      this.#free(kvBuffers({ layer, parts: parts[layer] }));
    }
    for (const [name, buffer] of fresh) this.buffers.set(name, buffer);
    parts[layer] = ring.parts;
    this.passes = null;
  }

  protected async makeCopies(ring: KvLayerPlan): Promise<void> {
    for (const [name, buffer] of await this.#allocate(snapshotBuffers(ring))) this.buffers.set(name, buffer);
  }

  protected freeCopies(layer: number): void {
    this.#free(this.#copiesOf(layer));
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

  #ring(layer: number): RingBuffers {
    return { slots: this.held.slots[layer], parts: this.parts[layer], buffer: (name) => this.buffers.get(name)! };
  }

  #submit(encode: (encoder: GPUCommandEncoder) => void): void {
    const { device } = this.#owner;
    const encoder = device.createCommandEncoder();
    encode(encoder);
    device.queue.submit([encoder.finish()]);
  }

  /** Copies the newest that one place holds of positions up to `last` into another. */
  #copy(encoder: GPUCommandEncoder, layer: number, from: RingBuffers, to: RingBuffers, last: number): void {
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

  protected copyRings(place: number, last: number, way: 'into copies' | 'back'): void {
    this.#submit((encoder) => {
      for (const [layer, copies] of this.copies.entries()) {
        if (place >= copies) continue;
        const ring = this.#ring(layer);
        const copy = { ...ring, buffer: (name: string) => ring.buffer(snapshotOf(name, place)) };
        if (way === 'back') this.#copy(encoder, layer, copy, ring, last);
        else this.#copy(encoder, layer, ring, copy, last);
      }
    });
  }

  protected copyFrom(from: KvCache, last: number): void {
    const source = from as GpuKvCache;
    this.#submit((encoder) => {
      for (const layer of this.parts.keys()) this.#copy(encoder, layer, source.#ring(layer), this.#ring(layer), last);
    });
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

  override dispose(): void {
    for (const buffer of this.buffers.values()) this.#owner.ledger.release(buffer);
    this.buffers.clear();
    this.passes = null;
    super.dispose();
    this.#owner.dispose();
  }
}
