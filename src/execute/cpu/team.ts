/**
 * Threads that compute together: the one that this runs in, and helpers, which share the banks' memory with it. A
 * step's rows, or heads, are split, and each does its part with working arrays of its own. Nothing is ever waited for
 * in vain: where a helper does not answer in time, as its processor has something else to do or it has died, its part
 * is computed here, and it rests; what it writes later, nobody reads.
 */
import { type HelperOrder, helperLoop, MAILBOX, READY } from './helper-loop';
import { Pace } from './pace';

/** How a thread beside this one is made. */
export interface Threads {
  /** those that may compute at once, this one included */
  readonly count: number;
  /** why there is but one, where there might be more */
  readonly why?: string;
  /**
   * Starts one that calls the function whose text `run` is with `order`.
   * @param fail told why, when it does not start or ends
   */
  start(run: string, order: unknown, fail: (reason: string) => void): { end(): void };
  /** multiplications that are worth splitting; absent: LEAST_WORK */
  readonly leastWork?: number;
  /** ms; absent: PATIENCE */
  readonly patience?: number;
}

/** The module, bound to the memory of bank number `index`. */
interface Instance<Name extends string> {
  readonly index: number;
  readonly exports: Readonly<Record<Name, (...numbers: number[]) => void>>;
}

/** Rows, or heads, from..end of a step. */
export interface Part {
  /** 0: this one */
  thread: number;
  from: number;
  end: number;
}

/** About 10 us of one thread, where handing it over takes one. */
const LEAST_WORK = 1 << 16;
/** A helper that has nothing to do looks so often, for 100 to 300 us, before it sleeps: waking it takes as long. */
const SPINS = 20_000;
/** Beside the time that this thread's own part took, ms that it waits for a helper's. */
const PATIENCE = 0.1;
/** Looks at the mailbox, a few us, up to which a helper that is still at work counts as being in time. */
const SOON = 256;

/** What all helpers of a team are told. */
type TeamOrder = Pick<HelperOrder, 'module' | 'memories' | 'names'>;

class Helper {
  readonly words: Int32Array;
  readonly job: Float64Array;
  readonly thread: { end(): void } | null = null;
  posted = READY;
  /** of its part to this thread's */
  share = 1;
  /** why it is of no use */
  failed: string | null = null;

  readonly #patience: number;

  constructor(work: TeamOrder, threads: Threads) {
    this.#patience = threads.patience ?? PATIENCE;
    const mailbox = new SharedArrayBuffer(MAILBOX.bytes);
    this.words = new Int32Array(mailbox);
    this.job = new Float64Array(mailbox).subarray(MAILBOX.job);
    Atomics.store(this.words, MAILBOX.posted, READY);
    const fail = (reason: string) => {
      this.failed ??= reason;
    };
    try {
      const order: HelperOrder = { ...work, mailbox, at: MAILBOX, ready: READY, spins: SPINS };
      this.thread = threads.start(String(helperLoop), order, fail);
    } catch (error) {
      fail(error instanceof Error ? error.message : String(error));
    }
  }

  get done(): boolean {
    return Atomics.load(this.words, MAILBOX.done) === this.posted;
  }

  get started(): boolean {
    return Atomics.load(this.words, MAILBOX.done) !== 0;
  }

  /** Whether it may be given a job. */
  get free(): boolean {
    return this.failed === null && this.done;
  }

  post(bank: number, name: number, numbers: readonly number[]): void {
    const { words, job } = this;
    job[0] = numbers.length;
    job[1] = bank;
    job[2] = name;
    job.set(numbers, 3);
    this.posted = (this.posted + 1) | 0;
    Atomics.store(words, MAILBOX.posted, this.posted);
    if (Atomics.load(words, MAILBOX.asleep) === 1) Atomics.notify(words, MAILBOX.posted);
  }

