/**
 * Which earlier states of the sliding rings are kept as copies, and how far back each of them reaches. A ring that has
 * wrapped cannot be taken back far; a copy of it from then can be put back. The copies themselves are each executor's.
 * Pure.
 */

/** What rings hold at some moment. */
export interface RingState {
  /** newest position, -1 when empty */
  readonly last: number;
  /** by layer: the oldest position that nothing newer has overwritten */
  readonly oldest: readonly number[];
}

export class Snapshots {
  /** the oldest first; a place is the number of a copy, from 0 */
  #kept: { place: number; state: RingState }[] = [];
  /** how many copies there is room for */
  capacity = 0;

  /** Decides where the copy of a state goes: a free place, else that of the oldest. @returns null without capacity */
  keep(state: RingState): number | null {
    if (this.capacity === 0) return null;
    // the same moment once more
    this.drop(state.last);
    const taken = new Set(this.#kept.map(({ place }) => place));
    if (taken.size === this.capacity) taken.delete(this.#kept.shift()!.place);
    let place = 0;
    while (taken.has(place)) place++;
    this.#kept.push({ place, state });
    return place;
  }

  get count(): number {
    return this.#kept.length;
  }

  /** Positions from `start` on are written anew: copies that reach as far are no longer true. */
  drop(start: number): void {
    this.#kept = this.#kept.filter(({ state }) => state.last < start);
  }

  /**
   * The copy from which one can go on nearest to `position`, never after it.
   * @param resumes whether tokens may be written from a position on, in a state
   */
  nearest(
    position: number,
    resumes: (state: RingState, position: number) => boolean,
  ): { place: number; state: RingState; position: number } | null {
    for (const { place, state } of [...this.#kept].reverse()) {
      const at = Math.min(position, state.last + 1);
      if (resumes(state, at)) return { place, state, position: at };
    }
    return null;
  }
}
