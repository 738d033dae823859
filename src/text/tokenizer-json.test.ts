import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { NibbleError } from '../errors';
import { fixture, readJson } from '../formats/test/files';
import { refusal } from '../options/test/refusal';
import { createTokenizer } from './tokenizer';

interface Variant {
  base: string;
  name: string;
  parts: Record<string, unknown>;
  ids: number[][];
  plain: Record<number, number[]>;
  decoded: Record<number, string>;
}
const { strings, bases, variants } = readJson(fixture('tokenizer/parts.json')) as {
  strings: string[];
  // biome-ignore lint/suspicious/noExplicitAny: tests reach into the JSON to break it
  bases: Record<string, any>;
  variants: Variant[];
};

describe("against Rust's tokenizers", () => {
  it.each(variants.map((variant) => [variant.base, variant.name, variant] as const))('%s: %s', (base, _, variant) => {
    const tokenizer = createTokenizer({ ...bases[base], ...variant.parts }, {});
    strings.forEach((text, i) => {
      const ids = tokenizer.encode(text, { special: true, bos: false });
      const plain = tokenizer.encode(text, { special: false, bos: false });
      expect({ text, ids, plain }).toEqual({ text, ids: variant.ids[i], plain: variant.plain[i] ?? variant.ids[i] });
      expect(tokenizer.decode(plain, { skipSpecial: false })).toBe(variant.decoded[i] ?? text);
    });
  });
});

it('takes a lone surrogate for U+FFFD', () => {
  const tokenizer = createTokenizer(bases.bare, {});
  const encode = (text: string) => tokenizer.encode(text, { special: false, bos: false });
  expect(encode('\ud800the\udc00')).toEqual(encode('\ufffdthe\ufffd'));
});

it('takes long runs of one letter, and many added tokens', () => {
  const tokens = Array.from({ length: 6000 }, (_, i) => ({ id: 1000 + i, content: `<unused${i}>` }));
  const added_tokens = [...bases.prefixed.added_tokens, ...tokens];
  const tokenizer = createTokenizer({ ...bases.prefixed, added_tokens }, {});
  for (const text of ['a'.repeat(100_000), '<'.repeat(100_000), '<unused'.repeat(10_000), ' '.repeat(100_000)]) {
    const ids = tokenizer.encode(text, { special: false, bos: false });
    expect(tokenizer.decode(ids, { skipSpecial: true })).toBe(text);
  }
});

function failure(json: Record<string, unknown>): NibbleError {
  const error = refusal(() => createTokenizer(json, {}));
  expect(error).toBeInstanceOf(NibbleError);
  expect(error.code).toBe('corrupt-checkpoint');
  return error;
}

