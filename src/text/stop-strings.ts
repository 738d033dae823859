/**
 * Stop strings in streamed text. Text that may be the beginning of a stop string is withheld until it is known. The
 * stop string that is complete first ends the answer (of several that end together, the longest), wherever the pieces
 * of text were cut.
 */
import { NibbleError } from '../errors';

export interface StopMatcher {
  /** The text that is certain now, and whether a stop string is complete; after that, nothing more comes out. */
  push(text: string): { text: string; stopped: boolean };
  /** What was withheld, at the end of an answer that no stop string ended. */
  flush(): string;
}

/** @throws NibbleError invalid-option for an empty stop string */
export function createStopMatcher(stops: readonly string[]): StopMatcher {
  if (stops.some((stop) => typeof stop !== 'string' || stop === '')) {
    throw new NibbleError('invalid-option', 'A stop string must be a text of at least one character.', {
      option: 'stop',
    });
  }
  let held = '';
  let stopped = false;

  /** Start of the match that ends first, or -1. */
  const findStop = (text: string): number => {
    let [start, end] = [-1, Number.POSITIVE_INFINITY];
    for (const stop of stops) {
      const at = text.indexOf(stop);
      if (at < 0 || at + stop.length > end || (at + stop.length === end && at > start)) continue;
      [start, end] = [at, at + stop.length];
    }
    return start;
  };

  return {
    push(text) {
      if (stopped) return { text: '', stopped };
      const all = held + text;
      const start = findStop(all);
      stopped = start >= 0;
      const certain = stopped ? start : all.length - openLength(all, stops);
      held = stopped ? '' : all.slice(certain);
      return { text: all.slice(0, certain), stopped };
    },
    flush() {
      const rest = held;
      held = '';
      return rest;
    },
  };
}

/** Length of the longest end of the text that may begin one of these texts, and is not all of it. */
export function openLength(text: string, texts: readonly string[]): number {
  const longest = Math.max(0, ...texts.map((one) => one.length - 1));
  for (let length = Math.min(text.length, longest); length > 0; length--) {
    const end = text.slice(-length);
    if (texts.some((one) => one.length > length && one.startsWith(end))) return length;
  }
  return 0;
}
