/**
 * Text <-> ids, by @huggingface/tokenizers, with what it leaves open settled: special tokens parsed only on demand,
 * the beginning-of-text token only where the tokenizer itself would add it, and no "clean up" of spaces in decoding
 * (an old default that changes what the model said, and that cannot be streamed).
 */
import { ByteFallbackDecoder, Tokenizer as HfTokenizer, SequenceDecoder } from '@huggingface/tokenizers';
import { NibbleError } from '../errors';
import { type AddedToken, addedTokenSplitter, type StandIns, tokenFinder } from './added-tokens';
import { endNames } from './control-names';
import { hidePatterns, ourPatterns } from './library-patterns';
import { prepareTokenizerJson } from './tokenizer-json';
import { type ControlTokens, showControl } from './typed-text';

type JsonObject = { [key: string]: unknown };

export interface EncodeOptions {
  /** parse special tokens that stand in the text; otherwise they are plain text (what a user typed must not command) */
  special: boolean;
  /** begin with the beginning-of-text token, if the tokenizer has one to add */
  bos: boolean;
  /** of a text that hideControl() had a part in: tokens that begin with a stand-in are text, also where `special` */
  standIns?: StandIns;
}

export interface Tokenizer {
  /** Ids of a text. Bytes that the vocabulary lacks vanish, as in Rust's tokenizers; a lone surrogate is U+FFFD. */
  encode(text: string, options: EncodeOptions): number[];
  /** Text of ids; ids without a token (a padded vocabulary's) are nothing. An unfinished character ends as U+FFFD. */
  decode(ids: readonly number[], options: { skipSpecial: boolean }): string;
  isSpecial(id: number): boolean;
  /** The tokens that text must not become, for hideControl(). @param rows of the embedding: what has none is text */
  control(rows: number): ControlTokens;
  /** Whether the number is a token's; a padded vocabulary has more numbers than tokens. */
  isToken(id: number): boolean;
  /** The number of a token in the vocabulary, by its exact text. */
  idOf(token: string): number | undefined;
  /** The end-of-text token and the tokens that end a turn. generation_config.json may name more. */
  readonly eosIds: readonly number[];
  readonly bosToken: string | null;
  readonly eosToken: string | null;
  /** one more than the largest id */
  readonly vocabSize: number;
}

/** A token of tokenizer_config.json: its text, or an object that holds it. */
function tokenText(value: unknown): string | null {
  if (typeof value === 'string') return value;
  const content = (value as { content?: unknown } | null | undefined)?.content;
  return typeof content === 'string' ? content : null;
}

/**
 * @param json tokenizer.json
 * @param config tokenizer_config.json, or {}
 * @throws NibbleError corrupt-checkpoint when tokenizer.json is not one, or has a part that no decoder-only family uses
 */
export function createTokenizer(json: JsonObject, config: JsonObject): Tokenizer {
  try {
    return wrap(construct(json, config), config);
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

function construct(json: JsonObject, config: JsonObject): HfTokenizer {
  const inner = new HfTokenizer(hidePatterns(prepareTokenizerJson(json)), config);
  ourPatterns(inner);
  const { decoder, normalizer, model } = inner;
  for (const token of inner.get_added_tokens_decoder().values()) {
    // Rust decodes it as it is looked for
    if (token.normalized && normalizer) model!.vocab[token.id] = normalizer.normalize(token.content);
  }
  const parts = decoder instanceof SequenceDecoder ? decoder.decoders : [decoder];
  for (const part of parts) {
    // the library's would drop U+FEFF
    if (part instanceof ByteFallbackDecoder) part.text_decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  }
  return inner;
}

function wrap(inner: HfTokenizer, config: JsonObject): Tokenizer {
  const added = [...inner.get_added_tokens_decoder().values()];
  const specialIds = new Set(added.filter((token) => token.special).map((token) => token.id));
  const prefix = startTokens(inner, config).map((token) => inner.token_to_id(token)!);
  const toIds = encoder(inner, added);
  const longestAt = tokenFinder(added.map((token) => [token.content, token]));
  const starts = new Set(added.map(({ content }) => content[0]));
  const [bosToken, eosToken] = [tokenText(config.bos_token), tokenText(config.eos_token)];
  // as text they end nothing
  const isSpecial = (name: string) => specialIds.has(inner.token_to_id(name)!);
  const ends = endNames(isSpecial).map((name) => inner.token_to_id(name));
  const eos = eosToken === null ? undefined : inner.token_to_id(eosToken);
  const tokenizer: Tokenizer = {
    encode(text, { special, bos, standIns }) {
      const ids = toIds(text.toWellFormed(), special, standIns);
      return bos ? [...prefix, ...ids] : ids;
    },
    decode(ids, { skipSpecial }) {
      const known = ids.filter((id) => tokenizer.isToken(id) && !(skipSpecial && specialIds.has(id)));
      return known.length ? inner.decode(known, { clean_up_tokenization_spaces: false }) : '';
    },
    isSpecial: (id) => specialIds.has(id),
    control(rows) {
      // white space is that in every text
      const isControl = ({ special, id, content }: AddedToken) => (special || id >= rows) && content.trim() !== '';
      const firsts = added.filter(isControl).map(({ content }) => String.fromCodePoint(content.codePointAt(0)!));
      return { longestAt, isControl, firsts: [...new Set(firsts)], starts };
    },
    isToken: (id) => inner.id_to_token(id) !== undefined,
    idOf: (token) => inner.token_to_id(token),
    eosIds: [...new Set([eos, ...ends])].filter((id) => id !== undefined),
    bosToken,
    eosToken,
    vocabSize: inner.model!.vocab.length,
  };
  // a broken rule or decoder shows here, not in the middle of an answer
  tokenizer.decode(tokenizer.encode('a b', { special: true, bos: true }), { skipSpecial: false });
  return tokenizer;
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

/** Text to ids: the library's normaliser, pre-tokenizer and model, between added tokens. */
function encoder(inner: HfTokenizer, added: readonly AddedToken[]) {
  const { normalizer, pre_tokenizer: split, model } = inner;
  const normalize = (text: string) => (normalizer && text ? normalizer.normalize(text) : text);
  const asWritten = addedTokenSplitter(added.filter((t) => !t.normalized).map((t) => [t.content, t]));
  const normalized = addedTokenSplitter(added.filter((t) => t.normalized).map((t) => [normalize(t.content), t]));
  const encodeText = (text: string, first: boolean): number[] => {
    // a Metaspace may put its space before the first section only
    const words = split ? split.pre_tokenize(text, { section_index: first ? 0 : 1 }) : [text];
    return model!._call(words).flatMap((token) => inner.token_to_id(token) ?? model!.unk_token_id ?? []);
  };
  const lateControl = added.some((token) => token.normalized && token.special);
  return (text: string, special: boolean, standIns: StandIns = new Map()): number[] => {
    const show = (part: string) => (standIns.size ? showControl(part, standIns) : part);
    return asWritten(text, special, standIns).flatMap((section, i) => {
      if (typeof section === 'number') return section;
      // a normaliser is to see what was typed, unless tokens are looked for after it
      const sought = lateControl ? section : show(section);
      return normalized(normalize(sought), special, standIns).flatMap((part, j) =>
        typeof part === 'number' ? part : encodeText(show(part), i + j === 0),
      );
    });
  };
}
