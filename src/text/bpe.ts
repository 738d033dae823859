/**
 * Byte pair encoding: the ids of a word, as Rust's tokenizers (models/bpe) find them. Characters become tokens first,
 * and pairs of tokens are then merged by their numbers, so that no text is looked up again.
 */
import { BYTE_CHARACTERS, inByteCharacters } from './bytes';
import { type Merges, Merging } from './merging';
import { PairMap } from './pair-map';
import type { TokenizerParts } from './tokenizer-json';

/** A character as tokens: one, its bytes' (byte_fallback), or null, where there is none. */
type Symbol = number | readonly number[] | null;

/**
 * Words whose ids are remembered: so many, of so many characters. A longer piece would keep the text it is cut from.
 */
const REMEMBERED = 16_384;
const REMEMBERED_LENGTH = 12;
/** A longer word gets memory of its own, and is merged in steps. */
const SHORT = 4096;
/** Merges between two turns: about 50 ms. */
const STEPS = 100_000;
/** SentencePiece's space. */
const SPACE = '▁';

export class Bpe {
  readonly #vocab: ReadonlyMap<string, number>;
  readonly #merges: Merges;
  readonly #merging: Merging;
  readonly #scratch = new Int32Array(SHORT);
  /** characters of the longest token that merges make */
  readonly #longest: number;
  /** characters that a token has before a SPACE; null: no word is cut */
  #joined: Set<string> | null = new Set();
  readonly #suffix: string;
  readonly #unknown: number | undefined;
  readonly #fuses: boolean;
  readonly #fallsBack: boolean;
  readonly #whole: boolean;
  readonly #inBytes: boolean;
  /** by byte */
  readonly #bytes: readonly Symbol[];
  /** by byte: the only token; -1 for none and for many */
  readonly #byteIds: Int32Array;
  /** by code point */
  readonly #symbols = new Map<number, Symbol>();
  readonly #words = new Map<string, number[]>();

  /**
   * @param vocab the model's own tokens
   * @param inBytes whether the vocabulary has bytes as characters of GPT-2's alphabet (ByteLevel); words are plain text
   * @throws Error with the reason, for a merge that is not one of two tokens to a third
   */
  constructor(model: TokenizerParts['model'], vocab: ReadonlyMap<string, number>, inBytes: boolean) {
    const { merges, unk_token: unknown, end_of_word_suffix: suffix } = model;
    this.#vocab = vocab;
    this.#unknown = vocab.get(unknown as string);
    this.#fuses = model.fuse_unk === true;
    this.#fallsBack = model.byte_fallback === true;
    this.#whole = model.ignore_merges === true;
    this.#suffix = typeof suffix === 'string' ? suffix : '';
    this.#inBytes = inBytes;
    this.#bytes = inBytes ? BYTE_CHARACTERS.map((character) => this.#symbolOf(character)) : [];
    this.#byteIds = Int32Array.from(this.#bytes, (symbol) => (typeof symbol === 'number' ? symbol : -1));
    if (inBytes || this.#whole || this.#suffix || !vocab.has(SPACE)) this.#joined = null;
    const ranks = new PairMap(merges.length);
    const made = new Int32Array(merges.length);
    let longest = 1;
    for (let rank = 0; rank < merges.length; rank++) {
      const { left, right, id, text } = readMerge(merges[rank], vocab);
      // of equal pairs the last counts
      ranks.set(left, right, rank);
      made[rank] = id;
      longest = Math.max(longest, text.length);
      this.#join(text, unknown as string | undefined);
    }
    this.#longest = longest;
    this.#merges = { ranks, made };
    this.#merging = new Merging(this.#merges, SHORT);
  }

  /** Takes note of what a token has before a space. */
  #join(text: string, unknown: string | undefined): void {
    for (let at = text.indexOf(SPACE, 1); at > 0 && this.#joined; at = text.indexOf(SPACE, at + 1)) {
      const before = text.slice(0, at);
      // what stands for other characters, which are then before a space too
      if (/<0x[\dA-F]{2}>$/.test(before) || (unknown && before.endsWith(unknown))) this.#joined = null;
      else this.#joined.add(text[at - 1]);
    }
  }

  #symbolOf(text: string): Symbol {
    const id = this.#vocab.get(text);
    if (id !== undefined || !this.#fallsBack) return id ?? null;
    const bytes = Array.from(new TextEncoder().encode(text), (byte) =>
      this.#vocab.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
    );
    return bytes.every((byte) => byte !== undefined) ? bytes : null;
  }

