/**
 * Runs a program over a text in two passes, each linear. From the end to the start: which states can lead to a match
 * from each place; such a set is found once and then known by its number, as in a lazily built DFA. Then from the start
 * on: wherever a match can begin, the best way that leads to one is followed, and nothing is tried in vain. So all
 * matches together cost the text's length times the program's size at most, whatever the pattern.
 *
 * A look in the program's own direction is a state like others. One the other way is answered by a program of its own,
 * which reads the text first. A state in an atomic group has one bit for each group around it: whether the group alone
 * can match, and whether the rest matches after the way that the group takes for itself.
 */
import { ACCEPT, ACCEPTED, ASK, CHAR, LEAVE, LOOK, type Program, SPLIT } from './program';

/** Bytes of the sets that are kept; where a text needs more, they are forgotten and found again. */
const MAX_KEPT = 4_000_000;
const MAX_SYMBOLS = 4096;
/** The class of what is beyond the text. */
const EDGE = 0;

/** Whether a place is inside a character of two units. */
const isInside = (units: Uint16Array, at: number) =>
  (units[at] & 0xfc00) === 0xdc00 && (units[at - 1] & 0xfc00) === 0xd800;
const unitsOf = (text: string) => {
  const units = new Uint16Array(text.length);
  for (let i = 0; i < text.length; i++) units[i] = text.charCodeAt(i);
  return units;
};

/** The matches in one text, one after the other. */
export interface Matches {
  /** of the match that next() has found */
  start: number;
  end: number;
  /** Goes to the next match; false where there is none. */
  next(): boolean;
}

/** What is known of a text: the number of the set at each place, by blocks, and what each block begins from. */
interface Reading {
  units: Uint16Array;
  /** the helper's answers at each place */
  answers: Uint16Array | null;
  sets: Uint16Array;
  begins: Uint8Array[];
  ages: number[];
}

export class Automaton {
  readonly #program: Program;
  readonly #helper: Automaton | null;
  readonly #starts: readonly number[];
  readonly #order: Uint16Array;
  /** where a state's bits are, that of the innermost group last */
  readonly #slots: Uint16Array;
  readonly #size: number;
  readonly #blockLength: number;
  #steps = 0;

  /** the class of each character that was seen, in pages of 256; characters of one class are in the same sets */
  readonly #pages: Uint16Array[] = [];
  readonly #classes: Uint8Array[] = [];
  readonly #classNumbers = new Map<string, number>();
  /** what a step depends on: a class and, where there is a helper, its answer */
  #symbols = new Map<number, number>();
  #symbolParts: number[] = [];

  #numbers = new Map<string, number>();
  /** of each set: its bits, the set that each symbol leads to, and from each state the next that takes a character */
  #bits: Uint8Array[] = [];
  #next: Uint16Array[] = [];
  #ways: Uint16Array[] = [];
  /** rises when the sets are forgotten */
  #age = 0;