  /**
   * Waits for its job.
   * @param own ms that this thread's part took
   * @param since when that was done @returns whether the helper's is done, too
   */
  finish(own: number, since: number): boolean {
    const until = since + own + this.#patience;
    let now = since;
    let looks = 0;
    while (!this.done && this.failed === null && now <= until) if (++looks % 64 === 0) now = performance.now();
    if (!this.done) return false;
    this.share = looks > SOON ? Math.max(1 / 8, this.share - 1 / 64) : Math.min(2, this.share + 1 / 256);
    return true;
  }
}

export class Team {
  readonly #helpers: readonly Helper[];
  readonly #names: readonly string[];
  readonly #leastWork: number;
  readonly #why: string;
  readonly #pace = new Pace();
  /** jobs that helpers did in time, and that they did not */
  readonly jobs = { done: 0, late: 0 };

  /** @param threads absent: no helpers */
  constructor(order: TeamOrder, threads?: Threads) {
    this.#names = order.names;
    this.#leastWork = threads?.leastWork ?? LEAST_WORK;
    this.#why = threads?.why ?? '';
    this.#helpers = Array.from({ length: (threads?.count ?? 1) - 1 }, () => new Helper(order, threads!));
  }

  /** What info() says of it; '' for one thread that was never to be more. */
  get description(): string {
    if (this.#helpers.length === 0) return this.#why && `, 1 thread: ${this.#why}`;
    const alive = this.#helpers.filter(({ failed, started }) => failed === null && started);
    const failed = this.#helpers.find((helper) => helper.failed !== null)?.failed;
    const reason = failed ?? 'more are starting';
    const why = alive.length < this.#helpers.length ? ` of ${this.#helpers.length + 1}: ${reason}` : '';
    return `, ${alive.length + 1} ${alive.length === 0 ? 'thread' : 'threads'}${why}`;
  }

  /**
   * Who does which of `count` rows, or heads: parts of whole `step`s but the last, this thread's first.
   * @param work multiplications of all
   */
  parts(count: number, step: number, work: number): Part[] {
    const helpers = this.#pace.together && work >= this.#leastWork ? this.#helpers.filter(({ free }) => free) : [];
    const whole = helpers.reduce((sum, { share }) => sum + share, 1);
    const parts: Part[] = [{ thread: 0, from: 0, end: count }];
    let taken = 1;
    for (const helper of helpers) {
      const last = parts[parts.length - 1];
      const from = step * Math.round((count * taken) / whole / step);
      taken += helper.share;
      if (from <= last.from || from >= count) continue;
      last.end = from;
      parts.push({ thread: this.#helpers.indexOf(helper) + 1, from, end: count });
    }
    return parts;
  }

  /**
   * Calls a function of a bank's instance for every part. What a helper was late with is done here, and then is this
   * thread's part, unless it goes on with what that helper had before.
   * @param work multiplications of all parts
   * @param argumentsOf the function's, for a part
   * @returns whether all is done
   */
  run<Name extends string>(
    { exports, index }: Instance<Name>,
    name: Name,
    parts: readonly Part[],
    work: number,
    argumentsOf: (part: Part) => number[],
    goesOn = false,
  ): boolean {
    const compute = (part: Part) => exports[name](...argumentsOf(part));
    const [own, ...others] = parts;
    // parts of several calls (attention's) may be of more work than this one is
    if (this.#helpers.length === 0 || (others.length === 0 && work < this.#leastWork)) {
      compute(own);
      return true;
    }
    const number = this.#names.indexOf(name);
    for (const part of others) this.#helpers[part.thread - 1].post(index, number, argumentsOf(part));
    const begun = performance.now();
    compute(own);
    const now = performance.now();
    const late = others.filter(({ thread }) => !this.#helpers[thread - 1].finish(now - begun, now));
    this.jobs.late += late.length;
    this.jobs.done += others.length - late.length;
    if (!goesOn) {
      for (const part of late) {
        part.thread = 0;
        compute(part);
      }
    }
    // this thread's part is the first of all
    const ownWork = (work * own.end) / parts[parts.length - 1].end;
    this.#pace.note(name, performance.now() - begun, work, ownWork, now - begun);
    return !goesOn || late.length === 0;
  }

  end(): void {
    for (const { thread } of this.#helpers) thread?.end();
  }
}
