/**
 * Regular languages with intersection and complement, as expressions whose derivatives are states (Brzozowski 1964;
 * Owens, Reppy and Turon 2009): what a pattern, lengths, formats and excluded values allow together becomes one
 * automaton, and that a grammar. Equal expressions are one object.
 */
import { NibbleError } from '../errors';
import {
  ANY_CHARACTER,
  charactersOf,
  intersection as common,
  has,
  union as joined,
  keyOf,
  type Ranges,
} from './characters';
import { all, any, type Expression, NEVER, repeat, rule, set, text } from './grammar';

export type Regular = {
  /** equal for equal expressions */
  readonly key: string;
  /** in the order in which they were made */
  readonly number: number;
  /** whether it has the empty text */
  readonly empty: boolean;
  readonly size: number;
} & (
  | { readonly kind: 'never' | 'nothing' }
  | { readonly kind: 'set'; readonly set: Ranges }
  | { readonly kind: 'chain'; readonly first: Regular; readonly rest: Regular }
  | { readonly kind: 'either' | 'both'; readonly parts: readonly Regular[] }
  | { readonly kind: 'not'; readonly part: Regular }
  | { readonly kind: 'times'; readonly part: Regular; readonly least: number; readonly most: number }
  /** digits (and points, which mean nothing) that, behind others of the remainder, make a multiple */
  | { readonly kind: 'multiple'; readonly of: number; readonly remainder: number }
);

type Form<T = Regular> = T extends Regular ? Omit<T, 'key' | 'number'> : never;

/** Expressions by how they are written with the keys of their parts. */
const made = new Map<string, Regular>();
let count = 0;

/** Forgets which expressions there are, when they are many: later ones are equal only among themselves. */
export function forgetExpressions(): void {
  if (made.size > 200_000) made.clear();
}

function interned(written: string, form: Form): Regular {
  const known = made.get(written);
  if (known) return known;
  const fresh = { ...form, key: `${count}.`, number: count++ } as Regular;
  made.set(written, fresh);
  return fresh;
}

export const IMPOSSIBLE: Regular = interned('!', { kind: 'never', empty: false, size: 1 });
export const EMPTY: Regular = interned('e', { kind: 'nothing', empty: true, size: 1 });

export const characters = (set: Ranges): Regular =>
  set.length === 0 ? IMPOSSIBLE : interned(`[${keyOf(set)}]`, { kind: 'set', set, empty: false, size: 1 });
/** The one object of equal sets, none of them empty. */
const setOf = (set: Ranges): Ranges => (characters(set) as Extract<Regular, { kind: 'set' }>).set;
export const ANY: Regular = characters(ANY_CHARACTER);

export function times(part: Regular, least: number, most = Number.POSITIVE_INFINITY): Regular {
  if (most < least) return IMPOSSIBLE;
  if (most === 0 || part.kind === 'nothing') return EMPTY;
  if (part.kind === 'never') return least === 0 ? EMPTY : IMPOSSIBLE;
  if (least === 1 && most === 1) return part;
  const empty = least === 0 || part.empty;
  return interned(`${part.key}{${least},${most}}`, { kind: 'times', part, least, most, empty, size: part.size + 1 });
}
export const ALL: Regular = times(ANY, 0);

export const chain = (...parts: readonly Regular[]): Regular =>
  parts.reduceRight((rest, first) => pair(first, rest), EMPTY);

function pair(first: Regular, rest: Regular): Regular {
  if (first.kind === 'never' || rest.kind === 'never') return IMPOSSIBLE;
  if (first.kind === 'nothing') return rest;
  if (rest.kind === 'nothing') return first;
  if (first.kind === 'chain') return pair(first.first, pair(first.rest, rest));
  if (first.key === ALL.key && rest.key === ALL.key) return ALL;
  const empty = first.empty && rest.empty;
  return interned(`(${first.key}${rest.key})`, { kind: 'chain', first, rest, empty, size: first.size + rest.size });
}

/** Parts of parts of the same kind, each once, in an order that does not depend on the given one. */
function flat(kind: 'either' | 'both', given: readonly Regular[]): Regular[] {
  const parts = given.flatMap((part) => (part.kind === kind ? part.parts : part));
  return parts.sort((a, b) => a.number - b.number).filter((part, i) => i === 0 || part !== parts[i - 1]);
}

export function either(...given: readonly Regular[]): Regular {
  let parts = flat('either', given).filter(({ kind }) => kind !== 'never');
  if (parts.some(({ key }) => key === ALL.key)) return ALL;
  const sets = parts.flatMap((part) => (part.kind === 'set' ? [part.set] : []));
  if (sets.length > 1)
    parts = flat('either', [...parts.filter(({ kind }) => kind !== 'set'), characters(joined(...sets))]);
  if (parts.length < 2) return parts[0] ?? IMPOSSIBLE;
  return interned(`(${parts.map(({ key }) => key).join('|')})`, {
    kind: 'either',
    parts,
    empty: parts.some(({ empty }) => empty),
    size: parts.reduce((sum, { size }) => sum + size, 1),
  });
}

