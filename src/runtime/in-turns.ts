/** Long work in steps, with a turn of the event loop after each, so that a stop can arrive. */
import { yieldToEvents } from '../platform/yield-to-events';

/**
 * @param told with what each step yields; may throw
 * @param signal when it has fired, the rest is left undone
 * @returns what came of the steps; null: the signal has fired
 */
export async function inTurns<S, T>(
  steps: Generator<S, T>,
  told: (step: S) => void = () => {},
  signal?: AbortSignal,
): Promise<T | null> {
  for (;;) {
    const { value, done } = steps.next();
    if (done) return value;
    told(value);
    await yieldToEvents();
    if (signal?.aborted) return null;
  }
}
