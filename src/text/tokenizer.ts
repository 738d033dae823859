/**
 * Text <-> ids, by @huggingface/tokenizers, with what it leaves open settled: special tokens parsed only on demand,
 * the beginning-of-text token only where the tokenizer itself would add it, and no "clean up" of spaces in decoding
 * (an old default that changes what the model said, and that cannot be streamed).
 */
import { Tokenizer as HfTokenizer } from '@huggingface/tokenizers';
import { NibbleError } from '../errors';

type JsonObject = { [key: string]: unknown };

export interface EncodeOptions {
  /** parse special tokens that stand in the text; otherwise they are plain text (what a user typed must not command) */
  special: boolean;
  /** begin with the beginning-of-text token, if the tokenizer has one to add */
  bos: boolean;
}

export interface Tokenizer {
  /** Ids of a text. Bytes that the vocabulary lacks vanish, as in Rust's tokenizers. */
  encode(text: string, options: EncodeOptions): number[];
  /** Text of ids; ids without a token (a padded vocabulary's) are nothing. An unfinished character ends as U+FFFD. */
  decode(ids: readonly number[], options: { skipSpecial: boolean }): string;
  isSpecial(id: number): boolean;
  /** The number of a token in the vocabulary, by its exact text. */
  idOf(token: string): number | undefined;
  /** The end-of-text token and the tokens that end a turn. generation_config.json may name more. */
  readonly eosIds: readonly number[];
  readonly bosToken: string | null;
  readonly eosToken: string | null;
  /** one more than the largest id */
  readonly vocabSize: number;
}

/** Special tokens that end a turn in the chat formats in use (ChatML, Llama 3, Gemma, Phi 3). */
const END_OF_TURN = ['<|im_end|>', '<|eot_id|>', '<end_of_turn>', '<|end|>'];

/** A token of tokenizer_config.json: its text, or an object that holds it. */
function tokenText(value: unknown): string | null {
  if (typeof value === 'string') return value;
  const content = (value as { content?: unknown } | null | undefined)?.content;
  return typeof content === 'string' ? content : null;
}

const escapeRegExp = (text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');

/**
 * @param json tokenizer.json
 * @param config tokenizer_config.json, or {}
 * @throws NibbleError corrupt-checkpoint when tokenizer.json is not one
 */
export function createTokenizer(json: JsonObject, config: JsonObject): Tokenizer {
  const inner = construct(json, config);
  const added = [...inner.get_added_tokens_decoder().values()];
  const specialIds = new Set(added.filter((token) => token.special).map((token) => token.id));
  const prefix = startTokens(inner, config).map((token) => inner.token_to_id(token)!);
  const plain = plainEncoder(
    inner,
    added.filter((token) => !token.special).map((token) => token.content),
  );
  const [bosToken, eosToken] = [tokenText(config.bos_token), tokenText(config.eos_token)];
  const ends = END_OF_TURN.map((token) => inner.token_to_id(token)).filter((id) => specialIds.has(id!));
  const eos = eosToken === null ? undefined : inner.token_to_id(eosToken);
  return {
    encode(text, { special, bos }) {
      const ids = special ? inner.encode(text, { add_special_tokens: false }).ids : plain(text);
      return bos ? [...prefix, ...ids] : ids;
    },
    decode(ids, { skipSpecial }) {
      const known = ids.filter((id) => inner.id_to_token(id) !== undefined && !(skipSpecial && specialIds.has(id)));
      return known.length ? inner.decode(known, { clean_up_tokenization_spaces: false }) : '';
    },
    isSpecial: (id) => specialIds.has(id),
    idOf: (token) => inner.token_to_id(token),
    eosIds: [...new Set([eos, ...ends])].filter((id) => id !== undefined),
    bosToken,
    eosToken,
    vocabSize: inner.model!.vocab.length,
  };
}

function construct(json: JsonObject, config: JsonObject): HfTokenizer {
  try {
    const inner = new HfTokenizer({ added_tokens: [], ...json }, config);
    if (!inner.model?.vocab.length) throw new Error('it has no vocabulary');
    // a broken rule or decoder shows here, not in the middle of an answer
    inner.encode('a');
    inner.decode([inner.model.vocab.findIndex((token) => token !== undefined)]);
    return inner;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new NibbleError(
      'corrupt-checkpoint',
      `tokenizer.json cannot be used (${why}). Download it again, or choose another model.`,
      { path: 'tokenizer.json' },
      { cause },
    );
  }
}

/** The tokens that the tokenizer puts before a text: what its post-processor adds, or else the BOS if the config asks. */
function startTokens(inner: HfTokenizer, config: JsonObject): string[] {
  const mark = '\0'; // stands for the text: a post-processor only puts tokens around it
  const processed = inner.post_processor?.post_process([mark], null, true).tokens ?? [];
  const before = processed.slice(0, Math.max(0, processed.indexOf(mark)));
  if (before.length) return before.filter((token) => inner.token_to_id(token) !== undefined);
  const bos = tokenText(config.bos_token);
  return config.add_bos_token === true && bos !== null && inner.token_to_id(bos) !== undefined ? [bos] : [];
}

/**
 * Encodes with special tokens as plain text, which the library has no option for: the same pipeline (added tokens that
 * are not special, normaliser, pre-tokenizer, model) without its first step.
 */
function plainEncoder(inner: HfTokenizer, added: string[]): (text: string) => number[] {
  const { normalizer, pre_tokenizer: split, model } = inner;
  const longestFirst = [...added].sort((a, b) => b.length - a.length).map(escapeRegExp);
  const boundary = added.length ? new RegExp(`(${longestFirst.join('|')})`) : null;
  const encodeSection = (section: string, index: number): string[] => {
    const normalized = normalizer ? normalizer.normalize(section) : section;
    if (!normalized) return [];
    return model!._call(split ? split.pre_tokenize(normalized, { section_index: index }) : [normalized]);
  };
  return (text) => {
    // with one group, split gives texts at even places and the tokens between them at odd ones
    const sections = boundary ? text.split(boundary) : [text];
    const tokens = sections.flatMap((section, i) => (i % 2 ? [section] : encodeSection(section, i)));
    return tokens.flatMap((token) => inner.token_to_id(token) ?? model!.unk_token_id ?? []);
  };
}
