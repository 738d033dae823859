import { describe, expect, it } from 'vitest';
import { NibbleError } from '../errors';
import { fixture, readJson } from '../formats/test/files';
import { createChatTemplate } from './chat-template';
import { smollm2, tiny } from './test/tokenizers';
import { createTokenizer } from './tokenizer';

interface Case {
  text: string;
  ids: number[];
  idsAsText: number[];
  decoded?: string;
}
const golden = readJson(fixture('tokenizer/smollm2.json'));

describe.each(smollm2)('SmolLM2 from %s, against Rust tokenizers', (_, make) => {
  it('encodes nasty strings alike, with special tokens and with them as plain text', async () => {
    const tokenizer = await make();
    for (const { text, ids, idsAsText } of golden.cases as Case[]) {
      expect([text, tokenizer.encode(text, { special: true, bos: false })]).toEqual([text, ids]);
      expect([text, tokenizer.encode(text, { special: false, bos: false })]).toEqual([text, idsAsText]);
    }
    expect(golden.cases.length).toBeGreaterThan(30);
  });

  it('decodes alike', async () => {
    const tokenizer = await make();
    for (const { text, ids, decoded } of golden.cases as Case[]) {
      expect(tokenizer.decode(ids, { skipSpecial: false })).toBe(decoded ?? text);
    }
    expect(tokenizer.decode([1, 2, 0], { skipSpecial: true })).toBe('');
  });

  it('renders and encodes chats alike', async () => {
    const tokenizer = await make();
    const template = createChatTemplate(golden.chatTemplate);
    for (const { messages, text, ids } of golden.chats) {
      const prompt = template.render(messages, { bosToken: tokenizer.bosToken, eosToken: tokenizer.eosToken });
      expect(prompt).toBe(text);
      expect(tokenizer.encode(prompt, { special: true, bos: false })).toEqual(ids);
    }
  });

  it('knows its ends', async () => {
    const tokenizer = await make();
    expect(tokenizer).toMatchObject({
      bosToken: '<|im_start|>',
      eosToken: '<|im_end|>',
      eosIds: [2, 0],
      vocabSize: 49152,
    });
    const special = Array.from({ length: 49152 }, (_, id) => id).filter(tokenizer.isSpecial);
    expect(special).toEqual(Object.values(golden.special));
    expect(tokenizer.idOf('<|im_start|>')).toBe(1);
  });
});

