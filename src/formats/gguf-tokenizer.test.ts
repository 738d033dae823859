import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { NibbleError } from '../errors';
import { templateSource } from '../text/chat-template';
import { createTokenizer } from '../text/tokenizer';
import { type GgufValue, readGgufHeader } from './gguf-header';
import { Metadata } from './gguf-metadata';
import { ggufTokenizer } from './gguf-tokenizer';
import { fixture, readJson } from './test/files';

const { strings, bases, pieces, variants, ggufRules } = readJson(fixture('tokenizer/parts.json'));

function open(values: Record<string, GgufValue>) {
  return ggufTokenizer(new Metadata(new Map(Object.entries(values)), 'm.gguf'), 'm.gguf')!;
}

function failure(values: Record<string, GgufValue>): NibbleError {
  try {
    open(values);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(NibbleError);
    return thrown as NibbleError;
  }
  throw new Error('nothing was thrown');
}

const SENTENCEPIECE = {
  'tokenizer.ggml.model': 'llama',
  'tokenizer.ggml.tokens': pieces.tokens,
  'tokenizer.ggml.scores': pieces.scores,
  'tokenizer.ggml.token_type': pieces.types,
};

describe('SentencePiece', () => {
  const made = (values: Record<string, GgufValue>) => {
    const { json, config } = open({ ...SENTENCEPIECE, ...values });
    return createTokenizer(json, config);
  };
  const encode = (tokenizer: ReturnType<typeof made>) => (text: string) =>
    tokenizer.encode(text, { special: true, bos: false });

  it.each([
    ['Llama 2', 'prefixed', true],
    ['Gemma', 'bare', false],
  ])("gives the ids of SentencePiece's own algorithm and of tokenizer.json: %s", (name, kind, prefix) => {
    const ids = encode(made({ 'tokenizer.ggml.add_space_prefix': prefix }));
    let compared = 0;
    pieces.strings.forEach((text: string, i: number) => {
      const want = pieces[kind][i];
      if (want === null) return;
      expect({ text, ids: ids(text) }).toEqual({ text, ids: want });
      compared++;
    });
    expect(compared).toBeGreaterThan(15);
    const variant = variants.find((v: { name: string }) => v.name === name);
    const own = bases[kind].model.vocab;
    strings.forEach((text: string, i: number) => {
      const want = variant.ids[i] as number[];
      // the GGUF has none of the added tokens that the JSON has on top
      if (want.every((id) => id < Object.keys(own).length))
        expect({ text, ids: ids(text) }).toEqual({ text, ids: want });
    });
  });

  it('merges in the order of tokenizer.json', () => {
    expect((open(SENTENCEPIECE).json.model as { merges: unknown }).merges).toEqual(bases.prefixed.model.merges);
  });

  it('adds the start and the first space unless told otherwise', () => {
    const tokenizer = made({});
    expect([tokenizer.bosToken, tokenizer.eosToken, tokenizer.eosIds]).toEqual(['<s>', '</s>', [2]]);
    expect(tokenizer.encode('the', { special: false, bos: true })).toEqual([1, ...encode(tokenizer)('the')]);
    expect(tokenizer.decode(encode(tokenizer)('the'), { skipSpecial: true })).toBe('the');
    const bare = made({ 'tokenizer.ggml.add_bos_token': false });
    expect(bare.encode('the', { special: false, bos: true })).toEqual(encode(tokenizer)('the'));
    const ends = (more: Record<string, boolean>) => made(more).encode('the', { special: false, bos: false, end: true });
    expect(ends({})).toEqual(encode(tokenizer)('the'));
    expect(ends({ 'tokenizer.ggml.add_eos_token': true })).toEqual([...encode(tokenizer)('the'), 2]);
  });

  it('leaves control tokens that were typed as text, and swallows spaces after them in Phi 3', () => {
    const phi = made({ 'general.architecture': 'phi3' });
    const ids = (text: string) => phi.encode(text, { special: true, bos: false });
    expect(ids('</s>   the')).toEqual([2, ...ids('the')]);
    expect(ids('<s>   the')).toEqual([1, ...ids('   the')]);
    expect(phi.encode('</s>', { special: false, bos: false })).not.toContain(2);
  });

  it.each<[string, Record<string, GgufValue>, RegExp]>([
    ['missing scores', { 'tokenizer.ggml.scores': [] }, /0 scores/],
    ['a score that is no number', { 'tokenizer.ggml.scores': pieces.scores.map(() => Number.NaN) }, /scores/],
    ['no tokens', { 'tokenizer.ggml.tokens': [] }, /no tokens/],
    ['an id out of range', { 'tokenizer.ggml.eos_token_id': 1e6 }, /number 1000000/],
  ])('refuses %s', (_, values, why) => {
    const error = failure({ ...SENTENCEPIECE, ...values });
    expect([error.code, error.message]).toEqual(['corrupt-checkpoint', expect.stringMatching(why)]);
  });
});

