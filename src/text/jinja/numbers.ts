/** Python's arithmetic, and how Python writes numbers where a format asks for it. */

import {
  bitsOf,
  exponentText,
  fail,
  floatText,
  integer,
  intText,
  joined,
  number,
  pointCount,
  points,
  text,
  toFloat,
  typeName,
  type Value,
} from './values';
import { long, make, read, spend } from './work';

type Numeric = bigint | number;

const MAX_BITS = 100_000; // of an int: far over what Python would print
const MAX_PLACES = 4300;

/** + - * / // % ** of two numbers; ints stay ints, but for / */
export function calculate(operator: string, a: Numeric, b: Numeric): Numeric {
  if (operator === '**') return power(a, b);
  if ('/%'.includes(operator[0]) && Number(b) === 0) fail('division by zero');
  if (typeof a === 'bigint' && typeof b === 'bigint' && operator !== '/') {
    // what is longer than the machine's words is worked on in pieces
    if (operator === '+' || operator === '-') {
      spend((bitsOf(a) + bitsOf(b)) / 10_000);
      return operator === '+' ? a + b : a - b;
    }
    wide(operator === '*' ? bitsOf(a) + bitsOf(b) : Math.max(bitsOf(a), bitsOf(b)));
    if (operator === '*') return a * b;
    const rest = a % b;
    const down = rest !== 0n && rest < 0n !== b < 0n;
    return operator === '%' ? (down ? rest + b : rest) : a / b - (down ? 1n : 0n);
  }
  const [x, y] = [toFloat(a), toFloat(b)];
  if (operator === '+') return x + y;
  if (operator === '-') return x - y;
  if (operator === '*') return x * y;
  if (operator === '/') return x / y;
  let rest = x % y;
  if (rest !== 0 && rest < 0 !== y < 0) rest += y;
  if (rest === 0) rest = y < 0 ? -0 : 0;
  return operator === '%' ? rest : Math.round((x - rest) / y);
}

function wide(size: number): void {
  if (size > MAX_BITS) fail(`it makes an int of ${size} bits, at most ${MAX_BITS} are allowed`);
  long(size);
}

function power(a: Numeric, b: Numeric): Numeric {
  if (typeof a === 'bigint' && typeof b === 'bigint' && b >= 0n) {
    if (a > 1n || a < -1n) wide(bitsOf(a) * Number(b));
    return a ** (a > 1n || a < -1n ? b : b === 0n ? 0n : 2n - (b % 2n));
  }
  const [x, y] = [toFloat(a), toFloat(b)];
  if (x === 0 && y < 0) fail('0 cannot be raised to a negative power');
  if (x < 0 && Number.isFinite(y) && !Number.isInteger(y)) fail('complex numbers are not supported');
  const result = x === 1 ? 1 : x ** y;
  if (!Number.isFinite(result) && Number.isFinite(x) && Number.isFinite(y)) fail('the result of ** is too large');
  return result;
}

/** |value| * 10^places as an int, exactly, halves to even. */
function scaled(value: Numeric, places: number): bigint {
  // a digit has three bits and a third; a float up to 1,100
  long((typeof value === 'bigint' ? bitsOf(value) : 1100) + 3.4 * Math.abs(places));
  let [top, bottom] = [1n, 1n];
  if (typeof value === 'bigint') top = value < 0n ? -value : value;
  else {
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, value);
    const all = view.getBigUint64(0);
    const exponent = Number((all >> 52n) & 0x7ffn);
    top = (all & ((1n << 52n) - 1n)) | (exponent ? 1n << 52n : 0n);
    const shift = Math.max(exponent, 1) - 1075;
    if (shift > 0) top <<= BigInt(shift);
    else bottom <<= BigInt(-shift);
  }
  if (places > 0) top *= 10n ** BigInt(places);
  else bottom *= 10n ** BigInt(-places);
  const [quotient, twice] = [top / bottom, 2n * (top % bottom)];
  return quotient + (twice > bottom || (twice === bottom && quotient & 1n) ? 1n : 0n);
}

/** Python's round(value, places) */
export function round(value: Numeric, places: number): Numeric {
  if (typeof value === 'bigint') {
    if (places >= 0) return value;
    const size = -places > MAX_BITS ? 0n : scaled(value, places) * 10n ** BigInt(-places);
    return value < 0n ? -size : size;
  }
  if (!Number.isFinite(value) || places > 330) return value;
  if (places < -330) return value < 0 ? -0 : 0;
  const size = Number(`${scaled(value, places)}e${-places}`);
  return value < 0 || Object.is(value, -0) ? -size : size;
}

