/** What Python's str can do, as functions of JavaScript's strings. */
import { ascii } from './format';
import { convert } from './numbers';
import {
  Dict,
  fail,
  gather,
  isText,
  joined,
  needInteger,
  points,
  Range,
  repr,
  SPACE,
  Tuple,
  text,
  typeName,
  Undefined,
  type Value,
} from './values';
import { make, read, scan, spend, visit } from './work';

const ONE_SPACE = new RegExp(`[${SPACE}]`);
const SPACES = new RegExp(`[${SPACE}]+`);
const LINE_ENDS = '\\n\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029';
const LINE_END = new RegExp(`\\r\\n|[${LINE_ENDS}]`, 'g');

export const need = (value: Value | undefined): string =>
  value !== undefined && isText(value) ? text(value) : fail(`a string is needed, not ${typeName(value ?? null)}`);

/** Without the characters of a set (white space, where none is given) at its ends. */
export function strip(s: string, characters: Value | undefined, left = true, right = true): string {
  const named = characters === undefined || characters === null ? null : need(characters);
  if (named !== null) visit(named.length / 4);
  const set = named === null ? null : new Set(named);
  const all = set ? points(s) : s;
  read(2 * s.length);
  const gone = (c: string) => (set ? set.has(c) : ONE_SPACE.test(c));
  let [start, end] = [0, all.length];
  while (left && start < end && gone(all[start])) start++;
  while (right && start < end && gone(all[end - 1])) end--;
  spend((start + all.length - end) / 64);
  return joined(all.slice(start, end));
}

/** @param most splits, all where negative */
export function split(s: string, separator: Value | undefined, most: number, fromRight: boolean): string[] {
  if (separator === undefined || separator === null) return splitSpaces(s, most, fromRight);
  const by = need(separator);
  if (by === '') fail('empty separator');
  scan(s, by);
  const parts = fromRight ? fromTheRight(s, by, most) : s.split(by);
  visit(parts.length);
  if (most < 0 || parts.length <= most + 1) return parts;
  return [...parts.slice(0, most), parts.slice(most).join(by)];
}

function fromTheRight(s: string, by: string, most: number): string[] {
  const parts: string[] = [];
  let end = s.length;
  while (most < 0 || parts.length < most) {
    const at = end < by.length ? -1 : s.lastIndexOf(by, end - by.length);
    if (at < 0) break;
    parts.push(s.slice(at + by.length, end));
    end = at;
    visit(1);
  }
  // the caller counts from the left: what is over `most` is in one piece already
  return [s.slice(0, end), ...parts.reverse()];
}

function splitSpaces(s: string, most: number, fromRight: boolean): string[] {
  const core = strip(s, null);
  if (core === '') return [];
  if (most < 0) {
    const words = core.split(SPACES);
    visit(words.length);
    return words;
  }
  const words: string[] = [];
  // one word after another from one end; what is left keeps its spaces, but for those at the other end
  let [start, end] = fromRight
    ? [0, s.length - (strip(s, null, false).length - s.length) * -1]
    : [s.length - strip(s, null, true, false).length, s.length];
  while (words.length < most && start < end) {
    spend(1 / 2);
    let edge = fromRight ? end : start;
    const space = (i: number) => ONE_SPACE.test(s[i]);
    while (fromRight ? edge > start && !space(edge - 1) : edge < end && !space(edge)) edge += fromRight ? -1 : 1;
    words.push(fromRight ? s.slice(edge, end) : s.slice(start, edge));
    while (fromRight ? edge > start && space(edge - 1) : edge < end && space(edge)) edge += fromRight ? -1 : 1;
    if (fromRight) end = edge;
    else start = edge;
  }
  if (start < end) words.push(s.slice(start, end));
  return fromRight ? words.reverse() : words;
}

/** @param keep the line ends */
export function splitLines(s: string, keep = false): string[] {
  read(2 * s.length);
  const lines: string[] = [];
  let start = 0;
  for (const { 0: end, index } of s.matchAll(LINE_END)) {
    spend(1 / 2);
    lines.push(s.slice(start, keep ? index + end.length : index));
    start = index + end.length;
  }
  if (start < s.length) lines.push(s.slice(start));
  return lines;
}

/** @param most replacements, all where negative */
export function replace(s: string, old: string, by: string, most: number): string {
  let parts: string[];
  if (old === '') {
    const all = points(s);
    const count = most < 0 ? all.length + 1 : Math.min(most, all.length + 1);
    visit(count);
    make(s.length + count * by.length);
    if (count === 0) parts = [s];
    else if (count <= all.length) parts = ['', ...all.slice(0, count - 1), joined(all.slice(count - 1))];
    else parts = ['', ...all, ''];
  } else parts = split(s, old, most, false);
  make(s.length + (parts.length - 1) * (by.length - old.length));
  return parts.join(by);
}

/** The first character in upper case, as it is at the start of a word: of two that it becomes, the second is lower. */
export const title = (word: string) => {
  const [first = ''] = word;
  const [upper = '', ...more] = first.toUpperCase();
  return upper + (more.join('') + word.slice(first.length)).toLowerCase();
};

/** Python's capitalize */
export function capitalize(s: string): string {
  read(4 * s.length);
  return title(s);
}

/** str.join */
export function join(separator: string, items: Value[]): string {
  return gather(items.map(need), separator);
}

/** text % values */
export function percent(template: string, values: Value): string {
  const mapping = values instanceof Dict ? values : null;
  const args = values instanceof Tuple ? values.items : [values];
  let next = 0;
  const take = () => (next < args.length ? args[next++] : fail('not enough arguments for format string'));
  const parts: string[] = [];
  let end = 0;
  read(4 * template.length);
  for (const found of template.matchAll(/%(?:\(([^()]*)\))?([-+ #0]*)(\*|\d+)?(?:\.(\*|\d*))?[hlL]?([\s\S])?/gu)) {
    const [whole, key, flags, width, precision, letter] = found;
    parts.push(template.slice(end, found.index));
    end = found.index + whole.length;
    spend(1);
    if (letter === '%') {
      parts.push('%');
      continue;
    }
    if (letter === undefined) fail('incomplete format');
    const size = (given: string | undefined) => (given === '*' ? needInteger(take()) : Number(given || 0));
    const to = size(width);
    const most = precision === undefined ? undefined : size(precision);
    const value =
      key === undefined
        ? mapping && !args.length
          ? mapping
          : take()
        : (mapping ?? fail('format requires a mapping')).get(key);
    if (value === undefined) fail(`format has no value for '${key}'`);
    const shown = letter === 'a' ? { str: text, repr: (v: Value) => ascii(repr(v)) } : { str: text, repr };
    parts.push(convert(value as Value, letter, to < 0 ? `${flags}-` : flags, Math.abs(to), most, shown));
  }
  if (next < args.length && ![Dict, Array, Undefined, Range].some((type) => values instanceof type))
    fail('not all arguments converted during string formatting');
  return gather([...parts, template.slice(end)]);
}
