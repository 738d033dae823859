/** Python's slices. */
import {
  fail,
  integer,
  isText,
  joined,
  Markup,
  needInteger,
  points,
  Range,
  Tuple,
  text,
  typeName,
  Undefined,
  type Value,
} from './values';
import { read, spend } from './work';

/** Python's slice.indices: first, end and step. @throws for a step of 0 */
export function sliceBounds(size: number, first: Value, end: Value, by: Value): [number, number, number] {
  const at = (value: Value) => (value === null ? undefined : needInteger(value));
  const step = at(by) ?? 1;
  if (step === 0) fail('slice step cannot be zero');
  const [low, high] = step < 0 ? [-1, size - 1] : [0, size];
  const bound = (index: number | undefined, otherwise: number) =>
    index === undefined ? otherwise : Math.min(high, Math.max(low, index < 0 ? index + size : index));
  return step < 0
    ? [bound(at(first), high), bound(at(end), low), step]
    : [bound(at(first), low), bound(at(end), high), step];
}

export function sliced<T extends string | unknown[]>(items: T, [first, end, step]: [number, number, number]): T {
  if (step === 1) return items.slice(first, Math.max(first, end)) as T;
  const picked: unknown[] = [];
  for (let i = first; step > 0 ? i < end : i > end; i += step) picked.push(items[i]);
  return (typeof items === 'string' ? picked.join('') : picked) as T;
}

export function slice(value: Value, first: Value, end: Value, step: Value): Value {
  if ([first, end, step].some((bound) => bound !== null && integer(bound) === undefined)) {
    return value instanceof Undefined ? fail(value.message) : new Undefined('the bounds of a slice are ints');
  }
  const bounds = (size: number) => {
    const found = sliceBounds(size, first, end, step);
    spend(Math.max(0, (found[1] - found[0]) / found[2]) / 8);
    return found;
  };
  if (isText(value)) {
    const all = points(text(value));
    read(4 * all.length);
    const part = joined(sliced(all as string, bounds(all.length)));
    return value instanceof Markup ? new Markup(part) : part;
  }
  if (Array.isArray(value)) return sliced(value, bounds(value.length));
  if (value instanceof Tuple) return new Tuple(sliced(value.items, bounds(value.items.length)));
  if (value instanceof Range) {
    const [from, to, by] = bounds(value.length);
    const at = (index: number) => value.start + index * value.step;
    return new Range(at(from), at(to), value.step * by);
  }
  return value instanceof Undefined ? fail(value.message) : new Undefined(`'${typeName(value)}' cannot be sliced`);
}

// --- comparison
