/**
 * The values of a template, with Python's meaning: str, list, bool and None are JavaScript's own, int is a bigint and
 * float a number, so that 1 and 1.0 stay apart. Names that a template reads are looked up in Maps, never in objects.
 */
import { long, make, read, replaceEach, spend, TemplateError, visit } from './work';

export type Value =
  | null
  | boolean
  | bigint
  | number
  | string
  | Value[]
  | Tuple
  | Dict
  | Range
  | View
  | Generator
  | Undefined
  | Markup
  | Namespace
  | Thing;

export type Keywords = Map<string, Value>;
export type Call = (args: Value[], keywords: Keywords) => Value;

export class Tuple {
  /** @param names of the items that can be had by name, as of groupby's */
  constructor(
    readonly items: Value[],
    readonly names: readonly string[] = [],
  ) {}
}

export class Dict {
  private readonly entries = new Map<unknown, [Value, Value]>();
  constructor(pairs: Iterable<readonly [Value, Value]> = []) {
    for (const [key, value] of pairs) this.set(key, value);
  }
  get size(): number {
    return this.entries.size;
  }
  get = (key: Value): Value | undefined => this.entries.get(hash(key))?.[1];
  has = (key: Value): boolean => this.entries.has(hash(key));
  set(key: Value, value: Value): void {
    const hashed = hash(key);
    // an equal key keeps its first form: {1: 'a', true: 'b'} is {1: 'b'}
    this.entries.set(hashed, [this.entries.get(hashed)?.[0] ?? key, value]);
  }
  pairs(): [Value, Value][] {
    visit(this.size);
    return [...this.entries.values()];
  }
}

export class Range {
  readonly length: number;
  constructor(
    readonly start: number,
    readonly stop: number,
    readonly step: number,
  ) {
    this.length = Math.max(0, Math.ceil((stop - start) / step));
  }
  at = (index: number): bigint => BigInt(this.start + index * this.step);
}

/** dict.keys(), values() and items() */
export class View {
  constructor(
    readonly kind: 'keys' | 'values' | 'items',
    readonly of: Dict,
  ) {}
  list = (): Value[] =>
    this.of
      .pairs()
      .map(([key, value]) => (this.kind === 'items' ? new Tuple([key, value]) : this.kind === 'keys' ? key : value));
}

/** What can be walked over once, and is made on the way. */
export class Generator {
  constructor(readonly iterator: IterableIterator<Value>) {}
}

/** A name that nobody set: it prints as nothing, and most else is an error with this message. */
export class Undefined {
  constructor(readonly message: string) {}
}

/** Text that is escaped already. */
export class Markup {
  constructor(readonly text: string) {}
}

export class Namespace {
  constructor(readonly attributes: Dict) {}
}

/** Functions, methods, macros, and objects that can do a few named things. */
export class Thing {
  constructor(
    readonly name: string,
    readonly call?: Call,
    readonly attribute?: (name: string) => Value | undefined,
  ) {}
}

/** What Python calls white space, for character classes. */
export const SPACE = '\\t-\\r\\x1c- \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

export function fail(message: string): never {
  throw new TemplateError(message);
}

/** A value where there is one: None is one too. */
export const orElse = (value: Value | undefined, otherwise: () => Value): Value =>
  value === undefined ? otherwise() : value;

export const isText = (value: Value): value is string | Markup => typeof value === 'string' || value instanceof Markup;

/** A bool counts as an int. */
export function number(value: Value): bigint | number | undefined {
  if (typeof value === 'bigint' || typeof value === 'number') return value;
  return typeof value === 'boolean' ? BigInt(value) : undefined;
}

/** An int that must fit, such as an index or a width. @returns undefined for what is no int */
export function integer(value: Value | undefined): number | undefined {
  const int = typeof value === 'boolean' ? BigInt(value) : value;
  return typeof int === 'bigint' ? Number(int) : undefined;
}

export const needInteger = (value: Value | undefined): number =>
  integer(value) ?? fail(`${typeName(value ?? null)} is not an integer`);

export function toFloat(value: bigint | number): number {
  const float = Number(value);
  if (typeof value === 'bigint' && !Number.isFinite(float)) fail('an int is too large for a float');
  return float;
}