const base = bases.byteLevel;
const nested = (key: string, list: string) => {
  let value: unknown = null;
  for (let i = 0; i < 10_000; i++) value = { type: 'Sequence', [list]: [value] };
  return { ...base, [key]: value };
};
const withRegex = (regex: unknown) => ({
  ...base,
  pre_tokenizer: { type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated', invert: false },
});
const withModel = (parts: Record<string, unknown>) => ({ ...base, model: { ...base.model, ...parts } });

const TOKEN = { id: 900, special: false, normalized: false };
const replaces = (count: number, content: string, list: 'normalizers' | 'decoders') => ({
  type: 'Sequence',
  [list]: Array(count).fill({ type: 'Replace', pattern: { String: 'a' }, content }),
});

describe('has limits, and names them:', () => {
  const long = 'a'.repeat(1025);
  it.each<[string, Record<string, unknown>, RegExp]>([
    ['a token', withModel({ vocab: { ...base.model.vocab, [long]: 900 } }), /a token has 1025 .*; 1024 are allowed/],
    ['an added token', { ...base, added_tokens: [{ ...TOKEN, content: long }] }, /added token has 1025 .*; 1024 are/],
    [
      'the number of added tokens',
      { ...base, added_tokens: Array.from({ length: 100_001 }, (_, i) => ({ id: i, content: `<${i}>` })) },
      /it has 100001 added tokens; 100000 are allowed/,
    ],
    [
      'the characters of added tokens',
      {
        ...base,
        added_tokens: Array.from({ length: 2000 }, (_, i) => ({ id: i, content: `${i}${'a'.repeat(1000)}` })),
      },
      /its added tokens have 2006890 characters together; 2000000 are allowed/,
    ],
    [
      "a Replace's content",
      { ...base, normalizer: { type: 'Replace', pattern: { String: 'a' }, content: 'a'.repeat(101) } },
      /a Replace's content has 101 characters; 100 are allowed/,
    ],
    [
      "a decoder's content",
      { ...base, decoder: { type: 'Replace', pattern: { String: 'a' }, content: 'a'.repeat(101) } },
      /a Replace's content has 101 characters; 100 are allowed/,
    ],
    ['a prefix', { ...base, normalizer: { type: 'Prepend', prepend: long } }, /the prepend of a Prepend has 1025 char/],
    [
      'the parts of a Sequence',
      { ...base, normalizer: { type: 'Sequence', normalizers: Array(33).fill({ type: 'NFC' }) } },
      /it has 33 normalizers; 32 are allowed/,
    ],
    [
      'the parts of Sequences in each other',
      {
        ...base,
        pre_tokenizer: {
          type: 'Sequence',
          pretokenizers: Array(8).fill({ type: 'Sequence', pretokenizers: Array(4).fill({ type: 'Digits' }) }),
        },
      },
      /more than 32 pretokenizers/,
    ],
    [
      'the parts of a template',
      { ...base, post_processor: { type: 'TemplateProcessing', single: Array(33).fill({}) } },
      /its template has 33 parts; 32 are allowed/,
    ],
  ])('%s', (_, json, why) => {
    expect(failure(json).message).toMatch(why);
  });

  it('takes the longest that they allow', () => {
    const token = 'a'.repeat(1024);
    const json = {
      ...base,
      added_tokens: [{ ...TOKEN, content: token }],
      model: { ...base.model, vocab: { ...base.model.vocab, [`b${token.slice(1)}`]: 901 } },
    };
    const tokenizer = createTokenizer(json, {});
    expect(tokenizer.encode(`x${token}`, { special: false, bos: false }).at(-1)).toBe(900);
  });
});

describe('a text that grows', () => {
  const growing = (count: number, content: string, list: 'normalizers' | 'decoders') => ({
    ...base,
    [list.slice(0, -1)]: replaces(count, content, list),
  });
  const encode = (json: Record<string, unknown>, text: string) =>
    createTokenizer(json, {}).encode(text, { special: false, bos: false });

  it('to more than 8 times its length in the normalizer is refused with the numbers', () => {
    expect(failure(growing(27, 'aa', 'normalizers')).message).toMatch(
      /its normalizer makes 3 characters more than 8 times as long \(34 at least\)/,
    );
    const doubled = growing(3, 'aa', 'normalizers');
    expect(encode(doubled, 'a'.repeat(1000))).toEqual(encode(base, 'a'.repeat(8000)));
    // "a b" becomes 4 times as long, and is no reason to refuse the file
    const later = { ...base, normalizer: { type: 'Replace', pattern: { String: 'x' }, content: 'y'.repeat(9) } };
    const error = refusal(() => encode(later, 'x'.repeat(1000)));
    expect(error).toMatchObject({ code: 'corrupt-checkpoint' });
    expect(error.message).toContain('makes 1000 characters more than 8 times as long (9000 at least)');
  });

  it('is not made before it is refused', () => {
    const made = vi.spyOn(String.prototype, 'replaceAll');
    failure(growing(27, 'aa', 'normalizers'));
    failure(growing(27, 'aa', 'decoders'));
    const lengths = made.mock.results.map(({ value }) => (value as string).length);
    made.mockRestore();
    expect(lengths.length).toBeGreaterThan(3);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(24);
  });

  it('in the decoder is refused too', () => {
    expect(failure(growing(27, 'aa', 'decoders')).message).toMatch(
      /its decoder makes \d+ characters more than 8 times/,
    );
    const later = { ...base, decoder: { type: 'Replace', pattern: { Regex: 't' }, content: 'y'.repeat(100) } };
    const tokenizer = createTokenizer(later, {});
    const ids = Array(50).fill(tokenizer.idOf('t'));
    const error = refusal(() => tokenizer.decode(ids, { skipSpecial: false }));
    expect(error.message).toContain('makes 50 characters more than 8 times as long');
    // and the next one is answered
    expect(tokenizer.decode([tokenizer.idOf('h')!], { skipSpecial: false })).toBe('h');
  });

  it("by Unicode's own forms is not", () => {
    const json = { ...base, normalizer: { type: 'NFKC' } };
    expect(encode(json, '\uFDFA'.repeat(50))).toEqual(encode(base, '\uFDFA'.normalize('NFKC').repeat(50)));
  });

  it('writes a replacement as it stands', () => {
    const normalizer = { type: 'Replace', pattern: { String: 'a' }, content: "$&$'" };
    expect(encode({ ...base, normalizer }, 'xay')).toEqual(encode(base, "x$&$'y"));
  });
});

describe('refuses', () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    ['10,000 nested normalizers', nested('normalizer', 'normalizers'), /./],
    ['10,000 nested pre-tokenizers', nested('pre_tokenizer', 'pretokenizers'), /./],
    ['a Unigram', withModel({ type: 'Unigram', vocab: [['a', 0]] }), /Unigram/],
    ['a WordPiece', withModel({ type: 'WordPiece' }), /WordPiece/],
    ['a prefix within words', withModel({ continuing_subword_prefix: '##' }), /continuing_subword_prefix/],
    ['a merge of an unknown token', withModel({ merges: [['t', 'zzz']] }), /merge \["t","zzz"\]/],
    ['a merge to an unknown token', withModel({ merges: ['z q'] }), /merge "z q"/],
    ['a long merge', withModel({ merges: ['x'.repeat(1e6)] }), /merge/],
    ['a merge of three', withModel({ merges: [['t', 'h', 'e']] }), /merge/],
    ['a merge that is null', withModel({ merges: [null] }), /merge/],
    ['a token without a number', withModel({ vocab: { a: '1' } }), /"a" has no number/],
    ['a negative number', withModel({ vocab: { a: -1 } }), /"a" has no number/],
    ['a number too large', withModel({ vocab: { a: 1e9 } }), /"a" has no number/],
    ['a vocabulary that is a list', withModel({ vocab: ['a'] }), /vocabulary/],
    ['an added token without a number', { ...base, added_tokens: [{ content: 'x' }] }, /added token/],
    ['an empty added token', { ...base, added_tokens: [{ content: '', id: 3 }] }, /added token/],
    ['added tokens that are no list', { ...base, added_tokens: 7 }, /added tokens/],
    ['a regex with a back-reference', withRegex('(a)\\1'), /a back-reference/],
    ['a regex with \\G', withRegex('(a+)\\G+b'), /\\G, which is not known/],
    ['a regex that is written out too long', withRegex('(?:a{99}){99}'), /more than 5000 steps/],
    ['a regex of many brackets', withRegex('['.repeat(10_000)), /nests deeper/],
    ['a regex that is no text', withRegex(5), /pattern/],
    ['a broken regex', withRegex('('), /./],
    ['a bracket too many', withRegex('a)'), /bracket/],
    [
      'a split that merges',
      { ...base, pre_tokenizer: { type: 'Split', pattern: { String: 'ab' }, behavior: 'MergedWithNext' } },
      /MergedWithNext/,
    ],
    ['an endless pre-tokenizer', { ...base, pre_tokenizer: { type: 'FixedLength', length: 0 } }, /FixedLength/],
    [
      'a replacement that is no text',
      { ...base, normalizer: { type: 'Replace', pattern: { String: 'a' }, content: {} } },
      /no text/,
    ],
    ['an unknown decoder', { ...base, decoder: { type: 'CTC' } }, /CTC/],
    ['an object prototype for a part', { ...base, decoder: { type: 'toString' } }, /toString/],
    [
      'a template that is no list',
      { ...base, post_processor: { type: 'TemplateProcessing', single: 'A' } },
      /template/,
    ],
  ])('%s', (_, json, why) => {
    const error = failure(json);
    expect(error.message).toMatch(why);
    expect(error.message.length).toBeLessThan(1000);
  });
});

