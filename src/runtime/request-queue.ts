/** Requests in their order: one at a time, but for those that may run together. */

interface Waiting {
  /** how many may run together; 0: this one alone */
  most: number;
  start(): void;
}

export class RequestQueue {
  readonly #waiting: Waiting[] = [];
  #running = 0;
  /** of those that run */
  #most = 0;

  /**
   * Runs a task when those before it are done; no later one is begun meanwhile.
   * @param most so many tasks run together that say the same number; 0: this one runs alone
   */
  run<T>(task: () => Promise<T>, most = 0): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const start = () => {
        const done = () => {
          this.#running--;
          this.#begin();
        };
        Promise.resolve().then(task).then(resolve, reject).then(done);
      };
      this.#waiting.push({ most, start });
      this.#begin();
    });
  }

  /** Begins what may be begun now. */
  #begin(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      const { most, start } = next;
      const joins = most > 0 && most === this.#most && this.#running < most;
      if (this.#running > 0 && !joins) return;
      this.#waiting.shift();
      this.#running++;
      this.#most = most;
      start();
    }
  }
}
