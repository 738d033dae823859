import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { type AddedToken, addedTokenSplitter, tokenFinder } from './added-tokens';
import { PairMap } from './pair-map';

const token = (content: string, id: number): AddedToken =>
  ({ id, content, special: false, normalized: false, single_word: false, lstrip: false, rstrip: false }) as AddedToken;
const listed = (contents: readonly string[]) => contents.map((text, id) => [text, token(text, id)] as const);

/** What is found, place by place: the longest at each, where a stand-in is the character that it stands for. */
function everyPlace(contents: readonly string[], text: string, standIns: ReadonlyMap<string, string>) {
  return [...text].flatMap((_, at) => {
    const written = (standIns.get(text[at]) ?? text[at]) + text.slice(at + 1);
    const fitting = contents.filter((content) => content && written.startsWith(content));
    const longest = fitting.sort((a, b) => b.length - a.length)[0];
    return longest ? [{ at, longest }] : [];
  });
}

describe('added tokens', () => {
  it('are found at every place, the longest of each, as one by one', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '<', '\uE000'), maxLength: 40 });
    const contents = fc.uniqueArray(fc.string({ unit: fc.constantFrom('a', 'b', '<'), minLength: 1, maxLength: 6 }), {
      maxLength: 12,
    });
    const standIns = new Map([['\uE000', '<']]);
    fc.assert(
      fc.property(contents, letters, fc.boolean(), (contents, text, typed) => {
        const next = tokenFinder(listed(contents))(text, typed ? standIns : undefined);
        const found: { at: number; longest: string }[] = [];
        for (let one = next(0); one; one = next(one.start + 1)) {
          expect(one.end - one.start).toBe(one.token.content.length);
          found.push({ at: one.start, longest: one.token.content });
        }
        expect(found).toEqual(everyPlace(contents, text, typed ? standIns : new Map()));
      }),
      { numRuns: 2000 },
    );
  });

  it('begin with a stand-in for a character of two units', () => {
    const standIns = new Map([['\uE000', '😀']]);
    const find = tokenFinder(listed(['😀>', '\uDE00>']));
    expect(find('x\uE000>y', standIns)(0)).toMatchObject({ start: 1, end: 3 });
    expect(find('x😀>y', standIns)(0)).toMatchObject({ start: 1, end: 4 });
    expect(tokenFinder(listed(['\uDE00>']))('x\uE000>y', standIns)(0)).toBeUndefined();
  });

  /** Steps of the automaton. */
  function work(contents: readonly string[], text: string): number {
    const split = addedTokenSplitter(listed(contents));
    const steps = vi.spyOn(PairMap.prototype, 'get');
    split(text, true);
    const count = steps.mock.calls.length;
    steps.mockRestore();
    return count;
  }

  it.each([
    ['a long token that a text nearly is', [`${'a'.repeat(1000)}b`], 'a'.repeat(50_000)],
    [
      'tokens that begin each other',
      Array.from({ length: 300 }, (_, i) => `${'a'.repeat(i + 1)}b`),
      'a'.repeat(50_000),
    ],
    ['tokens that end each other', Array.from({ length: 300 }, (_, i) => `b${'a'.repeat(i + 1)}`), 'a'.repeat(50_000)],
    ['a token, and a longer one that is never whole', ['a', `${'a'.repeat(1000)}b`], 'a'.repeat(50_000)],
  ])('cost two steps a character at most: %s', (_, contents, text) => {
    expect(work(contents, text)).toBeGreaterThanOrEqual(text.length);
    expect(work(contents, text)).toBeLessThanOrEqual(2 * text.length + 2);
  });
});
