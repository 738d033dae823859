import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixture, readJson } from '../../formats/test/files';
import { LinearRegex } from './index';

interface Fixture {
  texts: string[];
  altered: [name: string, pattern: string, ...lengths: string[]][];
  letters: string[];
  random: [pattern: string, ...lengths: string[]][];
  syntax: [pattern: string, text: string, lengths: string | null][];
}
/** Made by reference/fixtures_regex.py from Rust's tokenizers. */
const rust = readJson(fixture('tokenizer/regex.json')) as Fixture;

/** A split that isolates. */
function pieces(regex: LinearRegex, text: string): string[] {
  const cuts = [0];
  for (const found = regex.matches(text); found.next(); ) cuts.push(found.start, found.end);
  cuts.push(text.length);
  return cuts.flatMap((cut, i) => (i && cut > cuts[i - 1] ? [text.slice(cuts[i - 1], cut)] : []));
}

/** Pieces' lengths in characters, as the fixture has them. */
const lengths = (regex: LinearRegex, text: string) =>
  pieces(regex, text)
    .map((piece) => [...piece].length)
    .map((n) => (n < 36 ? n.toString(36) : `(${n})`))
    .join('');

describe("pieces as Rust's tokenizers", () => {
  it.each(rust.altered)('%s: %s', (_, pattern, ...want) => {
    const regex = new LinearRegex(pattern);
    expect(rust.texts.map((text) => lengths(regex, text))).toEqual(want);
  });

  it('300 random patterns over two letters', () => {
    for (const [pattern, ...want] of rust.random) {
      const regex = new LinearRegex(pattern);
      expect([pattern, ...rust.letters.map((text) => lengths(regex, text))]).toEqual([pattern, ...want]);
    }
  });

  it.each(rust.syntax)('%s in %j', (pattern, text, want) => {
    let got: string | null;
    try {
      got = lengths(new LinearRegex(pattern), text);
    } catch {
      got = null;
    }
    expect(got).toEqual(want);
  });
});

/** Parts that JavaScript and Oniguruma read alike; a group that is repeated takes a character in every round. */
const letter = fc.constantFrom('a', 'b', 'c', '😀', '[ab]', '[^a]', '[^😀b]', '\\p{L}', '\\x61');
const count = fc.constantFrom('*', '+', '?', '*?', '+?', '??', '{2}', '{1,2}', '{0,2}', '{1,3}?', '{2,}');
const { taking } = fc.letrec<{ taking: string; any: string; look: string }>((tie) => ({
  taking: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    letter,
    fc.tuple(tie('taking'), tie('any')).map(([a, b]) => a + b),
    fc.tuple(tie('any'), tie('taking')).map(([a, b]) => a + b),
    fc.tuple(tie('taking'), tie('taking')).map(([a, b]) => `(?:${a}|${b})`),
    fc.tuple(tie('taking'), fc.constantFrom('+', '+?', '{2}', '{1,2}')).map(([a, n]) => `(?:${a})${n}`),
  ),
  any: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    tie('taking'),
    fc.tuple(tie('taking'), count).map(([a, n]) => `(?:${a})${n}`),
    fc.tuple(tie('any'), tie('any')).map(([a, b]) => `(?:${a}|${b})`),
    tie('look'),
    fc.constantFrom('', '\\b', '\\B'),
  ),
  look: fc.tuple(fc.constantFrom('=', '!', '<=', '<!'), tie('any')).map(([sign, inside]) => `(?${sign}${inside})`),
}));

it('finds what the native engine finds, looks inside looks included', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '😀', ' '), maxLength: 14 });
  fc.assert(
    fc.property(taking, fc.array(text, { minLength: 3, maxLength: 3 }), (pattern, texts) => {
      const native = new RegExp(pattern, 'gu');
      const regex = new LinearRegex(pattern);
      for (const text of texts) {
        const found: number[] = [];
        for (const matches = regex.matches(text); matches.next(); ) found.push(matches.start, matches.end);
        const want = Array.from(text.matchAll(native), ({ 0: { length }, index }) => [index, index + length]).flat();
        expect({ text, found }).toEqual({ text, found: want });
      }
    }),
    { numRuns: 3000 },
  );
});

/** Counts matches. */
function run(regex: LinearRegex, text: string): number {
  let count = 0;
  for (const matches = regex.matches(text); matches.next(); ) count++;
  return count;
}

/** Texts of two letters that never repeat themselves (Marsaglia's xorshift). */
const mixed = (length: number) => {
  let state = 27;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state;
  };
  return Array.from({ length }, () => 'ab'[next() & 1]).join('');
};

