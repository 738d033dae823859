/**
 * tokenizer.json and tokenizer_config.json from a GGUF's vocabulary. GGUF names the pre-tokenizer's rule
 * (`tokenizer.ggml.pre`) and leaves its text to the reader; an unknown name is refused, since a guess splits wrongly.
 */
import { NibbleError } from '../errors';
import type { Metadata } from './gguf';
import { corrupt, type JsonObject } from './json';

/** llama.cpp's token types */
const CONTROL = 3;
const USER_DEFINED = 4;

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

/** The split that Llama 3 introduced; Qwen's differs in how many digits stay together. */
const words = (digits: string) =>
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" +
  `\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

interface Rule {
  splits: JsonObject[];
  normalizer?: string;
  ignoreMerges?: boolean;
  /** whether the beginning-of-text token is added where the file does not say */
  bos?: boolean;
}
const GPT2: Rule = { splits: [byteLevel(true)] };
const LLAMA3: Rule = { splits: [split(words('{1,3}')), byteLevel(false)], ignoreMerges: true, bos: true };
const RULES: Record<string, Rule> = {
  default: GPT2,
  'gpt-2': GPT2,
  // digits one by one: written as a Split, as @huggingface/tokenizers reads Digits wrongly for characters such as ½
  smollm: { splits: [split('\\p{N}'), byteLevel(true)] },
  'llama-bpe': LLAMA3,
  llama3: LLAMA3,
  qwen2: { splits: [split(words('')), byteLevel(false)], normalizer: 'NFC' },
};

/**
 * @returns null when the file has no tokenizer
 * @throws NibbleError unsupported-architecture (tokenizer model or `pre` unknown), corrupt-checkpoint
 */
export function ggufTokenizer(metadata: Metadata, path: string): { json: JsonObject; config: JsonObject } | null {
  const model = metadata.string('tokenizer.ggml.model');
  if (model === undefined) return null;
  const pre = metadata.string('tokenizer.ggml.pre') ?? 'default';
  if (model !== 'gpt2') throw refuse(`The tokenizer model ${JSON.stringify(model)}`, path);
  if (!Object.hasOwn(RULES, pre)) throw refuse(`The pre-tokenizer ${JSON.stringify(pre)}`, path);
  const rule = RULES[pre];
  const tokens = metadata.list<string>('tokenizer.ggml.tokens', 'string');
  const merges = metadata.list<string>('tokenizer.ggml.merges', 'string');
  if (!tokens?.length || !merges) throw corrupt(`${path}: the tokenizer has no tokens or no merges`, { path });
  const types = metadata.list<number>('tokenizer.ggml.token_type', 'number') ?? [];
  const added = tokens.flatMap((content, id) => {
    const type = types[id];
    if (type !== CONTROL && type !== USER_DEFINED) return [];
    return [
      { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: type === CONTROL },
    ];
  });
  const json: JsonObject = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: rule.normalizer ? { type: rule.normalizer } : null,
    pre_tokenizer: rule.splits.length === 1 ? rule.splits[0] : { type: 'Sequence', pretokenizers: rule.splits },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: rule.ignoreMerges ?? false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: merges.map((pair) => splitMerge(pair, path)),
    },
  };
  return { json, config: tokenizerConfig(metadata, tokens, rule, path) };
}

/** "Ġ t" is a pair; a token never holds a space, as bytes are written in GPT-2's alphabet. */
function splitMerge(pair: string, path: string): string[] {
  const parts = pair.split(' ');
  if (parts.length !== 2) throw corrupt(`${path}: the merge ${JSON.stringify(pair)} is no pair`, { path });
  return parts;
}

function tokenizerConfig(metadata: Metadata, tokens: string[], rule: Rule, path: string): JsonObject {
  const config: JsonObject = {
    add_bos_token: metadata.boolean('tokenizer.ggml.add_bos_token') ?? rule.bos ?? false,
    clean_up_tokenization_spaces: false,
    tokenizer_class: 'PreTrainedTokenizerFast',
  };
  for (const [kind, key] of Object.entries({ bos: 'bos', eos: 'eos', unk: 'unknown', pad: 'padding' })) {
    const id = metadata.number(`tokenizer.ggml.${key}_token_id`);
    if (id === undefined) continue;
    if (!(id in tokens)) throw corrupt(`${path}: the ${kind} token is number ${id} of ${tokens.length}`, { path, id });
    config[`${kind}_token`] = tokens[id];
  }
  const template = metadata.string('tokenizer.chat_template');
  if (template !== undefined) config.chat_template = template;
  return config;
}

function refuse(what: string, path: string): NibbleError {
  return new NibbleError(
    'unsupported-architecture',
    `${what} of ${path} is not known. Choose the model's safetensors version, which has its tokenizer.json.`,
    { path, what },
  );
}
