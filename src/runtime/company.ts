/** Requests that are answered together: what they share, and the place of each. */
import { NibbleError } from '../errors';
import type { Streams } from '../execute/executor';
import type { Reserved } from '../generate/sequences';
import { type Place, Together } from '../generate/together';
import type { MemoryPlan } from '../memory/plan';
import { copyBeginning, likest } from './clone-cache';
import type { Model } from './model';
import { planFor } from './planning';

/** Sequences that no conversation has: who is answered together has one of these for as long as that takes. */
const FIRST = -2;

/** One request among others. */
export interface Among extends Pick<Place, 'executor' | 'alone' | 'leave'> {
  /** for how many answers at once buffers are there */
  readonly streams: number;
  /**
   * Room for an answer, when there is some, in the sequence that begins most like it, with what others hold of its
   * beginning.
   * @param ids of the prompt
   * @param planOf see Sequences.reserve()
   * @returns its number with it; null: it was stopped meanwhile
   * @throws out-of-memory
   */
  reserve(
    ids: readonly number[],
    newTokens: number,
    planOf: (newTokens: number, snapshots?: 0) => MemoryPlan,
    signal?: AbortSignal,
  ): Promise<(Reserved & { conversation: number }) | null>;
}

/** What stands for streams where there is room for one answer at a time. */
const NONE: Streams = {
  most: 1,
  decode: () => {
    throw new Error('one answer is decoded alone');
  },
  close: () => {},
};

export class Company {
  readonly #model: Model;
  readonly #streams: Streams;
  readonly #together: Together;

  /** @param most answers at once; where the plan, or the device, has no room for so many, there are fewer */
  static async open(model: Model, most: number): Promise<Company> {
    let streams = most;
    while (streams > 1 && !planFor(model, 1, 1, 0, { streams }).fits) streams--;
    if (streams === 1) return new Company(model, NONE);
    try {
      return new Company(model, await model.executor.openStreams(streams));
    } catch (error) {
      if (!(error instanceof NibbleError) || error.code !== 'out-of-memory') throw error;
      return new Company(model, NONE);
    }
  }

  private constructor(model: Model, streams: Streams) {
    this.#model = model;
    this.#streams = streams;
    this.#together = new Together(model.executor, streams, model.graph.spec.vocab);
  }

  join(): Among {
    const { sequences } = this.#model;
    const place = this.#together.join();
    let held: number | null = null;
    const free = () => {
      if (held !== null) sequences.release(held);
      held = null;
    };
    /** one that nobody is answered in */
    const choose = (ids: readonly number[]) => {
      const all = Array.from({ length: this.#together.size + this.#streams.most }, (_, i) => FIRST - i);
      return likest(
        this.#model,
        all.filter((id) => !sequences.isHeld(id)),
        ids,
      );
    };
    return {
      executor: place.executor,
      alone: place.alone,
      streams: this.#streams.most > 1 ? this.#streams.most : 0,
      reserve: (ids, newTokens, planOf, signal) =>
        place.inOrder(async () => {
          while (!signal?.aborted) {
            const left = place.left();
            const reserved = await place.alone(async () => {
              held = choose(ids);
              sequences.hold(held);
              const found = await sequences.tryReserve(held, newTokens, planOf);
              if (!found) return null;
              copyBeginning(this.#model, found.sequence, ids);
              return { ...found, conversation: held };
            });
            if (reserved) return reserved;
            free();
            await place.change(left, signal);
          }
          return null;
        }),
      leave: () => {
        free();
        place.leave();
      },
    };
  }

  close(): void {
    this.#streams.close();
  }
}
