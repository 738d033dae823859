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

  type Flags = Pick<AddedToken, 'lstrip' | 'rstrip'>;
  /** As Rust's AddedVocabulary::find_matches() (tokenizers 0.23) has it: each match looks at the spaces beside it. */
  function naively(tokens: readonly AddedToken[], text: string): (string | number)[] {
    const out: (string | number)[] = [];
    let done = 0;
    for (let at = 0; at < text.length; ) {
      const fitting = tokens.filter(({ content }) => text.startsWith(content, at));
      const [found] = fitting.sort((a, b) => b.content.length - a.content.length);
      if (!found) {
        at++;
        continue;
      }
      let [start, end] = [at, at + found.content.length];
      at = end;
      if (found.lstrip) start = Math.max(done, text.slice(0, start).trimEnd().length);
      if (found.rstrip) end = text.length - text.slice(end).trimStart().length;
      if (Math.min(start, at - found.content.length) > done) out.push(text.slice(done, start));
      out.push(found.id);
      done = end;
    }
    if (done < text.length) out.push(text.slice(done));
    return out;
  }

  it('take the spaces beside them as their flags say, spaces that are tokens too', () => {
    const flags = fc.record({ lstrip: fc.boolean(), rstrip: fc.boolean() });
    const made = fc.dictionary(fc.constantFrom('a', 'ab', ' ', '  ', ' a', '\n'), flags, { minKeys: 1 });
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '\n'), maxLength: 30 });
    fc.assert(
      fc.property(made, letters, (made, text) => {
        const tokens = Object.entries(made).map(([content, flags]: [string, Flags], id) =>
          Object.assign(token(content, id), flags),
        );
        const split = addedTokenSplitter(tokens.map((token) => [token.content, token]));
        expect(split(text, true)).toEqual(naively(tokens, text));
      }),
      { numRuns: 2000 },
    );
  });

  it('look at each space a few times, also where all of them are tokens that take the spaces beside them', () => {
    const tokens = [' ', '\n'].map((content, id) =>
      Object.assign(token(content, id), { lstrip: true, rstrip: id === 0 }),
    );
    const split = addedTokenSplitter(tokens.map((token) => [token.content, token]));
    const looks = (text: string) => {
      const test = vi.spyOn(RegExp.prototype, 'test');
      split(text, true);
      const { length } = test.mock.calls;
      test.mockRestore();
      return length;
    };
    for (const run of [' ', ' \n', '\n']) {
      expect(looks(run.repeat(4000))).toBeLessThanOrEqual(4 * 4000 * run.length);
      expect(looks(run.repeat(4000))).toBeLessThanOrEqual(2.5 * looks(run.repeat(2000)) + 10);
    }
  });
});
