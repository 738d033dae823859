/**
 * JSON as constrained answers write it: one space after each comma and colon, and no other white space, so that what is
 * not a value is forced text; numbers that every parser holds exactly.
 */
import type { Json } from '../formats/json';
import { intersection, PLAIN, type Ranges, ranges } from './characters';
import { all, any, type Expression, optional, repeat, rule, set, text } from './grammar';
import type { Spelling } from './regular';

const HEX = set('0123456789abcdefABCDEF');
const DIGIT = set('0123456789');

/** A character of a string: itself, or escaped; no halves of pairs. */
const CHARACTER: Expression = any(
  set(PLAIN),
  all(
    '\\',
    any(
      set('"\\/bfnrt'),
      all('u', any(all(set('0123456789abcefABCEF'), HEX, HEX, HEX), all(set('dD'), set('01234567'), HEX, HEX))),
    ),
  ),
);

/** A string of so many characters. */
export const string = (least = 0, most = Number.POSITIVE_INFINITY): Expression =>
  all('"', repeat(CHARACTER, least, most), '"');

const ESCAPES = new Map([
  [0x22, '\\"'],
  [0x5c, '\\\\'],
  [0x08, '\\b'],
  [0x0c, '\\f'],
  [0x0a, '\\n'],
  [0x0d, '\\r'],
  [0x09, '\\t'],
]);

/** What a string holds only behind a backslash. */
const ESCAPED = ranges([
  [0, 0x1f],
  [0x22, 0x22],
  [0x5c, 0x5c],
]);

const written = new WeakMap<Ranges, Expression>();

/** The characters of a set as a string has them, each in one way. */
function inString(characters: Ranges): Expression {
  const known = written.get(characters);
  if (known) return known;
  const parts: Expression[] = [];
  const plain = intersection(characters, PLAIN);
  if (plain.length) parts.push(set(plain));
  // those with a letter of their own, and of the others the last digit by the one before it
  let letters = '';
  const digits = ['', ''];
  for (const [from, to] of intersection(characters, ESCAPED))
    for (let code = from; code <= to; code++) {
      const short = ESCAPES.get(code);
      if (short) letters += short[1];
      else digits[code >> 4] += (code & 15).toString(16);
    }
  const coded = digits.flatMap((last, first) => (last ? [all(`${first}`, set(last))] : []));
  const escapes = [...(letters ? [set(letters)] : []), ...(coded.length ? [all('u00', any(...coded))] : [])];
  if (escapes.length) parts.push(all('\\', any(...escapes)));
  const made = any(...parts);
  written.set(characters, made);
  return made;
}

/** As a string has them. */
export const IN_STRING: Spelling = { name: 'regular in a string', write: inString };

/** A text as a string holds it, without its quotation marks. */
export const contentOf = (value: string): string =>
  Array.from(
    value,
    (c) => ESCAPES.get(c.codePointAt(0)!) ?? (c < ' ' ? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}` : c),
  ).join('');

/** A value, as JSON.stringify() writes it but for the spaces. */
export function valueText(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(valueText).join(', ')}]`;
  if (typeof value === 'object' && value !== null)
    return `{${Object.entries(value)
      .map(([name, of]) => `${valueText(name)}: ${valueText(of)}`)
      .join(', ')}}`;
  return typeof value === 'string' ? `"${contentOf(value.toWellFormed())}"` : JSON.stringify(value);
}

/** Digits before the point and behind it, that a number of 64 bits holds exactly together. */
export const DIGITS = 15;

const WHOLE = any('0', all(set('123456789'), repeat(DIGIT, 0, DIGITS - 1)));
/** Any whole number, and any number. */
export const INTEGER: Expression = any(all(optional('-'), set('123456789'), repeat(DIGIT, 0, DIGITS - 1)), '0');
export const NUMBER: Expression = all(
  optional('-'),
  WHOLE,
  optional(all('.', repeat(DIGIT, 1, DIGITS))),
  optional(all(set('eE'), optional(set('+-')), DIGIT, optional(DIGIT))),
);

/** A list between brackets, its parts parted. */
export const listed = (part: Expression, least: number, most: number): Expression => {
  if (most <= 0) return text('');
  const rest = all(part, repeat(all(', ', part), Math.max(0, least - 1), most - 1));
  return least > 0 ? rest : optional(rest);
};

/** The rules of any value, by the name that each begins with. */
export const ANY_JSON = {
  value: 'json',
  object: 'json object',
  array: 'json array',
  string: 'json string',
} as const;

export const JSON_RULES: ReadonlyMap<string, Expression> = new Map([
  [
    ANY_JSON.value,
    any(rule(ANY_JSON.object), rule(ANY_JSON.array), rule(ANY_JSON.string), NUMBER, 'true', 'false', 'null'),
  ],
  [
    ANY_JSON.object,
    all('{', listed(all(rule(ANY_JSON.string), ': ', rule(ANY_JSON.value)), 0, Number.POSITIVE_INFINITY), '}'),
  ],
  [ANY_JSON.array, all('[', listed(rule(ANY_JSON.value), 0, Number.POSITIVE_INFINITY), ']')],
  [ANY_JSON.string, string()],
]);
