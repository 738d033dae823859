/** Trying again, politely: exponential back-off with jitter, bounded, and at once stopped by an AbortSignal. */
import { asNibbleError, type NibbleError, throwIfAborted } from '../errors';

/**
 * A failure that may pass by itself. `note` tells the person of it while it is waited for; `retryAfterMs` is what the
 * server asked for, if it did; `attempts` is for failures that are to be given up sooner than others.
 */
export class Transient extends Error {
  constructor(
    readonly error: NibbleError,
    readonly note: string,
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
  /** told why something is waited for, in a sentence for the person, and '' when it is no more */
  onNote?: (note: string) => void;
}

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;
/** A server that asks for a longer pause is not waited for: the person is told at once. */
export const LONGEST_PAUSE_MS = 120_000;
/** Less is no progress that starts the count of failures afresh: else a byte an answer would be a request for each. */
export const PROGRESS_BYTES = 64 << 10;
/** how much of a failure one counts that brought a little */
const PARTIAL = 1 / 8;
/** 317 years: what is longer is no date any more */
const LONGEST_ASKED_MS = 1e13;

/** Milliseconds that a Retry-After header asks for, in seconds or as a date; null when it asks for nothing. */
export function retryAfter(header: string | null): number | null {
  if (!header) return null;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return ms > 0 ? Math.min(ms, LONGEST_ASKED_MS) : null;
}

/** A time span in words, whole, in the unit that fits. */
export function spanOf(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} hours` : `${Math.round(seconds / 86_400)} days`;
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
 * Runs `task` until it succeeds. Only Transient failures are tried again; `progress()`, in bytes, growing between two
 * failures starts the count afresh, so a long transfer over a bad line is not given up for its length.
 * @throws the Transient's own error after `attempts` failures in a row, anything else at once, aborted
 */
export async function retrying<T>(
  task: () => Promise<T>,
  signal?: AbortSignal,
  { attempts = 5, sleep = pause, random = Math.random, onNote }: RetryOptions = {},
  progress: () => number = () => 0,
): Promise<T> {
  let failures = 0;
  let reached = progress();
  let noted = false;
  try {
    for (;;) {
      throwIfAborted(signal);
      try {
        return await task();
      } catch (thrown) {
        throwIfAborted(signal);
        if (!(thrown instanceof Transient)) throw asNibbleError(thrown, 'network');
        const more = progress() - reached;
        reached += more;
        if (more >= PROGRESS_BYTES) failures = 0;
        failures += more > 0 && more < PROGRESS_BYTES ? PARTIAL : 1;
        if (failures >= Math.min(attempts, thrown.attempts)) throw thrown.error;
        onNote?.(thrown.note);
        noted = true;
        const backoff = FIRST_DELAY_MS * 2 ** Math.max(0, failures - 1) * (0.5 + random() / 2);
        await sleep(thrown.retryAfterMs ?? Math.min(backoff, LONGEST_DELAY_MS), signal);
      }
    }
  } finally {
    if (noted) onNote?.('');
  }
}
