/** Sets of characters in Oniguruma's meaning, and how the escapes and properties of a pattern name them. */

/** @param key equal for sets that are written alike: such sets are tested once */
export interface CharSet {
  key: string;
  /** @param character one code point, as text */
  has(character: string): boolean;
}

/**
 * A set written as the inside of a JavaScript class. One character is looked at, so that nothing can backtrack.
 * @param fold letters of either case are alike (Unicode's simple case folding)
 * @throws SyntaxError for an unknown property
 */
export function setOf(inside: string, fold = false): CharSet {
  const regex = new RegExp(`[${inside}]`, fold ? 'iu' : 'u');
  return { key: `${+fold}${inside}`, has: (character) => regex.test(character) };
}

/** The set of one character, by its number. */
export function only(code: number, fold: boolean): CharSet {
  if (fold) return setOf(escaped(code), fold);
  const wanted = String.fromCodePoint(code);
  return { key: `=${wanted}`, has: (character) => character === wanted };
}

/** A character as the inside of a JavaScript class, whatever it is. */
export const escaped = (code: number) => `\\u{${code.toString(16)}}`;

export const not = ({ key, has }: CharSet): CharSet => ({ key: `!${key}`, has: (character) => !has(character) });

const joined = (sign: string, sets: CharSet[], has: CharSet['has']): CharSet =>
  sets.length === 1 ? sets[0] : { key: `(${sets.map(({ key }) => key).join(sign)})`, has };
export const union = (sets: CharSet[]) => joined('|', sets, (c) => sets.some((set) => set.has(c)));
export const intersection = (sets: CharSet[]) => joined('&', sets, (c) => sets.every((set) => set.has(c)));

export const NEWLINE = setOf('\\n');
export const ANY = not(setOf(''));

const WORD = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}';
/** POSIX's names, in brackets and as properties. */
const POSIX: Record<string, string> = {
  alnum: '\\p{Alphabetic}\\p{Nd}',
  alpha: '\\p{Alphabetic}',
  blank: '\\p{Zs}\\t',
  cntrl: '\\p{Cc}',
  digit: '\\p{Nd}',
  lower: '\\p{Lowercase}',
  punct: '\\p{P}\\p{S}',
  space: '\\p{White_Space}',
  upper: '\\p{Uppercase}',
  word: WORD,
  xdigit: '0-9A-Fa-f',
};
const SHORT: Record<string, string> = { d: POSIX.digit, h: POSIX.xdigit, s: POSIX.space, w: WORD };
/** Oniguruma takes these for word characters, though not inside a class. */
const MORE_WORD = '²³¹¼-¾';

/** [:name:] or [:^name:] */
export function posixSet(name: string, fold: boolean): CharSet {
  const negative = name.startsWith('^');
  const plain = name.slice(+negative);
  if (!Object.hasOwn(POSIX, plain)) throw new Error(`a regex names the unknown class [:${name}:]`);
  const set = setOf(POSIX[plain], fold);
  return negative ? not(set) : set;
}

/**
 * \p{name}, \p{^name}: a category, a script or a yes-or-no property, in any case, with spaces or underscores.
 * @throws Error for a name that JavaScript does not know, such as a block's
 */
export function propertySet(name: string, fold: boolean): CharSet {
  if (name.startsWith('^')) return not(propertySet(name.slice(1), fold));
  const words = name.split(/[ _-]/);
  const plain = words.join('').toLowerCase();
  if (Object.hasOwn(POSIX, plain)) return setOf(POSIX[plain], fold);
  const proper = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1).toLowerCase()).join('_');
  for (const property of [name, proper, `Script=${proper}`, name.toUpperCase()]) {
    try {
      return setOf(`\\p{${property}}`, fold);
    } catch {
      // not a name of this kind
    }
  }
  throw new Error(`a regex names the unknown property ${name}`);
}

/** @returns the set of \d, \D, \h, \H, \s, \S, \w or \W, or null */
export function shortSet(letter: string, inClass: boolean): CharSet | null {
  const lower = letter.toLowerCase();
  if (!Object.hasOwn(SHORT, lower)) return null;
  const set = setOf(SHORT[lower] + (lower === 'w' && !inClass ? MORE_WORD : ''));
  return letter === lower ? set : not(set);
}
