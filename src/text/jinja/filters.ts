/**
 * Jinja's filters: what stands after `|`. It is long because there are more than fifty, and each is short.
 */
import { bind } from './arguments';
import { attribute, getAttribute, getItem } from './attributes';
import { equal, less, sorted } from './compare';
import { parseFloatOf, parseIntOf } from './conversions';
import { json, jsonStyle } from './json';
import { calculate, round } from './numbers';
import { slice } from './slices';
import { capitalize, percent, replace, split, splitLines, strip } from './strings';
import { isName, TESTS } from './tests';
import {
  type Call,
  Dict,
  escaped,
  fail,
  Generator,
  gather,
  isText,
  iterator,
  joined,
  type Keywords,
  length,
  list,
  Markup,
  needInteger,
  number,
  orElse,
  parseInteger,
  points,
  repr,
  SPACE,
  Tuple,
  text,
  truthy,
  typeName,
  Undefined,
  type Value,
  walk,
} from './values';
import { make, read, replaceEach, spend, visit } from './work';

type Filter = (value: Value, ...args: Value[]) => Value;

/** Called with the value first. */
export const FILTERS = new Map<string, Call>();

/** @param parameters after the value; one that may be left out is `name=` with its default in JSON */
function filter(names: string, parameters: string, run: Filter): void {
  const [name] = names.split(' ');
  const parsed = parameters ? parameters.split(' ').map((each) => each.split('=')) : [];
  const signature = [
    'value',
    ...parsed.map(([parameter, otherwise]) => parameter + (otherwise === undefined ? '' : '?')),
  ].join(' ');
  const defaults = parsed.map(([, otherwise]): Value => {
    const value: unknown = otherwise ? JSON.parse(otherwise) : null;
    return typeof value === 'number' ? BigInt(value) : (value as Value);
  });
  const call: Call = (args, keywords) => {
    const [value, ...given] = bind(name, signature, args, keywords);
    return run(value!, ...given.map((each, i) => orElse(each, () => defaults[i])));
  };
  for (const each of names.split(' ')) FILTERS.set(each, call);
}

/** Text that is escaped stays so. */
const soft = (value: Value, change: (s: string) => string): Value => {
  make(text(value).length);
  const changed = change(text(value));
  return value instanceof Markup ? new Markup(changed) : changed;
};
const lowered = (value: Value): Value => (isText(value) ? soft(value, (s) => s.toLowerCase()) : value);

/** The way to an attribute: "a.b.0" @param otherwise for what is not there; null for none */
function getter(path: Value, ignoreCase = false, otherwise: Value = null): (item: Value) => Value {
  const parts =
    path === null
      ? []
      : isText(path)
        ? split(text(path), '.', -1, false).map((part): Value => (/^\d+$/.test(part) ? parseInteger(part) : part))
        : [path];
  return (item) => {
    let value = item;
    visit(parts.length);
    for (const part of parts) {
      value = getItem(value, part);
      if (otherwise !== null && value instanceof Undefined) value = otherwise;
    }
    return ignoreCase ? lowered(value) : value;
  };
}

const lazy = (items: IterableIterator<Value>) => new Generator(items);
const emptyOf = (what: string) => new Undefined(`${what} of an empty sequence`);
const add = (a: Value, b: Value): Value => {
  const [x, y] = [number(a), number(b)];
  if (x !== undefined && y !== undefined) return calculate('+', x, y);
  if (Array.isArray(a) && Array.isArray(b)) return [...list(a), ...list(b)];
  if (a instanceof Tuple && b instanceof Tuple) return new Tuple([...list(a), ...list(b)]);
  const missing = [a, b].find((side) => side instanceof Undefined);
  return fail(missing ? (missing as Undefined).message : `${typeName(a)} and ${typeName(b)} cannot be added`);
};