const { vocab, merges } = bases.byteLevel.model as { vocab: Record<string, number>; merges: string[][] };
const BYTE_LEVEL = {
  'tokenizer.ggml.model': 'gpt2',
  'tokenizer.ggml.tokens': Object.keys(vocab).sort((a, b) => vocab[a] - vocab[b]),
  'tokenizer.ggml.token_type': Object.values(vocab).map((_, id) => (id < 2 ? 3 : 1)),
  'tokenizer.ggml.merges': merges.map((pair) => pair.join(' ')),
};

describe('byte-level BPE', () => {
  it.each(Object.keys(ggufRules))("splits as the family's tokenizer.json: %s", (pre) => {
    const { json, config } = open({ ...BYTE_LEVEL, 'tokenizer.ggml.pre': pre });
    const tokenizer = createTokenizer(json, config);
    pieces.strings.forEach((text: string, i: number) => {
      const ids = tokenizer.encode(text, { special: true, bos: false });
      expect({ text, ids }).toEqual({ text, ids: ggufRules[pre][i] });
    });
  });

  it.each(['default', 'deepseek-v9', 'toString'])('refuses the pre-tokenizer %s', (pre) => {
    const error = failure({ ...BYTE_LEVEL, 'tokenizer.ggml.pre': pre });
    expect([error.code, error.message]).toEqual(['unsupported-architecture', expect.stringContaining(`"${pre}"`)]);
  });

  it('refuses a file that does not name its pre-tokenizer, and another model', () => {
    expect(failure(BYTE_LEVEL).message).toContain('"default"');
    expect(failure({ 'tokenizer.ggml.model': 't5' }).message).toContain('"t5"');
  });
});

