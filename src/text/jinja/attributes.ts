/**
 * What stands behind a dot or in brackets: methods, attributes and items, as far as Jinja's immutable sandbox has them.
 */
import { bind, callable } from './arguments';
import { equal } from './compare';
import { method } from './string-methods';
import {
  Dict,
  fail,
  integer,
  isText,
  joined,
  list,
  type Markup,
  Namespace,
  number,
  orElse,
  points,
  Range,
  Thing,
  Tuple,
  text,
  typeName,
  Undefined,
  type Value,
  View,
} from './values';
import { visit } from './work';

const UNSAFE_LIST = ['append', 'clear', 'pop', 'reverse', 'insert', 'sort', 'extend', 'remove'];
const UNSAFE_DICT = ['clear', 'pop', 'popitem', 'setdefault', 'update'];

/** @returns undefined where the value has no such attribute; an Undefined where the sandbox forbids it */
export function attribute(of: Value, name: string): Value | undefined {
  if (isText(of)) return method(of as string | Markup, name, LOOK);
  if (of instanceof Thing) return of.attribute?.(name);
  if (of instanceof Namespace) return of.attributes.get(name);
  if (Array.isArray(of) || of instanceof Tuple) {
    if (Array.isArray(of) && UNSAFE_LIST.includes(name)) return forbidden(of, name);
    const items = Array.isArray(of) ? of : of.items;
    if (of instanceof Tuple && of.names.includes(name)) return items[of.names.indexOf(name)];
    return (
      sequence(items, name) ?? (name === 'copy' && Array.isArray(of) ? callable(name, '', () => list(of)) : undefined)
    );
  }
  if (of instanceof Range) {
    if (name === 'start' || name === 'stop' || name === 'step') return BigInt(of[name]);
    return sequence(list(of), name);
  }
  const plain = number(of);
  if (plain !== undefined && name === 'real') return plain;
  if (plain !== undefined && name === 'imag') return typeof plain === 'bigint' ? 0n : 0;
  if (typeof of === 'number' && name === 'is_integer') return callable(name, '', () => Number.isInteger(of));
  return of instanceof Dict ? dictionary(of, name) : undefined;
}

const forbidden = (of: Value, name: string) =>
  new Undefined(`'${name}' of a ${typeName(of)} is forbidden, for it would change the ${typeName(of)}`);

function sequence(items: Value[], name: string): Value | undefined {
  if (name === 'count') {
    return callable(name, 'value', (value) => BigInt(items.filter((item) => equal(item, value!)).length));
  }
  if (name !== 'index') return undefined;
  return callable(name, 'value start? stop?', (value, start = 0n, stop = BigInt(items.length)) => {
    visit(items.length);
    const at = (index: Value) => Math.max(0, (integer(index) ?? 0) + (integer(index)! < 0 ? items.length : 0));
    const found = items.findIndex((item, i) => i >= at(start) && i < at(stop) && equal(item, value!));
    return found < 0 ? fail('the value is not in the list') : BigInt(found);
  });
}

function dictionary(of: Dict, name: string): Value | undefined {
  if (name === 'get')
    return callable(name, 'key default?', (key, otherwise = null) => orElse(of.get(key!), () => otherwise));
  if (name === 'keys' || name === 'values' || name === 'items') return callable(name, '', () => new View(name, of));
  if (name === 'copy') {
    return callable(name, '', () => {
      return new Dict(of.pairs());
    });
  }
  if (name === 'fromkeys') return fromKeys;
  return UNSAFE_DICT.includes(name) ? forbidden(of, name) : undefined;
}

export const fromKeys = callable('fromkeys', 'iterable value?', (keys, value = null) => {
  return new Dict(list(keys!).map((key) => [key, value] as const));
});

/** dict(pairs, name=value) */
export const makeDict = new Thing(
  'dict',
  (args, keywords) => {
    const [from = []] = bind('dict', 'mapping?', args, new Map());
    const pairs = from instanceof Dict ? from.pairs() : list(from).map((pair) => list(pair));
    if (pairs.some((pair) => pair.length !== 2)) fail('dict() needs pairs');
    return new Dict([...(pairs as [Value, Value][]), ...keywords]);
  },
  (name) => (name === 'fromkeys' ? fromKeys : undefined),
);

function item(of: Value, key: Value): Value | undefined {
  if (of instanceof Undefined) fail(of.message);
  if (of instanceof Dict) {
    // a list is no key: Jinja looks no further then
    return Array.isArray(key) || key instanceof Dict ? undefined : of.get(key);
  }
  const index = integer(key);
  if (index === undefined) return undefined;
  const at = (size: number) => (index < 0 ? index + size : index);
  if (isText(of)) {
    const all = points(text(of));
    return all[at(all.length)] === undefined ? undefined : joined([all[at(all.length)]]);
  }
  const items = Array.isArray(of) ? of : of instanceof Tuple ? of.items : null;
  if (items) return items[at(items.length)];
  if (of instanceof Range && at(of.length) >= 0 && at(of.length) < of.length) return of.at(at(of.length));
  return undefined;
}

const missing = (of: Value, key: Value) => new Undefined(`'${typeName(of)}' has no '${text(key)}'`);

/** of.name: attributes go first */
export function getAttribute(of: Value, name: string): Value {
  if (of instanceof Undefined) fail(of.message);
  const found = attribute(of, name);
  return orElse(found === undefined ? item(of, name) : found, () => missing(of, name));
}

/** of[key]: items go first */
export function getItem(of: Value, key: Value): Value {
  const found = item(of, key);
  if (found !== undefined) return found;
  return orElse(isText(key) ? attribute(of, text(key)) : undefined, () => missing(of, key));
}

const LOOK = { attribute: getAttribute, item: getItem };
