/**
 * Whether helpers are worth it: where their processors have something else to do, several threads are slower than one.
 * Both ways are timed as they are used, and the faster one is used for longer and longer; the other is only tried.
 */

/** Jobs after which it is looked at again; a token takes some hundreds. */
const WINDOW = 64;
/** Windows that the helpers work for before one thread is timed again, ... */
const TOGETHER = 64;
/** ... and that they rest for when they lost, twice as many each time on end. */
const REST = 8;
const LONGEST_REST = 256;
/**
 * What a measurement still counts after another job: the last eight windows decide, a tenth of a second or more, as one
 * in which a processor did something else for a while says little.
 */
const KEEP = 1 - 1 / (8 * WINDOW);
/** And what one from before the other way was used: something may have changed. */
const OLD = 1 / 8;

/** Time that jobs took, and that they were expected to take, of the last ones. */
class Rate {
  #ms = 0;
  #expected = 0;

  add(ms: number, expected: number): void {
    this.#ms = this.#ms * KEEP + ms;
    this.#expected = this.#expected * KEEP + expected;
  }

  age(): void {
    this.#ms *= OLD;
    this.#expected *= OLD;
  }

  /** null: nothing was measured */
  get slowness(): number | null {
    return this.#expected > 0 ? this.#ms / this.#expected : null;
  }
}

export class Pace {
  readonly #rates = { together: new Rate(), alone: new Rate() };
  /** the least ms a multiplication by name, in one thread */
  readonly #least = new Map<string, number>();
  #way: 'together' | 'alone' = 'together';
  #jobs = 0;
  /** of this way, before something is decided */
  #windows = 2;
  #rest = REST;

  /** Whether the next job is for all. */
  get together(): boolean {
    return this.#way === 'together';
  }

  /**
   * A job of a kind is done.
   * @param ms that it took
   * @param work multiplications; @param own those of this thread, which took `ownMs`
   */
  note(kind: string, ms: number, work: number, own = work, ownMs = ms): void {
    const least = Math.min(this.#least.get(kind) ?? Number.POSITIVE_INFINITY, ownMs / own);
    this.#least.set(kind, least);
    this.#rates[this.#way].add(ms, least * work);
    if (++this.#jobs % WINDOW === 0) this.#decide();
  }

  #decide(): void {
    const { together, alone } = this.#rates;
    this.#windows--;
    const wins = together.slowness! <= (alone.slowness ?? Number.POSITIVE_INFINITY);
    if (this.#way === 'alone') {
      if (this.#windows <= 0) this.#go('together', wins ? TOGETHER : 1);
    } else if (!wins) {
      this.#go('alone', this.#rest);
      this.#rest = Math.min(2 * this.#rest, LONGEST_REST);
    } else if (this.#windows <= 0) {
      this.#rest = REST;
      this.#go('alone', 1);
    }
  }

  #go(way: 'together' | 'alone', windows: number): void {
    this.#way = way;
    this.#windows = windows;
    this.#rates[way].age();
  }
}
