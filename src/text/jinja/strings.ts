/** The methods of Python's str. */
import { bind } from './arguments';
import { ascii, format, type Look } from './format';
import { convert, pad } from './numbers';
import {
  Dict,
  escaped,
  fail,
  gather,
  integer,
  isText,
  joined,
  list,
  Markup,
  needInteger,
  pointCount,
  points,
  printable,
  Range,
  repr,
  SPACE,
  sliceBounds,
  Thing,
  Tuple,
  text,
  typeName,
  Undefined,
  type Value,
} from './values';
import { make, read, replaceEach, scan, spend, visit } from './work';

const ONE_SPACE = new RegExp(`[${SPACE}]`);
const SPACES = new RegExp(`[${SPACE}]+`);
const LINE_ENDS = '\\n\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029';
const LINE_END = new RegExp(`\\r\\n|[${LINE_ENDS}]`, 'g');

const need = (value: Value | undefined): string =>
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
const title = (word: string) => {
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

/** The part of a text between two positions, and where it begins; null where the beginning is beyond the end. */
function window(s: string, start: Value = null, end: Value = null): { part: string; from: number } | null {
  if (start === null && end === null) return { part: s, from: 0 };
  const all = points(s);
  const [from, to] = sliceBounds(all.length, start, end, null);
  if ((integer(start) ?? 0) > all.length) return null;
  return from > to ? null : { part: joined(all.slice(from, to)), from };
}

type Method = [parameters: string, run: (s: string, ...args: (Value | undefined)[]) => Value];
const RANGE = 'start? end?';

const find =
  (last: boolean, must: boolean): Method[1] =>
  (s, sought, start, end) => {
    const within = window(s, start, end);
    const what = need(sought);
    scan(s, what);
    const at = within ? (last ? within.part.lastIndexOf(what) : within.part.indexOf(what)) : -1;
    if (at < 0) return must ? fail('substring not found') : -1n;
    return BigInt(within!.from + pointCount(within!.part.slice(0, at)));
  };

const begins =
  (test: (part: string, affix: string) => boolean): Method[1] =>
  (s, affix, start, end) => {
    const within = window(s, start, end);
    const any = affix instanceof Tuple ? affix.items : [affix];
    visit(any.length);
    return any.map(need).some((each) => {
      read(each.length);
      return within !== null && test(within.part, each);
    });
  };

const partition =
  (last: boolean): Method[1] =>
  (s, separator) => {
    const by = need(separator);
    if (by === '') fail('empty separator');
    scan(s, by);
    const at = last ? s.lastIndexOf(by) : s.indexOf(by);
    if (at < 0) return new Tuple(last ? ['', '', s] : [s, '', '']);
    return new Tuple([s.slice(0, at), by, s.slice(at + by.length)]);
  };

const aligned =
  (how: string): Method[1] =>
  (s, width, fill = ' ') => {
    if (pointCount(need(fill)) !== 1) fail('the fill character must be exactly one character long');
    const size = pointCount(s);
    const to = needInteger(width);
    if (how !== '^') return pad('', s, to, text(fill), how);
    // Python puts the odd one on the left where the width is odd
    const missing = Math.max(0, to - size);
    const left = Math.floor(missing / 2) + (missing & to & 1);
    make(size + missing);
    return text(fill).repeat(left) + s + text(fill).repeat(missing - left);
  };

const every =
  (pattern: RegExp, empty = false): Method[1] =>
  (s) => {
    read(8 * s.length);
    return s === '' ? empty : pattern.test(s);
  };
const cased =
  (some: RegExp, none: RegExp): Method[1] =>
  (s) => {
    read(16 * s.length);
    return some.test(s) && !none.test(s);
  };
const change =
  (run: (s: string) => string): Method[1] =>
  (s) => {
    make(3 * s.length);
    return run(s);
  };
const splitting = (fromRight: boolean): Method => [
  'sep? maxsplit?',
  (s, separator, most = -1n) => split(s, separator, needInteger(most), fromRight),
];
const stripping = (left: boolean, right: boolean): Method => ['chars?', (s, set) => strip(s, set, left, right)];
const isSpaces = new RegExp(`^[${SPACE}]+$`);

const METHODS = new Map<string, Method>(
  Object.entries({
    capitalize: ['', capitalize],
    casefold: ['', change((s) => s.toLowerCase().replaceAll('ß', 'ss').replaceAll('ς', 'σ'))],
    center: ['width fill?', aligned('^')],
    count: [
      `sub ${RANGE}`,
      (s, sub, start, end) => {
        const within = window(s, start, end);
        if (!within) return 0n;
        return BigInt(need(sub) === '' ? pointCount(within.part) + 1 : split(within.part, sub, -1, false).length - 1);
      },
    ],
    encode: ['encoding? errors?', () => fail('encode() makes bytes, which are not supported')],
    endswith: [`suffix ${RANGE}`, begins((part, suffix) => part.endsWith(suffix))],
    expandtabs: [
      'tabsize?',
      (s, size = 8n) => {
        const width = needInteger(size);
        make(width);
        visit(s.length);
        let column = 0;
        const out = Array.from(points(s), (c) => {
          const shown = c === '\t' ? ' '.repeat(width > 0 ? width - (column % width) : 0) : c;
          make(shown.length);
          column = c === '\n' || c === '\r' ? 0 : column + shown.length;
          return shown;
        });
        return gather(out);
      },
    ],
    find: [`sub ${RANGE}`, find(false, false)],
    index: [`sub ${RANGE}`, find(false, true)],
    isalnum: ['', every(/^[\p{L}\p{N}]+$/u)],
    isalpha: ['', every(/^\p{L}+$/u)],
    isascii: ['', every(/^[\0-\x7f]+$/, true)],
    isdecimal: ['', every(/^\p{Nd}+$/u)],
    isdigit: ['', every(/^[\p{Nd}\xb2\xb3\xb9\u2070-\u2079\u2080-\u2089]+$/u)],
    isidentifier: ['', every(/^[\p{ID_Start}_]\p{ID_Continue}*$/u)],
    islower: ['', cased(/\p{Lowercase}/u, /[\p{Uppercase}\p{Lt}]/u)],
    isnumeric: ['', every(/^\p{N}+$/u)],
    isprintable: ['', (s) => printable(s)],
    isspace: ['', every(isSpaces)],
    istitle: ['', (s) => /\p{Cased}/u.test(s) && titled(s) === s],
    isupper: ['', cased(/\p{Uppercase}/u, /[\p{Lowercase}\p{Lt}]/u)],
    join: ['iterable', (s, items) => join(s, list(items!))],
    ljust: ['width fill?', aligned('<')],
    lower: ['', change((s) => s.toLowerCase())],
    lstrip: stripping(true, false),
    partition: ['sep', partition(false)],
    removeprefix: ['prefix', (s, affix) => (s.startsWith(need(affix)) ? s.slice(need(affix).length) : s)],
    removesuffix: ['suffix', (s, affix) => (s.endsWith(need(affix)) ? s.slice(0, s.length - need(affix).length) : s)],
    replace: ['old new count?', (s, old, by, most = -1n) => replace(s, need(old), need(by), needInteger(most))],
    rfind: [`sub ${RANGE}`, find(true, false)],
    rindex: [`sub ${RANGE}`, find(true, true)],
    rjust: ['width fill?', aligned('>')],
    rpartition: ['sep', partition(true)],
    rsplit: splitting(true),
    rstrip: stripping(false, true),
    split: splitting(false),
    splitlines: ['keepends?', (s, keep = false) => splitLines(s, Boolean(keep))],
    startswith: [`prefix ${RANGE}`, begins((part, prefix) => part.startsWith(prefix))],
    strip: stripping(true, true),
    swapcase: [
      '',
      change((s) => replaceEach(s, /\p{Cased}/gu, (c) => (c === c.toUpperCase() ? c.toLowerCase() : c.toUpperCase()))),
    ],
    title: ['', change(titled)],
    upper: ['', change((s) => s.toUpperCase())],
    zfill: [
      'width',
      (s, width) => {
        const sign = /^[-+]?/.exec(s)![0];
        return pad(sign, s.slice(sign.length), needInteger(width), '0', '=');
      },
    ],
  } satisfies Record<string, Method>),
);

function titled(s: string): string {
  return replaceEach(s, /\p{Cased}+/gu, title);
}

/**
 * @param look finds what a field of format() names
 * @returns the method of a text, bound to it; undefined where str has none of that name
 */
export function method(of: string | Markup, name: string, look: Look): Value | undefined {
  const s = text(of);
  const back = (result: Value): Value => {
    if (!(of instanceof Markup)) return result;
    if (typeof result === 'string') return new Markup(result);
    return Array.isArray(result)
      ? result.map(back)
      : result instanceof Tuple
        ? new Tuple(result.items.map(back))
        : result;
  };
  if (name === 'format' || name === 'format_map') {
    return new Thing(name, (args, keywords) => {
      if (name === 'format') return back(format(s, args, keywords, look));
      const [map] = bind(name, 'mapping', args, keywords);
      return back(
        format(
          s,
          [],
          map instanceof Dict
            ? new Map(map.pairs().map(([key, value]) => [text(key), value]))
            : fail('format_map() needs a dict'),
          look,
        ),
      );
    });
  }
  const found = METHODS.get(name);
  return (
    found &&
    new Thing(name, (args, keywords) => {
      read(s.length + args.reduce<number>((sum, arg) => sum + (typeof arg === 'string' ? arg.length : 0), 0));
      // what is joined to escaped text is escaped
      const safe =
        of instanceof Markup &&
        (name === 'join' ? (v: Value) => list(v).map(escaped) : name === 'replace' ? escaped : null);
      const given = safe ? args.map((arg, i) => (name === 'replace' && i !== 1 ? arg : safe(arg))) : args;
      return back(found[1](s, ...bind(name, found[0], given, keywords)));
    })
  );
}

// --- formats

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
