/**
 * Loops of the default model, which reference/loops.mjs has recorded, are stopped in time; texts that repeat for a
 * reason are not.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { loopAt } from './loop-detector';
import { HONEST } from './test/honest-repetition';

interface Loop {
  question: string;
  text: string;
  /** characters of a round, and where the first one begins */
  period: number;
  start: number;
}

const LOOPS: Loop[] = JSON.parse(readFileSync(new URL('test/loops.json', import.meta.url), 'utf8'));

/** How much of a text had come when it was stopped, a character at a time; null: it was not. */
function stoppedAt(text: string): number | null {
  for (let end = 1; end <= text.length; end++) if (loopAt(text.slice(0, end)) !== null) return end;
  return null;
}

test('there are twenty', () => expect(LOOPS.length).toBe(20));

describe('a loop of the default model', () => {
  // what is said once, and three repetitions of it
  test.each(LOOPS.map((loop) => [loop.question, loop] as const))(
    '%s: is stopped when it was repeated three times, or before',
    (_, { text, period, start }) => {
      const end = stoppedAt(text);
      expect(end).not.toBeNull();
      expect(end).toBeLessThanOrEqual(start + 4 * period);
    },
  );
});

describe('an honest text that repeats', () => {
  test('there are fifty', () => expect(HONEST.length).toBe(50));

  test.each(HONEST.map((text, i) => [i, text] as const))('%d is not stopped', (_, text) => {
    expect(stoppedAt(text)).toBeNull();
  });
});

test('numbers of a list go on while what they count stays the same', () => {
  const line = 'The river is a symbol of life and of the passing of time.';
  const list = Array.from({ length: 6 }, (_, i) => `${i + 1}. ${line}`).join('\n');
  expect(stoppedAt(list)).not.toBeNull();
});

test('a look at a long text takes little', () => {
  const text = Array.from({ length: 20_000 }, (_, i) => `word${i * 7919}`).join(' ');
  expect(loopAt(text)).toBeNull();
});
