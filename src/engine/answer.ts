/** An answer under way: its text as it comes, and its result at the end. */
import type { GenerateResult, SamplingOptions } from '../protocol';

export type GenerateOptions = SamplingOptions & {
  /** stops the answer */
  signal?: AbortSignal;
  /**
   * ids of an answer that was stopped, or ended at its length: they are told again at once, then it goes on, as if it had
   * never ended. They count in `maxNewTokens`
   */
  made?: readonly number[];
};

/**
 * Iterate it for the text, in pieces; await `result` for ids, statistics and memory. Either alone will do. Leaving the
 * loop stops the answer. Iterate once.
 */
export interface Answer extends AsyncIterable<string> {
  readonly result: Promise<GenerateResult>;
  /** It was stopped: by stop(), its signal, or who left the loop. It may still be on the way to its end. */
  readonly stopped: boolean;
}

/** A queue between the port that brings pieces and the loop that takes them. */
export class TextQueue implements Answer {
  readonly result: Promise<GenerateResult>;
  #pieces: string[] = [];
  #received = 0;
  #wake: () => void = () => {};
  #done = false;

  /**
   * @param start begins the answer; its promise may settle before the last pieces have come through the port
   * @param stopping aborted when the loop is left early
   */
  constructor(
    start: (push: (text: string) => void) => Promise<GenerateResult>,
    readonly stopping: AbortController,
  ) {
    const push = (text: string) => {
      this.#received += text.length;
      if (text) this.#pieces.push(text);
      this.#wake();
    };
    this.result = this.#finish(start(push));
    // whoever only iterates learns of a failure there
    this.result.catch(() => {});
  }

  get stopped(): boolean {
    return this.stopping.signal.aborted;
  }

  async #finish(outcome: Promise<GenerateResult>): Promise<GenerateResult> {
    try {
      const result = await outcome;
      while (this.#received < result.text.length) await this.#more();
      return result;
    } finally {
      this.#done = true;
      this.#wake();
    }
  }

  #more(): Promise<void> {
    const before = this.#wake;
    return new Promise((resolve) => {
      this.#wake = () => {
        before();
        resolve();
      };
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string> {
    try {
      for (;;) {
        while (this.#pieces.length > 0) yield this.#pieces.shift()!;
        if (this.#done) break;
        await this.#more();
      }
      await this.result;
    } finally {
      if (!this.#done) this.stopping.abort();
    }
  }
}
