/** For tests: texts of a grammar, byte by byte. */
import type { Grammar } from '../grammar';
import { compile } from '../program';
import { DEAD, States } from '../states';

export const statesOf = (grammar: Grammar, option = 'schema'): States =>
  new States(
    compile(grammar, () => false, option),
    option,
  );

/** Whether a text is allowed; 'more': it is the beginning of one that is. */
export function reads(states: States, text: string): boolean | 'more' {
  const state = states.read(states.start(), new TextEncoder().encode(text));
  return state === DEAD ? false : states.ends(state) ? true : 'more';
}

/** A text that is drawn byte by byte; after `free` bytes it takes a shortest way to its end. */
export function randomText(states: States, random: () => number, free: number): string {
  const bytes: number[] = [];
  for (let state = states.start(); ; ) {
    const ends = bytes.length >= free;
    const ways: number[] = [];
    for (let byte = 0; byte < 256; byte++) {
      const next = states.step(state, byte);
      if (next !== DEAD && (!ends || states.bytesLeft[next] < states.bytesLeft[state])) ways.push(byte);
    }
    if (states.ends(state) && (ends || ways.length === 0 || random() < 0.3)) break;
    const byte = ways[Math.floor(random() * ways.length)];
    bytes.push(byte);
    state = states.step(state, byte);
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes));
}
