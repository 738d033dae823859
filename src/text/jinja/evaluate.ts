/** The values of a template's expressions. */
import type { Arguments, Expression } from './ast';
import { getAttribute, getItem } from './attributes';
import { contains } from './compare';
import { FILTERS } from './filters';
import { calculate } from './numbers';
import { slice } from './slices';
import { percent } from './strings';
import { comparison, TESTS } from './tests';
import {
  Dict,
  escaped,
  fail,
  gather,
  integer,
  isText,
  type Keywords,
  list,
  Markup,
  number,
  orElse,
  Thing,
  Tuple,
  text,
  truthy,
  typeName,
  Undefined,
  type Value,
} from './values';
import { make, nested, spend } from './work';

/** Names and their values; a name that is not here is looked for around. */
export class Scope {
  private readonly names = new Map<string, Value>();
  constructor(private readonly outer: Scope | null) {}

  get(name: string): Value | undefined {
    for (let scope: Scope | null = this; scope; scope = scope.outer) {
      const value = scope.names.get(name);
      if (value !== undefined) return value;
    }
    return undefined;
  }
  set(name: string, value: Value): void {
    this.names.set(name, value);
  }
}

export function evaluateArguments(given: Arguments, scope: Scope): { args: Value[]; keywords: Keywords } {
  const args = given.args.map((each) => evaluate(each, scope));
  const keywords = new Map(given.keywords.map(([name, value]): [string, Value] => [name, evaluate(value, scope)]));
  if (given.list) args.push(...list(evaluate(given.list, scope)));
  if (given.dict) {
    const more = evaluate(given.dict, scope);
    for (const [name, value] of more instanceof Dict ? more.pairs() : fail('** needs a dict')) {
      if (keywords.has(text(name))) fail(`the argument '${text(name)}' is given twice`);
      keywords.set(text(name), value);
    }
  }
  return { args, keywords };
}

export function call(what: Value, args: Value[], keywords: Keywords): Value {
  if (what instanceof Thing && what.call) return what.call(args, keywords);
  return fail(what instanceof Undefined ? what.message : `'${typeName(what)}' object cannot be called`);
}

export function filtered(filter: Expression, written: string, scope: Scope): Value {
  // the filters of a block stand in each other; the innermost has the text
  if (filter.kind !== 'filter') return fail('a filter is expected');
  const value = filter.of ? filtered(filter.of, written, scope) : written;
  return applied(FILTERS, 'filter', filter.name, value, filter.with, scope);
}

function applied(
  table: typeof FILTERS,
  kind: string,
  name: string,
  value: Value,
  given: Arguments,
  scope: Scope,
): Value {
  const found = table.get(name) ?? fail(`there is no ${kind} ${name}`);
  const { args, keywords } = evaluateArguments(given, scope);
  return found([value, ...args], keywords);
}

export const evaluate = (node: Expression, scope: Scope): Value => nested(() => value(node, scope));

function value(node: Expression, scope: Scope): Value {
  spend(1);
  switch (node.kind) {
    case 'constant':
      return node.value;
    case 'name':
      return orElse(scope.get(node.name), () => new Undefined(`'${node.name}' is undefined`));
    case 'list':
      return node.items.map((item) => evaluate(item, scope));
    case 'tuple':
      return new Tuple(node.items.map((item) => evaluate(item, scope)));
    case 'concat':
      return gather(node.items.map((item) => text(evaluate(item, scope))));
    case 'dict':
      return new Dict(node.pairs.map(([key, item]) => [evaluate(key, scope), evaluate(item, scope)] as const));
    case 'attribute':
      return getAttribute(evaluate(node.of, scope), node.name);
    case 'item':
      return getItem(evaluate(node.of, scope), evaluate(node.key, scope));
    case 'slice': {
      const of = evaluate(node.of, scope);
      const [first, end, step] = [0, 1, 2].map((i) => (node.bounds[i] ? evaluate(node.bounds[i], scope) : null));
      return slice(of, first, end, step);
    }
    case 'call': {
      const of = evaluate(node.of, scope);
      const { args, keywords } = evaluateArguments(node.with, scope);
      return call(of, args, keywords);
    }
    case 'filter':
      return applied(FILTERS, 'filter', node.name, node.of ? evaluate(node.of, scope) : '', node.with, scope);
    case 'test':
      return applied(TESTS, 'test', node.name, evaluate(node.of, scope), node.with, scope);
    case 'unary': {
      const of = evaluate(node.of, scope);
      if (node.operator === 'not') return !truthy(of);
      const plain =
        number(of) ??
        fail(of instanceof Undefined ? of.message : `${node.operator} needs a number, not ${typeName(of)}`);
      return node.operator === '+' ? plain : -plain;
    }
    case 'and': {
      const left = evaluate(node.left, scope);
      return truthy(left) ? evaluate(node.right, scope) : left;
    }
    case 'or': {
      const left = evaluate(node.left, scope);
      return truthy(left) ? left : evaluate(node.right, scope);
    }
    case 'binary':
      return binary(node.operator, evaluate(node.left, scope), evaluate(node.right, scope));
    case 'compare': {
      let left = evaluate(node.first, scope);
      for (const [operator, operand] of node.rest) {
        const right = evaluate(operand, scope);
        const holds =
          operator === 'in'
            ? contains(right, left)
            : operator === 'not in'
              ? !contains(right, left)
              : comparison(operator)(left, right);
        if (!holds) return false;
        left = right;
      }
      return true;
    }
    case 'if':
      if (truthy(evaluate(node.test, scope))) return evaluate(node.yes, scope);
      return node.no
        ? evaluate(node.no, scope)
        : new Undefined('the inline if has no else, and its condition is false');
  }
}

function binary(operator: string, a: Value, b: Value): Value {
  if (operator === '%' && isText(a)) {
    const written = percent(text(a), a instanceof Markup ? escapedAll(b) : b);
    return a instanceof Markup ? new Markup(written) : written;
  }
  const [x, y] = [number(a), number(b)];
  if (x !== undefined && y !== undefined) return calculate(operator, x, y);
  for (const side of [a, b]) if (side instanceof Undefined) fail(side.message);
  if (operator === '+') {
    if (isText(a) && isText(b)) {
      if (!(a instanceof Markup) && !(b instanceof Markup)) return gather([a, b]);
      return new Markup(gather([escaped(a).text, escaped(b).text]));
    }
    if (Array.isArray(a) && Array.isArray(b)) return [...list(a), ...list(b)];
    if (a instanceof Tuple && b instanceof Tuple) return new Tuple([...list(a), ...list(b)]);
  }
  if (operator === '*') {
    const [many, times] = integer(b) === undefined ? [b, integer(a)] : [a, integer(b)];
    if (times !== undefined) return repeated(many, Math.max(0, times));
  }
  return fail(`${operator} cannot be applied to ${typeName(a)} and ${typeName(b)}`);
}

const escapedAll = (value: Value): Value =>
  isText(value) ? escaped(value) : value instanceof Tuple ? new Tuple(value.items.map(escapedAll)) : value;

function repeated(many: Value, times: number): Value {
  if (isText(many)) {
    make(text(many).length * times);
    const written = text(many).repeat(times);
    return many instanceof Markup ? new Markup(written) : written;
  }
  const items = Array.isArray(many)
    ? many
    : many instanceof Tuple
      ? many.items
      : fail(`'${typeName(many)}' cannot be repeated`);
  spend((items.length * times) / 8);
  const all = Array.from({ length: items.length * times }, (_, i) => items[i % items.length]);
  return many instanceof Tuple ? new Tuple(all) : all;
}
