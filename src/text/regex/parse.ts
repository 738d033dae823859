/**
 * The text of a pattern, as Rust's tokenizers have it read by Oniguruma, as a tree. One loop over the text; what has no
 * meaning on an engine without backtracking is refused by name.
 */
import { Scanner } from '../scanner';
import {
  ANY,
  type CharSet,
  escaped,
  intersection,
  NEWLINE,
  not,
  only,
  posixSet,
  propertySet,
  setOf,
  shortSet,
  union,
} from './char-set';

export type Node =
  | { type: 'set'; set: CharSet }
  | { type: 'all' | 'any'; parts: Node[] }
  | { type: 'repeat'; part: Node; min: number; max: number; lazy: boolean }
  | { type: 'atomic'; part: Node }
  | { type: 'look'; part: Node; ahead: boolean; negative: boolean };

interface Options {
  /** ignore case */
  i: boolean;
  /** the dot is a line end, too */
  m: boolean;
  /** white space and comments mean nothing */
  x: boolean;
}

/** Groups and classes in one another; tokenizers have three. */
const MAX_DEPTH = 200;
const MAX_LENGTH = 10_000;

const look = (part: Node, ahead: boolean, negative: boolean): Node => ({ type: 'look', part, ahead, negative });
const all = (parts: Node[]): Node => (parts.length === 1 ? parts[0] : { type: 'all', parts });
const any = (parts: Node[]): Node => (parts.length === 1 ? parts[0] : { type: 'any', parts });
const one = (set: CharSet): Node => ({ type: 'set', set });
const repeat = (part: Node, min: number, max: number, lazy = false): Node => ({ type: 'repeat', part, min, max, lazy });

const WORD = one(shortSet('w', false)!);
const AT_END = look(one(ANY), true, true);
const AT_START = look(one(ANY), false, true);
const LINE_START = look(one(not(NEWLINE)), false, true);
const AFTER_WORD = [false, true].map((negative) => look(WORD, false, negative));
const BEFORE_WORD = [false, true].map((negative) => look(WORD, true, negative));
const boundary = (...sides: number[]) => any([0, 1].map((i) => all([AFTER_WORD[i], BEFORE_WORD[sides[i]]])));

/** Escapes that are more than a character. */
const ESCAPES: Record<string, Node> = {
  A: AT_START,
  b: boundary(1, 0),
  B: boundary(0, 1),
  N: one(not(NEWLINE)),
  O: one(ANY),
  R: {
    type: 'atomic',
    part: any([all([one(setOf('\\r')), one(NEWLINE)]), one(setOf('\\n-\\r\\u0085\\u2028\\u2029'))]),
  },
  z: AT_END,
  Z: look(all([repeat(one(NEWLINE), 0, 1), AT_END]), true, false),
};
const CHARACTERS: Record<string, string> = { t: '\t', n: '\n', r: '\r', f: '\f', v: '\v', a: '\x07', e: '\x1b' };
/** The end of the last match, calls, matches that begin later, quotes, graphemes, text segments and meta keys. */
const REFUSED = 'GgKQXyYM';

const refuse = (what: string): Error => new Error(`a regex has ${what}, which is not known here`);

/** The tree of a text that stands for itself. */
export const literal = (text: string): Node => all(Array.from(text, (c) => one(only(c.codePointAt(0)!, false))));

