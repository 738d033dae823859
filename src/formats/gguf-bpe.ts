/**
 * The byte-level BPEs of GGUF (`tokenizer.ggml.model` = gpt2). The file names the rule that splits a text into words
 * (`tokenizer.ggml.pre`) and leaves its text to the reader; an unknown name is refused, since a guess splits wrongly.
 */
import { O200K, TEKKEN, words } from '../text/published-splits';
import { corrupt, type JsonObject } from './json';

const split = (regex: string): JsonObject => ({
  type: 'Split',
  pattern: { Regex: regex },
  behavior: 'Isolated',
  invert: false,
});
const byteLevel = (useRegex: boolean): JsonObject => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: useRegex,
});

/** Splits of the newer families, which leave nothing for ByteLevel to split. */
const bySplit = (regex: string) => [split(regex), byteLevel(false)];

interface Rule {
  splits: JsonObject[];
  normalizer?: string;
  /** a whole word that is a token is taken, whatever its merges */
  ignoreMerges?: boolean;
  /** whether the beginning-of-text token is added where the file does not say */
  bos?: boolean;
}
const GPT2: Rule = { splits: [byteLevel(true)] };
const SINGLE_DIGITS: Rule = { splits: [split('\\p{N}'), byteLevel(true)] };
const LLAMA3: Rule = { splits: bySplit(words('{1,3}')), ignoreMerges: true, bos: true };
const CL100K: Rule = { splits: bySplit(words('{1,3}')) };
/**
 * By llama.cpp's names (src/llama-vocab.cpp): Llama 3; SmolLM3, OLMo 2, Phi 4 and Granite 4; Qwen 2, 2.5 and 3; Phi 4
 * mini; Mistral's Tekken; SmolLM2; Granite 3; and GPT-2's own. The regexes are those of the families' tokenizer.json.
 */
const RULES: Record<string, Rule> = {
  'llama-bpe': LLAMA3,
  'llama-v3': LLAMA3,
  llama3: LLAMA3,
  'smaug-bpe': CL100K,
  dbrx: CL100K,
  qwen2: { splits: bySplit(words('')), normalizer: 'NFC' },
  'deepseek-r1-qwen': { splits: bySplit(words('')), normalizer: 'NFC' },
  'gpt-4o': { splits: bySplit(O200K) },
  tekken: { splits: bySplit(TEKKEN), ignoreMerges: true, bos: true },
  smollm: SINGLE_DIGITS,
  refact: SINGLE_DIGITS,
  starcoder: SINGLE_DIGITS,
  'gpt-2': GPT2,
  'phi-2': GPT2,
  olmo: GPT2,
};

/** Whether `pre` is the name of a rule that is known. */
export const isBpeRule = (pre: string) => Object.hasOwn(RULES, pre);

/**
 * @param vocab token to number, in GPT-2's alphabet for bytes
 * @param merges pairs with a space between them
 * @returns the parts of tokenizer.json, and whether the beginning-of-text token is added by default
 * @throws NibbleError corrupt-checkpoint
 */
export function bytePairs(pre: string, vocab: Record<string, number>, merges: string[], path: string) {
  const rule = RULES[pre];
  const json: JsonObject = {
    normalizer: rule.normalizer ? { type: rule.normalizer } : null,
    pre_tokenizer: rule.splits.length === 1 ? rule.splits[0] : { type: 'Sequence', pretokenizers: rule.splits },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      unk_token: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: rule.ignoreMerges ?? false,
      vocab,
      merges: merges.map((pair) => splitMerge(pair, path)),
    },
  };
  return { json, bos: rule.bos ?? false };
}

/** "Ġ t" is a pair; a token never holds a space, as bytes are written in GPT-2's alphabet. */
function splitMerge(pair: string, path: string): string[] {
  const parts = pair.split(' ');
  if (parts.length !== 2) throw corrupt(`${path}: the merge ${JSON.stringify(pair)} is no pair`, { path });
  return parts;
}
