/** Trying again, politely: exponential back-off with jitter, bounded, and at once stopped by an AbortSignal. */
import { asNibbleError, type NibbleError, throwIfAborted } from '../errors';

/**
 * A failure that may pass by itself. `retryAfterMs` is what the server asked for, if it did; `attempts` is for failures
 * that are to be given up sooner than others.
 */
export class Transient extends Error {
  constructor(
    readonly error: NibbleError,
    readonly retryAfterMs: number | null = null,
    readonly attempts = Number.POSITIVE_INFINITY,
  ) {
    super(error.message);
  }
}

export interface RetryOptions {
  /** failures in a row without progress before giving up */
  attempts?: number;
  sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
  random?: () => number;
}

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;

/** Milliseconds that a Retry-After header asks for, in seconds or as a date; null when it asks for nothing. */
export function retryAfter(header: string | null): number | null {
  if (!header) return null;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return ms > 0 ? ms : null;
}

/** Resolves after `ms`, or as soon as the signal fires. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
    signal?.addEventListener('abort', done);
  });
}

/**
 * Runs `task` until it succeeds. Only Transient failures are tried again; `progress()` growing between two failures
 * starts the count afresh, so a long transfer over a bad line is not given up for its length.
 * @throws the Transient's own error after `attempts` failures in a row, anything else at once, aborted
 */
export async function retrying<T>(
  task: () => Promise<T>,
  signal?: AbortSignal,
  { attempts = 5, sleep = pause, random = Math.random }: RetryOptions = {},
  progress: () => number = () => 0,
): Promise<T> {
  let failures = 0;
  let reached = progress();
  for (;;) {
    throwIfAborted(signal);
    try {
      return await task();
    } catch (thrown) {
      throwIfAborted(signal);
      if (!(thrown instanceof Transient)) throw asNibbleError(thrown, 'network');
      if (progress() > reached) failures = 0;
      reached = progress();
      if (++failures >= Math.min(attempts, thrown.attempts)) throw thrown.error;
      const backoff = FIRST_DELAY_MS * 2 ** (failures - 1) * (0.5 + random() / 2);
      await sleep(Math.min(thrown.retryAfterMs ?? backoff, LONGEST_DELAY_MS), signal);
    }
  }
}
