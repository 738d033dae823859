/**
 * What may come next, at each place of an answer: a program (program.ts) run for all its ways at once. A state is a set
 * of nodes, each with the calls that it is in; equal states are one, known by its number, and what follows a state by a
 * symbol is found once. So a text that was read before, and all that is asked of a state, cost a look at a table.
 *
 * The calls of a node are a stack, or many at once: stacks are shared, equal ones are one, and those that differ only
 * in what lies deeper are joined where they part, as in a graph-structured stack (Tomita 1985). So ambiguity costs
 * polynomial work, never exponential; a limit on a state's size says no to what is left. It is long because states and
 * stacks are made of each other.
 */
import { NibbleError } from '../errors';
import { PLAIN_EXAMPLE } from './characters';
import { END, FIRST_TOKEN } from './nodes';
import type { Program } from './program';
import type { Shortest } from './shortest';

/** The state that nothing leads out of. */
export const DEAD = 0;
/** What is not known yet. */
const UNKNOWN = -1;
/** Nodes of a state, and calls that they have together. */
const MAX_MEMBERS = 2000;
/** The count of a frame that is a rule's and no repeat's. */
const CALL = -1;
/** Calls that are joined for one state: some milliseconds of work. */
const MAX_JOINED = 20_000;
/** Calls in one another: deeper ones are not written. */
const MAX_DEPTH = 1000;
/** Numbers of the table of what follows: then all states but one are forgotten. */
const MAX_TABLE = 4_000_000;

interface Frame {
  /** the node that is returned to; of a repeat: itself */
  back: number;
  /** of a repeat: how many times its part was there before this one; else CALL */
  count: number;
  up: Stack;
}

interface Stack {
  id: number;
  /** sorted by back and count */
  frames: readonly Frame[];
  /** among them is the whole answer's end */
  bottom: boolean;
  depth: number;
  /** of the shortest end from here, in bytes */
  bytes: number;
  /** the same in tokens, once it was asked for */
  tokens: number;
  unions: Map<number, Stack>;
  /** with counts that are alike for so many characters, once it was asked for */
  clamped: Stack | null;
}

interface State {
  nodes: readonly number[];
  stacks: readonly Stack[];
  ends: boolean;
  /** what alike() found; -1: it was not asked */
  alike: number;
}

const compare = (a: Frame, b: Frame) => a.back - b.back || a.count - b.count;

export class States {
  /** class of each symbol: those of one class are alike everywhere */
  readonly classes: Uint16Array;
  readonly classCount: number;
  /** by state and class: the next state, or less than 0 where it is not known */
  table: Int32Array;
  /** by state: bytes of the shortest end from it */
  bytesLeft: Float64Array;
  /** rises when states are forgotten: numbers of before mean nothing then */
  age = 0;
  readonly shortest: Shortest;
  readonly #program: Program;
  readonly #option: string;
  readonly #representatives: number[] = [];
  #stacks = new Map<string, Stack>();
  #stackCount = 0;
  #states: State[] = [];
  #numbers = new Map<string, number>();
  /** calls that were joined for the newest state */
  #joined = 0;
  /** work so far, for tests: nodes that were looked at */
  steps = 0;

  /**
   * @param option what the caller gave, as errors name it
   * @throws invalid-option where no text at all is allowed
   */
  constructor(program: Program, option: string) {
    this.#program = program;
    this.#option = option;
    this.shortest = program.shortest;
    if (this.shortest.bytes[program.start] === Number.POSITIVE_INFINITY)
      throw new NibbleError(
        'invalid-option',
        `The ${option} allows no answer that ever ends: it contradicts itself, or recurses without a way out. Allow a part of it to be left out.`,
        { option },
      );
    const symbols = FIRST_TOKEN + program.tokens.length;
    const cuts = new Set<number>([0]);
    for (const node of program.nodes)
      if (node.kind === 'read')
        for (const { from, to } of node.edges) {
          cuts.add(from);
          cuts.add(to + 1);
        }
    this.classes = new Uint16Array(symbols);
    let last = -1;
    for (let symbol = 0; symbol < symbols; symbol++) {
      if (cuts.has(symbol)) {
        last++;
        this.#representatives.push(symbol);
      }
      this.classes[symbol] = last;
    }
    this.classCount = last + 1;
    this.table = new Int32Array(64 * this.classCount);
    this.bytesLeft = new Float64Array(64);
    this.#reset();
  }

