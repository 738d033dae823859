/**
 * One answer under a constraint: which tokens may come next, which must, and whether it is complete. It is asked before
 * each draw and told each id after it.
 */
import { NibbleError } from '../errors';
import type { Tokenizer } from '../text/tokenizer';
import type { Grammar } from './grammar';
import { compile, FIRST_TOKEN, type Program } from './program';
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

/** A grammar made ready for a model: the states of all its answers, and their masks. */
export class Constraint {
  readonly states: States;
  readonly #masks: TokenMasks;
  readonly #program: Program;
  readonly #writer: Writer;
  readonly #tokens: number[];
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
    this.#program = compile(grammar, (name) => idOf(name) !== undefined, option);
    this.states = new States(this.#program, option);
    this.#tokens = this.#program.tokens.map((name) => idOf(name)!);
    this.#masks = new TokenMasks(this.states, vocabulary, this.#tokens, ends, (node) => this.#weigh(node));
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
    const ids = tokenizer.encode(new TextDecoder().decode(Uint8Array.from(bytes.slice(0, end))), {
      special: false,
      bos: false,
    });
    const written = ids.map((id) => tokenizer.bytesOf(id)).join('');
    return written === String.fromCharCode(...bytes.slice(0, end)) ? ids : null;
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

/** An answer that is written under a constraint. */
export class ConstrainedAnswer {
  readonly #constraint: Constraint;
  readonly #forces: boolean;
  readonly #single: Uint32Array<ArrayBuffer>;
  #state: number;
  #waiting: number[] = [];
  /** the state that waiting ids were found for */
  #asked = -1;

  /** @param forces whether forced text is the tokenizer's own encoding of it */
  constructor(constraint: Constraint, words: number, forces: boolean) {
    this.#constraint = constraint;
    this.#forces = forces;
    this.#single = new Uint32Array(words);
    this.#state = constraint.states.start();
  }

  /** Whether the answer is complete, and nothing more can come. */
  get complete(): boolean {
    const { states } = this.#constraint;
    return states.ends(this.#state) && !states.goesOn(this.#state);
  }

  /** Whether the answer may end here. */
  get mayEnd(): boolean {
    return this.#constraint.states.ends(this.#state);
  }

  /** Ids that must come next; none where there is a choice. */
  get next(): readonly number[] {
    if (!this.#forces || this.#waiting.length > 0) return this.#waiting;
    if (this.#asked !== this.#state) {
      this.#waiting = [...this.#constraint.forced(this.#state)];
      this.#asked = this.#state;
    }
    return this.#waiting;
  }

  /**
   * The tokens that may come next; the words hold until it is asked again.
   * @param left tokens that may still be drawn
   */
  mask(left: number): Uint32Array<ArrayBuffer> {
    const [only] = this.next;
    if (only === undefined) return this.#constraint.mask(this.#state, left);
    this.#single.fill(0);
    this.#single[only >> 5] = 1 << (only & 31);
    return this.#single;
  }

  /** How many of these ids may come one after the other. */
  fits(ids: readonly number[]): number {
    let state = this.#state;
    for (let n = 0; n < ids.length; n++) {
      state = this.#constraint.after(state, ids[n]);
      if (state === DEAD) return n;
    }
    return ids.length;
  }

  /** An id has come. @throws invalid-option for one that may not come here: a text that goes on with another constraint */
  push(id: number): void {
    const { states } = this.#constraint;
    const next = this.#constraint.after(this.#state, id);
    if (next === DEAD)
      throw new NibbleError(
        'invalid-option',
        `Token ${id} is not what the constraint allows here: give the ids in "made" with the options that they were made with.`,
        { id },
      );
    this.#state = next;
    if (this.#waiting[0] === id) this.#waiting.shift();
    else this.#waiting = [];
    this.#asked = this.#waiting.length > 0 ? -1 : this.#asked;
    if (states.isFull) {
      this.#state = states.forget(this.#state);
      this.#asked = -1;
    }
  }
}
