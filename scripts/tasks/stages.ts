/** Stages of work side by side: each starts when those before it have ended, and what they print stays in one piece. */

export interface Stage {
  name: string;
  /**
   * names of stages that must have ended, well or not, before this one starts; those that do not run are not waited for
   */
  after: readonly string[];
}

/** Prints text that several write at once: the first as it writes, each other one whole when its turn comes. */
export class Turns {
  readonly #queue: { kept: string[]; ended: boolean }[] = [];
  readonly #print: (text: string) => void;

  constructor(print: (text: string) => void) {
    this.#print = print;
  }

  /** Joins the queue. */
  open(): { write(text: string): void; end(): void } {
    const turn = { kept: [] as string[], ended: false };
    this.#queue.push(turn);
    return {
      write: (text) => {
        turn.kept.push(text);
        this.#go();
      },
      end: () => {
        turn.ended = true;
        this.#go();
      },
    };
  }

  #go(): void {
    for (let first = this.#queue[0]; first; first = this.#queue[0]) {
      for (const text of first.kept.splice(0)) this.#print(text);
      if (!first.ended) return;
      this.#queue.shift();
    }
  }
}

/**
 * Runs every stage, whatever became of the others.
 * @param work must not reject; what it writes is printed in its turn
 * @param most so many stages at a time; of those that could start, the first in `stages` does
 * @returns what `work` did, in the order of `stages`
 */
export function runStages<S extends Stage, T>(
  stages: readonly S[],
  work: (stage: S, write: (text: string) => void) => Promise<T>,
  print: (text: string) => void,
  most = Number.POSITIVE_INFINITY,
): Promise<T[]> {
  const turns = new Turns(print);
  const running = new Map<string, Promise<T>>();
  const waiting: { index: number; start: () => void }[] = [];
  let room = most;
  const fill = () => {
    waiting.sort((a, b) => a.index - b.index);
    for (const { start } of waiting.splice(0, room)) {
      room--;
      start();
    }
  };
  for (const [index, stage] of stages.entries()) {
    // a stage stands behind those that it waits for
    const before = stage.after.flatMap((name) => running.get(name) ?? []);
    const run = async () => {
      await Promise.all(before);
      await new Promise<void>((start) => {
        waiting.push({ index, start });
        // those that the same end lets go are all here by then
        setImmediate(fill);
      });
      const turn = turns.open();
      try {
        return await work(stage, turn.write);
      } finally {
        turn.end();
        room++;
        setImmediate(fill);
      }
    };
    running.set(stage.name, run());
  }
  return Promise.all(running.values());
}
