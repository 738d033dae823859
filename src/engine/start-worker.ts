/**
 * Starts the worker and makes sure that it answers: a worker that fails to start is an error and not a hang, and one
 * that does not hear a stop is ended.
 */
import { type Remote, transferHandlers, wrap } from 'comlink';
import { NibbleError, throwIfAborted } from '../errors';
import { wakingClock, within } from '../platform/within';
import { passErrors, type WorkerApi } from '../protocol';
import { environment } from './environment';
import type { MakeWorker } from './worker-options';

const HELLO_MS = 30_000;
/**
 * Work is cut into pieces of a quarter of a second (execute/cpu/time-slice.ts): a worker that hears nothing for so long
 * hangs.
 */
const DEAF_MS = 2000;
/** For answers that a worker's event loop gives by itself, while nobody asked it to stop. */
const ANSWER_MS = 30_000;

export interface RunningWorker {
  api: Remote<WorkerApi>;
  /** why it broke down or that it was ended; null while it runs */
  readonly broken: NibbleError | null;
  /** it was ended because it did not hear a stop: see hear() */
  readonly deaf: boolean;
  /** Waits for a call, and fails when the worker breaks down or is ended meanwhile. */
  call<T>(call: Promise<T>): Promise<T>;
  /** The same for what the worker answers whatever else it does. @throws worker-failed after half a minute */
  soon<T>(call: Promise<T>): Promise<T>;
  /** Ends the worker unless it answers within two seconds: it would not hear anything any more. */
  hear(call: Promise<unknown>): void;
  end(): void;
}

passErrors(transferHandlers);

export function workerFailed(reason: string, next = `${environment.again}.`): NibbleError {
  return new NibbleError('worker-failed', `The worker that runs the model ${reason}. ${next}`, { reason });
}

let lastId = 0;

/** The number of a request, unique in the page, so that a cancelled load and a later answer never share one. */
export const nextId = (): number => ++lastId;

/**
 * Makes a call that the signal can cancel, by its number. A worker that does not hear that is ended, and the call
 * fails.
 * @param ask makes it
 */
export async function cancellable<T>(
  { api, call, hear }: RunningWorker,
  id: number,
  signal: AbortSignal | undefined,
  ask: () => Promise<T>,
): Promise<T> {
  const stop = () => hear(api.cancel(id));
  signal?.addEventListener('abort', stop);
  try {
    const asked = ask();
    if (signal?.aborted) stop();
    return await call(asked);
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/**
 * @param ways to make it, in the order in which they are tried: a page's policy may forbid one of them
 * @throws worker-failed when the script does not load, breaks, or says nothing for half a minute; aborted
 */
export async function startWorker(
  ways: readonly MakeWorker[],
  { signal, helloMs = HELLO_MS }: { signal?: AbortSignal; helloMs?: number } = {},
): Promise<RunningWorker> {
  const reasons = new Set<unknown>();
  for (const make of ways) {
    try {
      return await startOne(make, helloMs, signal);
    } catch (error) {
      throwIfAborted(signal);
      reasons.add(error instanceof NibbleError ? error.details.reason : String(error));
    }
  }
  throw workerFailed([...reasons].join(', and '), environment.workerAdvice);
}

async function startOne(make: MakeWorker, helloMs: number, signal?: AbortSignal): Promise<RunningWorker> {
  let broken: NibbleError | null = null;
  let deaf = false;
  let worker: Worker | undefined;
  let fail!: (reason: string) => NibbleError;
  const failed = new Promise<never>((_, reject) => {
    fail = (reason) => {
      const error = workerFailed(reason);
      broken ??= error;
      reject(error);
      return error;
    };
  });
  failed.catch(() => {});
  const end = () => {
    const error = fail('was ended');
    worker?.terminate();
    return error;
  };
  const call = <T>(call: Promise<T>) => Promise.race([call, failed]);
  const start = async () => {
    const made = await make();
    if (typeof made?.postMessage !== 'function' || typeof made.addEventListener !== 'function')
      throw 'what makes it gave no Worker';
    // nobody waits for it any more
    if (broken) made.terminate();
    return made;
  };
  /** @returns its face, when it has said that it is there */
  const hello = async () => {
    const begun = start().catch((cause) => fail(`could not be started (${cause})`));
    worker = (await call(begun)) as Worker;
    worker.addEventListener('error', (event) => fail(`failed (${event.message || 'its script did not load'})`));
    worker.addEventListener('messageerror', () => fail('sent a message that could not be read'));
    const api = wrap<WorkerApi>(worker);
    const life = `nibble-life:${Math.random()}`;
    if (await call(api.hello(life))) await call(watch(life, () => fail('died')));
    return api;
  };
  signal?.addEventListener('abort', end);
  try {
    const silent = () => fail(`did not answer within ${helloMs / 1000} seconds`);
    const api = await within(helloMs, hello(), silent, wakingClock);
    return {
      api,
      call,
      soon(answer) {
        const late = () => workerFailed('has not answered for half a minute', 'Stop what it does, or dispose().');
        return within(ANSWER_MS, call(answer), late, wakingClock);
      },
      hear(answer) {
        const late = () => {
          deaf = true;
          return end();
        };
        within(DEAF_MS, call(answer), late, wakingClock).catch(() => {});
      },
      end,
      get broken() {
        return broken;
      },
      get deaf() {
        return deaf;
      },
    };
  } catch (error) {
    worker?.terminate();
    throw error;
  } finally {
    signal?.removeEventListener('abort', end);
  }
}

/**
 * Tells when the worker that holds this lock dies: one that is ended from elsewhere tells nobody, but loses its locks.
 * One that is only busy keeps them. Where the lock is free although the worker has it (the site's data was cleared
 * while the page is open, and what starts now has another set of locks), and where the page has none, locks say
 * nothing.
 */
async function watch(life: string, died: () => void): Promise<void> {
  const locks = globalThis.navigator?.locks;
  const isHeld = await locks?.request(life, { ifAvailable: true }, (lock) => !lock).catch(() => false);
  if (isHeld) locks.request(life, died).catch(() => {});
}
