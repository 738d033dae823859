/**
 * What the model sees of a conversation that outgrows its context, where the caller chose to `shift`: the first ids
 * (the system prompt, at least the attention sinks) and the newest. What lies between goes by quarters of the context,
 * so that most tokens cost no shift, and so that what is seen follows from the number of ids alone, never from what
 * happens to be cached: the same question has the same answer. Pure.
 */
import { NibbleError } from '../errors';

/**
 * Without the first few keys, which every later token attends to, a model falls apart: Xiao et al. 2023, "Efficient
 * Streaming Language Models with Attention Sinks", §3.
 */
export const SINKS = 4;

export interface Window {
  /** positions that there are */
  limit: number;
  /** ids at the beginning that are never dropped */
  keep: number;
}

/** How many of `tokens` ids, from the `keep`-th on, are left out. */
export function droppedOf(tokens: number, { limit }: Window): number {
  if (tokens <= limit) return 0;
  const quarter = Math.ceil(limit / 4);
  return Math.ceil((tokens - limit) / quarter) * quarter;
}

/** @throws context-overflow where what is kept would leave less than half of the context to the newest ids */
export function checkWindow({ limit, keep }: Window): void {
  if (2 * keep <= limit) return;
  const message = `The first ${keep} tokens are to be kept, which is more than half of the ${limit} that there is room for. Shorten the system prompt.`;
  throw new NibbleError('context-overflow', message, { keep, capacity: limit });
}

/** For a prompt that is given up while it is counted. @param atLeast ids that it has, and perhaps many more */
export function tooLong(atLeast: number, capacity: number, contextLength: number): NibbleError {
  const message =
    `The prompt has at least ${atLeast} tokens; ${capacity} are allowed. ` +
    "Shorten the prompt, raise maxContext or kvCapacity, or take overflow 'shift'.";
  return new NibbleError('context-overflow', message, {
    promptTokens: atLeast,
    atLeast: true,
    capacity,
    contextLength,
  });
}

/** The ids that are seen. */
export function seenOf(ids: readonly number[], keep: number, dropped: number): number[] {
  return dropped === 0 ? [...ids] : [...ids.slice(0, keep), ...ids.slice(keep + dropped)];
}

/** One sentence for the person; null: nothing was dropped. */
export function droppedNote(dropped: number, { limit, keep }: Window): string | null {
  if (dropped === 0) return null;
  const kept = keep > SINKS ? 'the system prompt' : `the first ${keep}`;
  return `This conversation is longer than the ${limit} tokens that there is room for: the oldest ${dropped} after ${kept} are no longer seen.`;
}