  /** A word's characters as tokens, before any merge, in the scratch if it is short. */
  #tokens(word: string): { ids: Int32Array; size: number } {
    let ids = word.length <= SHORT || this.#inBytes ? this.#scratch : new Int32Array(word.length);
    let size = 0;
    let waits = false;
    const add = (id: number) => {
      if (size === ids.length) {
        const more = new Int32Array(Math.ceil(1.5 * size));
        more.set(ids);
        ids = more;
      }
      ids[size++] = id;
    };
    const put = (symbol: Symbol) => {
      if (typeof symbol === 'number') {
        if (waits) add(this.#unknown!);
        waits = false;
        add(symbol);
      } else if (symbol) {
        // in Rust an unknown character waits here
        for (const id of symbol) add(id);
      } else if (this.#unknown !== undefined) {
        if (waits && !this.#fuses) add(this.#unknown);
        waits = true;
      }
    };
    if (this.#inBytes && !this.#suffix) {
      const bytes = new TextEncoder().encode(word);
      if (bytes.length > SHORT) ids = new Int32Array(bytes.length);
      for (let i = 0; i < bytes.length; i++) {
        const id = this.#byteIds[bytes[i]];
        if (id < 0 || waits || size === ids.length) put(this.#bytes[bytes[i]]);
        else ids[size++] = id;
      }
    } else {
      const text = this.#inBytes ? inByteCharacters(word) : word;
      const last = (text.codePointAt(text.length - 2) ?? 0) > 0xffff ? text.length - 2 : text.length - 1;
      for (let i = 0; i < text.length; i++) {
        const code = text.codePointAt(i)!;
        put(this.#suffix && i === last ? this.#symbolOf(text.slice(i) + this.#suffix) : this.#symbolOfCode(code));
        if (code > 0xffff) i++;
      }
    }
    if (waits) add(this.#unknown!);
    return { ids, size };
  }

  #symbolOfCode(code: number): Symbol {
    let symbol = this.#symbols.get(code);
    if (symbol === undefined) {
      symbol = this.#symbolOf(String.fromCodePoint(code));
      this.#symbols.set(code, symbol);
    }
    return symbol;
  }

  /** The word in parts that no token crosses: SentencePiece has no words, so that a whole text may be one. */
  cut(words: Iterable<string>): Iterable<string> {
    return this.#joined ? this.#cut(words, this.#joined) : words;
  }

  *#cut(words: Iterable<string>, joined: ReadonlySet<string>): Generator<string> {
    for (const word of words) {
      let done = 0;
      for (let at = word.indexOf(SPACE, 1); at > 0; at = word.indexOf(SPACE, at + 1)) {
        if (joined.has(word[at - 1]) || !this.#stays(word.charCodeAt(at - 1))) continue;
        yield word.slice(done, at);
        done = at;
      }
      yield word.slice(done);
    }
  }

  /** Whether a UTF-16 unit surely becomes a token; without one its neighbours meet. */
  #stays(unit: number): boolean {
    if (this.#unknown !== undefined) return true;
    return (unit < 0xd800 || unit > 0xdfff) && this.#symbolOfCode(unit) !== null;
  }

  /**
   * Appends the ids of a word to `out`: at once, or of a long one in what is returned, step by step.
   * @yields how many ids there will be in `out` at least
   */
  encode(word: string, out: number[]): Generator<number, void> | null {
    const known = this.#words.get(word);
    if (known) {
      for (const id of known) out.push(id);
      return null;
    }
    const from = out.length;
    const whole = this.#whole && word.length <= SHORT;
    const single = whole ? this.#vocab.get(this.#inBytes ? inByteCharacters(word) : word) : undefined;
    if (single !== undefined) out.push(single);
    else {
      const { ids, size } = this.#tokens(word);
      if (size > SHORT) return this.#inSteps(ids, size, out);
      const merging = this.#merging;
      merging.start(ids, size);
      while (merging.run(STEPS));
      merging.end(out, size);
    }
    if (word.length <= REMEMBERED_LENGTH) {
      if (this.#words.size === REMEMBERED) this.#words.clear();
      this.#words.set(word, out.slice(from));
    }
    return null;
  }

  *#inSteps(ids: Int32Array, size: number, out: number[]): Generator<number, void> {
    const least = out.length + Math.ceil(size / this.#longest);
    yield least;
    const merging = new Merging(this.#merges, size);
    merging.start(ids, size);
    while (merging.run(STEPS)) yield least;
    while (merging.end(out, 10 * STEPS)) yield out.length;
  }
}

/** @throws Error for what is no merge of two tokens to a third */
function readMerge(merge: unknown, vocab: ReadonlyMap<string, number>) {
  const pair: unknown = typeof merge === 'string' ? merge.split(' ') : merge;
  if (Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === 'string')) {
    const text: string = pair[0] + pair[1];
    const [left, right, id] = [pair[0], pair[1], text].map((token) => vocab.get(token));
    if (left !== undefined && right !== undefined && id !== undefined) return { left, right, id, text };
  }
  const shown = (JSON.stringify(merge) ?? String(merge)).slice(0, 80);
  throw new Error(`the merge ${shown} is not one of two tokens to a third`);
}
