import { expect, it } from 'vitest';
import { parseJson } from './json';

it('reads what Python writes, and leaves texts alone', () => {
  const text = '{"a": Infinity, "b": [-Infinity, NaN], "NaN": "Infinity \\\\", "c": "\\" NaN"}';
  expect(parseJson(text)).toEqual({
    a: Number.POSITIVE_INFINITY,
    b: [Number.NEGATIVE_INFINITY, 'NaN'],
    NaN: 'Infinity \\',
    c: '" NaN',
  });
});

it.each(['', '\\'])('refuses a text that does not end, however many quotes are in it (and at its end "%s")', (end) => {
  const text = `{"a": Infinity, "b": "${'\\"'.repeat(50_000)}${end}`;
  expect(() => parseJson(text)).toThrow(SyntaxError);
});
