/** Numbers within bounds, as languages of their digits: decimal texts are compared, so that nothing is rounded. */
import { charactersOf } from './characters';
import { DIGITS } from './json-text';
import {
  ALL,
  both,
  chain,
  characters,
  EMPTY,
  either,
  IMPOSSIBLE,
  literal,
  multiple,
  not,
  type Regular,
  times,
} from './regular';

export interface Bounds {
  whole: boolean;
  least: number;
  /** not the bound itself */
  above: boolean;
  most: number;
  below: boolean;
  multiples: readonly number[];
  /** no multiples of these whole numbers */
  noMultiples: readonly number[];
  /** numbers that it may not be */
  not: readonly number[];
}

/** Decimal places of a number that has any, where there are bounds. */
const PLACES = 6;
/** Multiples of a number that no sum of powers of two is: so many of the smallest. */
const LISTED = 2000;

const DIGIT = characters(charactersOf('0123456789'));
const range = (from: number, to: number): Regular => (to < from ? IMPOSSIBLE : characters([[0x30 + from, 0x30 + to]]));
const ANY_DIGITS = times(DIGIT, 0);
const ZEROS = times(literal('0'), 0);
/** Nothing behind the point but zeros. */
const NO_PLACES = either(EMPTY, chain(literal('.'), ZEROS));

/** Digits before and behind the point of a number that is not negative, without needless zeros. */
function decimal(value: number): { whole: string; places: string } {
  const [mantissa, exponent = '0'] = value.toString().split('e');
  const [whole, places = ''] = mantissa.split('.');
  const shift = Number(exponent);
  const digits = whole + places;
  const point = whole.length + shift;
  const padded = point <= 0 ? '0'.repeat(1 - point) + digits : digits.padEnd(point, '0');
  const at = Math.max(1, point);
  return { whole: padded.slice(0, at).replace(/^0+(?=\d)/, ''), places: padded.slice(at).replace(/0+$/, '') };
}

// Bounds say nothing of how a number is written: `syntax` of numbers() does.

/** Texts of as many digits that are less (or more) than these. @param strict not these digits themselves */
function sameLength(digits: string, less: boolean, strict: boolean): Regular {
  if (digits === '') return strict ? IMPOSSIBLE : EMPTY;
  const first = Number(digits[0]);
  const beyond = less ? range(0, first - 1) : range(first + 1, 9);
  return either(
    chain(range(first, first), sameLength(digits.slice(1), less, strict)),
    chain(beyond, times(DIGIT, digits.length - 1, digits.length - 1)),
  );
}

const WHOLE = either(literal('0'), chain(range(1, 9), times(DIGIT, 0, DIGITS - 1)));

/** Those that 6 places may follow: they are 15 digits together. */
const FEWER = either(literal('0'), chain(range(1, 9), times(DIGIT, 0, DIGITS - PLACES - 1)));

/** Whole numbers up to (or from) one. */
function wholes(digits: string, less: boolean, strict: boolean): Regular {
  const { length } = digits;
  const others = less ? times(DIGIT, 1, length - 1) : times(DIGIT, length + 1, DIGITS);
  return either(sameLength(digits, less, strict), others);
}

/** Places up to (or from) these, as texts behind the point; zeros at the end change nothing. */
function placesOf(places: string, less: boolean, strict: boolean): Regular {
  const equal = strict ? IMPOSSIBLE : chain(literal(places), ZEROS);
  let found = equal;
  for (let i = 0; i < places.length; i++) {
    const digit = Number(places[i]);
    const before = literal(places.slice(0, i));
    // a text that ends here is smaller than one that goes on
    found = less
      ? either(found, before, chain(before, range(0, digit - 1), ANY_DIGITS))
      : either(found, chain(before, range(digit + 1, 9), ANY_DIGITS));
  }
  if (!less) {
    const more = chain(ZEROS, range(1, 9), ANY_DIGITS);
    found = either(found, chain(literal(places), strict || places !== '' ? more : ANY_DIGITS));
  }
  return found;
}

/** Numbers that are not negative, up to (or from) one. */
function side(bound: number, less: boolean, strict: boolean, whole: boolean): Regular {
  if (bound === Number.POSITIVE_INFINITY) return less ? ALL : IMPOSSIBLE;
  const { whole: digits, places } = decimal(bound);
  if (whole) return wholes(digits, less, less ? strict && places === '' : strict || places !== '');
  const behind = either(
    chain(literal('.'), placesOf(places, less, strict)),
    // no places at all
    accept(places, less, strict) ? EMPTY : IMPOSSIBLE,
  );
  return either(chain(wholes(digits, less, true), PLACED), chain(literal(digits), behind));
}

