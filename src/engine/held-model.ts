/**
 * A model in a worker. When the graphics device or the worker is lost, another worker takes its place, with the same
 * model in it, and the calls that were under way are made again. One that does not hear a stop is ended; with the next
 * call another takes its place in the same way, however often that happens.
 */
import { type ErrorCode, NibbleError, throwIfAborted } from '../errors';
import { environment } from './environment';
import { type RunningWorker, startWorker } from './start-worker';
import type { MakeWorker } from './worker-options';

/**
 * A loss within this time of the last one is not recovered from: what brought it about would do so again, and a browser
 * whose GPU process died twice gives no adapter until the page is reloaded (Chromium 156, measured: none for half a
 * minute and more).
 */
const AGAIN_MS = 60_000;

/**
 * Puts the model into a worker. `lost`: why it has to be loaded again, a sentence for the person; null the first time.
 */
export type Fill = (worker: RunningWorker, lost: string | null, signal: AbortSignal) => Promise<void>;

export interface Ask {
  /** ends the wait for a worker that is being replaced; reaching the call itself is the caller's */
  signal?: AbortSignal;
  /** how far the call has come: one that is lost twice without coming further is not made a third time */
  progress?: () => number;
}

interface Filling {
  worker: Promise<RunningWorker>;
  stop: AbortController;
  /** calls that wait for it; it is given up when the last one does not */
  waiting: number;
}

export class HeldModel {
  #ways: readonly MakeWorker[];
  #fill: Fill;
  #worker: RunningWorker | null = null;
  #filling: Filling | null = null;
  /** the last loss */
  #lost: NibbleError | null = null;
  /** no load has made good for it yet */
  #recovering = false;
  /** why the model has to be loaded again; null: it never was there */
  #why: string | null = null;
  /** when it was recovered from, or that was given up, ms of performance.now(); while that is under way, Infinity */
  #recoveredAt = Number.NEGATIVE_INFINITY;
  /** why there will be no worker any more */
  #end: NibbleError | null = null;

  constructor(ways: readonly MakeWorker[], fill: Fill) {
    this.#ways = ways;
    this.#fill = fill;
  }

