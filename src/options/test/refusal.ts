import type { NibbleError } from '../../errors';

/** What a call throws. */
export function refusal(run: () => unknown): NibbleError {
  try {
    run();
  } catch (error) {
    return error as NibbleError;
  }
  throw new Error('was not refused');
}
