/**
 * Numbers by pairs of numbers, for millions of them: open addressing in one typed array, 24 to 48 bytes a pair. The
 * multipliers are drawn once, so that no file can be made whose pairs all meet in one place.
 */
const odd = () => (Math.random() * 2 ** 32) | 1;
const [LEFT, RIGHT] = [odd(), odd()];

/** What get() gives for a pair that is not there. */
export const ABSENT = -1;

export class PairMap {
  readonly #slots: Int32Array;
  readonly #shift: number;
  readonly #mask: number;

  /** @param most pairs that it will hold */
  constructor(most: number) {
    const bits = Math.max(4, Math.ceil(Math.log2(most * 2 + 1)));
    this.#shift = 32 - bits;
    this.#mask = 2 ** bits - 1;
    this.#slots = new Int32Array(3 * 2 ** bits).fill(ABSENT);
  }

  /** Where the pair is, or would be. */
  #find(left: number, right: number): number {
    const slots = this.#slots;
    for (let i = (Math.imul(left, LEFT) + Math.imul(right, RIGHT)) >>> this.#shift; ; i = (i + 1) & this.#mask) {
      const at = 3 * i;
      if (slots[at] === left && slots[at + 1] === right) return at;
      if (slots[at] === ABSENT) return at;
    }
  }

  /** @param left not negative @param right an integer of 32 bits @returns ABSENT where there is none */
  get(left: number, right: number): number {
    return this.#slots[this.#find(left, right) + 2];
  }

  /** @param value not negative */
  set(left: number, right: number, value: number): void {
    const at = this.#find(left, right);
    this.#slots[at] = left;
    this.#slots[at + 1] = right;
    this.#slots[at + 2] = value;
  }
}
