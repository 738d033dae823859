import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NibbleError } from '../errors';
import { fixture, readJson } from '../formats/test/files';
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
  try {
    createTokenizer(json, {});
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(NibbleError);
    expect((thrown as NibbleError).code).toBe('corrupt-checkpoint');
    return thrown as NibbleError;
  }
  throw new Error('nothing was thrown');
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

describe('refuses', () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    ['10,000 nested normalizers', nested('normalizer', 'normalizers'), /./],
    ['10,000 nested pre-tokenizers', nested('pre_tokenizer', 'pretokenizers'), /./],
    ['a Unigram', withModel({ type: 'Unigram', vocab: [['a', 0]] }), /Unigram/],
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
  const model = { ...base.model, vocab: { ...vocab, [text]: 5000 } };
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
