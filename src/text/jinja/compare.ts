/** Equal, less, in order, within: as Python compares values. */
import {
  Dict,
  fail,
  HIGH,
  isText,
  LOW,
  list,
  number,
  Range,
  Tuple,
  text,
  typeName,
  Undefined,
  type Value,
  walk,
} from './values';
import { read, scan, spend } from './work';

export function equal(a: Value, b: Value): boolean {
  spend(1 / 8);
  const [x, y] = [number(a), number(b)];
  if (x !== undefined && y !== undefined) return x <= y && x >= y;
  if (isText(a) && isText(b)) {
    read(Math.min(text(a).length, text(b).length));
    return text(a) === text(b);
  }
  const both = (p: Value[], q: Value[]) => p.length === q.length && p.every((item, i) => equal(item, q[i]));
  if (Array.isArray(a) && Array.isArray(b)) return both(a, b);
  if (a instanceof Tuple && b instanceof Tuple) return both(a.items, b.items);
  if (a instanceof Range && b instanceof Range) return both(list(a), list(b));
  if (a instanceof Dict && b instanceof Dict) {
    return a.size === b.size && a.pairs().every(([key, value]) => b.has(key) && equal(value, b.get(key)!));
  }
  return a === b || (a instanceof Undefined && b instanceof Undefined);
}

/** a < b; Python compares texts by code points, not by JavaScript's units */
export function less(a: Value, b: Value): boolean {
  spend(1 / 8);
  const [x, y] = [number(a), number(b)];
  if (x !== undefined && y !== undefined) return x < y;
  if (isText(a) && isText(b)) {
    const [p, q] = [text(a), text(b)];
    let i = 0;
    while (i < p.length && i < q.length && p[i] === q[i]) i++;
    read(8 * i);
    if (i === p.length || i === q.length) return p.length < q.length;
    // in the middle of a pair, where the first halves are the same
    if (i > 0 && HIGH.test(p[i - 1]) && (LOW.test(p[i]) || LOW.test(q[i]))) i--;
    return p.codePointAt(i)! < q.codePointAt(i)!;
  }
  const pairs =
    Array.isArray(a) && Array.isArray(b)
      ? [a, b]
      : a instanceof Tuple && b instanceof Tuple
        ? [a.items, b.items]
        : null;
  if (pairs) {
    const [p, q] = pairs;
    const i = p.findIndex((item, at) => at >= q.length || !equal(item, q[at]));
    return i < 0 ? p.length < q.length : i < q.length && less(p[i], q[i]);
  }
  for (const side of [a, b]) if (side instanceof Undefined) fail(side.message);
  return fail(`'${typeName(a)}' and '${typeName(b)}' have no order`);
}

/** item in container */
export function contains(container: Value, item: Value): boolean {
  if (isText(container)) {
    if (!isText(item)) fail(`'in <string>' needs a string, not ${typeName(item)}`);
    scan(text(container), text(item as string));
    return text(container).includes(text(item as string));
  }
  if (container instanceof Dict) return container.has(item);
  for (const each of walk(container)) if (equal(each, item)) return true;
  return false;
}

/** A list in order; those that are equal stay as they were. */
export function sorted(items: Value[], key: (item: Value) => Value, reverse: boolean): Value[] {
  const keyed = items.map((item) => ({ item, key: key(item) }));
  const way = reverse ? -1 : 1;
  return keyed.sort((a, b) => (less(a.key, b.key) ? -way : less(b.key, a.key) ? way : 0)).map(({ item }) => item);
}