describe('work', () => {
  const a = (length: number) => 'a'.repeat(length);
  it.each<[string, (length: number) => string]>([
    ['(a+)+b', a],
    [`${'a*'.repeat(12)}b`, a],
    [`${'a?'.repeat(32)}${'a'.repeat(32)}b`, a],
    ['(?:a{,9}){,99}b', a],
    ['(?=a*a*a*a*a*a*b)a', a],
    ['(?=(?=(?=a*b)a*b)a*b)a', a],
    ['a+b', a],
    // each search alone is linear, all of them are not
    ['a*b|a', a],
    ['(?:a|b)*c|[ab]', mixed],
    ['\\d{1,3}(?=(?:\\d{3})*\\b)', (length) => '1'.repeat(length)],
    ['(?=(\\d{3})+(?!\\d))|\\d', (length) => '1'.repeat(length)],
    ['(?<=b.*)a', mixed],
    ['(?<!b.*)a++|b', mixed],
    ['\\s+$|\\s*[\\r\\n]+|\\s', (length) => `${' '.repeat(length)}x`],
    ['(?>a*)(?>a*)b|a', a],
    // more sets than are kept: found again and again, at the same price
    ['c[ab]{12}a[ab]*c|a', (length) => `${mixed(length)}c`],
    ['a(?=[ab]{25}a)', mixed],
    ['(?<=a[ab]{25})b', mixed],
    ['(?<=a[ab]{20})a(?=[ab]{300}b)', mixed],
  ])('%s: twice the text, twice the work', (pattern, text) => {
    const steps = [20_000, 40_000].map((length) => {
      const regex = new LinearRegex(pattern);
      run(regex, text(length));
      return regex.steps;
    });
    expect(steps[1]).toBeLessThan(2.5 * steps[0]);
    // and never more than the pattern's size for each character
    expect(steps[1]).toBeLessThan(40_000 * 4 * 5000);
  });

  it('sets that were forgotten are found again: the same matches as from a text in parts', () => {
    // more than 65,536 sets, the numbers that there are
    const text = mixed(100_000);
    const regex = new LinearRegex('a(?=[ab]{25}a)|b');
    const whole = run(regex, text);
    let parts = 0;
    // what is looked at stands behind each part
    for (let at = 0; at < text.length; at += 1000) {
      for (const matches = regex.matches(text.slice(at, at + 1026)); matches.next() && matches.start < 1000; ) parts++;
    }
    expect(parts).toBe(whole);
  });

  it('texts may take turns', () => {
    const regex = new LinearRegex('a(?=[ab]{25}a)|b');
    const texts = [mixed(30_000), mixed(20_000).replaceAll('a', 'ab')];
    const alone = texts.map((text) => run(regex, text));
    const running = texts.map((text) => regex.matches(text));
    const together = [0, 0];
    for (let going = [0, 1]; going.length; ) {
      going = going.filter((i) => running[i].next());
      for (const i of going) together[i]++;
    }
    expect(together).toEqual(alone);
  });

  it.each<[string, string]>([
    ['[', '['.repeat(10_000)],
    ['(', '('.repeat(10_000)],
    ['(?:', '(?:'.repeat(3000)],
    ['(?i)', '(?i)'.repeat(2000)],
    ['\\p{', '\\p{'.repeat(3000)],
    ['[:', '[:'.repeat(4000)],
    ['[[:', `[${'[:a'.repeat(3000)}`],
    ['{1', '{1'.repeat(5000)],
    ['{1,', `a${'{1,'.repeat(3000)}`],
    ['(?<', '(?<'.repeat(3000)],
    ['(?#', '(?#'.repeat(3000)],
    ['|', '|'.repeat(10_000)],
    ['a{9}{9}…', `a${'{9}'.repeat(100)}`],
    ['(…){1000}…', `${'(?:'.repeat(150)}${'){1000}'.repeat(150)}`],
    ['(((a?)*)*)*…', `${'(?:'.repeat(100)}a?${')*'.repeat(100)}`],
    ['(?>(?>…', `${'(?>'.repeat(150)}a${')'.repeat(150)}`],
    ['(?=(?<=…', `${'(?=(?<='.repeat(90)}a${'))'.repeat(90)}`],
    ['a{99999999999}', 'a{99999999999}'],
    ['10,001 characters', 'a'.repeat(10_001)],
  ])('a pattern of many %s is taken or refused by name, in a few steps', (_, pattern) => {
    try {
      const regex = new LinearRegex(pattern);
      run(regex, 'a[(b');
      expect(regex.steps).toBeLessThan(1e6);
    } catch (error) {
      expect((error as Error).message).toMatch(/^a regex /);
      expect((error as Error).message.length).toBeLessThan(200);
    }
  });
});

it.each([
  ['(a)\\1', 'a back-reference'],
  ['(?<x>a)\\k<x>', 'a back-reference'],
  ['\\Ga', '\\G'],
  ['(a+)\\G+b', '\\G'],
  ['(?<n>a\\g<n>?)', '\\g'],
  ['a\\Kb', '\\K'],
  ['\\X', '\\X'],
  ['(?~ab)', 'a group that begins with (?~ab)'],
  ['(a)?(?(1)b|c)', 'a group that begins with (?(1)b|'],
  ['(*FAIL)', 'a repeat of nothing'],
  ['(?W:a)', 'a group that begins with (?W:a)'],
  ['\\p{In_Hiragana}', 'the unknown property In_Hiragana'],
  ['(?<=a++)b', 'in a look-behind'],
  ['a{99}{99}', 'more than 5000 steps'],
  ['*a', 'a repeat of nothing'],
  ['(', 'an open bracket'],
  ['a)', 'a bracket too many'],
  ['[b-a]', 'an empty range'],
])('%s is refused by name: %s', (pattern, what) => {
  expect(() => new LinearRegex(pattern)).toThrow(what);
});