export function typeName(value: Value): string {
  if (value === null) return 'None';
  if (Array.isArray(value)) return 'list';
  if (value instanceof View) return `dict_${value.kind}`;
  if (typeof value !== 'object') {
    return { string: 'str', bigint: 'int', number: 'float', boolean: 'bool' }[typeof value as 'string'];
  }
  const names: [new (...args: never[]) => Value & object, string][] = [
    [Tuple, 'tuple'],
    [Dict, 'dict'],
    [Range, 'range'],
    [Generator, 'generator'],
    [Undefined, 'Undefined'],
    [Markup, 'Markup'],
    [Namespace, 'Namespace'],
  ];
  return names.find(([type]) => value instanceof type)?.[1] ?? 'object';
}

export function truthy(value: Value): boolean {
  if (value === null || value instanceof Undefined) return false;
  if (typeof value !== 'object') return Boolean(value);
  if (value instanceof Markup) return value.text !== '';
  return (
    !(
      Array.isArray(value) ||
      value instanceof Tuple ||
      value instanceof Dict ||
      value instanceof Range ||
      value instanceof View
    ) || length(value) > 0
  );
}

// --- text

const SURROGATE = /[\ud800-\udfff]/;
export const HIGH = /[\ud800-\udbff]/;
export const LOW = /[\udc00-\udfff]/;

/** Python counts code points: the text itself where they are JavaScript's units, else a list of them. */
export function points(text: string): string | string[] {
  read(text.length);
  if (!SURROGATE.test(text)) return text;
  visit(text.length / 4);
  return Array.from(text);
}
export const joined = (part: string | readonly string[]): string => (typeof part === 'string' ? part : part.join(''));
export const pointCount = (text: string): number => points(text).length;

// What Python would not print as it is; noncharacters are printed, for they may stand for something else here.
const UNPRINTABLE = /(?! )[\p{C}\p{Z}](?<![\ufdd0-\ufdef])/gu;
export function printable(text: string): boolean {
  read(16 * text.length);
  return text.search(UNPRINTABLE) < 0;
}

export const hex = (code: number): string =>
  code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : code < 0x10000
      ? `\\u${code.toString(16).padStart(4, '0')}`
      : `\\U${code.toString(16).padStart(8, '0')}`;

const SHORT = new Map([
  ['\\', '\\\\'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
]);

function quoted(text: string): string {
  read(4 * text.length);
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inner = replaceEach(text, /[\\\n\r\t]/g, (c) => SHORT.get(c)!).replaceAll(quote, `\\${quote}`);
  return quote + replaceEach(inner, UNPRINTABLE, (c) => hex(c.codePointAt(0)!)) + quote;
}

/** Python's shortest form of a float. */
export function floatText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const [mantissa, power] = Math.abs(value).toExponential().split('e');
  const digits = mantissa.replace('.', '');
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) return sign + mantissa + exponentText(exponent);
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  return `${sign}${digits.slice(0, exponent + 1).padEnd(exponent + 1, '0')}.${digits.slice(exponent + 1) || '0'}`;
}