  /** The state before the first character. */
  start(): number {
    return this.#close([[this.#program.start, this.#stack([], true)]]);
  }

  /** The state after a symbol. */
  step(state: number, symbol: number): number {
    const kind = this.classes[symbol];
    const known = this.table[state * this.classCount + kind];
    return known === UNKNOWN ? this.compute(state, kind) : known;
  }

  /** The state after bytes. */
  read(state: number, bytes: Iterable<number>): number {
    for (const byte of bytes) {
      if (state === DEAD) return DEAD;
      state = this.step(state, byte);
    }
    return state;
  }

  /** Whether the answer may end here. */
  ends(state: number): boolean {
    return this.#states[state].ends;
  }

  /** What leads on from a state, by class, where it is the only one; -1: there are none or several. */
  onlyClass(state: number): number {
    let found = -1;
    for (let kind = 0; kind < this.classCount; kind++) {
      const next = this.table[state * this.classCount + kind];
      if ((next === UNKNOWN ? this.compute(state, kind) : next) === DEAD) continue;
      if (found >= 0) return -1;
      found = kind;
    }
    return found;
  }

  /** The one symbol of a class; -1: it has several. */
  symbolOf(kind: number): number {
    const symbol = this.#representatives[kind];
    const end = this.#representatives[kind + 1] ?? this.classes.length;
    return end - symbol === 1 ? symbol : -1;
  }

  /** Whether something may still come. */
  goesOn(state: number): boolean {
    return this.#states[state].nodes.length > 0;
  }

  /** The state after any plain character (characters.ts), where all of them lead to one; else -1. */
  afterPlain(state: number): number {
    for (const at of this.#states[state].nodes) {
      const node = this.#program.nodes[at];
      if (node.kind === 'read' && !node.alike) return -1;
    }
    return this.step(state, PLAIN_EXAMPLE);
  }