filter('abs', '', (value) => {
  const plain = number(value) ?? fail(`abs needs a number, not ${typeName(value)}`);
  return plain < 0 ? calculate('*', plain, -1n) : typeof plain === 'number' ? Math.abs(plain) : plain;
});
filter('attr', 'name', (value, name) => {
  const found = value instanceof Undefined ? undefined : attribute(value, text(name));
  return found === undefined
    ? new Undefined(`'${typeName(value)}' has no attribute '${text(name)}'`)
    : getAttribute(value, text(name));
});
filter('batch', 'linecount fill_with=null', (value, count, fill) => {
  const size = number(count) ?? fail('batch needs a number');
  return lazy(
    (function* () {
      let row: Value[] = [];
      for (const item of walk(value)) {
        if (row.length === Number(size)) {
          yield row;
          row = [];
        }
        row.push(item);
      }
      if (!row.length) return undefined;
      const missing = fill === null ? 0 : Number(size) - row.length;
      spend(Math.max(0, missing) / 8);
      yield missing > 0 ? [...row, ...Array<Value>(missing).fill(fill)] : row;
      return undefined;
    })(),
  );
});
filter('capitalize', '', (value) => soft(value, capitalize));
filter('center', 'width=80', (value, width) => {
  const size = length(text(value));
  const [to, missing] = [needInteger(width), Math.max(0, needInteger(width) - size)];
  make(size + missing);
  const left = Math.floor(missing / 2) + (missing & to & 1);
  return soft(value, (s) => ' '.repeat(left) + s + ' '.repeat(missing - left));
});
filter('default d', 'default_value="" boolean=false', (value, otherwise, boolean) =>
  value instanceof Undefined || (truthy(boolean) && !truthy(value)) ? otherwise : value,
);
filter('dictsort', 'case_sensitive=false by="key" reverse=false', (value, sensitive, by, reverse) => {
  if (!(value instanceof Dict))
    fail(value instanceof Undefined ? value.message : `dictsort needs a dict, not ${typeName(value)}`);
  const place = ['key', 'value'].indexOf(text(by));
  if (place < 0) fail("dictsort sorts by 'key' or 'value'");
  const pairs = (value as Dict).pairs().map((pair) => new Tuple(pair));
  const key = (pair: Value) => (pair as Tuple).items[place];
  return sorted(pairs, (pair) => (truthy(sensitive) ? key(pair) : lowered(key(pair))), truthy(reverse));
});
filter('escape e', '', escaped);
filter('forceescape', '', (value) => escaped(text(value)));
filter('filesizeformat', 'binary=false', (value, binary) => {
  const bytes = parseFloatOf(value) ?? fail('filesizeformat needs a number');
  const base = truthy(binary) ? 1024 : 1000;
  if (bytes === 1) return '1 Byte';
  if (bytes < base) return `${Math.trunc(bytes)} Bytes`;
  const units = [...(base === 1024 ? 'KMGTPEZY' : 'kMGTPEZY')];
  const i = Math.min(units.length - 1, units.findIndex((_, at) => bytes < base ** (at + 2)) >>> 0);
  return `${percent('%.1f', (base * bytes) / base ** (i + 2))} ${units[i]}${base === 1024 ? 'iB' : 'B'}`;
});
filter('first', '', (value) => {
  const first = (iterator(value) ?? fail(`'${typeName(value)}' object is not iterable`)).next();
  return first.done ? emptyOf('the first') : first.value;
});
filter('float', 'default=', (value, otherwise) => parseFloatOf(value) ?? (otherwise === null ? 0 : otherwise));
filter('int', 'default=0 base=10', (value, otherwise, base) => {
  const plain = number(value);
  if (typeof plain === 'number') {
    if (Number.isNaN(plain)) return otherwise;
    return Number.isFinite(plain) ? BigInt(Math.trunc(plain)) : fail('infinity is no int');
  }
  const whole = plain ?? (isText(value) ? parseIntOf(text(value), needInteger(base)) : undefined);
  if (whole !== undefined) return whole;
  const float = parseFloatOf(value);
  return float !== undefined && Number.isFinite(float) ? BigInt(Math.trunc(float)) : otherwise;
});

