/** What the rings of one conversation hold, as positions: the cache of each executor keeps its values beside one. Pure. */
import type { ModelSpec } from '../model/spec';

export class Rings {
  /** by layer; 0 before there is a ring */
  readonly slots: number[];
  /** newest position written, -1 when empty */
  last = -1;
  /** by layer: the oldest position that nothing newer has overwritten, those of discarded steps included */
  readonly oldest: number[];
  readonly #spec: Pick<ModelSpec, 'layers' | 'contextLength'>;

  constructor(spec: Pick<ModelSpec, 'layers' | 'contextLength'>) {
    this.#spec = spec;
    this.slots = spec.layers.map(() => 0);
    this.oldest = spec.layers.map(() => 0);
  }

  /** Positions start..last are about to be written, in layers that have their slots. */
  write(start: number, last: number): void {
    this.last = last;
    for (const [layer, slots] of this.slots.entries()) {
      const kept = start === 0 ? 0 : this.oldest[layer];
      this.oldest[layer] = Math.max(kept, last - slots + 1);
    }
  }

  /**
   * Whether every layer still holds all that tokens from `position` on must see. A global layer holds everything; a
   * sliding ring that has wrapped was partly overwritten, also by what was taken back since (nf4-and-models.md §1.7).
   */
  canResume(position: number): boolean {
    if (position === 0) return true;
    return position <= this.last + 1 && this.oldest.every((oldest, layer) => oldest <= this.firstSeen(layer, position));
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
    this.oldest.fill(0);
  }
}