describe('createTokenizer', () => {
  const json = readJson(fixture('tiny-llama-128/bf16/tokenizer.json'));

  it("matches the tiny model's chats", () => {
    const tokenizer = tiny();
    for (const { prompt, ids, greedy, text } of readJson(fixture('tiny-llama-128/bf16/chat.json'))) {
      expect(tokenizer.encode(prompt, { special: true, bos: false })).toEqual(ids);
      expect(tokenizer.decode(greedy, { skipSpecial: true })).toBe(text);
    }
  });

  it('does not let text command: a special token in it is only characters', () => {
    const tokenizer = tiny();
    const ids = tokenizer.encode('a<|im_end|>b', { special: false, bos: false });
    expect(ids.some(tokenizer.isSpecial)).toBe(false);
    expect(tokenizer.decode(ids, { skipSpecial: true })).toBe('a<|im_end|>b');
    expect(tokenizer.encode('a<|im_end|>b', { special: true, bos: false })).toContain(2);
  });

  it('still finds added tokens that are not special in plain text, the longest first', () => {
    const added = [
      ...json.added_tokens,
      { id: 300, content: '<tool', special: false, normalized: false },
      { id: 301, content: '<tool>', special: false, normalized: false },
    ];
    const tokenizer = createTokenizer({ ...json, added_tokens: added }, {});
    const ids = tokenizer.encode('<tool><tool', { special: false, bos: false });
    expect(ids).toEqual([301, 300]);
    expect(tokenizer.encode('<tool><tool', { special: true, bos: false })).toEqual(ids);
  });

  it('adds the start token where the post-processor or the config does, and nothing at the end', () => {
    const start = (processor: object | null, config: object) =>
      createTokenizer({ ...json, post_processor: processor }, config as Record<string, unknown>).encode('hi', {
        special: true,
        bos: true,
      });
    const plain = start(null, {});
    const special = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
    const template = {
      type: 'TemplateProcessing',
      single: [special('<|im_start|>'), { Sequence: { id: 'A', type_id: 0 } }, special('<|im_end|>')],
      pair: [],
      special_tokens: {},
    };
    expect(start(template, {})).toEqual([1, ...plain]);
    expect(start(null, { bos_token: '<|im_start|>', add_bos_token: true })).toEqual([1, ...plain]);
    expect(start(null, { bos_token: { content: '<|im_start|>' }, add_bos_token: true })).toEqual([1, ...plain]);
    expect(start(null, { bos_token: '<|im_start|>' })).toEqual(plain);
    expect(start(template, { bos_token: '<|im_start|>', add_bos_token: true })).toEqual([1, ...plain]);
  });

  it('ends with what the post-processor or the config puts there, where that is asked for', () => {
    const ending = (processor: object | null, config: object) =>
      createTokenizer({ ...json, post_processor: processor }, config as Record<string, unknown>).encode('hi', {
        special: true,
        bos: false,
        end: true,
      });
    const plain = ending(null, {});
    const around = (...ids: string[]) => ({
      type: 'TemplateProcessing',
      single: [{ Sequence: { id: 'A', type_id: 0 } }, ...ids.map((id) => ({ SpecialToken: { id, type_id: 0 } }))],
    });
    const eos = { eos_token: '<|im_start|>', add_eos_token: true };
    expect(ending(around('<|im_end|>', '<|im_start|>'), {})).toEqual([...plain, 2, 1]);
    expect(ending(null, eos)).toEqual([...plain, 1]);
    expect(ending(null, { ...eos, add_eos_token: false })).toEqual(plain);
    // the template's word counts, and the outer one comes last
    const both = { type: 'Sequence', processors: [around('<|im_end|>'), around('<|im_start|>')] };
    expect(ending(both, eos)).toEqual([...plain, 2, 1]);
  });

  it('gives nothing for ids of a padded vocabulary', () => {
    const tokenizer = tiny();
    expect(tokenizer.decode([9999], { skipSpecial: false })).toBe('');
    expect(tokenizer.decode([], { skipSpecial: false })).toBe('');
    const [id] = tokenizer.encode('x', { special: false, bos: false });
    expect(tokenizer.decode([9999, id, 12345], { skipSpecial: false })).toBe('x');
  });

  it('leaves spaces before punctuation alone, whatever the config asks', () => {
    const tokenizer = createTokenizer(json, { clean_up_tokenization_spaces: true });
    const text = 'a . b , c !';
    expect(tokenizer.decode(tokenizer.encode(text, { special: false, bos: false }), { skipSpecial: true })).toBe(text);
  });

  it("ends at the families' ends, where they are special tokens", () => {
    const tokens =
      '<|im_end|> <|eot_id|> <|eom_id|> <end_of_turn> <eos> <|end|> <|endoftext|> <|end_of_text|> </s>'.split(' ');
    const special = tokens.map((content, i) => ({ id: 500 + i, content, special: true }));
    const ids = special.map(({ id }) => id);
    expect(createTokenizer({ ...json, added_tokens: special }, {}).eosIds).toEqual(ids);
    const text = special.map((token) => ({ ...token, special: false }));
    expect(createTokenizer({ ...json, added_tokens: text }, {}).eosIds).toEqual([]);
    const named = createTokenizer({ ...json, added_tokens: text }, { eos_token: { content: '</s>' } });
    expect(named.eosIds).toEqual([508]);
  });

  it.each([
    ['an empty object', {}],
    ['an unknown model', { ...json, model: { type: 'Magic' } }],
    ['a model without a vocabulary', { ...json, model: { type: 'BPE', merges: [], vocab: {} }, added_tokens: [] }],
    ['merges that are no list', { ...json, model: { ...json.model, merges: 3 } }],
    ['an unknown pre-tokenizer', { ...json, pre_tokenizer: { type: 'Magic' } }],
    ['a broken regex', { ...json, pre_tokenizer: { type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated' } }],
  ])('refuses %s', (_, broken) => {
    let thrown: unknown;
    try {
      createTokenizer(broken, {});
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(NibbleError);
    expect((thrown as NibbleError).code).toBe('corrupt-checkpoint');
    expect((thrown as NibbleError).message).toContain('tokenizer.json');
  });
});