FILTERS.set('format', ([value, ...args], keywords) => {
  if (args.length && keywords.size) fail('format takes values or names, not both');
  return percent(text(value), keywords.size ? new Dict(keywords) : new Tuple(args));
});
filter('groupby', 'attribute default=null case_sensitive=false', (value, path, otherwise, sensitive) => {
  const key = getter(path, !truthy(sensitive), otherwise);
  const groups: Value[][] = [];
  for (const item of sorted(list(value), key, false)) {
    const last = groups.at(-1);
    if (last && equal(key(last[0]), key(item))) last.push(item);
    else groups.push([item]);
  }
  const shown = getter(path, false, otherwise);
  return groups.map((items) => new Tuple([shown(items[0]), items], ['grouper', 'list']));
});
filter('indent', 'width=4 first=false blank=false', (value, width, first, blank) => {
  if (!isText(value)) fail(`indent needs a string, not ${typeName(value)}`);
  const columns = isText(width) ? 0 : needInteger(width);
  make(columns);
  const by = isText(width) ? text(width) : ' '.repeat(Math.max(0, columns));
  return soft(value, (s) => {
    const lines = splitLines(`${s}\n`);
    spend(lines.length);
    const indented = lines.map((line, i) =>
      (i || truthy(first)) && (line || truthy(blank) || !i) ? [by, line] : [line],
    );
    return gather(indented.flatMap((parts, i) => (i ? ['\n', ...parts] : parts)));
  });
});
filter('items', '', (value) => {
  if (value instanceof Undefined) return lazy([].values());
  return value instanceof Dict
    ? lazy(
        value
          .pairs()
          .map((pair) => new Tuple(pair))
          .values(),
      )
    : fail('items needs a dict');
});
filter('join', 'd="" attribute=null', (value, separator, path) => {
  const get = getter(path);
  return gather(
    list(value).map((item) => text(get(item))),
    text(separator),
  );
});
filter('last', '', (value) => {
  if (value instanceof Generator) fail("a generator has no 'last'");
  const all = isText(value) ? points(text(value)) : list(value);
  return all.length ? all.at(-1)! : emptyOf('the last');
});
filter('length count', '', (value) => BigInt(length(value)));
filter('list', '', (value) => list(value));
filter('lower', '', (value) => soft(value, (s) => s.toLowerCase()));
filter('upper', '', (value) => soft(value, (s) => s.toUpperCase()));

/** A filter or a test by its name, with what follows it. */
function named(
  table: Map<string, Call>,
  kind: string,
  [name, ...args]: Value[],
  keywords: Keywords,
): (item: Value) => Value {
  const call = table.get(text(name)) ?? fail(`there is no ${kind} ${text(name)}`);
  return (item) => {
    spend(4);
    return call([item, ...args], keywords);
  };
}

FILTERS.set('map', ([value, ...args], keywords) =>
  lazy(
    (function* () {
      if (!truthy(value)) return undefined;
      let change: (item: Value) => Value;
      if (!args.length && keywords.has('attribute')) {
        const [path, otherwise = null] = bind('map', 'attribute default?', [], keywords);
        change = getter(path!, false, otherwise);
      } else change = named(FILTERS, 'filter', args.length ? args : fail('map needs the name of a filter'), keywords);
      for (const item of walk(value)) yield change(item);
      return undefined;
    })(),
  ),
);

for (const [name, wanted, byAttribute] of [
  ['select', true, false],
  ['reject', false, false],
  ['selectattr', true, true],
  ['rejectattr', false, true],
] as const) {
  FILTERS.set(name, ([value, ...args], keywords) =>
    lazy(
      (function* () {
        if (!truthy(value)) return undefined;
        if (byAttribute && !args.length) fail(`${name} needs the name of an attribute`);
        const get = byAttribute ? getter(args[0]) : (item: Value) => item;
        const rest = byAttribute ? args.slice(1) : args;
        const test = rest.length ? named(TESTS, 'test', rest, keywords) : (item: Value) => truthy(item);
        for (const item of walk(value)) if (truthy(test(get(item))) === wanted) yield item;
        return undefined;
      })(),
    ),
  );
}

const extreme =
  (better: (a: Value, b: Value) => boolean): Filter =>
  (value, sensitive, path) => {
    const key = getter(path, !truthy(sensitive));
    let best: Value | undefined;
    for (const item of walk(value)) if (best === undefined || better(key(item), key(best))) best = item;
    return orElse(best, () => new Undefined('the sequence was empty'));
  };
