import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NibbleError } from '../errors';
import { AnswerQueue } from './answer';
import { PartialJson } from './partial-json';

describe('JSON while it comes', () => {
  it.each<[string, unknown[]]>([
    ['{"a": 12, "b": [true, "x\\n\\u00e9"]}', [{}, { a: 12 }, { a: 12, b: [] }, { a: 12, b: [true] }]],
    ['[1, {"k": ""}]', [[], [1], [1, {}], [1, { k: '' }]]],
    ['"ab"', ['', 'a', 'ab']],
  ])('%s', (text, values) => {
    const json = new PartialJson();
    const seen = Array.from(text).flatMap((sign) => (json.push(sign) ? [json.value()] : []));
    for (const value of values) expect(seen).toContainEqual(value);
    expect(seen.at(-1)).toEqual(JSON.parse(text));
    expect(json.end()).toBe(false);
  });

  it('is, cut anywhere, the beginning of the whole; and the whole in the end', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(), fc.nat(), (value, space, at) => {
        const text = JSON.stringify(value, null, space % 3);
        const cut = at % (text.length + 1);
        const json = new PartialJson();
        json.push(text.slice(0, cut));
        const part = JSON.stringify(json.value()) ?? '';
        json.push(text.slice(cut));
        json.end();
        expect(JSON.stringify(json.value())).toBe(JSON.stringify(JSON.parse(text)));
        // but for what closes it, all of the part stands in the whole
        const plain = JSON.stringify(JSON.parse(text));
        const kept = part.replace(/["\]}]*$/, '');
        expect(plain.startsWith(kept)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('a number at the end is certain when nothing more comes', () => {
    const json = new PartialJson();
    expect([json.push('12'), json.value(), json.end(), json.value()]).toEqual([false, undefined, true, 12]);
  });
});

describe('an answer', () => {
  const answer = (pieces: string[], finish: 'stop' | 'length') =>
    new AnswerQueue(async (push) => {
      push('reasoning', '{"no": 1}');
      for (const piece of pieces) push('text', piece);
      const text = pieces.join('');
      return { ids: [], text, reasoning: '{"no": 1}', raw: `{"no": 1}${text}`, finish } as never;
    }, new AbortController());
  const objects = async (of: AnswerQueue) => {
    const seen: unknown[] = [];
    for await (const part of of.objects) seen.push(part);
    return seen;
  };

  it('gives its objects as they grow, and the whole', async () => {
    const pieces = ['{"a"', ': "x', 'y", ', '"b": 1', '2}'];
    expect(await objects(answer(pieces, 'stop'))).toEqual([{}, { a: 'x' }, { a: 'xy' }, { a: 'xy', b: 12 }]);
    expect(await answer(pieces, 'stop').object<{ a: string }>()).toEqual({ a: 'xy', b: 12 });
  });

  it('that was cut gives what there is, and has no whole', async () => {
    expect(await objects(answer(['[1, 2, {"a'], 'length'))).toEqual([[1, 2, {}]]);
    const whole = answer(['[1, 2'], 'length').object();
    await expect(whole).rejects.toThrow(/ended with "length"\. Give it more tokens/);
    await expect(whole).rejects.toBeInstanceOf(NibbleError);
  });
});
