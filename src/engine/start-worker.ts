/** Starts the worker and makes sure that it answers: a worker that fails to start is an error and not a hang. */
import { type Remote, transferHandlers, wrap } from 'comlink';
import { NibbleError } from '../errors';
import { passErrors, type WorkerApi } from '../protocol';
import { place } from './place';
import type { MakeWorker } from './workers-from';

const HELLO_MS = 30_000;

export interface RunningWorker {
  api: Remote<WorkerApi>;
  /** it broke down, or was ended */
  readonly broken: boolean;
  /** Waits for a call, and fails when the worker breaks down or is ended meanwhile. */
  call<T>(call: Promise<T>): Promise<T>;
  end(): void;
}

passErrors(transferHandlers);

export function workerFailed(reason: string, next = `${place.again}.`): NibbleError {
  return new NibbleError('worker-failed', `The worker that runs the model ${reason}. ${next}`, { reason });
}

/**
 * Makes a call that the signal can cancel, by its number.
 * @param ask makes it
 */
export async function cancellable<T>(
  { api, call }: RunningWorker,
  id: number,
  signal: AbortSignal | undefined,
  ask: () => Promise<T>,
): Promise<T> {
  const stop = () => void api.cancel(id);
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
 * @throws worker-failed when the script does not load, breaks, or says nothing for half a minute
 */
export async function startWorker(ways: readonly MakeWorker[], helloMs = HELLO_MS): Promise<RunningWorker> {
  const reasons = new Set<unknown>();
  for (const make of ways) {
    try {
      return await startOne(make, helloMs);
    } catch (error) {
      reasons.add(error instanceof NibbleError ? error.details.reason : String(error));
    }
  }
  throw workerFailed([...reasons].join(', and '), place.workerAdvice);
}

async function startOne(make: MakeWorker, helloMs: number): Promise<RunningWorker> {
  let broken = false;
  let fail: (reason: string) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = (reason) => {
      broken = true;
      reject(workerFailed(reason));
    };
  });
  failed.catch(() => {});
  let worker: Worker;
  try {
    worker = await make();
    if (typeof worker?.postMessage !== 'function' || typeof worker.addEventListener !== 'function')
      throw 'what makes it gave no Worker';
  } catch (cause) {
    fail(`could not be started (${cause})`);
    return failed;
  }
  worker.addEventListener('error', (event) => fail(`failed (${event.message || 'its script did not load'})`));
  worker.addEventListener('messageerror', () => fail('sent a message that could not be read'));
  const api = wrap<WorkerApi>(worker);
  const end = () => {
    fail('was ended');
    worker.terminate();
  };
  const timer = setTimeout(() => fail(`did not answer within ${helloMs / 1000} seconds`), helloMs);
  try {
    const life = `nibble-life:${Math.random()}`;
    // A worker that is ended from elsewhere tells nobody, but loses its locks. One that is only busy keeps them.
    if (await Promise.race([api.hello(life), failed]))
      navigator.locks?.request(life, () => fail('died')).catch(() => {});
  } catch (error) {
    worker.terminate();
    throw error;
  } finally {
    clearTimeout(timer);
  }
  return {
    api,
    end,
    call: (call) => Promise.race([call, failed]),
    get broken() {
      return broken;
    },
  };
}