  /** Tokens of the shortest end from here, about. @param weigh tokens of the symbols that a rule ends with */
  tokensLeft(state: number, weigh: (node: number) => number): number {
    const { nodes, stacks, ends } = this.#states[state];
    let least = ends ? 0 : Number.POSITIVE_INFINITY;
    for (let i = 0; i < nodes.length; i++) {
      const own = weigh(nodes[i]);
      if (own < least) least = Math.min(least, own + this.#stackTokens(stacks[i], weigh));
    }
    return least;
  }

  #stackTokens(stack: Stack, weigh: (node: number) => number): number {
    if (stack.tokens >= 0) return stack.tokens;
    let least = stack.bottom ? 0 : Number.POSITIVE_INFINITY;
    for (const { back, count, up } of stack.frames) {
      const node = this.#program.nodes[back];
      const own =
        node.kind === 'count' && count !== CALL
          ? Math.max(0, node.least - count - 1) * weigh(node.body) + weigh(node.next)
          : weigh(back);
      if (own < least) least = Math.min(least, own + this.#stackTokens(up, weigh));
    }
    stack.tokens = least;
    return least;
  }

  /**
   * The state that is like this one for a text of so many bytes: how often something was repeated counts only where
   * that comes near to how often it must or may be.
   */
  alike(state: number, bytes: number): number {
    const { nodes, stacks } = this.#states[state];
    const known = this.#states[state].alike;
    if (known >= 0) return known;
    const members = nodes.map((node, i): [number, Stack] => [node, this.#clamp(stacks[i], bytes)]);
    if (this.#states[state].ends) members.push([END, this.#stack([], true)]);
    const found = this.#close(members);
    this.#states[state].alike = found;
    this.#states[found].alike = found;
    return found;
  }

  #clamp(stack: Stack, bytes: number): Stack {
    if (stack.clamped) return stack.clamped;
    let same = true;
    const frames = stack.frames.map((frame): Frame => {
      const { back, up } = frame;
      let { count } = frame;
      const node = this.#program.nodes[back];
      if (node.kind === 'count' && count !== CALL && node.most - count > bytes) {
        if (node.least - count > bytes) count = 0;
        else if (count > node.least) count = node.least;
      }
      const clamped = this.#clamp(up, bytes);
      same &&= clamped === up && count === frame.count;
      return { back, count, up: clamped };
    });
    stack.clamped = same ? stack : this.#merged(frames, stack.bottom);
    stack.clamped.clamped ??= stack.clamped;
    return stack.clamped;
  }

  /** Forgets all states but one. @returns its new number */
  forget(kept: number): number {
    const { nodes, stacks, ends } = this.#states[kept];
    this.#reset();
    this.age++;
    const copies = new Map<Stack, Stack>();
    const copy = (stack: Stack): Stack => {
      const made =
        copies.get(stack) ??
        this.#stack(
          stack.frames.map(({ back, count, up }) => ({ back, count, up: copy(up) })),
          stack.bottom,
        );
      copies.set(stack, made);
      return made;
    };
    return this.#close([
      ...nodes.map((node, i): [number, Stack] => [node, copy(stacks[i])]),
      ...(ends ? [[END, this.#stack([], true)] as [number, Stack]] : []),
    ]);
  }

  /** Whether there is so much in the table that it is time to forget. */
  get isFull(): boolean {
    return this.#states.length * this.classCount > MAX_TABLE || this.#stackCount > MAX_TABLE / 8;
  }

  #reset(): void {
    this.#stacks = new Map();
    this.#stackCount = 0;
    this.#states = [];
    this.#numbers = new Map();
    this.#number({ nodes: [], stacks: [], ends: false, alike: DEAD }, Number.POSITIVE_INFINITY);
    this.table.fill(DEAD, 0, this.classCount);
  }

  compute(state: number, kind: number): number {
    const { nodes, stacks } = this.#states[state];
    const symbol = this.#representatives[kind];
    const found: [number, Stack][] = [];
    for (let i = 0; i < nodes.length; i++) {
      const node = this.#program.nodes[nodes[i]];
      if (node.kind !== 'read') continue;
      for (const { from, to, target } of node.edges)
        if (from <= symbol && symbol <= to) found.push([target, stacks[i]]);
    }
    this.steps += nodes.length;
    const next = found.length === 0 ? DEAD : this.#close(found);
    this.table[state * this.classCount + kind] = next;
    return next;
  }

  /** All that is reached without reading, as a state. */
  #close(from: Iterable<[number, Stack]>): number {
    const { nodes } = this.#program;
    const { bytes } = this.shortest;
    this.#joined = 0;
    const reached = new Map<number, Stack>();
    const waiting: [number, Stack][] = [];
    let ends = false;
    const add = (at: number, stack: Stack) => {
      // what never ends is not begun
      if (bytes[at] === Number.POSITIVE_INFINITY) return;
      const before = reached.get(at);
      const now = before ? this.#union(before, stack) : stack;
      if (now === before) return;
      reached.set(at, now);
      waiting.push([at, stack]);
    };
    const repeat = (at: number, count: number, stack: Stack) => {
      const node = nodes[at];
      if (node.kind !== 'count') return;
      const { body, least, most, next } = node;
      const counted = most === Number.POSITIVE_INFINITY ? Math.min(count, least) : count;
      if (counted < most) {
        const pushed = this.#push(at, counted, stack);
        if (pushed) add(body, pushed);
      }
      if (counted >= least) add(next, stack);
    };
    for (const [at, stack] of from) add(at, stack);
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const [at, stack] = next;
      const node = nodes[at];
      this.steps++;
      switch (node.kind) {
        case 'split':
          for (const target of node.targets) add(target, stack);
          break;
        case 'call': {
          // what has nothing to return to but an end returns there itself
          const pushed = node.next === END ? stack : this.#push(node.next, CALL, stack);
          if (pushed) add(node.target, pushed);
          break;
        }
        case 'count':
          repeat(at, 0, stack);
          break;
        case 'end':
          ends ||= stack.bottom;
          for (const { back, count, up } of stack.frames) {
            if (count !== CALL) repeat(back, count + 1, up);
            else add(back, up);
          }
          break;
      }
    }
    const members = [...reached].filter(([at]) => nodes[at].kind === 'read').sort(([a], [b]) => a - b);
    let size = members.length;
    for (const [, { frames }] of members) size += frames.length;
    if (size > MAX_MEMBERS) throw this.#tooMany();
    let least = ends ? 0 : Number.POSITIVE_INFINITY;
    for (const [at, stack] of members) least = Math.min(least, bytes[at] + stack.bytes);
    if (members.length === 0 && !ends) return DEAD;
    const stacks = members.map(([, stack]) => stack);
    return this.#number({ nodes: members.map(([at]) => at), stacks, ends, alike: -1 }, least);
  }

