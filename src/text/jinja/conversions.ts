/** Python's int() and float() of a text. */
import { strip } from './strings';
import { fail, isText, number, parseInteger, text, toFloat, Undefined, type Value } from './values';
import { long, read } from './work';

/** Python's int(text, base) */
export function parseIntOf(source: string, base: number): bigint | undefined {
  read(16 * source.length);
  const [, sign, prefix = '', digits] = /^([-+]?)(0[xob])?_?((?:[\da-z]_?)+)$/i.exec(strip(source, null)) ?? [];
  const own = { '0x': 16, '0o': 8, '0b': 2 }[prefix.toLowerCase()];
  if (digits === undefined || digits.endsWith('_')) return undefined;
  // with a base of 16, "0b1" are three digits
  const all = own && own !== base && base !== 0 ? prefix.toLowerCase() + digits : digits;
  const radix = base || own || 10;
  const plain = all.replaceAll('_', '').toLowerCase();
  if (radix === 10)
    return /^\d+$/.test(plain) && (base || !/^0+[1-9]/.test(plain)) ? signed(parseInteger(plain)) : undefined;
  let value = 0n;
  if (plain.length > 4300) fail('an int has more than 4300 digits');
  long(plain.length * 14);
  for (const c of plain) {
    const digit = Number.parseInt(c, 36);
    if (digit >= radix) return undefined;
    value = value * BigInt(radix) + BigInt(digit);
  }
  return signed(value);
  function signed(size: bigint): bigint {
    return sign === '-' ? -size : size;
  }
}

/** Python's float(value) */
export function parseFloatOf(value: Value): number | undefined {
  if (value instanceof Undefined) fail(value.message);
  const plain = number(value);
  if (plain !== undefined) return toFloat(plain);
  if (!isText(value)) return undefined;
  const source = strip(text(value), null);
  read(16 * source.length);
  const special = /^([-+]?)(inf(?:inity)?|nan)$/i.exec(source);
  if (special) return (special[1] === '-' ? -1 : 1) * (/^i/i.test(special[2]) ? Number.POSITIVE_INFINITY : Number.NaN);
  if (
    !/^[-+]?(?:\d(?:_?\d)*\.?|(?=\.\d))(?:(?<=\.)\d(?:_?\d)*|)(?:e[-+]?\d(?:_?\d)*)?$/i.test(source) &&
    !/^[-+]?\.\d(?:_?\d)*(?:e[-+]?\d(?:_?\d)*)?$/i.test(source)
  )
    return undefined;
  return Number(source.replaceAll('_', ''));
}
