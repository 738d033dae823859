/** One text under a constraint, while it is written. */
import type { Constraint } from './constraint';
import { DEAD } from './states';

export class Written {
  readonly #constraint: Constraint;
  readonly #forces: boolean;
  #state: number;
  #waiting: number[] = [];
  /** the state that the waiting ids were looked for at */
  #asked = -1;

  /** @param forces whether text that must come is the tokenizer's own encoding of it */
  constructor(constraint: Constraint, forces: boolean) {
    this.#constraint = constraint;
    this.#forces = forces;
    this.#state = constraint.begin();
  }

  /** Whether it may end here, and whether it must. */
  get mayEnd(): boolean {
    return this.#constraint.states.ends(this.#state);
  }
  get mustEnd(): boolean {
    return this.mayEnd && !this.#constraint.states.goesOn(this.#state);
  }

  /** Ids that must come next; none where there is a choice. */
  get next(): readonly number[] {
    if (this.#forces && this.#waiting.length === 0 && this.#asked !== this.#state) {
      this.#waiting = [...this.#constraint.forced(this.#state)];
      this.#asked = this.#state;
    }
    return this.#waiting;
  }

  /** Which tokens may come next. @param left tokens that may still be drawn */
  mask(left: number): Uint32Array<ArrayBuffer> {
    const [only] = this.next;
    return only === undefined ? this.#constraint.mask(this.#state, left) : this.#constraint.single(only);
  }

  /** How many of these ids may come one after the other. */
  fits(ids: readonly number[]): number {
    let state = this.#state;
    for (let n = 0; n < ids.length; n++) {
      state = this.#constraint.after(state, ids[n]);
      if (state === DEAD) return n;
    }
    return ids.length;
  }

  /** An id has come. @returns whether it may come here; if not, nothing has changed */
  push(id: number): boolean {
    const next = this.#constraint.after(this.#state, id);
    if (next === DEAD) return false;
    const expected = this.#waiting[0] === id;
    this.#waiting = expected ? this.#waiting.slice(1) : [];
    this.#state = this.#constraint.tidied(next);
    // behind forced text the token that may join what follows is free
    this.#asked = expected && this.#waiting.length === 0 ? this.#state : -1;
    return true;
  }
}