/** What backtracking engines need for ever: 40 to 300 letters hang them. */
it.each([
  ['(a+)+$', 40],
  ['(a+)+b', 40],
  ['(?:a|a)*b', 40],
  ['(?:x(?:[(]|b*)y){2,}', 40],
  ['(?:a?){40}a{40}b', 40],
  [`${'a*'.repeat(12)}b`, 100],
  [`${'a?'.repeat(32)}${'a'.repeat(32)}b`, 32],
  ['(?:a{,9}){,99}b', 40],
  ['(?=a*a*a*a*a*a*b)a', 200],
  ['a+b', 200_000],
  ['a*a*a*a*a*a*b', 300],
])('%s ends, in splits, normalizers and decoders', (regex, length) => {
  const text = 'a'.repeat(length);
  const part = { type: 'Replace', pattern: { Regex: regex }, content: 'x' };
  const { vocab } = base.model;
  const model = { ...base.model, vocab: { ...vocab, [text.slice(0, 1000)]: 5000 } };
  for (const parts of [withRegex(regex), { ...base, normalizer: part }, { ...base, decoder: part }]) {
    const tokenizer = createTokenizer({ ...parts, model }, {});
    expect(tokenizer.encode(text, { special: false, bos: false }).length).toBeGreaterThan(0);
    expect(tokenizer.decode([5000], { skipSpecial: false })).toMatch(/^(a+|x+)$/);
  }
});