/** @throws Error with the reason, for a pattern that is broken, or that has what cannot be run without backtracking */
export function parse(source: string): Node {
  const scan = new Scanner(source);
  let depth = 0;

  const fail = (what: string) => new Error(`a regex has ${what} at ${scan.at}`);
  const nested = <T>(read: () => T): T => {
    if (++depth > MAX_DEPTH) throw new Error(`a regex nests deeper than ${MAX_DEPTH}`);
    const result = read();
    depth--;
    return result;
  };
  const next = () => {
    const code = scan.next();
    if (code === undefined) throw fail('no end');
    return code;
  };

  function alternatives(options: Options): Node {
    const parts: Node[] = [];
    do parts.push(sequence(options));
    while (scan.eat('|'));
    return any(parts);
  }

  function sequence(options: Options): Node {
    const parts: Node[] = [];
    while (!scan.ended && source[scan.at] !== '|' && source[scan.at] !== ')') {
      if (options.x && scan.take(/\s+|#.*/y)) continue;
      if (scan.take(/\(\?#[^)]*\)/y)) continue;
      let part = atom(options);
      if (!part) throw fail('a repeat of nothing');
      for (let more = repeated(part); more; more = repeated(part)) part = more;
      parts.push(part);
    }
    return all(parts);
  }

  /** @returns null at a sign that repeats what is before it */
  function atom(options: Options): Node | null {
    if (/[*+?]/.test(source[scan.at]) || interval(true)) return null;
    if (scan.eat('(')) return nested(() => group(options));
    if (scan.eat('[')) return one(nested(() => charClass(options)));
    if (scan.eat('.')) return one(options.m ? ANY : not(NEWLINE));
    if (scan.eat('^')) return all([LINE_START, any([AT_START, look(one(ANY), true, false)])]);
    if (scan.eat('$')) return look(one(not(NEWLINE)), true, true);
    if (scan.eat('\\')) {
      const letter = source[scan.at] ?? '';
      if (Object.hasOwn(ESCAPES, letter)) {
        scan.at++;
        return ESCAPES[letter];
      }
      const value = escapeOf(options, false);
      return one(typeof value === 'number' ? only(value, options.i) : value);
    }
    return one(only(next(), options.i));
  }

  /** {n}, {n,}, {,m}, {n,m}; other braces are text. @param peek only tells whether there is one */
  function interval(peek = false): [min: number, max: number, exact: boolean] | null {
    const start = scan.at;
    const match = scan.take(/\{(?:(\d+)(,(\d*))?|,(\d+))\}/y);
    if (peek) scan.at = start;
    if (!match) return null;
    const [, low, comma, high, most] = match;
    const min = Number(low ?? 0);
    return [min, comma === undefined ? Number(most ?? low) : Number(high || Infinity), comma === undefined && !most];
  }

  function repeated(part: Node): Node | null {
    const sign = scan.take(/[*+?]/y)?.[0];
    if (sign) {
      const [min, max] = [sign === '+' ? 1 : 0, sign === '?' ? 1 : Infinity];
      if (scan.eat('+')) return { type: 'atomic', part: repeat(part, min, max) };
      return repeat(part, min, max, scan.eat('?'));
    }
    const counts = interval();
    if (!counts) return null;
    const [min, max, exact] = counts;
    // the larger number first: Oniguruma's way to write a possessive one
    if (min > max) return { type: 'atomic', part: repeat(part, max, min) };
    // {2}? is an optional {2}, and {1,2}+ is a repeated one
    return repeat(part, min, max, !exact && scan.eat('?'));
  }

  /** After the bracket. */
  function group(options: Options): Node {
    const close = (part: Node) => {
      if (!scan.eat(')')) throw fail('an open bracket');
      return part;
    };
    if (!scan.eat('?')) return close(alternatives(options));
    if (scan.eat(':') || scan.take(/<(?![=!])[^>]+>|'[^']+'/y)) return close(alternatives(options));
    if (scan.eat('>')) return close({ type: 'atomic', part: alternatives(options) });
    const around = scan.take(/(<?)([=!])/y);
    if (around) return close(look(alternatives(options), !around[1], around[2] === '!'));
    const flags = scan.take(/([imx]*)(?:-([imx]*))?([:)])/y);
    if (!flags) throw refuse(`a group that begins with (?${source.slice(scan.at, scan.at + 5)}`);
    const [, on, off = '', end] = flags;
    const set = (flag: keyof Options) => (options[flag] || on.includes(flag)) && !off.includes(flag);
    const inner = { i: set('i'), m: set('m'), x: set('x') };
    // (?i) holds to the end of the group around it, alternatives included
    return end === ':' ? close(alternatives(inner)) : alternatives(inner);
  }

  /** After a backslash: a character's number, or a set. */
  function escapeOf(options: Options, inClass: boolean): number | CharSet {
    const property = scan.take(/([pP])\{([^{}]*)\}/y);
    if (property) {
      const set = propertySet(property[2], options.i);
      return property[1] === 'P' ? not(set) : set;
    }
    if (scan.take(/[pP]\{/y)) throw fail('a property without an end');
    const code = scan.take(/x\{([0-9A-Fa-f]{1,8})\}|x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{4})|0([0-7]{0,2})/y);
    if (code) {
      const [, long, short, unit, octal] = code;
      const value = octal === undefined ? Number.parseInt(long ?? short ?? unit, 16) : Number.parseInt(octal || '0', 8);
      // Oniguruma reads bytes
      if (value > 0x10ffff || (short && value > 0x7f)) throw refuse(`the character \\${code[0]}`);
      return value;
    }
    const control = scan.take(/c(.)|C-(.)/y);
    if (control) return (control[1] ?? control[2]).charCodeAt(0) & 0x1f;
    const value = next();
    const letter = String.fromCodePoint(value);
    const set = shortSet(letter, inClass);
    if (set) return set;
    if (Object.hasOwn(CHARACTERS, letter)) return CHARACTERS[letter].charCodeAt(0);
    if (inClass) return letter === 'b' ? 8 : value;
    if (/[1-9k]/.test(letter)) throw refuse(`\\${letter}, a back-reference`);
    if (REFUSED.includes(letter)) throw refuse(`\\${letter}`);
    return value;
  }

  /** After its bracket. */
  function charClass(options: Options): CharSet {
    const negative = scan.eat('^');
    const operands: CharSet[] = [];
    /** of one operand: what a JavaScript class can say, and what it cannot */
    let inside = '';
    let sets: CharSet[] = [];
    const operand = () => {
      operands.push(union([...(inside || !sets.length ? [setOf(inside, options.i)] : []), ...sets]));
      [inside, sets] = ['', []];
    };
    for (let first = true; first || !scan.eat(']'); first = false) {
      if (scan.eat('&&')) {
        operand();
        continue;
      }
      const posix = scan.take(/\[:(\^?\w+):\]/y);
      if (posix) sets.push(posixSet(posix[1], options.i));
      else if (scan.eat('[')) sets.push(nested(() => charClass(options)));
      else {
        const from = scan.eat('\\') ? escapeOf(options, true) : next();
        if (typeof from !== 'number') {
          sets.push(from);
          if (scan.take(/-(?!\]|&&)/y)) throw fail('a range from a set');
        } else if (scan.take(/-(?!\]|&&|\[)/y)) {
          const to = scan.eat('\\') ? escapeOf(options, true) : next();
          if (typeof to !== 'number') throw fail('a range to a set');
          if (to < from) throw fail('an empty range');
          inside += `${escaped(from)}-${escaped(to)}`;
          // [a-c-e]: the second is a character
          if (scan.take(/-(?!\])/y)) inside += '\\-';
        } else inside += escaped(from);
      }
    }
    operand();
    const set = intersection(operands);
    return negative ? not(set) : set;
  }

  if (source.length > MAX_LENGTH) throw new Error(`a regex of ${source.length} characters`);
  const node = alternatives({ i: false, m: false, x: false });
  if (!scan.ended) throw fail('a bracket too many');
  return node;
}
