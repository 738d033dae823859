/**
 * What the caches of both executors do alike: which layers grow and in which order, which copies of sliding rings there
 * are, and how far back a conversation can be taken. What keys and values are kept in is each executor's.
 */
import { NibbleError } from '../errors';
import type { KvLayerPlan, KvType } from '../memory/kv';
import { type MemoryPlan, reachedTokens } from '../memory/plan';
import { Rings } from '../memory/rings';
import type { ModelSpec } from '../model/spec';
import type { KvCache } from './executor';

export abstract class RingCache {
  readonly held: Rings;
  /** positions that the reserved request reaches; 0 before there was one */
  reach = 0;
  /** by layer, how many copies there are of its ring */
  protected readonly copies: number[];
  #chunk = 0;

  constructor(spec: ModelSpec) {
    this.held = new Rings(spec);
    this.copies = spec.layers.map(() => 0);
  }

  /** of its rings; null while any will do */
  protected abstract readonly type: KvType | null;

  abstract readonly layerBytes: readonly number[];

  get bytes(): number {
    return this.layerBytes.reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Positions that it can hold. */
  get capacity(): number {
    return this.held.capacity(this.#chunk);
  }

  /**
   * As KvCache.reserve(): at most one old ring exists beside its successor, and each stays usable if the next fails.
   */
  async reserve(plan: MemoryPlan): Promise<void> {
    const { held, copies, type } = this;
    const { kvType, chunk } = plan.request;
    if (type && type !== kvType) {
      throw new NibbleError(
        'invalid-option',
        `The cache is ${type} and cannot become ${kvType}; load the model again.`,
      );
    }
    this.#chunk = chunk;
    // none is made of some layers only, should this fail in between
    held.snapshots.capacity = 0;
    for (const ring of plan.kvByLayer) {
      const { layer, slots, snapshots } = ring;
      if (slots > held.slots[layer]) {
        this.#dropCopies(layer);
        await this.grow(ring, plan);
        held.slots[layer] = slots;
      }
      if (snapshots > copies[layer]) {
        // those that there are have no copy of this layer
        held.snapshots.drop(0);
        await this.makeCopies(ring, plan);
        copies[layer] = snapshots;
      }
    }
    held.snapshots.capacity = Math.max(...copies);
    this.reach = reachedTokens(plan.request);
  }

  /** A new ring for one layer, with what the old one held, which goes; on failure the old one stays. */
  protected abstract grow(ring: KvLayerPlan, plan: MemoryPlan): Promise<void>;

  /** As many copies of a layer's ring as are planned, in the place of those that there are. */
  protected abstract makeCopies(ring: KvLayerPlan, plan: MemoryPlan): Promise<void>;

  protected abstract freeCopies(layer: number): void;

  dropSnapshots(): void {
    for (const layer of this.copies.keys()) this.#dropCopies(layer);
    this.held.snapshots.capacity = 0;
  }

  /** A state without a copy of one layer is none. */
  #dropCopies(layer: number): void {
    if (this.copies[layer] > 0) this.held.snapshots.drop(0);
    this.freeCopies(layer);
    this.copies[layer] = 0;
  }

  snapshot(end: number): void {
    this.held.keep(end, (place, last) => this.copyRings(place, last, 'into copies'));
  }

  rewind(position: number): number {
    return this.held.rewind(position, (place, last) => this.copyRings(place, last, 'back'));
  }

  /** Copies what the rings hold of positions up to `last` into the copies of that place, or back from them. */
  protected abstract copyRings(place: number, last: number, way: 'into copies' | 'back'): void;

  take(from: KvCache, end: number): void {
    this.copyFrom(from, end - 1);
    this.held.adopt({ last: end - 1, oldest: from.held.oldest });
  }

  /** Copies positions up to `last` from the rings of another cache. */
  protected abstract copyFrom(from: KvCache, last: number): void;

  dispose(): void {
    this.copies.fill(0);
    this.held.clear();
  }
}
