import { describe, expect, it } from 'vitest';
import { Lookup, Speculation } from './speculation';

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
    expect(new Lookup(ids).after(most, 2)).toEqual(wanted);
  });
  it.each<[string, number[], number, number[]]>([
    ['three', [1, 2, 3, 4, 5, 9, 1, 2, 3], 3, [4, 5, 9]],
    ['not two', [7, 1, 2, 8, 6, 1, 2], 2, []],
    ['nothing in two', [1, 1], 3, []],
  ])('of three at least: %s', (_, ids, most, wanted) => {
    expect(new Lookup(ids).after(most, 3)).toEqual(wanted);
  });
  it('is what a search through all ids finds, after each of them', () => {
    for (const of of [2, 3, 9]) {
      const ids = random(300, of);
      const lookup = new Lookup(ids.slice(0, 50));
      for (let length = 50; length <= ids.length; length++) {
        for (const least of [2, 3]) expect(lookup.after(3, least)).toEqual(search(ids.slice(0, length), 3, least));
        lookup.push(ids[length]);
      }
    }
  });
});

/** What Lookup is to find, by looking everywhere. */
function search(ids: number[], most: number, least: number): number[] {
  const end = ids.length - 1;
  for (let match = 3; match >= least; match--) {
    for (let at = end - 1; at >= match - 1; at--) {
      const same = Array.from({ length: match }, (_, i) => ids[at - i] === ids[end - i]);
      if (same.every(Boolean)) return ids.slice(at + 1, at + 1 + most);
    }
  }
  return [];
}

interface Decoded {
  /** the clock's */
  time: number;
  rows: number;
  passes: number;
  /** ids of each proposal that was run, and how many of them came true */
  drafts: { size: number; right: number }[];
}

/**
 * Decodes a text with a clock of its own: a pass costs 1, and each further row of it `row`.
 * @param noise what the clock says instead of what a pass took
 */
function decode(prompt: number[], text: number[], row: number, noise = (cost: number) => cost): Decoded {
  let [time, clock, rows] = [0, 0, 0];
  let passes = 0;
  const drafts: Decoded['drafts'] = [];
  const speculation = new Speculation(prompt, () => clock);
  for (let made = 0; made < text.length; ) {
    const draft = speculation.propose();
    let right = 0;
    while (right < draft.length && draft[right] === text[made + right]) right++;
    if (draft.length > 0) drafts.push({ size: draft.length, right });
    passes++;
    rows += 1 + draft.length;
    time += 1 + row * draft.length;
    clock += noise(1 + row * draft.length);
    for (const id of text.slice(made, made + right + 1)) speculation.push(id);
    made += right + 1;
  }
  return { time, rows, passes, drafts };
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
    expect(decode([], text, 0.15)).toMatchObject({ time: text.length, rows: text.length, passes: text.length });
  });
  it('rests where proposals come true too seldom to pay', () => {
    // threes come again, and what follows them is another each time
    const text = Array.from({ length: 200 }, (_, i) => [1, 2, 3, 1000 + i]).flat();
    const { time, rows } = decode([], text, 0.15);
    expect(rows).toBeGreaterThan(text.length);
    expect(text.length / time).toBeGreaterThan(0.97);
    // of two it does not begin
    const pairs = Array.from({ length: 200 }, (_, i) => [1, 2, 1000 + i]).flat();
    expect(decode([], pairs, 0.15).rows).toBe(pairs.length);
  });
  it('begins with one id, and proposes more while all come true', () => {
    const { drafts } = decode(line, line, 0.15);
    expect(drafts.slice(0, 4)).toEqual([1, 3, 7, 15].map((size) => ({ size, right: size })));
    // as many as are one too many
    const wrong = decode(line, [...line.slice(0, 12), ...random(9, 5)], 0.15).drafts;
    expect(wrong.map(({ size }) => size)).toEqual([1, 3, 7]);
  });
  // what a row costs: WebAssembly with exact products, that with products of 16 bits for one token, plain JavaScript
  describe.each([0.13, 0.3, 0.5, 1])('where a row costs %d of a pass', (row) => {
    const texts: Record<string, number[]> = {
      'never, though threes repeat': Array.from({ length: 64 }, (_, i) => [1, 2, 3, 1000 + i]).flat(),
      'one time in nine': random(192, 9),
      'one time in five': random(192, 5),
      'one time in two': random(192, 2),
    };
    it.each(Object.keys(texts))('a text whose proposals come true %s takes hardly longer', (name) => {
      const text = texts[name];
      const { time, passes, drafts } = decode([], text, row);
      expect(drafts.length).toBeGreaterThan(0);
      expect(text.length / time).toBeGreaterThanOrEqual(0.97);
      // more passes are lost only where those that win have paid for them
      const lost = drafts.filter(({ right }) => right === 0).length;
      if (time > text.length) expect(lost / passes).toBeLessThanOrEqual(0.03);
    });
  });
  it('is not led astray by a clock that is wrong by half, either way', () => {
    const [a, b] = [random(2000, 1000), random(2000, 1000)];
    const noisy = (of: number[]) => {
      let at = 0;
      return (cost: number) => cost * (0.5 + of[at++ % of.length] / 1000);
    };
    const repeats = [...line, ...line, ...line, ...line];
    for (const of of [a, b.reverse()]) {
      expect(repeats.length / decode(line, repeats, 0.13, noisy(of)).time).toBeGreaterThan(1.6);
      const text = random(192, 9);
      expect(text.length / decode([], text, 0.13, noisy(of)).time).toBeGreaterThanOrEqual(0.97);
    }
  });
  it('rests where rows cost as much as passes, and begins again when the text pays', () => {
    const text = [...random(100, 5), ...line, ...line, ...line, ...line];
    expect(text.length / decode(line, text, 1.2).time).toBeGreaterThan(0.9);
    expect(text.length / decode(line, text, 0.1).time).toBeGreaterThan(1.2);
  });
});
