/** One conversation's rings on the CPU. */
import { NibbleError } from '../../errors';
import { type MemoryPlan, reachedTokens } from '../../memory/plan';
import { Rings } from '../../memory/rings';
import type { ModelSpec } from '../../model/spec';
import type { KvCache } from '../executor';
import { outOfMemoryAsError } from './allocate';
import { createRing, type KvRing, resized, ringBytes } from './kv-ring';

/** What the executor that made the cache wants to hear. */
interface Owner {
  /** bytes have changed; `extra` more exist for a moment */
  note(extra?: number): void;
  dispose(): void;
}

export class CpuKvCache implements KvCache {
  rings: readonly KvRing[] = [];
  readonly held: Rings;
  /** positions that the reserved request reaches */
  reach = 0;
  /** prefill chunk that the rings are sized for */
  private chunk = 0;

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
    this.reach = reachedTokens(plan.request);
    this.chunk = plan.request.chunk;
    this.owner.note();
  }

  /** Positions that it can hold. */
  get capacity(): number {
    return this.held.capacity(this.chunk);
  }

  canResume(position: number): boolean {
    return this.held.canResume(position);
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
