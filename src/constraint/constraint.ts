/** A grammar made ready for a model: of each state, which tokens may come next, and which must. */
import type { Tokenizer } from '../text/tokenizer';
import type { Grammar } from './grammar';
import { FIRST_TOKEN } from './nodes';
import { compile, type Program } from './program';
import { DEAD, States } from './states';
import { TokenMasks } from './token-masks';
import type { Vocabulary } from './vocabulary';

/** Bytes of forced text that are looked for at once. */
const MAX_FORCED = 1024;
/** Bytes of the end of a rule whose tokens are counted; longer ones are counted by their share. */
const WEIGHED = 256;

/** What a constraint needs of the model. */
export interface Writer {
  tokenizer: Pick<Tokenizer, 'encode' | 'bytesOf' | 'idOf' | 'isSpecial'>;
  vocabulary: Vocabulary;
  /** ids that end an answer */
  ends: readonly number[];
}

const NONE: readonly number[] = [];

export class Constraint {
  readonly states: States;
  readonly #masks: TokenMasks;
  readonly #program: Program;
  readonly #writer: Writer;
  readonly #tokens: number[];
  readonly #single: Uint32Array<ArrayBuffer>;
  readonly #weights = new Map<number, number>();
  readonly #forced = new Map<number, readonly number[]>();
  #age = 0;

  /**
   * @param option what the caller gave, as errors name it
   * @throws invalid-option for a grammar that cannot be followed, or that allows nothing
   */
  constructor(grammar: Grammar, writer: Writer, option: string) {
    const { tokenizer, vocabulary, ends } = writer;
    const idOf = (name: string) => {
      const id = tokenizer.idOf(name);
      return id !== undefined && tokenizer.isSpecial(id) ? id : undefined;
    };
    this.#writer = writer;
    this.#single = new Uint32Array(vocabulary.words);
    this.#program = compile(grammar, (name) => idOf(name) !== undefined, option);
    this.states = new States(this.#program, option);
    this.#tokens = this.#program.tokens.map((name) => idOf(name)!);
    this.#masks = new TokenMasks(this.states, vocabulary, this.#tokens, ends, (node) => this.#weigh(node));
  }

  /** The state that an answer begins in. */
  begin(): number {
    if (this.states.isFull) this.states.forget(this.states.start());
    return this.states.start();
  }

  /** A state, after others were forgotten where there were too many; one answer at a time can be under way. */
  tidied(state: number): number {
    return this.states.isFull ? this.states.forget(state) : state;
  }

  /** The mask of one token; its words hold until the next. */
  single(id: number): Uint32Array<ArrayBuffer> {
    this.#single.fill(0);
    this.#single[id >> 5] = 1 << (id & 31);
    return this.#single;
  }

  /** See TokenMasks. */
  mask(state: number, left: number): Uint32Array<ArrayBuffer> {
    return this.#masks.mask(state, left);
  }

  /** The state after a token; DEAD where it may not come. */
  after(state: number, id: number): number {
    const { tokenizer } = this.#writer;
    const place = this.#tokens.indexOf(id);
    if (place >= 0) return this.states.step(state, FIRST_TOKEN + place);
    if (tokenizer.isSpecial(id)) return DEAD;
    const bytes = tokenizer.bytesOf(id);
    for (let i = 0; i < bytes.length && state !== DEAD; i++) state = this.states.step(state, bytes.charCodeAt(i));
    return bytes === '' ? DEAD : state;
  }

  /**
   * The ids of the text that must come after a state, as the tokenizer itself writes it: all but the last, which may
   * join what follows; a control token joins nothing.
   */
  forced(state: number): readonly number[] {
    if (this.#age !== this.states.age) this.#forced.clear();
    this.#age = this.states.age;
    const known = this.#forced.get(state);
    if (known) return known;
    const ids: number[] = [];
    let bytes: number[] = [];
    let at = state;
    while (bytes.length < MAX_FORCED && !this.states.ends(at)) {
      const kind = this.states.onlyClass(at);
      const symbol = kind < 0 ? -1 : this.states.symbolOf(kind);
      if (symbol < 0) break;
      at = this.states.step(at, symbol);
      if (symbol < FIRST_TOKEN) bytes.push(symbol);
      else {
        const before = this.#encode(bytes);
        if (!before) break;
        ids.push(...before, this.#tokens[symbol - FIRST_TOKEN]);
        bytes = [];
      }
    }
    ids.push(...(this.#encode(bytes)?.slice(0, -1) ?? []));
    const forced = ids.length ? ids : NONE;
    this.#forced.set(state, forced);
    return forced;
  }

  /** @returns null where the tokenizer writes other bytes, as one that puts a space before each text */
  #encode(bytes: readonly number[]): number[] | null {
    const { tokenizer } = this.#writer;
    let end = bytes.length;
    // whole characters: back to where one begins, if the last is cut
    let start = end - 1;
    while (start > 0 && (bytes[start] & 0xc0) === 0x80) start--;
    const length = bytes[start] < 0x80 ? 1 : bytes[start] < 0xe0 ? 2 : bytes[start] < 0xf0 ? 3 : 4;
    if (end > 0 && end - start < length) end = start;
    if (end === 0) return [];
    const text = String.fromCharCode(...bytes.slice(0, end));
    const decoded = new TextDecoder().decode(Uint8Array.from(bytes.slice(0, end)));
    // a line end takes the space that some tokenizers put before a text
    for (const before of ['', '\n']) {
      const ids = tokenizer.encode(before + decoded, { special: false, bos: false });
      let written = '';
      for (let n = ids.length - 1; n >= 0 && written.length < text.length; n--) {
        written = tokenizer.bytesOf(ids[n]) + written;
        if (written === text && (before !== '' || n === 0)) return ids.slice(n);
      }
    }
    return null;
  }

  /** About how many tokens the shortest end of a rule takes from a node on. */
  #weigh(node: number): number {
    const bytes = this.states.shortest.bytes[node];
    if (bytes <= 1 || bytes === Number.POSITIVE_INFINITY) return bytes;
    let weight = this.#weights.get(node);
    if (weight === undefined) {
      const symbols = this.states.shortest.symbols(node, WEIGHED);
      const ids = this.#encode(symbols.filter((symbol) => symbol < FIRST_TOKEN));
      weight = ids
        ? Math.ceil((ids.length + symbols.filter((s) => s >= FIRST_TOKEN).length) * Math.max(1, bytes / symbols.length))
        : bytes;
      this.#weights.set(node, weight);
    }
    return weight;
  }
}
