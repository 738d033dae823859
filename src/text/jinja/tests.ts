/** Jinja's tests: what stands after `is`. */

import { bind } from './arguments';
import { attribute } from './attributes';
import { contains, equal, less } from './compare';
import { calculate } from './numbers';
import {
  type Call,
  Dict,
  fail,
  isText,
  iterator,
  Markup,
  number,
  Range,
  Thing,
  Tuple,
  text,
  Undefined,
  type Value,
} from './values';

type Test = (value: Value, other: Value) => boolean;

const modulo = (value: Value, by: Value) => {
  if (value instanceof Undefined) fail(value.message);
  return Number(calculate('%', number(value) ?? fail('a number is needed'), number(by) ?? fail('a number is needed')));
};
const ask = (name: string) => (value: Value) => {
  const own = attribute(text(value), name) as Thing;
  return own.call!([], new Map()) === true;
};

/** @throws for a value that can be no key, as Python does */
export const isName = (table: Map<string, Call>, value: Value): boolean =>
  !new Dict().has(value) && isText(value) && table.has(text(value));

const ONE: Record<string, Test> = {
  odd: (value) => modulo(value, 2n) === 1,
  even: (value) => modulo(value, 2n) === 0,
  defined: (value) => !(value instanceof Undefined),
  undefined: (value) => value instanceof Undefined,
  none: (value) => value === null,
  boolean: (value) => typeof value === 'boolean',
  true: (value) => value === true,
  false: (value) => value === false,
  integer: (value) => typeof value === 'bigint',
  float: (value) => typeof value === 'number',
  number: (value) => number(value) !== undefined,
  string: (value) => isText(value),
  lower: ask('islower'),
  upper: ask('isupper'),
  mapping: (value) => value instanceof Dict,
  sequence: (value) =>
    isText(value) || Array.isArray(value) || [Tuple, Dict, Range, Undefined].some((type) => value instanceof type),
  iterable: (value) => iterator(value) !== undefined,
  // an Undefined can be called: it is an error with its message
  callable: (value) => (value instanceof Thing && value.call !== undefined) || value instanceof Undefined,
  escaped: (value) => value instanceof Markup,
  filter: () => false,
  test: (value) => isName(TESTS, value),
};

const TWO: Record<string, Test> = {
  divisibleby: (value, by) => modulo(value, by) === 0,
  sameas: (value, other) => value === other,
  in: (value, seq) => contains(seq, value),
  eq: equal,
  ne: (a, b) => !equal(a, b),
  lt: less,
  gt: (a, b) => less(b, a),
  le: (a, b) => less(a, b) || equal(a, b),
  ge: (a, b) => less(b, a) || equal(a, b),
};

const ALIASES = {
  '==': 'eq',
  equalto: 'eq',
  '!=': 'ne',
  '>': 'gt',
  greaterthan: 'gt',
  '>=': 'ge',
  '<': 'lt',
  lessthan: 'lt',
  '<=': 'le',
};

/** @returns a comparison by its operator, as in 1 < 2 */
export const comparison = (operator: string): Test => TWO[ALIASES[operator as keyof typeof ALIASES]];

/** Called with the value first. */
export const TESTS = new Map<string, Call>();
for (const [name, test] of Object.entries(ONE)) {
  TESTS.set(name, (args, keywords) => test(bind(name, 'value', args, keywords)[0]!, null));
}
for (const [name, test] of Object.entries(TWO)) {
  TESTS.set(name, (args, keywords) => {
    const [value, other] = bind(name, 'value other', args, keywords);
    return test(value!, other!);
  });
}
for (const [alias, name] of Object.entries(ALIASES)) TESTS.set(alias, TESTS.get(name)!);