const PLACED = either(EMPTY, chain(literal('.'), ANY_DIGITS));

/** Whether a number without places is within a bound of these places. */
const accept = (places: string, less: boolean, strict: boolean): boolean => (places === '' ? !strict : less);

/** A number that is a whole multiple of a power of two: products and quotients of it are exact. */
function exactPlaces(value: number): number {
  for (let places = 0; places <= PLACES; places++)
    if (Number.isInteger(value * 2 ** places)) return decimal(value).places.length;
  return -1;
}

/**
 * The texts of all numbers within bounds, but for those of more than 15 digits or 6 decimal places.
 * @returns a list where that is all: multiples of 0.1 and the like, of which validators that divide take some
 */
export function numbers(bounds: Bounds): Regular | readonly string[] {
  const { whole, least, above, most, below, multiples } = bounds;
  const odd = multiples.find((of) => exactPlaces(of) < 0);
  if (odd !== undefined) return listed(bounds, odd);
  const places = whole ? 0 : Math.max(0, ...multiples.map(exactPlaces));
  const digits = whole || multiples.some(Number.isInteger);
  const syntax = digits
    ? WHOLE
    : either(WHOLE, chain(FEWER, literal('.'), times(DIGIT, places || 1, places || PLACES)));
  const own = multiples.map((of) => {
    const scale = 10 ** (digits ? 0 : places);
    const scaled = Math.round(of * scale);
    if (digits && !Number.isInteger(of)) return wholeMultiple(of);
    // each whole number is one: only what is behind the point tells
    if (!digits && Number.isInteger(1 / of)) {
      const fractions = Array.from({ length: 1 / of }, (_, k) => decimal(k * of).places.padEnd(places, '0'));
      return chain(ANY_DIGITS, either(EMPTY, chain(literal('.'), either(...fractions.map(literal)))));
    }
    // the same number without places
    const pointed = both(chain(ANY_DIGITS, literal('.'), ANY_DIGITS), multiple(scaled));
    return digits ? multiple(of) : either(pointed, both(ANY_DIGITS, wholeMultiple(of)));
  });
  const never = bounds.noMultiples.map((of) => not(chain(both(ANY_DIGITS, multiple(of)), NO_PLACES)));
  const kept = (negative: boolean) =>
    bounds.not
      .filter((value) => (negative ? value < 0 : value >= 0))
      .map((value) => {
        const { whole: front, places: back } = decimal(Math.abs(value));
        return not(chain(literal(front), back ? chain(literal('.'), literal(back), ZEROS) : NO_PLACES));
      });
  const positive = both(
    syntax,
    ...own,
    ...never,
    ...kept(false),
    most < 0 || (most === 0 && below) ? IMPOSSIBLE : side(most, true, below, digits),
    least <= 0 && !(least === 0 && above) ? ALL : side(least, false, above, digits),
  );
  const negative = both(
    syntax,
    ...own,
    ...never,
    ...kept(true),
    not(chain(literal('0'), NO_PLACES)),
    least >= 0 ? IMPOSSIBLE : side(-least, true, above, digits),
    most >= 0 ? ALL : side(-most, false, below, digits),
  );
  return either(positive, chain(literal('-'), negative));
}

/** Whole numbers that are multiples of a number of few binary places. */
function wholeMultiple(of: number): Regular {
  let scaled = of;
  while (!Number.isInteger(scaled)) scaled *= 2;
  let power = 1;
  while (!Number.isInteger(of * power)) power *= 2;
  // n is k * scaled / power: n * power is a multiple of scaled
  const divide = (a: number, b: number): number => (b ? divide(b, a % b) : a);
  return multiple(scaled / divide(scaled, power));
}

function listed(
  { whole, least, above, most, below, multiples, noMultiples, not: excluded }: Bounds,
  of: number,
): string[] {
  const found: string[] = [];
  const { places } = decimal(of);
  const scale = 10 ** places.length;
  const step = Math.round(of * scale);
  const fits = (value: number) =>
    (above ? value > least : value >= least) &&
    (below ? value < most : value <= most) &&
    (!whole || Number.isInteger(value)) &&
    multiples.every((each) => Number.isInteger(value / each)) &&
    !noMultiples.some((each) => Number.isInteger(value / each)) &&
    !excluded.includes(value);
  const nearest = least > 0 ? Math.ceil(least / of) : most < 0 ? -Math.floor(most / of) : 0;
  for (let k = Math.max(0, nearest - 1); k < nearest + 10 * LISTED && found.length < LISTED; k++)
    for (const value of k === 0 ? [0] : [(k * step) / scale, (-k * step) / scale])
      if (fits(value) && !value.toString().includes('e')) found.push(value.toString());
  return found;
}
