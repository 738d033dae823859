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
  difference,
  has,
  union as joined,
  keyOf,
  type Ranges,
} from './characters';
import { all, any, type Expression, NEVER, repeat, rule, text } from './grammar';

export type Regular = {
  /** equal for equal expressions */
  readonly key: string;
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

type Form<T = Regular> = T extends Regular ? Omit<T, 'key'> : never;

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
  const fresh = { ...form, key: `${count++}.` } as Regular;
  made.set(written, fresh);
  return fresh;
}

export const IMPOSSIBLE: Regular = interned('!', { kind: 'never', empty: false, size: 1 });
export const EMPTY: Regular = interned('e', { kind: 'nothing', empty: true, size: 1 });

export const characters = (set: Ranges): Regular =>
  set.length === 0 ? IMPOSSIBLE : interned(`[${keyOf(set)}]`, { kind: 'set', set, empty: false, size: 1 });
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

export function chain(...parts: readonly Regular[]): Regular {
  return parts.reduceRight((rest, first) => {
    if (first.kind === 'never' || rest.kind === 'never') return IMPOSSIBLE;
    if (first.kind === 'nothing') return rest;
    if (rest.kind === 'nothing') return first;
    if (first.kind === 'chain') return chain(first.first, chain(first.rest, rest));
    if (first.key === ALL.key && rest.key === ALL.key) return ALL;
    return interned(`(${first.key}${rest.key})`, {
      kind: 'chain',
      first,
      rest,
      empty: first.empty && rest.empty,
      size: first.size + rest.size,
    });
  }, EMPTY);
}

function flat(kind: 'either' | 'both', parts: readonly Regular[]): Regular[] {
  const out = new Map<string, Regular>();
  for (const part of parts) for (const each of part.kind === kind ? part.parts : [part]) out.set(each.key, each);
  return [...out.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

export function either(...given: readonly Regular[]): Regular {
  let parts = flat('either', given).filter(({ kind }) => kind !== 'never');
  if (parts.some(({ key }) => key === ALL.key)) return ALL;
  const sets = parts.flatMap((part) => (part.kind === 'set' ? [part.set] : []));
  if (sets.length > 1)
    parts = flat('either', [...parts.filter(({ kind }) => kind !== 'set'), characters(joined(...sets))]);
  if (parts.length === 0) return IMPOSSIBLE;
  if (parts.length === 1) return parts[0];
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
      const first = chain(derive(of.first, code, known), of.rest);
      return of.first.empty ? either(first, derive(of.rest, code, known)) : first;
    }
    case 'either':
      return either(...of.parts.map((part) => derive(part, code, known)));
    case 'both':
      return both(...of.parts.map((part) => derive(part, code, known)));
    case 'not':
      return not(derive(of.part, code, known));
    case 'times':
      return chain(derive(of.part, code, known), times(of.part, Math.max(0, of.least - 1), of.most - 1));
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
    else if (part.kind === 'multiple') for (const c of '0123456789.') sets.set(c, charactersOf(c));
  };
  collect(of);
  let parts: Ranges[] = [ANY_CHARACTER];
  for (const set of sets.values())
    parts = parts.flatMap((part) => [common(part, set), difference(part, set)]).filter(({ length }) => length > 0);
  return parts;
}

interface Automaton {
  ends: boolean[];
  /** of each state: what leads where */
  ways: { set: Ranges; to: number }[][];
}

/** @returns null: it has more states */
export function automaton(of: Regular, most: number): Automaton | null {
  const alphabet = atoms(of).map((set) => ({ set, known: new Map<Regular, Regular>() }));
  const numbers = new Map([[of.key, 0]]);
  const states = [of];
  const ways: Automaton['ways'] = [];
  for (let i = 0; i < states.length; i++) {
    const targets = new Map<number, Ranges[]>();
    for (const { set, known } of alphabet) {
      const next = derive(states[i], set[0][0], known);
      if (next.kind === 'never') continue;
      let to = numbers.get(next.key);
      if (to === undefined) {
        if (states.length >= most || next.size > most) return null;
        to = states.push(next) - 1;
        numbers.set(next.key, to);
      }
      targets.set(to, [...(targets.get(to) ?? []), set]);
    }
    ways[i] = [...targets].map(([to, sets]) => ({ set: joined(...sets), to }));
  }
  return { ends: states.map(({ empty }) => empty), ways };
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
 * @param write how the characters of a set are written
 * @param most states of that automaton
 * @returns null: it takes more
 */
export function asExpression(
  of: Regular,
  rules: Map<string, Expression>,
  write: (set: Ranges) => Expression,
  most: number,
): Expression | null {
  if (isPlain(of)) return structure(of, write);
  const found = automaton(of, most);
  if (!found) return null;
  const prefix = `regular ${rules.size} `;
  found.ways.forEach((ways, i) => {
    const parts = ways.map(({ set, to }) => all(write(set), rule(prefix + to)));
    rules.set(prefix + i, any(...parts, ...(found.ends[i] ? [text('')] : [])));
  });
  return rule(`${prefix}0`);
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
  write: (set: Ranges) => Expression,
  option: string,
): Expression {
  const found = asExpression(of, rules, write, MAX_STATES);
  if (found) return found;
  throw new NibbleError(
    'invalid-option',
    `The ${option} asks for an automaton of more than ${MAX_STATES} states. Give smaller numbers for its repeats, or fewer conditions at once.`,
    { option, states: MAX_STATES },
  );
}
