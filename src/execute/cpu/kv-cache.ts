/** One conversation's rings on the CPU, and copies of those that slide. */
import { NibbleError } from '../../errors';
import { type MemoryPlan, reachedTokens } from '../../memory/plan';
import { Rings } from '../../memory/rings';
import { noteShift, type Shift, survivors } from '../../memory/shift';
import { frequenciesFor } from '../../model/rope';
import type { ModelSpec } from '../../model/spec';
import type { KvCache } from '../executor';
import { outOfMemoryAsError } from './allocate';
import { breathe } from './breathe';
import { rotateHead } from './kernels';
import { bytesOf, copyRing, createRing, type KvRing, resized, ringBytes, shiftInto } from './kv-ring';

/** What the executor that made the cache wants to hear. */
interface Owner {
  /** bytes have changed; `extra` more exist for a moment */
  note(extra?: number): void;
  dispose(): void;
}

export class CpuKvCache implements KvCache {
  rings: readonly KvRing[] = [];
  readonly held: Rings;
  /** that it was reserved for last */
  private plan: MemoryPlan | null = null;
  /** by layer, then by place */
  private copies: readonly (readonly KvRing[])[] = [];

  constructor(
    private readonly spec: ModelSpec,
    private readonly owner: Owner,
  ) {
    this.held = new Rings(spec);
    this.copies = spec.layers.map(() => []);
  }

  async reserve(plan: MemoryPlan): Promise<void> {
    const { kvType } = plan.request;
    const { spec } = this;
    const [first] = this.rings;
    if (first && first.type !== kvType) {
      throw new NibbleError(
        'invalid-option',
        `The cache is ${first.type} and cannot become ${kvType}; load the model again.`,
      );
    }
    const rings = [...this.rings];
    this.rings = rings;
    const copies = [...this.copies];
    this.copies = copies;
    // none is made of some layers only, should this fail in between
    this.held.snapshots.places = 0;
    const create = (slots: number) => createRing(kvType, slots, spec);
    // One layer at a time: at most one old ring exists beside its successor, and each stays usable if the next fails.
    for (const { layer, slots, snapshots } of plan.kvByLayer) {
      const old = rings[layer];
      if (!old || old.slots < slots) {
        // a worker that copies gigabytes hears a stop meanwhile
        await breathe();
        this.dropCopies(copies, layer);
        const grown = () => (old ? resized(old, slots, this.held.last) : create(slots));
        const ring = outOfMemoryAsError(plan, grown);
        this.owner.note(ringBytes(ring));
        rings[layer] = ring;
        this.held.slots[layer] = slots;
      }
      if (snapshots > copies[layer].length) {
        // those that there are have no copy of this layer
        this.held.snapshots.drop(0);
        const all = () => Array.from({ length: snapshots }, () => create(slots));
        copies[layer] = outOfMemoryAsError(plan, all);
      }
    }
    this.held.snapshots.places = Math.max(...copies.map(({ length }) => length));
    this.plan = plan;
    this.owner.note();
  }

  /** A state without a copy of one layer is none. */
  private dropCopies(copies: (readonly KvRing[])[], layer: number): void {
    if (copies[layer].length > 0) this.held.snapshots.drop(0);
    copies[layer] = [];
  }

  dropSnapshots(): void {
    const copies = [...this.copies];
    for (const layer of copies.keys()) this.dropCopies(copies, layer);
    this.copies = copies;
    this.held.snapshots.places = 0;
  }

  /** Positions that the reserved request reaches. */
  get reach(): number {
    return this.plan ? reachedTokens(this.plan.request) : 0;
  }

  /** Positions that it can hold. */
  get capacity(): number {
    return this.held.capacity(this.plan?.request.chunk ?? 0);
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
      for (const _ of moved) await breathe();
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

  snapshot(end: number): void {
    this.held.keep(end, (place, last) =>
      this.eachCopy(place, (copy, ring) => {
        copyRing(ring, copy, last);
      }),
    );
  }

  rewind(position: number): number {
    return this.held.rewind(position, (place, last) =>
      this.eachCopy(place, (copy, ring) => {
        copyRing(copy, ring, last);
      }),
    );
  }

  private eachCopy(place: number, run: (copy: KvRing, ring: KvRing) => void): void {
    for (const [layer, copies] of this.copies.entries()) if (copies[place]) run(copies[place], this.rings[layer]);
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

  get bytes(): number {
    return this.layerBytes.reduce((sum, bytes) => sum + bytes, 0);
  }

  get layerBytes(): number[] {
    return this.rings.map((ring, layer) => [ring, ...this.copies[layer]].reduce((sum, one) => sum + ringBytes(one), 0));
  }

  dispose(): void {
    this.rings = [];
    this.copies = this.copies.map(() => []);
    this.held.clear();
    this.owner.dispose();
  }
}