describe('control tokens that the file types otherwise', () => {
  const names = BYTE_LEVEL['tokenizer.ggml.tokens'].map(
    (token, id) => ({ 2: '<|im_end|>', 3: '<|im_start|>' })[id] ?? token,
  );
  const made = (type: number | null, tokens = names, more: Record<string, GgufValue> = {}) => {
    const types = tokens.map((_, id) => (id < 2 ? 3 : id < 4 && type !== null ? type : 1));
    const { json, config } = open({
      ...BYTE_LEVEL,
      'tokenizer.ggml.pre': 'gpt-2',
      'tokenizer.ggml.merges': [],
      'tokenizer.ggml.tokens': tokens,
      'tokenizer.ggml.token_type': type === null ? [] : types,
      ...more,
    });
    return createTokenizer(json, config);
  };

  it.each([
    ['user-defined', 4],
    ['normal', 1],
    ['control', 3],
    ['of no type', null],
  ])('are known by their names: %s', (_, type) => {
    const tokenizer = made(type);
    expect([2, 3].map(tokenizer.isSpecial)).toEqual([true, true]);
    expect(tokenizer.eosIds).toContain(2);
    expect(tokenizer.encode('<|im_start|><|im_end|>', { special: true, bos: false })).toEqual([3, 2]);
    expect(tokenizer.decode([3, 2], { skipSpecial: true })).toBe('');
    expect(tokenizer.encode('<|im_end|>', { special: false, bos: false })).not.toContain(2);
  });

  it('are text where merges make them, as <s> in Qwen 3', () => {
    const tokens = names.map((token, id) => ({ 0: 'zero', 4: '<s', 5: '<s>' })[id] ?? token);
    const tokenizer = made(1, tokens, { 'tokenizer.ggml.merges': ['< s', '<s >'] });
    expect([tokenizer.idOf('<s>'), tokenizer.isSpecial(5)]).toEqual([5, false]);
    // the split parts it
    const ids = ['<', 's', '>'].map(tokenizer.idOf);
    expect(tokenizer.encode('<s>', { special: true, bos: false })).toEqual(ids);
  });

  it('are known by the template, where they are typed as words', () => {
    const own = names.map((token) => token.replace('im_start', 'turn_of'));
    const template = { 'tokenizer.chat_template': "{{ '<|turn_of|>' }}" };
    expect(made(1, own, template).isSpecial(3)).toBe(true);
    expect(made(1, own).isSpecial(3)).toBe(false);
    expect(made(4, own, template).isSpecial(3)).toBe(false);
  });

  it("leave Gemma's HTML and one part of harmony's answers alone", () => {
    const as = (two: string, three: string) => names.map((token, id) => ({ 2: two, 3: three })[id] ?? token);
    expect(made(4, as('</s>', '<eos>')).eosIds).not.toContain(2);
    expect(made(4, as('</s>', 'x')).eosIds).toContain(2);
    expect(made(3, as('<|end|>', '<|return|>')).eosIds).not.toContain(2);
    expect(made(3, as('<|end|>', 'x')).eosIds).toContain(2);
  });
});

describe('chat templates', () => {
  const config = (values: Record<string, GgufValue>) => open({ ...SENTENCEPIECE, ...values }).config;
  it('come alone, named, or not at all', () => {
    expect(config({}).chat_template).toBeUndefined();
    expect(config({ 'tokenizer.chat_template': 'a' }).chat_template).toBe('a');
    const named = { 'tokenizer.chat_templates': ['tool_use', 'rag'], 'tokenizer.chat_template.tool_use': 'b' };
    expect(templateSource(config({ ...named, 'tokenizer.chat_template': 'a' }).chat_template)).toBe('a');
    expect(templateSource(config(named).chat_template)).toBe('b');
  });
});

const GEMMA = '/work/data/gemma/gemma-3-270m.Q4_K_M.gguf';
it.skipIf(!existsSync(GEMMA))(
  "reads Gemma's 262,144 tokens as its own tokenizer.json has them",
  async () => {
    const bytes = new Uint8Array(readFileSync(GEMMA));
    bytes.fill(0, 8, 16); // no tensors: their types are another test's
    const { metadata } = await readGgufHeader(
      'm.gguf',
      async (_, start, end) => bytes.subarray(start, end),
      bytes.length,
    );
    const { json, config } = ggufTokenizer(new Metadata(metadata, 'm.gguf'), 'm.gguf')!;
    const tokenizer = createTokenizer(json, config);
    expect((json.model as { merges: unknown[] }).merges.length).toBe(514_906);
    const { strings, gemma3 } = readJson(fixture('tokenizer/nasty.json'));
    strings.forEach((text: string | [string, number], i: number) => {
      const want: unknown[] = gemma3.ids[i];
      if (typeof text !== 'string' || typeof want[1] === 'string') return;
      expect({ text, ids: tokenizer.encode(text, { special: true, bos: false }) }).toEqual({ text, ids: want });
    });
    expect(tokenizer.eosIds).toEqual([1, 106]);
    expect(tokenizer.encode('a', { special: false, bos: true })[0]).toBe(2);
  },
  60_000,
);
