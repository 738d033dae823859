/** Who is answered at once, and who waits: in the order of coming. */

/** Of who waited when the server was told to end. */
export class QueueClosed extends Error {
  constructor() {
    super('The server is ending.');
  }
}

export class Queue {
  #running = 0;
  #closed = false;
  readonly #waiting: { begin: () => void; end: (why: unknown) => void }[] = [];
  #idle: () => void = () => {};

  /** @param most that run at once */
  constructor(readonly most: number) {}

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Resolves when it is one's turn.
   * @param signal leaves the queue
   * @returns what ends the turn; once is enough
   * @throws QueueClosed, and the signal's reason
   */
  async enter(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#closed) throw new QueueClosed();
    if (this.#running < this.most) this.#running++;
    else {
      await new Promise<void>((begin, end) => {
        const entry = { begin, end };
        this.#waiting.push(entry);
        const leave = () => {
          const place = this.#waiting.indexOf(entry);
          if (place < 0) return;
          this.#waiting.splice(place, 1);
          end(signal.reason);
        };
        signal.addEventListener('abort', leave, { once: true });
      });
    }
    let left = false;
    return () => {
      if (left) return;
      left = true;
      // a turn goes over to the next: nobody who comes meanwhile goes before
      const next = this.#waiting.shift();
      if (next) return next.begin();
      this.#running--;
      if (this.#running === 0) this.#idle();
    };
  }

  /** Lets nobody in any more. Resolves when those whose turn it was have left. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { end } of this.#waiting.splice(0)) end(new QueueClosed());
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
  }
}