export function both(...given: readonly Regular[]): Regular {
  const parts = flat('both', given).filter(({ key }) => key !== ALL.key);
  if (parts.some(({ kind }) => kind === 'never')) return IMPOSSIBLE;
  if (parts.length === 0) return ALL;
  if (parts.length === 1) return parts[0];
  if (parts.some(({ kind }) => kind === 'nothing')) return parts.every(({ empty }) => empty) ? EMPTY : IMPOSSIBLE;
  if (parts.every(({ kind }) => kind === 'set'))
    return characters(parts.map((part) => (part as { set: Ranges }).set).reduce(common));
  return interned(`(${parts.map(({ key }) => key).join('&')})`, {
    kind: 'both',
    parts,
    empty: parts.every(({ empty }) => empty),
    size: parts.reduce((sum, { size }) => sum + size, 1),
  });
}

export function not(part: Regular): Regular {
  if (part.kind === 'not') return part.part;
  if (part.kind === 'never') return ALL;
  if (part.key === ALL.key) return IMPOSSIBLE;
  return interned(`~${part.key}`, { kind: 'not', part, empty: !part.empty, size: part.size + 1 });
}

export const multiple = (of: number, remainder = 0): Regular =>
  interned(`%${of},${remainder}`, { kind: 'multiple', of, remainder, empty: remainder === 0, size: 1 });

export const literal = (value: string): Regular => chain(...Array.from(value, (c) => characters(charactersOf(c))));
export const literals = (values: readonly string[]): Regular => either(...values.map(literal));

const DIGITS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const ZERO = 0x30;
const NINE = 0x39;
const POINT = 0x2e;

/** What may follow a character. */
function derive(of: Regular, code: number, known: Map<Regular, Regular>): Regular {
  const found = known.get(of) ?? derived(of, code, known);
  known.set(of, found);
  return found;
}

function derived(of: Regular, code: number, known: Map<Regular, Regular>): Regular {
  switch (of.kind) {
    case 'set':
      return has(of.set, code) ? EMPTY : IMPOSSIBLE;
    case 'chain': {
      const first = pair(derive(of.first, code, known), of.rest);
      return of.first.empty ? either(first, derive(of.rest, code, known)) : first;
    }
    case 'either':
      return either(...of.parts.map((part) => derive(part, code, known)));
    case 'both': {
      const rests: Regular[] = [];
      for (const part of of.parts) {
        const rest = derive(part, code, known);
        if (rest.kind === 'never') return rest;
        rests.push(rest);
      }
      return both(...rests);
    }
    case 'not':
      return not(derive(of.part, code, known));
    case 'times': {
      const once = derive(of.part, code, known);
      return once.kind === 'never' ? once : pair(once, times(of.part, Math.max(0, of.least - 1), of.most - 1));
    }
    case 'multiple':
      if (code === POINT) return of;
      return code >= ZERO && code <= NINE ? multiple(of.of, (of.remainder * 10 + code - ZERO) % of.of) : IMPOSSIBLE;
    default:
      return IMPOSSIBLE;
  }
}

/** Sets of characters that are alike in all of an expression's sets, together all characters. */
function atoms(of: Regular): Ranges[] {
  const sets = new Map<string, Ranges>();
  const seen = new Set<string>();
  const collect = (part: Regular): void => {
    if (seen.has(part.key)) return;
    seen.add(part.key);
    if (part.kind === 'set') sets.set(part.key, part.set);
    else if (part.kind === 'chain') [part.first, part.rest].forEach(collect);
    else if (part.kind === 'either' || part.kind === 'both') part.parts.forEach(collect);
    else if (part.kind === 'not' || part.kind === 'times') collect(part.part);
    else if (part.kind === 'multiple') {
      // digits of one remainder are alike
      sets.set('.', charactersOf('.'));
      for (let digit = 0; digit <= 9; digit++) {
        const alike = DIGITS.filter((other) => (other - digit) % part.of === 0).join('');
        sets.set(alike, charactersOf(alike));
      }
    }
  };
  collect(of);
  // where a set begins or ends, in order; between two such places all characters are alike
  const all = [ANY_CHARACTER, ...sets.values()];
  const cuts = all.flatMap((set, i) =>
    set.flatMap(([from, to]) => [
      { at: from, i },
      { at: to + 1, i },
    ]),
  );
  cuts.sort((a, b) => a.at - b.at);
  const within = new Uint8Array(all.length);
  const found = new Map<string, [number, number][]>();
  cuts.forEach(({ at, i }, n) => {
    within[i] ^= 1;
    const end = cuts[n + 1]?.at ?? at;
    if (end === at || !within[0]) return;
    const key = within.join('');
    const range: [number, number] = [at, end - 1];
    const alike = found.get(key);
    if (alike) alike.push(range);
    else found.set(key, [range]);
  });
  return [...found.values()];
}

