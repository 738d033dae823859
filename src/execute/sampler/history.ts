/** What came before a draw: the ids in their order, and how often each of them came. */
import type { SampleOptions } from './options';

export class History {
  /** prompt and answer */
  readonly ids: number[] = [];
  /** by id, how often it came in the answer */
  readonly counts = new Map<number, number>();
  /** by id, how often it came where the repetition penalty looks */
  readonly repeated = new Map<number, number>();
  readonly #window: number;

  constructor({ before = [], counted = [], repeatLastN = 0 }: SampleOptions) {
    this.#window = repeatLastN;
    for (let i = 0; i < before.length; i++) this.#see(before[i]);
    for (let i = 0; i < counted.length; i++) this.push(counted[i]);
  }

  /** An id of the answer. */
  push(id: number): void {
    this.counts.set(id, (this.counts.get(id) ?? 0) + 1);
    this.#see(id);
  }

  #see(id: number): void {
    this.ids.push(id);
    this.repeated.set(id, (this.repeated.get(id) ?? 0) + 1);
    if (this.#window === 0 || this.ids.length <= this.#window) return;
    const left = this.ids[this.ids.length - 1 - this.#window];
    this.repeated.set(left, this.repeated.get(left)! - 1);
  }
}
