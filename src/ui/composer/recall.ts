/** Goes through the questions that were asked before, as a command line does: ArrowUp to older ones, ArrowDown back. */
export class Recall {
  /** questions back from the newest; 0: none is shown */
  #back = 0;
  #shown = '';

  /**
   * @param text what stands in the field now
   * @param history questions, the oldest first
   * @param step 1: an older one, -1: a newer one
   * @returns what is to stand there, or null where the key means something else: what is typed is never replaced
   */
  step(text: string, history: readonly string[], step: 1 | -1): string | null {
    if (this.#back === 0 ? text !== '' : text !== this.#shown) this.#back = 0;
    if (this.#back === 0 && (text !== '' || step < 0)) return null;
    const back = Math.min(this.#back + step, history.length);
    if (back === this.#back) return null;
    this.#back = back;
    this.#shown = history[history.length - back] ?? '';
    return this.#shown;
  }

  /** Something was sent. */
  reset(): void {
    this.#back = 0;
  }
}