  #tooMany(): NibbleError {
    return new NibbleError(
      'invalid-option',
      `The ${this.#option} can be read in too many ways at once: it repeats what itself repeats the same characters. Write it so that each text is read in one way.`,
      { option: this.#option, limit: MAX_MEMBERS },
    );
  }

  #number(state: State, bytesLeft: number): number {
    let key = state.ends ? '.' : '';
    for (let i = 0; i < state.nodes.length; i++) key += `${state.nodes[i]}:${state.stacks[i].id};`;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.#states.push(state) - 1;
    this.#numbers.set(key, number);
    const end = (number + 1) * this.classCount;
    if (end > this.table.length) {
      const table = new Int32Array(2 * this.table.length);
      table.set(this.table);
      this.table = table;
      const left = new Float64Array(table.length / this.classCount);
      left.set(this.bytesLeft);
      this.bytesLeft = left;
    }
    this.bytesLeft[number] = bytesLeft;
    this.table.fill(UNKNOWN, end - this.classCount, end);
    return number;
  }

  /** One call more; null where that is too deep. */
  #push(back: number, count: number, up: Stack): Stack | null {
    if (up.depth >= MAX_DEPTH) return null;
    return this.#stack([{ back, count, up }], false);
  }

  #stack(frames: readonly Frame[], bottom: boolean): Stack {
    let key = bottom ? '.' : '';
    for (const { back, count, up } of frames) key += `${back},${count},${up.id};`;
    const known = this.#stacks.get(key);
    if (known) return known;
    const { bytes } = this.shortest;
    let least = bottom ? 0 : Number.POSITIVE_INFINITY;
    let depth = 0;
    for (const { back, count, up } of frames) {
      const node = this.#program.nodes[back];
      const own =
        node.kind === 'count' && count !== CALL
          ? (node.least > count + 1 ? (node.least - count - 1) * bytes[node.body] : 0) + bytes[node.next]
          : bytes[back];
      least = Math.min(least, own + up.bytes);
      depth = Math.max(depth, up.depth + 1);
    }
    const made: Stack = {
      id: this.#stackCount++,
      frames,
      bottom,
      depth,
      bytes: least,
      tokens: -1,
      unions: new Map(),
      clamped: null,
    };
    this.#stacks.set(key, made);
    return made;
  }

  #union(a: Stack, b: Stack): Stack {
    if (a === b) return a;
    if (a.id > b.id) return this.#union(b, a);
    const known = a.unions.get(b.id);
    if (known) return known;
    const made = this.#merged([...a.frames, ...b.frames], a.bottom || b.bottom);
    a.unions.set(b.id, made);
    return made;
  }

  /** Frames that return to one place are one, whose own stacks are joined. */
  #merged(frames: readonly Frame[], bottom: boolean): Stack {
    this.#joined += frames.length;
    if (this.#joined > MAX_JOINED) throw this.#tooMany();
    const out: Frame[] = [];
    for (const frame of [...frames].sort(compare)) {
      const last = out.at(-1);
      if (last && compare(last, frame) === 0) out[out.length - 1] = { ...last, up: this.#union(last.up, frame.up) };
      else out.push(frame);
    }
    return this.#stack(out, bottom);
  }
}
