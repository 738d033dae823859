/**
 * A pattern's tree as states, each with what comes after it. Repeats are written out, and a round of a repeat that
 * takes no character ends the repeat, as in Oniguruma: what is compiled goes on to `some` when it took a character, and
 * to `none` when it took nothing, so that no state leads back to itself without a character.
 */
import type { CharSet } from './char-set';
import type { Node } from './parse';

/** The steps that a pattern may have when its repeats are written out: what a text costs for each of its characters. */
const MAX_STEPS = 5000;
/** The different looks the other way that one pattern may have: a bit each. */
const MAX_ASKED = 16;

export const ACCEPT = 0;
export const CHAR = 1;
export const SPLIT = 2;
/** into an atomic group, and out of it */
export const ENTER = 3;
export const LEAVE = 4;
/** a look in the direction that the text is read, and one the other way, which another program answers */
export const LOOK = 5;
export const ASK = 6;

/** The first state of a program: the end of a match, or of a look. */
export const ACCEPTED = 0;

export interface State {
  kind: number;
  /** of CHAR the number of its set; of SPLIT the better way; of LOOK where it begins; of ASK its number */
  what: number;
  next: number;
  /** how many atomic groups are around it */
  depth: number;
  negative: boolean;
}

export class Program {
  readonly states: State[] = [];
  readonly sets: CharSet[] = [];
  /** what answers the looks the other way, and where each begins there */
  helper: Program | null = null;
  readonly asked: number[] = [];
  #setNumbers = new Map<string, number>();
  #looks = new Map<Node, number>();
  #nullable = new Map<Node, boolean>();
  #steps = 0;

  /** @param leftwards whether it matches from right to left, as a look-behind does */
  constructor(readonly leftwards: boolean) {
    this.#state(ACCEPT, 0, 0, 0);
  }

  /** @returns where the tree begins @throws Error when it is too large, or has what cannot be run this way */
  add(node: Node): number {
    return this.#compile(node, ACCEPTED, ACCEPTED, 0);
  }

  /** The states' numbers, each after those that it asks at its own place. There is no circle: see `none` above. */
  order(): number[] {
    const order: number[] = [];
    const seen = new Set<number>();
    const visit = (id: number) => {
      if (seen.has(id)) return;
      seen.add(id);
      const { kind, what, next } = this.states[id];
      if (kind === SPLIT || kind === LOOK) visit(what);
      if (kind !== CHAR && kind !== ACCEPT) visit(next);
      order.push(id);
    };
    this.states.forEach((_, id) => {
      visit(id);
    });
    return order;
  }

  #state(kind: number, what: number, next: number, depth: number, negative = false): number {
    this.#count(depth + 1);
    return this.states.push({ kind, what, next, depth, negative }) - 1;
  }

  #count(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS) throw new Error(`a regex has more than ${MAX_STEPS} steps, its repeats written out`);
  }

  #compile(node: Node, some: number, nothing: number, depth: number): number {
    this.#count(1);
    const none = this.#canBeNothing(node) ? nothing : some;
    switch (node.type) {
      case 'set':
        return this.#state(CHAR, this.#set(node.set), some, depth);
      case 'all':
        return this.#all(this.leftwards ? node.parts : node.parts.toReversed(), some, none, depth);
      case 'any':
        return node.parts
          .map((part) => this.#compile(part, some, none, depth))
          .reduceRight((rest, part) => this.#state(SPLIT, part, rest, depth));
      case 'atomic': {
        if (this.leftwards) throw new Error('a regex has an atomic group or a possessive repeat in a look-behind');
        const [out, outOfNone] = [some, none].map((next) => this.#state(LEAVE, 0, next, depth + 1));
        return this.#state(ENTER, 0, this.#compile(node.part, out, outOfNone, depth + 1), depth);
      }
      case 'look': {
        const kind = node.ahead === this.leftwards ? ASK : LOOK;
        return this.#state(kind, kind === ASK ? this.#ask(node) : this.#look(node), none, depth, node.negative);
      }
      case 'repeat':
        return this.#repeat(node, some, none, depth);
    }
  }

  /** @param parts the last one first */
  #all(parts: readonly Node[], some: number, none: number, depth: number): number {
    let [after, before] = [some, none];
    parts.forEach((part, i) => {
      const rest = after;
      const same = before === after || !this.#canBeNothing(part);
      if (same || i < parts.length - 1) after = this.#compile(part, rest, rest, depth);
      before = same ? after : this.#compile(part, rest, before, depth);
    });
    return before;
  }

  #repeat(node: Node & { type: 'repeat' }, some: number, none: number, depth: number): number {
    const { part, min, max, lazy } = node;
    this.#count(min);
    const either = (again: number, on: number) =>
      lazy ? this.#state(SPLIT, on, again, depth) : this.#state(SPLIT, again, on, depth);
    /** once more, or on; a round of nothing goes on */
    const option = (again: number, on: number) => either(this.#compile(part, again, on, depth), on);
    let [after, before] = [some, none];
    if (max === Infinity) {
      after = either(some, some);
      const first = this.#compile(part, after, some, depth);
      this.states[after][lazy ? 'next' : 'what'] = first;
      before = some === none ? after : option(after, none);
    }
    for (let n = min + 1; n <= max && max < Infinity; n++) {
      // only the outermost may begin a round of what is around it
      if (n === max) before = option(after, none);
      after = n === max && some === none ? before : option(after, some);
    }
    return this.#all(Array<Node>(min).fill(part), after, before, depth);
  }

  #set(set: CharSet): number {
    const number = this.#setNumbers.get(set.key) ?? this.sets.push(set) - 1;
    this.#setNumbers.set(set.key, number);
    return number;
  }

  /** Where the inside of a look begins, which is the same wherever the look stands. */
  #look(node: Node & { type: 'look' }): number {
    const start = this.#looks.get(node) ?? this.add(node.part);
    this.#looks.set(node, start);
    return start;
  }

  #ask(node: Node & { type: 'look' }): number {
    this.helper ??= new Program(!this.leftwards);
    const number = this.#looks.get(node) ?? this.asked.push(this.helper.add(node.part)) - 1;
    this.#looks.set(node, number);
    if (number >= MAX_ASKED) throw new Error(`a regex has more than ${MAX_ASKED} different look-behinds`);
    return number;
  }

  #canBeNothing(node: Node): boolean {
    const known = this.#nullable.get(node);
    if (known !== undefined) return known;
    const can = (part: Node) => this.#canBeNothing(part);
    const result =
      node.type === 'all'
        ? node.parts.every(can)
        : node.type === 'any'
          ? node.parts.some(can)
          : node.type === 'repeat'
            ? node.min === 0 || can(node.part)
            : node.type === 'atomic'
              ? can(node.part)
              : node.type === 'look';
    this.#nullable.set(node, result);
    return result;
  }
}