/** How the characters of a language are written. */
export interface Spelling {
  /** the rules of its automata begin with it */
  name: string;
  write: (set: Ranges) => Expression;
}

/** Each character is itself. */
export const PLAINLY: Spelling = { name: 'regular', write: set };

/** A state of an automaton: the language of what may still come, and by which characters it goes on to which others. */
interface AutomatonState {
  of: Regular;
  ways: readonly { set: Ranges; to: Regular }[];
}

/**
 * The states of a language's automaton, the language itself the first of them.
 * @param isKnown languages whose states are there already
 * @returns null: it has more states
 */
function automaton(of: Regular, most: number, isKnown: (of: Regular) => boolean): AutomatonState[] | null {
  const alphabet = atoms(of).map((set) => ({ set, known: new Map<Regular, Regular>() }));
  // the same atoms together are one set
  const sets = new Map<string, Ranges>();
  const found = new Set([of]);
  const states: AutomatonState[] = [];
  for (const state of found) {
    if (isKnown(state)) continue;
    const targets = new Map<Regular, number[]>();
    for (const [i, { set, known }] of alphabet.entries()) {
      const to = derive(state, set[0][0], known);
      if (to.kind === 'never') continue;
      if (!found.has(to)) {
        if (found.size >= most || to.size > most) return null;
        found.add(to);
      }
      const by = targets.get(to);
      if (by) by.push(i);
      else targets.set(to, [i]);
    }
    const ways = Array.from(targets, ([to, by]) => {
      const key = by.join();
      let set = sets.get(key);
      if (!set) {
        set = setOf(joined(...by.map((i) => alphabet[i].set)));
        sets.set(key, set);
      }
      return { set, to };
    });
    states.push({ of: state, ways });
  }
  return states;
}

/** Whether a text is of the language. */
export function accepts(of: Regular, value: string): boolean {
  let now = of;
  for (const c of value.toWellFormed()) {
    now = derive(now, c.codePointAt(0)!, new Map());
    if (now.kind === 'never') return false;
  }
  return now.empty;
}

const isPlain = (of: Regular): boolean =>
  of.kind === 'chain'
    ? isPlain(of.first) && isPlain(of.rest)
    : of.kind === 'either'
      ? of.parts.every(isPlain)
      : of.kind === 'times'
        ? isPlain(of.part)
        : of.kind !== 'both' && of.kind !== 'not' && of.kind !== 'multiple';

/**
 * The language as a grammar's expression.
 * @param rules the grammar's, to which the states of an automaton are added, where it takes one
 * @param spelling how the characters of a set are written
 * @param most states of that automaton
 * @returns null: it takes more
 */
export function asExpression(
  of: Regular,
  rules: Map<string, Expression>,
  spelling: Spelling,
  most: number,
): Expression | null {
  const { name, write } = spelling;
  if (isPlain(of)) return structure(of, write);
  // equal states of all automata of a grammar are one rule
  const nameOf = ({ key }: Regular) => `${name} ${key}`;
  const found = automaton(of, most, (state) => rules.has(nameOf(state)));
  if (!found) return null;
  for (const { of: state, ways } of found) {
    const parts = ways.map(({ set, to }) => all(write(set), rule(nameOf(to))));
    rules.set(nameOf(state), any(...parts, ...(state.empty ? [text('')] : [])));
  }
  return rule(nameOf(of));
}

function structure(of: Regular, write: (set: Ranges) => Expression): Expression {
  switch (of.kind) {
    case 'nothing':
      return text('');
    case 'set':
      return write(of.set);
    case 'chain':
      return all(structure(of.first, write), structure(of.rest, write));
    case 'either':
      return any(...of.parts.map((part) => structure(part, write)));
    case 'times':
      return repeat(structure(of.part, write), of.least, of.most);
    default:
      return NEVER;
  }
}

/** States that a language may take. */
export const MAX_STATES = 20_000;

/** asExpression(), or an error that says what to do. @throws invalid-option */
export function mustExpress(
  of: Regular,
  rules: Map<string, Expression>,
  spelling: Spelling,
  option: string,
): Expression {
  const found = asExpression(of, rules, spelling, MAX_STATES);
  if (found) return found;
  throw new NibbleError(
    'invalid-option',
    `The ${option} asks for an automaton of more than ${MAX_STATES} states. Give smaller numbers for its repeats, or fewer conditions at once.`,
    { option, states: MAX_STATES },
  );
}
