/**
 * Text <-> ids, put together from the parts of a tokenizer.json, with what the format leaves open settled: special
 * tokens parsed only on demand, the beginning-of-text token only where the tokenizer itself would add it, and no "clean
 * up" of spaces in decoding (an old default that changes what the model said, and that cannot be streamed).
 */
import { NibbleError } from '../errors';
import { type AddedToken, addedTokenSplitter, type StandIns, tokenFinder } from './added-tokens';
import { Bpe } from './bpe';
import { endNames } from './control-names';
import { byteDecoder, decoder } from './decoder';
import { GrowthError, normalizer } from './normalizer';
import { atOnce } from './steps';
import { prepareTokenizerJson, type TokenizerParts } from './tokenizer-json';
import { type ControlTokens, showControl } from './typed-text';
import { wordSplitter } from './words';

type JsonObject = { [key: string]: unknown };

export interface EncodeOptions {
  /** parse special tokens that stand in the text; otherwise they are plain text (what a user typed must not command) */
  special: boolean;
  /** begin with the beginning-of-text token, if the tokenizer has one to add */
  bos: boolean;
  /** end with the tokens that the tokenizer puts behind a text, as models that embed are given it; absent: no */
  end?: boolean;
  /** of a text that hideControl() had a part in: tokens that begin with a stand-in are text, also where `special` */
  standIns?: StandIns;
}

export interface Tokenizer {
  /**
   * Ids of a text. Bytes that the vocabulary lacks vanish, as in Rust's tokenizers; a lone surrogate is U+FFFD.
   * @throws NibbleError corrupt-checkpoint where the normalizer makes the text more than 8 times as long
   */
  encode(text: string, options: EncodeOptions): number[];
  /**
   * encode(), for a text of any length: others can have a turn after each way through the whole text, and then after
   * every piece of some 64 Ki characters or 100,000 merges; the rest can be left undone.
   * @yields how many ids there will be at least
   */
  steps(text: string, options: EncodeOptions): Generator<number, number[]>;
  /**
   * Text of ids; ids without a token (a padded vocabulary's) are nothing. An unfinished character ends as U+FFFD.
   * @throws NibbleError corrupt-checkpoint where the decoder makes the tokens more than 8 times as long
   */
  decode(ids: readonly number[], options: { skipSpecial: boolean }): string;
  /** The bytes that a token stands for within a text, as characters U+0000 to U+00FF; '' for a number of no token. */
  bytesOf(id: number): string;
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

/** Characters between two turns: some 30 ms. */
const SECTION = 65_536;

function unusable(cause: unknown): NibbleError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new NibbleError(
    'corrupt-checkpoint',
    `tokenizer.json cannot be used (${why}). Download it again, or choose another model.`,
    { path: 'tokenizer.json' },
    { cause },
  );
}

/**
 * @param json tokenizer.json
 * @param config tokenizer_config.json, or {}
 * @throws NibbleError corrupt-checkpoint when tokenizer.json is not one, has a part that no decoder-only family uses,
 * or more or longer parts than any does
 */
export function createTokenizer(json: JsonObject, config: JsonObject): Tokenizer {
  try {
    const tokenizer = assemble(prepareTokenizerJson(json), config);
    // a broken rule or decoder shows here, not in the middle of an answer
    tokenizer.decode(tokenizer.encode('a b', { special: true, bos: true }), { skipSpecial: false });
    return tokenizer;
  } catch (cause) {
    if (cause instanceof NibbleError) throw cause;
    throw unusable(cause);
  }
}

