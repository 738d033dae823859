/** Starts the worker and makes sure that it answers: a worker that fails to start is an error and not a hang. */
import { type Remote, transferHandlers, wrap } from 'comlink';
import { NibbleError } from '../errors';
import { passErrors, type WorkerApi } from '../protocol';

const HELLO_MS = 30_000;

export interface RunningWorker {
  api: Remote<WorkerApi>;
  /** Waits for a call, and fails when the worker breaks down or is ended meanwhile. */
  call<T>(call: Promise<T>): Promise<T>;
  end(): void;
}

passErrors(transferHandlers);

/** @throws worker-failed when the script does not load, breaks, or says nothing for half a minute */
export async function startWorker(create: () => Worker, helloMs = HELLO_MS): Promise<RunningWorker> {
  let fail: (reason: string) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = (reason) => {
      const message = `The worker that runs the model ${reason}. Reload the page; on a strict page allow worker-src for it.`;
      reject(new NibbleError('worker-failed', message, { reason }));
    };
  });
  failed.catch(() => {});
  let worker: Worker;
  try {
    worker = create();
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
    await Promise.race([api.hello(), failed]);
  } catch (error) {
    worker.terminate();
    throw error;
  } finally {
    clearTimeout(timer);
  }
  return { api, end, call: (call) => Promise.race([call, failed]) };
}
