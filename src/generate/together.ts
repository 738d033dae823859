/**
 * Several answers at once from one executor. Each has an executor of its own to look at, that reads its prompt and
 * gives its next id; behind it prompts are read one after the other, and as soon as nobody has a prompt to be read all
 * who wait for an id get it from one pass. Who comes or goes ends a round of such passes and begins another; the
 * answers do not notice. An answer that is alone is decoded as if there were no others.
 */
import { throwIfAborted } from '../errors';
import type { Executor, KvCache, PrefillOptions, Stream, Streams } from '../execute/executor';
import { checkIds, goingOn } from '../execute/sampler/options';
import { yieldToEvents } from '../platform/yield-to-events';

/** What an answer needs of an executor. */
export type Answering = Pick<Executor, 'prefill' | 'decode'>;

/** One answer's place among others. */
export interface Place {
  readonly executor: Answering;
  /** Does something while nothing else is computed. */
  alone<T>(work: () => Promise<T>): Promise<T>;
  /**
   * Does something when those who came before have had their first prompt read, or have left: who comes later finds
   * what they hold, and takes no room that they wait for.
   */
  inOrder<T>(work: () => Promise<T>): Promise<T>;
  /** How many answers have left so far. */
  left(): number;
  /** When more than so many have left, or it is stopped. */
  change(left: number, signal?: AbortSignal): Promise<void>;
  leave(): void;
}

/** An answer whose ids are drawn. */
class Member {
  /** how it goes on from here */
  readonly stream: () => Stream;
  readonly signal?: AbortSignal;
  /** why it cannot go on, where that is nobody else's matter */
  failure: unknown;
  /** what it does with what it has had: it asks for more, or goes */
  settled!: Promise<'asks' | 'gone'>;
  #settle!: (how: 'asks' | 'gone') => void;
  give!: (id: number) => void;
  fail!: (error: unknown) => void;

  constructor(stream: () => Stream, signal?: AbortSignal) {
    this.stream = stream;
    this.signal = signal;
    this.#unsettled();
  }

  #unsettled(): void {
    this.settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  ask(): Promise<number> {
    const asked = new Promise<number>((resolve, reject) => {
      this.give = (id) => {
        this.#unsettled();
        resolve(id);
      };
      this.fail = reject;
    });
    this.#settle('asks');
    return asked;
  }

  go(): void {
    this.#settle('gone');
  }
}

export class Together {
  readonly #executor: Executor;
  readonly #streams: Streams;
  readonly #vocab: number;
  readonly #work: (() => Promise<void>)[] = [];
  /** who waits for an id and is in no round */
  readonly #asking: Member[] = [];
  /** of the round that is under way */
  #members: ReadonlySet<Member> = new Set();
  readonly #places = new Set<object>();
  #left = 0;
  readonly #waiting = new Set<() => void>();
  /** until the newest has had its first prompt read */
  #order: Promise<void> = Promise.resolve();
  #running = false;
  /** when the round that is under way has left the executor */
  #round: Promise<void> = Promise.resolve();

  /** @param vocab ids that the model has */
  constructor(executor: Executor, streams: Streams, vocab: number) {
    this.#executor = executor;
    this.#vocab = vocab;
    this.#streams = streams;
  }

  /** How many answers there are. */
  get size(): number {
    return this.#places.size;
  }

