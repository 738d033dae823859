/** The methods of Python's str. */
import { bind } from './arguments';
import { format, type Look } from './format';
import { pad } from './numbers';
import { sliceBounds } from './slices';
import { capitalize, join, need, replace, split, splitLines, strip, title } from './strings';
import {
  Dict,
  escaped,
  fail,
  gather,
  integer,
  joined,
  list,
  Markup,
  needInteger,
  pointCount,
  points,
  printable,
  SPACE,
  Thing,
  Tuple,
  text,
  type Value,
} from './values';
import { make, read, replaceEach, scan, visit } from './work';

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