function assemble(parts: TokenizerParts, config: JsonObject): Tokenizer {
  const { addedTokens: added, model, vocab } = parts;
  const names = new Map(added.map(({ content, id }) => [content, id]));
  const idOf = (token: string) => names.get(token) ?? vocab.get(token);
  const normalize = normalizer(parts.normalizers);
  const tokens: string[] = [];
  for (const [token, id] of vocab) tokens[id] = token;
  // Rust decodes it as it is looked for
  for (const { content, id, normalized } of added) tokens[id] = normalized ? normalize(content) : content;
  const specialIds = new Set(added.filter((token) => token.special).map((token) => token.id));
  const [before, behind] = tokensAround(parts, config, idOf);
  const toIds = encoder(parts, normalize);
  const toText = decoder(parts.decoders, (token) => names.has(token));
  const toBytes = byteDecoder(parts.decoders, (token) => names.has(token));
  const suffix = model.end_of_word_suffix;
  const find = tokenFinder(added.map((token) => [token.content, token]));
  const starts = new Set(added.map(({ content }) => content[0]));
  const [bosToken, eosToken] = [tokenText(config.bos_token), tokenText(config.eos_token)];
  // as text they end nothing
  const isSpecial = (name: string) => specialIds.has(idOf(name)!);
  const ends = endNames(isSpecial).map(idOf);
  const eos = eosToken === null ? undefined : idOf(eosToken);
  const isToken = (id: number) => tokens[id] !== undefined;
  function* steps(text: string, { special, bos, end, standIns }: EncodeOptions): Generator<number, number[]> {
    const out = bos ? [...before] : [];
    try {
      yield* toIds(text.toWellFormed(), special, standIns, out);
    } catch (error) {
      throw error instanceof GrowthError ? unusable(error) : error;
    }
    if (end) out.push(...behind);
    return out;
  }
  return {
    encode: (text, options) => atOnce(steps(text, options)),
    steps,
    decode(ids, { skipSpecial }) {
      const known = ids.filter((id) => isToken(id) && !(skipSpecial && specialIds.has(id)));
      try {
        const text = known.length ? toText(known.map((id) => tokens[id])) : '';
        return suffix && typeof suffix === 'string' ? text.replaceAll(suffix, ' ') : text;
      } catch (error) {
        throw error instanceof GrowthError ? unusable(error) : error;
      }
    },
    bytesOf(id) {
      if (!isToken(id)) return '';
      const bytes = toBytes(tokens[id]);
      return suffix && typeof suffix === 'string' ? bytes.replaceAll(suffix, ' ') : bytes;
    },
    isSpecial: (id) => specialIds.has(id),
    control(rows) {
      // white space is that in every text
      const isControl = ({ special, id, content }: AddedToken) => (special || id >= rows) && content.trim() !== '';
      const firsts = added.filter(isControl).map(({ content }) => String.fromCodePoint(content.codePointAt(0)!));
      return { find, isControl, firsts: [...new Set(firsts)], starts };
    },
    isToken,
    idOf,
    eosIds: [...new Set([eos, ...ends])].filter((id) => id !== undefined),
    bosToken,
    eosToken,
    vocabSize: tokens.length,
  };
}

/**
 * The tokens that the tokenizer puts before a text and behind it: what its post-processor adds, or else the BOS or the
 * end-of-text token if the config asks.
 */
function tokensAround(
  { postProcessors }: TokenizerParts,
  config: JsonObject,
  idOf: (token: string) => number | undefined,
): [before: number[], behind: number[]] {
  type Item = { Sequence?: { id?: unknown }; SpecialToken?: { id?: unknown } };
  const [before, behind]: [unknown[], unknown[]] = [[], []];
  for (const { single = [] } of postProcessors) {
    const items = single as Item[];
    const text = items.findIndex(({ Sequence }) => Sequence?.id === 'A');
    const names = items.map(({ SpecialToken }) => SpecialToken?.id);
    // the last is around all others
    before.unshift(...names.slice(0, Math.max(0, text)));
    behind.push(...(text < 0 ? [] : names.slice(text + 1)));
  }
  if (before.length === 0 && config.add_bos_token === true) before.push(tokenText(config.bos_token));
  if (behind.length === 0 && config.add_eos_token === true) behind.push(tokenText(config.eos_token));
  const known = (names: unknown[]) =>
    names.map((name) => (typeof name === 'string' ? idOf(name) : undefined)).filter((id) => id !== undefined);
  return [known(before), known(behind)];
}

/** Text to ids, appended to a list: normaliser, pre-tokenizer and model, between added tokens. */
function encoder(
  { addedTokens: added, preTokenizers, model, vocab }: TokenizerParts,
  normalize: (text: string) => string,
) {
  const inBytes = preTokenizers.at(-1)?.type === 'Bytes';
  const split = wordSplitter(inBytes ? preTokenizers.slice(0, -1) : preTokenizers);
  const bpe = new Bpe(model, vocab, inBytes);
  const asWritten = addedTokenSplitter(added.filter((t) => !t.normalized).map((t) => [t.content, t]));
  const normalized = addedTokenSplitter(added.filter((t) => t.normalized).map((t) => [normalize(t.content), t]));
  const lateControl = added.some((token) => token.normalized && token.special);
  return function* (text: string, special: boolean, standIns: StandIns = new Map(), out: number[] = []) {
    const show = (part: string) => (standIns.size ? showControl(part, standIns) : part);
    let read = 0;
    // a Metaspace may put its space before the first section only
    let first = true;
    const sections = asWritten(text, special, standIns);
    if (text.length > SECTION) yield out.length;
    for (const section of sections) {
      if (typeof section === 'number') {
        out.push(section);
        first = false;
        continue;
      }
      // a normaliser is to see what was typed, unless tokens are looked for after it
      const sought = normalize(lateControl ? section : show(section));
      if (text.length > SECTION) yield out.length;
      for (const part of normalized(sought, special, standIns)) {
        if (typeof part === 'number') out.push(part);
        else {
          for (const word of bpe.cut(split([show(part)], first))) {
            const rest = bpe.encode(word, out);
            if (rest) yield* rest;
            read += word.length;
            if (read < SECTION) continue;
            yield out.length;
            read = 0;
          }
        }
        first = false;
      }
      first = false;
    }
  };
}