export const exponentText = (exponent: number): string =>
  `e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;

const MAX_DIGITS = 4300;

/** Bits of an int, rounded up to four; pays for reading it. */
export function bitsOf(value: bigint): number {
  const digits = (value < 0n ? -value : value).toString(16).length;
  read(digits);
  return digits * 4;
}
/** Python's limit on the digits of an int, before they are made. */
export function intText(value: bigint): string {
  const bits = bitsOf(value);
  if (bits > 14304) fail(`an int has more than ${MAX_DIGITS} digits`);
  long(bits);
  const digits = String(value);
  return digits.length - Number(value < 0n) > MAX_DIGITS ? fail(`an int has more than ${MAX_DIGITS} digits`) : digits;
}
export function parseInteger(digits: string): bigint {
  if (digits.length > MAX_DIGITS) fail(`an int has more than ${MAX_DIGITS} digits`);
  long(digits.length * 4);
  return BigInt(digits);
}

/** Python's repr */
export function repr(value: Value): string {
  spend(1);
  if (typeof value === 'string') return quoted(value);
  if (value instanceof Markup) return `Markup(${quoted(value.text)})`;
  if (value === null || typeof value !== 'object') return text(value);
  const list = (items: Value[]) => gather(items.map(repr), ', ');
  if (Array.isArray(value)) return `[${list(value)}]`;
  if (value instanceof Tuple) return `(${list(value.items)}${value.items.length === 1 ? ',' : ''})`;
  if (value instanceof Dict)
    return `{${gather(
      value.pairs().map(([key, item]) => `${repr(key)}: ${repr(item)}`),
      ', ',
    )}}`;
  if (value instanceof View) return `${typeName(value)}(${repr(value.list())})`;
  if (value instanceof Range) {
    return `range(${value.start}, ${value.stop}${value.step === 1 ? '' : `, ${value.step}`})`;
  }
  if (value instanceof Namespace) return `<Namespace ${repr(value.attributes)}>`;
  return value instanceof Thing ? `<${value.name}>` : typeName(value);
}

/** Joins, and pays for the whole. */
export function gather(parts: readonly string[], between = ''): string {
  make(parts.reduce((sum, part) => sum + part.length + between.length, 0));
  return parts.join(between);
}

/** Python's str */
export function text(value: Value): string {
  if (typeof value === 'string') return value;
  if (value instanceof Markup) return value.text;
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'bigint') return intText(value);
  if (typeof value === 'number') return floatText(value);
  return value instanceof Undefined ? '' : repr(value);
}

const ENTITIES = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ["'", '&#39;'],
  ['"', '&#34;'],
]);
export function escaped(value: Value): Markup {
  if (value instanceof Markup) return value;
  const plain = text(value);
  make(plain.length);
  return new Markup(replaceEach(plain, /[&<>'"]/g, (c) => ENTITIES.get(c)!));
}

// --- lists

export function length(value: Value): number {
  if (isText(value)) return pointCount(text(value));
  if (Array.isArray(value)) return value.length;
  if (value instanceof Tuple) return value.items.length;
  if (value instanceof Dict) return value.size;
  if (value instanceof View) return value.of.size;
  if (value instanceof Range) return value.length;
  return value instanceof Undefined ? 0 : fail(`object of type '${typeName(value)}' has no len()`);
}

/** What can be walked over. @returns undefined for what cannot */
export function iterator(value: Value): IterableIterator<Value> | undefined {
  if (value instanceof Generator) return value.iterator;
  if (isText(value)) return text(value)[Symbol.iterator]();
  if (Array.isArray(value)) return value.values();
  if (value instanceof Tuple) return value.items.values();
  if (value instanceof Dict) return new View('keys', value).list().values();
  if (value instanceof View) return value.list().values();
  if (value instanceof Range) return numbers(value);
  return value instanceof Undefined ? [].values() : undefined;
}

function* numbers(range: Range): Generator_<Value> {
  for (let i = 0; i < range.length; i++) yield range.at(i);
}
type Generator_<T> = globalThis.Generator<T, undefined, undefined>;

/** Walks over a value and pays for each item. */
export function* walk(value: Value): Generator_<Value> {
  if (value instanceof Dict || value instanceof View) spend(length(value) / 8);
  for (const item of iterator(value) ?? fail(`'${typeName(value)}' object is not iterable`)) {
    spend(1 / 8);
    yield item;
  }
}

/** A copy as a list. */
export function list(value: Value): Value[] {
  const items = value instanceof Tuple ? value.items : value;
  if (!Array.isArray(items)) return [...walk(value)];
  spend(items.length / 8);
  return items.slice();
}

/** The same for values that Python holds for equal keys. */
function hash(value: Value): unknown {
  spend(1);
  if (typeof value === 'string') {
    read(value.length);
    return `s${value}`;
  }
  if (value instanceof Markup) return `s${value.text}`;
  const plain = number(value);
  if (plain !== undefined) {
    if (!Number.isInteger(plain) && typeof plain === 'number') return `n${plain}`;
    const int = BigInt(plain);
    bitsOf(int);
    return `n${int.toString(16)}`;
  }
  if (value instanceof Tuple)
    return `t${gather(
      value.items.map((item) => replaceEach(String(hash(item)), /[\\,]/g, (c) => `\\${c}`)),
      ',',
    )}`;
  if (value === null) return null;
  if (value instanceof Undefined) return Undefined;
  if (Array.isArray(value) || value instanceof Dict || value instanceof View)
    fail(`unhashable type: '${typeName(value)}'`);
  return value;
}

/** JSON as JavaScript has it becomes values of the template; only own keys count. */
export function fromJson(value: unknown): Value {
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : value;
  if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'bigint') return value;
  if (Array.isArray(value)) return value.map(fromJson);
  if (value === null || typeof value !== 'object') return null;
  return new Dict(Object.entries(value).flatMap(([key, item]) => (item === undefined ? [] : [[key, fromJson(item)]])));
}
