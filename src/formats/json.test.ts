import { describe, expect, it, vi } from 'vitest';
import { parseJson, parseObject } from './json';

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

it('reads a text of millions of escapes', () => {
  const text = `{"a": NaN, "b": "${'\\u0041'.repeat(2_000_000)}"}`;
  expect((parseJson(text) as { b: string }).b.length).toBe(2_000_000);
});

describe('an object of a file is looked over before anything is made of it:', () => {
  const parse = (text: string) => parseObject(new TextEncoder().encode(text), 'config.json');
  const nested = (depth: number) => `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;

  it('it nests a hundred deep at most, whatever stands in its strings', () => {
    expect(Object.keys(parse(nested(100)))).toEqual(['a']);
    expect(() => parse(nested(101))).toThrow(/^config\.json nests more than 100 deep/);
    expect(parse(`{"a":"${'['.repeat(1000)}\\"${'{'.repeat(1000)}"}`).a).toHaveLength(2001);
  });

  it.each(['[],', '{},', '1,', '"",'])('it holds half a million values at most: %s', (value) => {
    const parsed = vi.spyOn(JSON, 'parse');
    try {
      expect(() => parse(`{"a":[${value.repeat(600_000)}0]}`)).toThrow(/^config\.json holds more than 524288 values/);
      expect(parsed).not.toHaveBeenCalled();
    } finally {
      parsed.mockRestore();
    }
  });

  it('without an end of its own it is no JSON, and no more', () => {
    for (const text of ['', '{', '{"a', '{"a\\', '"', ']]]]', '{"a":]}', '\ufeff{', '{:::'])
      expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'corrupt-checkpoint' }));
  });

  it('each key of the outermost object is told of once', () => {
    const text = '{"a":{"b":1,"c":[{"d":2}]}, "e\\"" : "x:y"}';
    const bytes = new TextEncoder().encode(text);
    const keys: string[] = [];
    parseObject(bytes, 'x', {}, { onKey: (start, end) => keys.push(text.slice(start, end)) });
    expect(keys).toEqual(['"a"', '"e\\""']);
  });
});