  /**
   * The worker with the model in it, which is loaded where it is not there.
   * @param signal ends the wait; the load too, and then waits for its end, where nobody else waits for it
   * @throws what loading throws; aborted
   */
  async ready(signal?: AbortSignal): Promise<RunningWorker> {
    if (this.#end) throw this.#end;
    if (this.#worker?.broken) this.#drop(this.#worker, this.#worker.broken);
    if (this.#worker) return this.#worker;
    const given = this.#filling;
    const filling = given && !given.stop.signal.aborted ? given : this.#refill(given);
    filling.waiting++;
    let stop = () => {};
    const stopped = new Promise<never>((_, reject) => {
      stop = () => {
        // when it has ended, its locks are free
        if (filling.waiting === 1) filling.stop.abort();
        else reject(new NibbleError('aborted', 'The request was stopped.'));
      };
      if (signal?.aborted) stop();
      signal?.addEventListener('abort', stop);
    });
    try {
      return await Promise.race([filling.worker, stopped]);
    } catch (error) {
      throw this.#end ?? error;
    } finally {
      signal?.removeEventListener('abort', stop);
      if (--filling.waiting === 0) filling.stop.abort();
    }
  }

  /**
   * Makes a call, and once more where device or worker is lost under it.
   * @throws what the call throws; device-lost or worker-failed, with a sentence that asks to reload the page, for a
   * second loss within a minute; aborted, with the reason 'deaf', where the worker did not hear the signal
   */
  async run<T>(call: (worker: RunningWorker) => Promise<T>, { signal, progress = () => 0 }: Ask = {}): Promise<T> {
    for (let before = -1; ; before = progress()) {
      const worker = await this.ready(signal);
      try {
        return await worker.call(call(worker));
      } catch (error) {
        if (!isLoss(worker, error)) throw error;
        if (this.#end) throw this.#end;
        this.#drop(worker, error as NibbleError);
        if (worker.deaf) throwIfUnheard(signal);
        else if (progress() === before && !isMoved(error as NibbleError)) throw error;
      }
    }
  }

  /** Makes a call that a worker answers whatever else it does. @throws worker-failed where it does not */
  query<T>(call: (worker: RunningWorker) => Promise<T>): Promise<T> {
    return this.run((worker) => worker.soon(call(worker)));
  }

  /**
   * Makes a call that is about what the worker holds: without a worker with the model in it, or when that is lost under
   * the call, there is nothing to be done.
   */
  async ifThere(call: (worker: RunningWorker) => Promise<void>): Promise<void> {
    const worker = this.#worker;
    if (!worker || worker.broken) return;
    try {
      await worker.call(call(worker));
    } catch (error) {
      if (!isLoss(worker, error)) throw error;
    }
  }

  /** Ends the worker. Calls under way fail with `disposed`, and later ones do. */
  dispose(): void {
    this.#end ??= new NibbleError('disposed', 'This engine was ended by dispose(). Load the model again to go on.');
    this.#worker?.end();
    this.#filling?.stop.abort();
  }

  /** @param given one that was given up, and may still be ending */
  #refill(given: Filling | null): Filling {
    const stop = new AbortController();
    const filling: Filling = { worker: this.#filled(stop.signal, given?.worker), stop, waiting: 0 };
    const settle = () => {
      if (this.#recovering) this.#recoveredAt = performance.now();
    };
    filling.worker.then((worker) => {
      settle();
      this.#recovering = false;
      // nobody waits for it any more
      if (this.#filling !== filling || filling.waiting === 0 || this.#end) return worker.end();
      this.#filling = null;
      this.#worker = worker;
    }, settle);
    this.#filling = filling;
    return filling;
  }

  async #filled(signal: AbortSignal, given?: Promise<unknown>): Promise<RunningWorker> {
    // until it has ended, it may hold as much memory as this one is about to take
    await given?.catch(() => {});
    for (;;) {
      throwIfAborted(signal);
      const worker = await startWorker(this.#ways, { signal }).catch(unlessMoved);
      if (!worker) continue;
      try {
        await worker.call(this.#fill(worker, this.#why, signal));
        return worker;
      } catch (error) {
        const lost = isLoss(worker, error);
        worker.end();
        if (lost) this.#note(worker, error as NibbleError);
        if (worker.deaf) throwIfUnheard(signal);
        if (lost) continue;
        if (this.#lost && (error as NibbleError).code === 'webgpu-unavailable')
          this.#giveUp(', and the browser gives no other');
        throw error;
      }
    }
  }

  /** Of several calls under way, the first to learn of the loss does this. */
  #drop(worker: RunningWorker, error: NibbleError): void {
    if (this.#worker !== worker) return;
    worker.end();
    this.#worker = null;
    this.#note(worker, error);
  }

  /** @throws when it is the second loss in a minute; to end a worker is none, nor is a move */
  #note({ deaf }: RunningWorker, error: NibbleError): void {
    this.#why = `${deaf ? DEAF : LOST[error.code]}: the model is being loaded again.`;
    if (deaf || isMoved(error)) return;
    const again = performance.now() - this.#recoveredAt < AGAIN_MS;
    this.#lost = error;
    this.#recovering = true;
    if (again) this.#giveUp(' twice within a minute');
    this.#recoveredAt = Number.POSITIVE_INFINITY;
  }

  #giveUp(how: string): never {
    const { code, details } = this.#lost!;
    this.#end = new NibbleError(code, `${LOST[code]}${how}. ${environment.again} to go on.`, details);
    throw this.#end;
  }
}

const LOST: Partial<Record<ErrorCode, string>> = {
  'device-lost': 'The graphics device was lost',
  'worker-failed': 'The worker that runs the model died',
};

const DEAF = 'The worker that runs the model did not hear a stop within two seconds and was ended';

/** Of a worker that was ended: who stopped it has what was wanted, and whoever else asked it asks the next one. */
function throwIfUnheard(signal?: AbortSignal): void {
  const text = `${DEAF}. The next request loads the model again.`;
  if (signal?.aborted) throw new NibbleError('aborted', text, { reason: 'deaf' });
}

/**
 * What the error event of a worker says whose model is elsewhere from now on, on purpose: the next worker has it.
 */
export const MOVED = 'moved';

const isMoved = ({ details }: NibbleError) => details.reason === `failed (${MOVED})`;

/** One that has moved before it began is not the one. */
const unlessMoved = (error: NibbleError): void => {
  if (!isMoved(error)) throw error;
};

/** What fails inside a worker may be `worker-failed` too; only one that is no longer there is lost. */
const isLoss = (worker: RunningWorker, error: unknown) =>
  error instanceof NibbleError &&
  (error.code === 'device-lost' || (error.code === 'worker-failed' && worker.broken !== null));
