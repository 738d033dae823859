/** How many tasks run at once, and work that is waited for until a signal fires. */
import { asNibbleError, NibbleError } from '../errors';

/** Runs at most `limit` tasks at once, in order of arrival. */
export function limitConcurrency(limit: number): <T>(task: () => Promise<T>) => Promise<T> {
  let free = limit;
  const waiting: (() => void)[] = [];
  return async (task) => {
    if (free > 0) free--;
    else await new Promise<void>((go) => waiting.push(go));
    try {
      return await task();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}

/** The work's result, or `aborted` as soon as the signal fires; the work itself goes on. @throws network, aborted */
export function untilAborted<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const stop = () => reject(new NibbleError('aborted', 'The request was stopped.'));
    if (signal.aborted) return stop();
    signal.addEventListener('abort', stop);
    work
      .then(resolve, (error) => reject(asNibbleError(error, 'network')))
      .finally(() => signal.removeEventListener('abort', stop));
  });
}
