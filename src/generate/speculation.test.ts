import { describe, expect, it } from 'vitest';
import { lookUp, Speculation } from './speculation';

describe('what is looked up', () => {
  it.each<[string, number[], number, number[]]>([
    ['what followed the last three', [1, 2, 3, 4, 5, 9, 1, 2, 3], 3, [4, 5, 9]],
    ['the latest of several', [1, 2, 3, 4, 1, 2, 3, 5, 1, 2, 3], 1, [5]],
    ['three before two, though two stood later', [7, 1, 2, 8, 6, 1, 2, 9, 7, 1, 2], 1, [8]],
    ['two where there are no three', [7, 1, 2, 8, 6, 1, 2], 2, [8, 6]],
    ['no single token', [1, 2, 1], 3, []],
    ['a run of the same', [5, 5, 5, 5], 3, [5]],
    ['nothing in nothing', [], 3, []],
    ['nothing in one', [4], 3, []],
  ])('%s', (_, ids, most, wanted) => {
    expect(lookUp(ids, most)).toEqual(wanted);
  });
});

/**
 * Decodes a text with a clock of its own: a pass costs 1, and each further row of it `row`.
 * @returns the clock's time and the rows that were run
 */
function decode(prompt: number[], text: number[], row: number): { time: number; rows: number; passes: number } {
  let time = 0;
  let rows = 0;
  let passes = 0;
  const speculation = new Speculation(prompt, () => time);
  for (let made = 0; made < text.length; ) {
    const draft = speculation.propose();
    passes++;
    rows += 1 + draft.length;
    time += 1 + row * draft.length;
    let right = 0;
    while (right < draft.length && draft[right] === text[made + right]) right++;
    for (const id of text.slice(made, made + right + 1)) speculation.push(id);
    made += right + 1;
  }
  return { time, rows, passes };
}

const random = (count: number, of: number) => {
  let x = 12345;
  return Array.from({ length: count }, () => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    return (x >>> 8) % of;
  });
};

describe('speculation', () => {
  const line = random(40, 1000);
  it('wins on a text that repeats its prompt', () => {
    const { time, passes } = decode(line, [...line, ...line, ...line, ...line], 0.15);
    expect(passes).toBeLessThan(50);
    expect(160 / time).toBeGreaterThan(1.6);
  });
  it('proposes nothing on a text that does not repeat', () => {
    const text = random(400, 100_000);
    expect(decode([], text, 0.15)).toEqual({ time: text.length, rows: text.length, passes: text.length });
  });
  it('rests where proposals come true too seldom to pay', () => {
    // pairs come again, and what follows them is another each time
    const text = Array.from({ length: 200 }, (_, i) => [1, 2, 1000 + i]).flat();
    const { time, rows } = decode([], text, 0.15);
    expect(rows).toBeGreaterThan(text.length);
    expect(text.length / time).toBeGreaterThan(0.97);
  });
  it('rests where rows cost as much as passes, and begins again when the text pays', () => {
    const text = [...random(100, 5), ...line, ...line, ...line, ...line];
    expect(text.length / decode(line, text, 1.2).time).toBeGreaterThan(0.9);
    expect(text.length / decode(line, text, 0.1).time).toBeGreaterThan(1.2);
  });
});
