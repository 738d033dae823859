/**
 * What the rings of one conversation hold, as positions: the cache of each executor keeps its values beside one. Pure.
 */
import type { ModelSpec } from '../model/spec';
import { type RingState, Snapshots } from './snapshots';

export class Rings {
  /** by layer; 0 before there is a ring */
  readonly slots: number[];
  /** newest position written, -1 when empty */
  last = -1;
  readonly snapshots = new Snapshots();
  readonly #spec: Pick<ModelSpec, 'layers' | 'contextLength'>;
  /** by layer: the oldest position that nothing newer has overwritten, those of discarded steps included */
  #oldest: readonly number[];

  constructor(spec: Pick<ModelSpec, 'layers' | 'contextLength'>) {
    this.#spec = spec;
    this.slots = spec.layers.map(() => 0);
    this.#oldest = this.slots.map(() => 0);
  }

  get oldest(): readonly number[] {
    return this.#oldest;
  }

  /** Positions start..last are about to be written, in layers that have their slots. */
  write(start: number, last: number): void {
    this.snapshots.drop(start);
    this.#set(last, start === 0 ? this.slots.map(() => 0) : this.#oldest);
  }

  /**
   * Says what has been put into the rings from elsewhere, or moved in them; rings of fewer slots have taken the newest
   * of it.
   */
  adopt({ last, oldest }: RingState): void {
    this.snapshots.drop(0);
    this.#set(last, oldest);
  }

  #set(last: number, oldest: readonly number[]): void {
    this.last = last;
    this.#oldest = this.slots.map((slots, layer) => Math.max(oldest[layer], last - slots + 1));
  }

  /**
   * Whether every layer still holds all that tokens from `position` on must see. A global layer holds everything; a
   * sliding ring that has wrapped was partly overwritten, also by what was taken back since (ring.ts).
   */
  canResume(position: number): boolean {
    return this.#resumes({ last: this.last, oldest: this.#oldest }, position);
  }

  readonly #resumes = ({ last, oldest }: RingState, position: number): boolean =>
    position === 0 ||
    (position <= last + 1 && oldest.every((first, layer) => first <= this.firstSeen(layer, position)));

  /**
   * Makes a copy of the sliding rings, of positions below `end`, where there is room for copies.
   * @param copy makes it, into the place that it is given
   */
  keep(end: number, copy: (place: number, last: number) => void): void {
    const last = end - 1;
    const place = this.snapshots.keep({ last, oldest: this.#oldest });
    if (place !== null) copy(place, last);
  }

  /**
   * Where tokens can be written next: `position` if everything that they see is here or in a copy, else the last place
   * before it for which that holds, in the end 0.
   * @param restore puts a copy back
   */
  rewind(position: number, restore: (place: number, last: number) => void): number {
    if (this.canResume(position)) return position;
    const found = this.snapshots.nearest(position, this.#resumes);
    if (!found) return 0;
    restore(found.place, found.state.last);
    this.#set(found.state.last, found.state.oldest);
    return found.position;
  }

  /** The first position that a token at `position` sees in a layer. */
  firstSeen(layer: number, position: number): number {
    const { window } = this.#spec.layers[layer];
    return window === null ? 0 : Math.max(0, position - window + 1);
  }

  /**
   * Positions that the conversation may write: rings that keep everything must not wrap, nor those smaller than their
   * exact bound.
   * @param chunk tokens of prefill that are written before they attend
   */
  capacity(chunk: number): number {
    const { layers, contextLength } = this.#spec;
    const bounded = this.slots.filter((slots, layer) => {
      const { kind, window } = layers[layer];
      return kind === 'global' || window === null || slots < window + chunk - 1;
    });
    return Math.min(contextLength, ...bounded);
  }

  clear(): void {
    this.last = -1;
    this.slots.fill(0);
    this.#oldest = this.slots.map(() => 0);
    this.snapshots.drop(0);
  }
}