  /** @param starts where a match begins, or each of the looks that are to be answered */
  constructor(program: Program, starts: readonly number[]) {
    this.#program = program;
    this.#starts = starts;
    this.#helper = program.helper && new Automaton(program.helper, program.asked);
    this.#order = Uint16Array.from(program.order());
    let size = 0;
    this.#slots = Uint16Array.from(program.states, ({ depth }) => {
      size += depth + 1;
      return size - depth - 1;
    });
    this.#size = size;
    this.#blockLength = Math.max(128, Math.min(4096, Math.floor(MAX_KEPT / size / 2)));
    this.#classes.push(new Uint8Array(program.sets.length));
  }

  /** Characters read and states looked at so far: work that depends on no machine, for tests. */
  get steps(): number {
    return this.#steps + (this.#helper?.steps ?? 0);
  }

  /** The matches in a text, from the left; none begins before the last one ends. */
  matches(text: string): Matches {
    const units = unitsOf(text);
    const reading = this.#read(units);
    const { sets } = reading;
    const [start] = this.#starts;
    const slot = this.#slots[start];
    const next = Uint16Array.from(this.#program.states, (state) => state.next);
    let block = reading.ages.length - 1;
    let limit = text.length - block * this.#blockLength;
    let at = 0;
    const matches: Matches = {
      start: 0,
      end: -1,
      next: () => {
        const from = at;
        const last = matches.end;
        // another text may have been read since
        if (reading.ages[block] !== this.#age) this.#readBlock(reading, block);
        /** where the match begins that is followed, and the state before `at` */
        let begin = -1;
        let state = start;
        for (; at <= units.length; at += isInside(units, at + 1) ? 2 : 1) {
          if (at > limit) {
            limit += this.#blockLength;
            block--;
            if (reading.ages[block] !== this.#age) this.#readBlock(reading, block);
          }
          const set = sets[at];
          if (begin < 0) {
            if (!this.#bits[set][slot]) continue;
            begin = at;
            state = start;
          }
          state = (this.#ways[set]?.[state] || this.#way(set, state)) - 1;
          if (state === ACCEPTED) {
            // as in Rust's tokenizers, an empty match right after a match is none
            if (at > begin || at !== last) {
              [matches.start, matches.end] = [begin, at];
              this.#steps += at - from;
              return true;
            }
            begin = -1;
          } else state = next[state];
        }
        this.#steps += at - from;
        return false;
      },
    };
    return matches;
  }

  /** For each place of the text: bit n tells whether the n-th start leads to a match. */
  #answers(units: Uint16Array): Uint16Array {
    return this.#read(units, (set) =>
      this.#starts.reduce((bits, start, n) => bits | (this.#bits[set][this.#slots[start]] << n), 0),
    ).sets;
  }

  /** The pass from the end, or for looks behind from the start. @param told what is kept of a set, else its number */
  #read(units: Uint16Array, told?: (set: number) => number): Reading {
    const reading: Reading = {
      units,
      answers: this.#helper ? this.#helper.#answers(units) : null,
      sets: new Uint16Array(units.length + 1),
      begins: [new Uint8Array(this.#size)],
      ages: [],
    };
    for (let block = 0; block * this.#blockLength <= units.length; block++) this.#readBlock(reading, block, told);
    return reading;
  }

  #readBlock(reading: Reading, block: number, told?: (set: number) => number): void {
    const { units, answers, sets } = reading;
    const { length } = units;
    const { leftwards } = this.#program;
    // so many sets at most come from one block, and all of them are known to its end
    if (this.#bits.length > this.#blockLength || this.#symbolParts.length > MAX_SYMBOLS) this.#forget();
    reading.ages[block] = this.#age;
    const first = block * this.#blockLength;
    const end = Math.min(length + 1, first + this.#blockLength);
    let set = this.#number(reading.begins[block]);
    const pages = this.#pages;
    const next = this.#next;
    for (let n = first; n < end; n++) {
      const place = leftwards ? n : length - n;
      if (!isInside(units, place)) {
        let kind = EDGE;
        if (n > 0) {
          let from = leftwards ? place - 1 : place;
          if (isInside(units, from)) from--;
          let code = units[from];
          if (isInside(units, from + 1)) code = (code - 0xd7f7) * 0x400 + units[from + 1];
          kind = pages[code >> 8]?.[code & 255] || this.#classOf(code);
        }
        const symbol = answers ? this.#symbol(kind, answers[place]) : kind;
        set = next[set][symbol] || this.#step(set, symbol);
      }
      sets[place] = told ? told(set) : set;
    }
    this.#steps += end - first;
    reading.begins[block + 1] = this.#bits[set];
  }

  #forget(): void {
    this.#age++;
    this.#numbers = new Map();
    [this.#bits, this.#next, this.#ways, this.#symbolParts] = [[], [], [], []];
    this.#symbols = new Map();
  }

  #classOf(code: number): number {
    const character = String.fromCodePoint(code);
    const member = Uint8Array.from(this.#program.sets, (set) => +set.has(character));
    this.#steps += member.length;
    const key = String.fromCharCode(...packed(member));
    let number = this.#classNumbers.get(key);
    if (number === undefined) {
      number = this.#classes.push(member) - 1;
      this.#classNumbers.set(key, number);
    }
    this.#pages[code >> 8] ??= new Uint16Array(256);
    this.#pages[code >> 8][code & 255] = number;
    return number;
  }

  #symbol(kind: number, answer: number): number {
    const parts = kind * 0x10000 + answer;
    let symbol = this.#symbols.get(parts);
    if (symbol === undefined) {
      symbol = this.#symbolParts.push(parts) - 1;
      this.#symbols.set(parts, symbol);
    }
    return symbol;
  }

  /** The number of a set; no set is number 0, which in #next stands for one not yet found. */
  #number(bits: Uint8Array): number {
    const key = String.fromCharCode(...packed(bits));
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = Math.max(1, this.#bits.length);
      this.#bits[number] = bits;
      this.#next[number] = new Uint16Array(16);
      this.#numbers.set(key, number);
    }
    return number;
  }

  /** From the set on the far side of a character to the one on its near side. */
  #step(set: number, symbol: number): number {
    const parts = this.#helper ? this.#symbolParts[symbol] : symbol * 0x10000;
    const member = this.#classes[parts >>> 16];
    const { states } = this.#program;
    const far: Uint8Array = this.#bits[set];
    const near: Uint8Array = new Uint8Array(this.#size);
    const slots = this.#slots;
    for (const id of this.#order) {
      const { kind, what, next, depth, negative } = states[id];
      const slot = slots[id];
      let from = near;
      let source = slots[next];
      let can = 1;
      // an atomic group's own bit is set at its end, and so is the one of the end of all
      let bits = depth + 1;
      if (kind === CHAR) {
        from = far;
        can = member[what];
      } else if (kind === SPLIT) {
        if (near[slots[what] + depth]) source = slots[what];
      } else if (kind === LOOK) can = near[slots[what]] ^ +negative;
      else if (kind === ASK) can = ((parts >> what) & 1) ^ +negative;
      else if (kind === LEAVE || kind === ACCEPT) {
        near[slot + depth] = 1;
        bits = depth;
      }
      if (can && bits) {
        near[slot] = from[source];
        for (let bit = 1; bit < bits; bit++) near[slot + bit] = from[source + bit];
      }
    }
    this.#steps += this.#size;
    const number = this.#number(near);
    if (symbol >= this.#next[set].length) {
      const longer = new Uint16Array(symbol * 2);
      longer.set(this.#next[set]);
      this.#next[set] = longer;
    }
    this.#next[set][symbol] = number;
    return number;
  }

  /** From a state the next one that takes a character, on the best way that leads to a match, or ACCEPT; plus 1. */
  #way(set: number, from: number): number {
    const bits = this.#bits[set];
    let state = from;
    for (;;) {
      const { kind, what, next, depth } = this.#program.states[state];
      if (kind === CHAR || kind === ACCEPT) break;
      state = kind === SPLIT && bits[this.#slots[what] + depth] ? what : next;
      this.#steps++;
    }
    this.#ways[set] ??= new Uint16Array(this.#program.states.length);
    this.#ways[set][from] = state + 1;
    return state + 1;
  }
}

/** Bits as numbers of sixteen, for a key. */
function packed(bits: Uint8Array): number[] {
  const numbers: number[] = [];
  for (let i = 0; i < bits.length; i++) numbers[i >> 4] = ((numbers[i >> 4] ?? 0) << 1) | bits[i];
  return numbers;
}