filter('min', 'case_sensitive=false attribute=null', extreme(less));
filter(
  'max',
  'case_sensitive=false attribute=null',
  extreme((a, b) => less(b, a)),
);
filter('pprint', '', (value) => {
  const ordered = (inner: Value): Value => {
    if (inner instanceof Dict)
      return new Dict(
        sorted(
          inner.pairs().map((pair) => new Tuple(pair)),
          (pair) => (pair as Tuple).items[0],
          false,
        ).map((pair) => (pair as Tuple).items.map(ordered) as [Value, Value]),
      );
    return Array.isArray(inner)
      ? inner.map(ordered)
      : inner instanceof Tuple
        ? new Tuple(inner.items.map(ordered))
        : inner;
  };
  const shown = repr(ordered(value));
  return shown.length <= 80 ? shown : fail('pprint of more than 80 characters is not supported');
});
filter('replace', 'old new count=null', (value, old, by, count) =>
  replace(text(value), text(old), text(by), count === null ? -1 : needInteger(count)),
);
filter('reverse', '', (value) => {
  if (isText(value)) return slice(value, null, null, -1n);
  return lazy(list(value).reverse().values());
});
filter('round', 'precision=0 method="common"', (value, precision, method) => {
  const plain =
    number(value) ?? fail(value instanceof Undefined ? value.message : `round needs a number, not ${typeName(value)}`);
  const places = needInteger(precision);
  if (method === 'common') {
    if (typeof plain === 'bigint' || Number.isFinite(plain)) return round(plain, places);
    return plain;
  }
  if (method !== 'ceil' && method !== 'floor') fail("round knows the methods 'common', 'ceil' and 'floor'");
  const factor = calculate('**', 10n, BigInt(places));
  const size = calculate('*', plain, factor);
  return calculate(
    '/',
    typeof size === 'number' ? BigInt(method === 'ceil' ? Math.ceil(size) : Math.floor(size)) : size,
    factor,
  );
});
filter('safe', '', (value) => (value instanceof Markup ? value : new Markup(text(value))));
filter('slice', 'slices fill_with=null', (value, count, fill) => {
  const size = needInteger(count);
  return lazy(
    (function* () {
      const all = list(value);
      const [each, more] = [Math.floor(all.length / size), all.length % size];
      if (size === 0) fail('slice needs a number above 0');
      for (let i = 0, at = 0; i < size; i++) {
        spend(1);
        const start = at;
        at += each + (i < more ? 1 : 0);
        const part = all.slice(start, at);
        yield fill !== null && i >= more ? [...part, fill] : part;
      }
      return undefined;
    })(),
  );
});
filter('sort', 'reverse=false case_sensitive=false attribute=null', (value, reverse, sensitive, path) => {
  const paths = isText(path) ? split(text(path), ',', -1, false) : [path];
  const keys = paths.map((each) => getter(each, !truthy(sensitive)));
  return sorted(list(value), (item) => keys.map((key) => key(item)), truthy(reverse));
});
filter('string', '', (value) => (value instanceof Markup ? value : text(value)));
filter('striptags', '', (value) => {
  const without = (source: string, open: string, close: string) => {
    const parts: string[] = [];
    let at = 0;
    for (;;) {
      const start = source.indexOf(open, at);
      const end = start < 0 ? -1 : source.indexOf(close, start);
      visit(1);
      if (end < 0) return gather([...parts, source.slice(at)]);
      parts.push(source.slice(at, start));
      at = end + close.length;
    }
  };
  // the engine collects all entities before it hands over the first
  read(48 * text(value).length);
  const plain = without(without(text(value), '<!--', '-->'), '<', '>');
  const entities = new Map([
    ['amp', '&'],
    ['lt', '<'],
    ['gt', '>'],
    ['quot', '"'],
    ['apos', "'"],
    ['nbsp', '\xa0'],
  ]);
  return split(plain, null, -1, false)
    .join(' ')
    .replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w{1,9}));/gi, (whole, decimal, hex, name) => {
      spend(2);
      if (name) return entities.get(name) ?? whole;
      const code = decimal ? Number(decimal) : Number.parseInt(hex, 16);
      return code < 0x110000 ? String.fromCodePoint(code) : '\ufffd';
    });
});
filter('sum', 'attribute=null start=0', (value, path, start) => {
  if (isText(start)) fail('sum cannot add strings');
  const get = getter(path);
  let sum: Value = start;
  for (const item of walk(value)) sum = add(sum, get(item));
  return sum;
});
const WORDS = new RegExp(`[^-${SPACE}({[<]+`, 'gu');
filter('title', '', (value) =>
  soft(value, (s) => {
    return replaceEach(s, WORDS, (word) => {
      const [first] = word;
      return first.toUpperCase() + word.slice(first.length).toLowerCase();
    });
  }),
);
filter(
  'tojson',
  'ensure_ascii=false indent=null separators=null sort_keys=false',
  (value, ascii, indent, separators, keys) => json(value, jsonStyle(ascii, indent, separators, keys)),
);
filter('trim', 'chars=null', (value, characters) => soft(value, (s) => strip(s, characters)));
filter('truncate', 'length=255 killwords=false end="..." leeway=null', (value, most, kill, end, leeway) => {
  const [size, tail, over] = [needInteger(most), points(text(end)), leeway === null ? 5 : needInteger(leeway)];
  if (size < tail.length || over < 0) fail(`truncate needs a length of at least ${tail.length}`);
  if (length(value) <= size + over) return value;
  if (!isText(value)) fail(`truncate needs a string, not ${typeName(value)}`);
  const all = points(text(value));
  return soft(value, () => {
    const cut = joined(all.slice(0, size - tail.length));
    return (truthy(kill) ? cut : split(cut, ' ', 1, true)[0]) + text(end);
  });
});
filter('unique', 'case_sensitive=false attribute=null', (value, sensitive, path) => {
  const key = getter(path, !truthy(sensitive));
  return lazy(
    (function* () {
      const seen = new Dict();
      for (const item of walk(value)) {
        const own = key(item);
        if (seen.has(own)) continue;
        seen.set(own, true);
        yield item;
      }
      return undefined;
    })(),
  );
});
filter('urlencode', '', (value) => {
  const quote = (part: Value, query = false) => {
    const source = text(part);
    make(9 * source.length);
    if (!source.isWellFormed()) fail('a lone surrogate cannot be encoded');
    const quoted = replaceEach(
      encodeURIComponent(source),
      /[!'()*]/g,
      (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
    );
    return query ? quoted.replaceAll('%20', '+') : quoted.replaceAll('%2F', '/');
  };
  if (isText(value) || !iterator(value)) return quote(value);
  const pairs = value instanceof Dict ? value.pairs() : list(value).map(list);
  return gather(
    pairs.map(([key, item, ...more]) =>
      item === undefined || more.length ? fail('urlencode needs pairs') : `${quote(key, true)}=${quote(item, true)}`,
    ),
    '&',
  );
});
filter('wordcount', '', (value) => {
  read(32 * text(value).length);
  return BigInt(text(value).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0);
});
filter(
  'wordwrap',
  'width=79 break_long_words=true wrapstring=null break_on_hyphens=true',
  (value, width, long, wrap, hyphens) => {
    if (!isText(value)) fail(`wordwrap needs a string, not ${typeName(value)}`);
    const between = wrap === null ? '\n' : text(wrap);
    return gather(
      splitLines(text(value)).map((line) =>
        gather(wrapped(line, needInteger(width), truthy(long), truthy(hyphens)), between),
      ),
      between,
    );
  },
);

/** One line to several of at most `width`, as Python's textwrap does. */
function wrapped(line: string, width: number, breakLong: boolean, atHyphens: boolean): string[] {
  if (width <= 0) fail('wordwrap needs a width above 0');
  const blank = /^[\t-\r ]*$/;
  read(64 * line.length);
  const chunks = line
    .split(/([\t-\r ]+)/)
    .filter(Boolean)
    .flatMap((chunk) =>
      atHyphens
        ? chunk.split(
            /(?<=[^\d\W]{2}-)(?=[^\d\W]{2})|(?<=[^\d\W]-)(?=[^\d\W]-?[^\d\W])|(?<=[\w!"'&.,?])(?=-{2,}\w)|(?=\w)(?<=\w-{2,})/u,
          )
        : [chunk],
    );
  const lines: string[] = [];
  let current: string[] = [];
  let size = 0;
  const flush = () => {
    if (current.length && blank.test(current.at(-1)!)) current.pop();
    if (current.length) lines.push(current.join(''));
    current = [];
    size = 0;
  };
  for (let i = 0; i < chunks.length; i++) {
    spend(1);
    let chunk = chunks[i];
    if (!current.length && lines.length && blank.test(chunk)) continue;
    if (size + chunk.length > width && chunk.length <= width) {
      flush();
      if (lines.length && blank.test(chunk)) continue;
    }
    while (chunk.length > width) {
      spend(1);
      const room = breakLong ? width - size : current.length ? 0 : chunk.length;
      if (room > 0) current.push(chunk.slice(0, room));
      chunk = chunk.slice(room);
      size = width;
      if (chunk) flush();
    }
    if (chunk) {
      current.push(chunk);
      size += chunk.length;
    }
  }
  flush();
  return lines;
}

filter('xmlattr', 'autospace=true', (value, space) => {
  if (!(value instanceof Dict)) fail('xmlattr needs a dict');
  const parts = (value as Dict).pairs().flatMap(([key, item]) => {
    spend(4);
    if (item === null || item instanceof Undefined) return [];
    if (!isText(key) || /[\t-\r />=]/.test(text(key))) fail('xmlattr was given a key that no attribute can have');
    return [`${escaped(key).text}="${escaped(item).text}"`];
  });
  return (truthy(space) && parts.length ? ' ' : '') + gather(parts, ' ');
});

/** Filters whose result no two renderings share, or that turn text into links: no template of a model has them. */
for (const name of ['random', 'urlize']) {
  FILTERS.set(name, () => fail(`the filter ${name} is not supported`));
}
TESTS.set('filter', (args, keywords) => {
  const [name] = bind('filter', 'value', args, keywords);
  return isName(FILTERS, name!);
});