it('replaces as Rust: a $ is a $', () => {
  const part = (pattern: object) => ({ type: 'Replace', pattern, content: '$&$1' });
  for (const pattern of [{ Regex: 'a(?=b)' }, { String: 'a' }]) {
    const tokenizer = createTokenizer({ ...bases.bare, normalizer: part(pattern), decoder: null }, {});
    const same = createTokenizer({ ...bases.bare, normalizer: null, decoder: null }, {});
    const encode = (made: typeof same, text: string) => made.encode(text, { special: false, bos: false });
    expect(encode(tokenizer, 'xaby')).toEqual(encode(same, 'x$&$1by'));
  }
});

it('ends in a NibbleError, or encodes, for 3000 altered tokenizer.json', () => {
  const junk = [null, -1, 3e9, 1.5, '', 'x', '(a*)*', [], {}, [[]], true, 'Sequence', 'Metaspace', '\ud800'];
  const outcomes = { read: 0, refused: 0 };
  /** Puts a value at a random place of a copy, or removes what is there. */
  const alter = (json: unknown, path: number[], value: unknown) => {
    // biome-ignore lint/suspicious/noExplicitAny: any place of any JSON
    let at: any = json;
    for (const [depth, step] of path.entries()) {
      const keys = Object.keys(at);
      if (!keys.length) return;
      const key = keys[step % keys.length];
      if (depth === path.length - 1 || typeof at[key] !== 'object' || at[key] === null) {
        if (value === undefined) delete at[key];
        else at[key] = value;
        return;
      }
      at = at[key];
    }
  };
  const change = fc.tuple(fc.array(fc.nat(1000), { minLength: 1, maxLength: 5 }), fc.constantFrom(undefined, ...junk));
  const variant = fc.constantFrom(...variants);
  fc.assert(
    fc.property(variant, fc.array(change, { minLength: 1, maxLength: 3 }), ({ base, parts }, changes) => {
      const json = structuredClone({ ...bases[base], ...parts });
      for (const [path, value] of changes) alter(json, path, value);
      try {
        const tokenizer = createTokenizer(json, {});
        const ids = tokenizer.encode('the <s> cat\n 12 é', { special: true, bos: true });
        tokenizer.decode(ids, { skipSpecial: false });
        outcomes.read++;
      } catch (thrown) {
        if (!(thrown instanceof NibbleError)) throw thrown;
        outcomes.refused++;
      }
    }),
    { numRuns: 3000 },
  );
  expect(outcomes.refused).toBeGreaterThan(1000);
  expect(outcomes.read).toBeGreaterThan(200);
});
