/** One conversation's rings on the CPU. */
import { NibbleError } from '../../errors';
import { type MemoryPlan, reachedTokens } from '../../memory/plan';
import { Rings } from '../../memory/rings';
import { noteShift, type Shift, survivors } from '../../memory/shift';
import { frequenciesFor } from '../../model/rope';
import type { ModelSpec } from '../../model/spec';
import type { KvCache } from '../executor';
import { outOfMemoryAsError } from './allocate';
import { rotateHead } from './kernels';
import { createRing, type KvRing, resized, ringBytes, shiftInto } from './kv-ring';

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

  constructor(
    private readonly spec: ModelSpec,
    private readonly owner: Owner,
  ) {
    this.held = new Rings(spec);
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
    outOfMemoryAsError(plan, () => {
      // One layer at a time: at most one old ring exists beside its successor, and each stays usable if the next fails.
      for (const { layer, slots } of plan.kvByLayer) {
        const old = rings[layer];
        if (old && old.slots >= slots) continue;
        const ring = old ? resized(old, slots, this.held.last) : createRing(kvType, slots, spec);
        this.owner.note(ringBytes(ring));
        rings[layer] = ring;
        this.held.slots[layer] = slots;
      }
    });
    this.plan = plan;
    this.owner.note();
  }

  /** Positions that the reserved request reaches. */
  get reach(): number {
    return this.plan ? reachedTokens(this.plan.request) : 0;
  }

  /** Positions that it can hold. */
  get capacity(): number {
    return this.held.capacity(this.plan?.request.chunk ?? 0);
  }

  canResume(position: number): boolean {
    return this.held.canResume(position);
  }

  async shift(shift: Shift): Promise<void> {
    const sizes = new Map(this.rings.map((ring) => [ring.slots, ring]));
    const spares = outOfMemoryAsError(
      this.plan!,
      () => new Map([...sizes].map(([slots, { type }]) => [slots, createRing(type, slots, this.spec)])),
    );
    this.owner.note([...spares.values()].reduce((sum, ring) => sum + ringBytes(ring), 0));
    this.rings = this.rings.map((old, layer) => {
      const ring = spares.get(old.slots)!;
      shiftInto(ring, old, survivors(this.held, layer, shift), shift.drop, this.turn(layer, shift.drop));
      spares.set(old.slots, old);
      return ring;
    });
    noteShift(this.held, shift);
  }

  /** What turns a layer's keys back by `drop` positions; their length stays, see Rope's magnitude. */
  private turn(layer: number, drop: number): ((key: Float64Array) => void) | null {
    const { rope } = this.spec.layers[layer];
    if (!rope) return null;
    const frequencies = frequenciesFor(rope, this.reach);
    return (key) => rotateHead(key, 0, -drop, { dim: rope.dim, magnitude: 1 }, frequencies);
  }

  get bytes(): number {
    return this.layerBytes.reduce((sum, bytes) => sum + bytes, 0);
  }

  get layerBytes(): number[] {
    return this.rings.map(ringBytes);
  }

  dispose(): void {
    this.rings = [];
    this.held.clear();
    this.owner.dispose();
  }
}