  /** A place for one more; there are as many as the streams have. */
  join(): Place {
    const place = {};
    this.#places.add(place);
    const before = this.#order;
    let admitted!: () => void;
    this.#order = new Promise<void>((resolve) => {
      admitted = resolve;
    });
    /** the newest id that the cache holds */
    let last = -1;
    return {
      executor: {
        prefill: async (cache: KvCache, ids: ArrayLike<number>, start: number, options?: PrefillOptions) => {
          await this.#alone(() => this.#executor.prefill(cache, ids, start, { ...options, logits: false }));
          last = ids[ids.length - 1];
          admitted();
        },
        decode: (cache, start, count, sample, signal) => this.#decode({ cache, last, start, count, sample }, signal),
      },
      alone: (work) => this.#alone(work),
      inOrder: async (work) => {
        await before;
        return work();
      },
      left: () => this.#left,
      change: (left, signal) =>
        new Promise((resolve) => {
          const told = () => {
            if (this.#left === left && !signal?.aborted) return;
            this.#waiting.delete(told);
            signal?.removeEventListener('abort', told);
            resolve();
          };
          this.#waiting.add(told);
          signal?.addEventListener('abort', told);
          told();
        }),
      leave: () => {
        if (!this.#places.delete(place)) return;
        admitted();
        this.#left++;
        for (const told of [...this.#waiting]) told();
      },
    };
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#work.push(() => work().then(resolve, reject));
      void this.#run();
    });
  }

  async *#decode(from: Stream, signal?: AbortSignal): AsyncGenerator<number> {
    const made: number[] = [];
    checkIds(from.sample, this.#vocab);
    const asked = from.sample.mask;
    const mask = async () => {
      try {
        return await asked!();
      } catch (error) {
        member.failure = error;
        throw error;
      }
    };
    // as they are now: whoever asks goes on counting
    const counted = Array.from(from.sample.counted ?? []);
    const sample = { ...from.sample, counted, ...(asked && { mask }) };
    const stream = () => ({
      ...from,
      last: made.at(-1) ?? from.last,
      start: from.start + made.length,
      count: from.count - made.length,
      sample: goingOn(sample, made),
    });
    const member: Member = new Member(stream, signal);
    try {
      while (made.length < from.count) {
        throwIfAborted(signal);
        const asked = member.ask();
        if (!this.#members.has(member)) this.#asking.push(member);
        void this.#run();
        const id = await asked;
        made.push(id);
        yield id;
        if (from.sample.stopIds?.includes(id)) return;
      }
    } finally {
      member.go();
      // what comes next for this answer finds its cache settled
      if (this.#members.has(member)) await this.#round;
    }
  }

  /** Does what there is to do. */
  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      for (;;) {
        // whoever has had something may want more
        await yieldToEvents();
        const work = this.#work.shift();
        if (work) await work();
        else if (this.#asking.length > 0) await this.#decodeRound();
        else return;
      }
    } finally {
      this.#running = false;
    }
  }

  /** Gives ids to those who wait for them now, for as long as it is the same who do. */
  async #decodeRound(): Promise<void> {
    const members = this.#asking.splice(0, this.#streams.most);
    const gone = new Set<Member>();
    let ended!: () => void;
    this.#round = new Promise((resolve) => {
      ended = resolve;
    });
    this.#members = new Set(members);
    const stopping = new AbortController();
    const stop = () => stopping.abort();
    for (const { signal } of members) signal?.addEventListener('abort', stop);
    try {
      for await (const ids of this.#next(members, stopping.signal)) {
        for (const [i, member] of members.entries()) member.give(ids[i]);
        for (const member of members) if ((await member.settled) === 'gone') gone.add(member);
        // who is on the way gets a turn
        if (this.#places.size > members.length) await yieldToEvents();
        const joins = this.#asking.length > 0 && members.length < this.#streams.most;
        if (gone.size > 0 || this.#work.length > 0 || joins) break;
      }
    } catch (error) {
      const own = members.some(({ failure, signal }) => failure !== undefined || signal?.aborted);
      for (const member of members) {
        // of one who was stopped, or has failed by itself, the others know nothing
        if (own && member.failure === undefined && !member.signal?.aborted) continue;
        gone.add(member);
        member.fail(error);
      }
    } finally {
      for (const { signal } of members) signal?.removeEventListener('abort', stop);
      this.#asking.unshift(...members.filter((member) => !gone.has(member)));
      this.#members = new Set();
      ended();
    }
  }

  async *#next(members: readonly Member[], signal: AbortSignal): AsyncGenerator<readonly number[]> {
    const streams = members.map(({ stream }) => stream());
    if (streams.length > 1) {
      yield* this.#streams.decode(streams, signal);
      return;
    }
    const [{ cache, last, start, count, sample }] = streams;
    await this.#executor.prefill(cache, [last], start - 1, { signal });
    for await (const id of this.#executor.decode(cache, start, count, sample, signal)) yield [id];
  }
}
