/** One conversation's rings on the CPU, and copies of those that slide. */
import type { KvLayerPlan, KvType } from '../../memory/kv';
import type { MemoryPlan } from '../../memory/plan';
import { noteShift, type Shift, survivors } from '../../memory/shift';
import { frequenciesFor } from '../../model/rope';
import type { ModelSpec } from '../../model/spec';
import { yieldToEvents } from '../../platform/yield-to-events';
import type { KvCache } from '../executor';
import { RingCache } from '../ring-cache';
import { outOfMemoryAsError } from './allocate';
import { rotateHead } from './kernels';
import { bytesOf, copyRing, createRing, type KvRing, resized, ringBytes, shiftInto } from './kv-ring';

/** What the executor that made the cache wants to hear. */
interface Owner {
  /** bytes have changed; `extra` more exist for a moment */
  note(extra?: number): void;
  dispose(): void;
}

export class CpuKvCache extends RingCache implements KvCache {
  rings: readonly KvRing[] = [];
  /** by layer, then by place */
  private readonly snapshotRings: KvRing[][];
  /** that it was reserved for last */
  private plan: MemoryPlan | null = null;

  constructor(
    private readonly spec: ModelSpec,
    private readonly owner: Owner,
  ) {
    super(spec);
    this.snapshotRings = spec.layers.map(() => []);
  }

  protected get type(): KvType | null {
    return this.rings[0]?.type ?? null;
  }

  override async reserve(plan: MemoryPlan): Promise<void> {
    await super.reserve(plan);
    this.plan = plan;
    this.owner.note();
  }

  protected async grow({ layer, slots }: KvLayerPlan, plan: MemoryPlan): Promise<void> {
    // a worker that copies gigabytes hears a stop meanwhile
    await yieldToEvents();
    const old = this.rings[layer];
    const ring = outOfMemoryAsError(plan, () =>
      old ? resized(old, slots, this.held.last) : createRing(plan.request.kvType, slots, this.spec),
    );
    this.owner.note(ringBytes(ring));
    const rings = [...this.rings];
    rings[layer] = ring;
    this.rings = rings;
  }

  protected async makeCopies({ layer, slots, snapshots }: KvLayerPlan, plan: MemoryPlan): Promise<void> {
    const create = () => createRing(plan.request.kvType, slots, this.spec);
    this.snapshotRings[layer] = outOfMemoryAsError(plan, () => Array.from({ length: snapshots }, create));
  }

  protected freeCopies(layer: number): void {
    this.snapshotRings[layer] = [];
  }

  async shift(shift: Shift): Promise<void> {
    const sizes = new Map(this.rings.map((ring) => [ring.slots, ring]));
    const spares = outOfMemoryAsError(
      this.plan!,
      () => new Map([...sizes].map(([slots, { type }]) => [slots, createRing(type, slots, this.spec)])),
    );
    this.owner.note([...spares.values()].reduce((sum, ring) => sum + ringBytes(ring), 0));
    const rings: KvRing[] = [];
    for (const [layer, old] of this.rings.entries()) {
      const ring = spares.get(old.slots)!;
      const moved = shiftInto(ring, old, survivors(this.held, layer, shift), shift.drop, this.turn(layer, shift.drop));
      for (const _ of moved) await yieldToEvents();
      spares.set(old.slots, old);
      rings.push(ring);
    }
    this.rings = rings;
    noteShift(this.held, shift);
  }

  /** What turns a layer's keys back by `drop` positions; their length stays, see Rope's magnitude. */
  private turn(layer: number, drop: number): ((key: Float64Array) => void) | null {
    const { rope } = this.spec.layers[layer];
    if (!rope) return null;
    const frequencies = frequenciesFor(rope, this.reach);
    return (key) => rotateHead(key, 0, -drop, { dim: rope.dim, magnitude: 1 }, frequencies);
  }

  protected copyRings(place: number, last: number, way: 'into copies' | 'back'): void {
    for (const [layer, copies] of this.snapshotRings.entries()) {
      const [copy, ring] = [copies[place], this.rings[layer]];
      if (copy && way === 'back') copyRing(copy, ring, last);
      else if (copy) copyRing(ring, copy, last);
    }
  }

  protected copyFrom(from: KvCache, last: number): void {
    for (const [layer, ring] of this.rings.entries()) copyRing((from as CpuKvCache).rings[layer], ring, last);
  }

  async read(layer: number, from: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    const ring = this.rings[layer];
    const rows = createRing(ring.type, end - from, ring);
    copyRing(ring, rows, end - 1);
    const bytes = new Uint8Array(ringBytes(rows));
    const [keys, values] = bytesOf(rows);
    bytes.set(keys);
    bytes.set(values, keys.length);
    return bytes;
  }

  async write(layer: number, from: number, end: number, bytes: Uint8Array): Promise<void> {
    const ring = this.rings[layer];
    const rows = createRing(ring.type, end - from, ring);
    const [keys, values] = bytesOf(rows);
    keys.set(bytes.subarray(0, keys.length));
    values.set(bytes.subarray(keys.length));
    copyRing(rows, ring, end - 1);
  }

  get layerBytes(): number[] {
    return this.rings.map((ring, layer) =>
      [ring, ...this.snapshotRings[layer]].reduce((sum, one) => sum + ringBytes(one), 0),
    );
  }

  override dispose(): void {
    this.rings = [];
    for (const layer of this.snapshotRings.keys()) this.freeCopies(layer);
    super.dispose();
    this.owner.dispose();
  }
}