function fixed(value: Numeric, places: number): string {
  const digits = String(scaled(value, places)).padStart(places + 1, '0');
  const point = digits.length - places;
  return places ? `${digits.slice(0, point)}.${digits.slice(point)}` : digits;
}

/** @returns digits and the exponent of the first */
function scientific(value: Numeric, places: number): [string, number] {
  if (Number(value) === 0) return ['0'.repeat(places + 1), 0];
  let exponent =
    typeof value === 'bigint'
      ? intText(value < 0n ? -value : value).length - 1
      : Number(value.toExponential().split('e')[1]);
  let digits = String(scaled(value, places - exponent));
  if (digits.length > places + 1) digits = String(scaled(value, places - ++exponent));
  return [digits, exponent];
}

/** A float without its sign, in the form that a letter of Python's formats names. */
function floatDigits(value: Numeric, letter: string, precision: number | undefined, alternate: boolean): string {
  if (typeof value === 'number' && !Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : 'inf';
  const places = precision ?? 6;
  if (places > MAX_PLACES) fail(`${places} decimal places are asked for, at most ${MAX_PLACES} are allowed`);
  spend(places);
  const kind = letter.toLowerCase();
  if (kind === 'f') return fixed(value, places) + (alternate && !places ? '.' : '');
  if (kind === 'e') {
    const [digits, exponent] = scientific(value, places);
    return digits[0] + (places || alternate ? '.' : '') + digits.slice(1) + exponentText(exponent);
  }
  const most = places || 1;
  const [digits, exponent] = scientific(value, most - 1);
  const plain = exponent >= -4 && exponent < most;
  const trim = (number: string) => (alternate || !number.includes('.') ? number : number.replace(/\.?0*$/, ''));
  if (plain) return trim(fixed(value, most - 1 - exponent));
  return trim(digits[0] + (digits.length > 1 ? `.${digits.slice(1)}` : '')) + exponentText(exponent);
}

const BASES: Record<string, number> = { b: 2, o: 8, x: 16, d: 10 };

/** Sign and digits of a number by a letter of Python's formats. */
function parts(
  value: Numeric,
  letter: string,
  precision: number | undefined,
  alternate: boolean,
): [negative: boolean, prefix: string, digits: string] {
  const kind = letter.toLowerCase();
  const base = Object.hasOwn(BASES, kind) ? BASES[kind] : 0;
  const negative = value < 0 || Object.is(value, -0);
  let digits: string;
  if (base) {
    const size = typeof value === 'bigint' ? (value < 0n ? -value : value) : fail(`%${letter} needs an int`);
    digits = base === 10 ? intText(size) : size.toString(base);
  } else digits = floatDigits(value, letter, precision, alternate);
  if (letter !== kind) digits = digits.toUpperCase();
  return [negative, base && base !== 10 && alternate ? `0${letter}` : '', digits];
}

const signOf = (negative: boolean, flags: string) =>
  negative ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';

/** Fills up to a width. @param how < > ^ or =, which fills between the sign and the digits */
export function pad(head: string, body: string, width: number, fill: string, how: string): string {
  const size = pointCount(head) + pointCount(body);
  make(Math.max(size, width));
  const missing = Math.max(0, width - size);
  const left = how === '<' || how === '=' ? 0 : how === '>' ? missing : Math.floor(missing / 2);
  if (how === '=') return head + fill.repeat(missing) + body;
  return fill.repeat(left) + head + body + fill.repeat(missing - left);
}

const cut = (whole: string, precision: number | undefined) =>
  precision === undefined ? whole : joined(points(whole).slice(0, precision));

/** One %-conversion of Python, for a value. */
export function convert(
  value: Value,
  letter: string,
  flags: string,
  width: number,
  precision: number | undefined,
  shown: { str: (value: Value) => string; repr: (value: Value) => string },
): string {
  const side = flags.includes('-') ? '<' : '>';
  if (letter === 's') return pad('', cut(shown.str(value), precision), width, ' ', side);
  if (letter === 'r' || letter === 'a') return pad('', cut(shown.repr(value), precision), width, ' ', side);
  if (letter === 'c') {
    const code = integer(value);
    if (code === undefined && (typeof value !== 'string' || value.length > 2 || pointCount(value) !== 1))
      fail('%c needs an int or a character');
    return pad('', code === undefined ? (value as string) : character(code), width, ' ', side);
  }
  if (!'diouxXeEfFgG'.includes(letter)) fail(`unsupported format character '${letter}'`);
  let numeric = number(value) ?? fail(`%${letter} needs a number, not ${typeName(value)}`);
  const whole = 'diu'.includes(letter);
  if (whole && typeof numeric === 'number')
    numeric = Number.isFinite(numeric) ? BigInt(Math.trunc(numeric)) : fail('cannot convert float to integer');
  const [negative, prefix, digits] = parts(numeric, whole ? 'd' : letter, precision, flags.includes('#'));
  const body = 'oxX'.includes(letter) || whole ? digits.padStart(precision ?? 0, '0') : digits;
  const zero = flags.includes('0') && side === '>' && (Number.isFinite(Number(numeric)) || typeof numeric === 'bigint');
  return pad(signOf(negative, flags) + prefix, body, width, zero ? '0' : ' ', zero ? '=' : side);
}

export const character = (code: number): string =>
  code >= 0 && code < 0x110000 ? String.fromCodePoint(code) : fail(`${code} is no character`);

const SPEC = /^(?:(.)?([<>=^]))?([-+ ])?(z)?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([bcdeEfFgGnosxX%])?$/su;

function grouped(digits: string, separator: string, every: number): string {
  const [, whole, rest] = /^([\da-fA-F]*)(.*)$/s.exec(digits)!;
  read(16 * whole.length);
  let out = '';
  for (let end = whole.length; end > 0; end -= every)
    out = whole.slice(Math.max(0, end - every), end) + (out && separator + out);
  return out + rest;
}

/** Python's format(value, spec) */
export function formatted(value: Value, spec: string): string {
  if (spec === '') return text(value);
  make(spec.length);
  const found = SPEC.exec(spec) ?? fail(`invalid format specifier '${spec}'`);
  const [, fill, how, sign = '', , alternate, zero, width, separator, precision, letter] = found;
  const most = precision === undefined ? undefined : Number(precision);
  const wide = Number(width ?? 0);
  const numeric = number(value);
  if (numeric === undefined || letter === 's') {
    if (typeof value !== 'string') fail(`unsupported format '${spec}' for ${typeName(value)}`);
    if ((letter ?? 's') !== 's' || how === '=' || sign || alternate || separator)
      fail(`unsupported format '${spec}' for str`);
    return pad('', cut(value as string, most), wide, fill ?? (zero ? '0' : ' '), how ?? '<');
  }
  const whole = typeof numeric === 'bigint' && (!letter || 'bcdoxXn'.includes(letter));
  if (letter === 'c')
    return pad('', character(Number(whole ? numeric : fail('%c needs an int'))), wide, fill ?? ' ', how ?? '<');
  if (!whole && letter && 'bdoxX'.includes(letter)) fail(`unsupported format '${spec}' for ${typeName(value)}`);
  if (whole && most !== undefined) fail('precision is not allowed for an int');
  let [negative, prefix, digits]: [boolean, string, string] = [Number(numeric) < 0 || Object.is(numeric, -0), '', ''];
  if (whole)
    [negative, prefix, digits] = parts(numeric, letter && letter !== 'n' ? letter : 'd', undefined, Boolean(alternate));
  else if (letter === '%') digits = `${floatDigits(toFloat(numeric) * 100, 'f', most, Boolean(alternate))}%`;
  else if (letter) [negative, prefix, digits] = parts(numeric, letter === 'n' ? 'g' : letter, most, Boolean(alternate));
  else if (most === undefined) digits = floatText(Math.abs(toFloat(numeric)));
  else {
    // like g, but a float stays to be seen as one
    digits = floatDigits(numeric, 'g', most, Boolean(alternate));
    const exponent = Number(scientific(numeric, Math.max(most, 1) - 1)[1]);
    if (/^\d+$/.test(digits))
      digits =
        exponent < Math.max(most, 1) - 1 || most > 17
          ? `${digits}.0`
          : floatDigits(numeric, 'e', Math.max(most, 1) - 1, false).replace(/\.?0+e/, 'e');
  }
  const head = signOf(negative, sign) + prefix;
  const every = 'boxX'.includes(letter ?? ' ') ? 4 : 3;
  const side = how ?? (zero ? '=' : '>');
  const filling = fill ?? (zero ? '0' : ' ');
  if (separator && side === '=' && filling === '0') {
    // the zeros are grouped too
    make(wide);
    while (head.length + grouped(`0${digits}`, separator, every).length <= wide) digits = `0${digits}`;
    if (head.length + grouped(digits, separator, every).length < wide) digits = `0${digits}`;
  }
  return pad(head, separator ? grouped(digits, separator, every) : digits, wide, filling, side);
}
