import { describe, expect, it } from 'vitest';
import { refusal } from '../options/test/refusal';
import { accepts } from './regular';
import { regularExpression } from './regular-expression';
import { randomOf } from './test/random-schemas';

const PATTERNS = [
  'a*b',
  '^a|b$',
  '(ab|a)(c|bcd)?',
  '[^a-c]d',
  'a{2,3}b{0,1}c{1,}',
  '\\d+\\.?\\w',
  '^(?=.*b)(?=.*c)[abcd]{2,4}$',
  '(?!ab)a.',
  'a(?!b)',
  '(?<=a)b',
  '(?<!a)b+',
  '\\bab\\b',
  'a\\Bb',
  '^$',
  '(a|b)*?c',
  '\\u0061\\x62\\u{63}',
  '[\\d\\s.]+',
  '.',
  '(?<x>a)(?:b)',
  '\\p{L}1',
  '[^]',
  '^(?!.*aa)[ab]*$',
];

describe('a regular expression', () => {
  it.each(PATTERNS)('%s is what JavaScript has it be', (pattern) => {
    const random = randomOf(PATTERNS.indexOf(pattern));
    const [search, whole] = [new RegExp(pattern, 'u'), new RegExp(`^(?:${pattern})$`, 'u')];
    const [found, all] = [regularExpression(pattern, true, 'pattern'), regularExpression(pattern, false, 'pattern')];
    for (let n = 0; n < 300; n++) {
      const text = Array.from({ length: Math.floor(random() * 6) }, () => 'abcd1 .é\n'[Math.floor(random() * 9)]).join(
        '',
      );
      expect([text, accepts(found, text), accepts(all, text)]).toEqual([text, search.test(text), whole.test(text)]);
    }
  });

  it.each<[string, number, RegExp]>([
    ['a(b', 4, /an open bracket/],
    ['*a', 1, /a repeat of nothing/],
    ['(a)\\1', 6, /a back-reference/],
    ['[b-a]', 5, /an empty range/],
    ['a{3,1}', 7, /less than its least/],
    ['\\p{Nonsense}', 13, /unknown property Nonsense/],
    ['a)', 2, /a bracket too many/],
    ['(?i)a', 3, /which is not known/],
  ])('%s is refused by its place', (pattern, at, words) => {
    const error = refusal(() => regularExpression(pattern, false, 'pattern'));
    expect([error.code, error.details]).toEqual(['invalid-option', { option: 'pattern', at }]);
    expect(error.message).toMatch(words);
  });
});
