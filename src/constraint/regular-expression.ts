/**
 * The text of a regular expression, with JavaScript's syntax and meaning (flag u), as a regular language. Anchors, word
 * boundaries, and looks ahead and behind are what they are; what is not regular (back-references) is refused by name.
 */
import { NibbleError } from '../errors';
import { Scanner } from '../text/scanner';
import { ANY_CHARACTER, charactersOf, intersection, type Ranges, ranges, union, without } from './characters';
import { ALL, both, chain, characters, EMPTY, either, IMPOSSIBLE, not, type Regular, times } from './regular';

type Tree =
  | { type: 'set'; set: Ranges }
  | { type: 'all' | 'any'; parts: Tree[] }
  | { type: 'repeat'; part: Tree; least: number; most: number }
  | { type: 'start' | 'end' }
  | { type: 'boundary'; negative: boolean }
  | { type: 'look'; part: Tree; ahead: boolean; negative: boolean };

const MAX_DEPTH = 200;
const MAX_LENGTH = 20_000;

const LINE_ENDS = charactersOf('\n\r\u2028\u2029');
const DIGIT = charactersOf('0123456789');
const WORD: Ranges = ranges([
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
]);
const SPACE: Ranges = union(charactersOf('\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff'), [
  [0x2000, 0x200a],
]);
const SHORT: Readonly<Record<string, Ranges>> = {
  d: DIGIT,
  D: without(DIGIT),
  w: WORD,
  W: without(WORD),
  s: SPACE,
  S: without(SPACE),
};
const CONTROL: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f', v: '\v', 0: '\0' };

/**
 * Planes of Unicode that are looked at, and those where every character but the last two is like the first: unassigned,
 * or for private use.
 */
const PLANES = [0, 1, 2, 3, 14];
const EVEN_PLANES = [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16];
const PLANE = 0x10000;

/** Code points that are looked at in one text. */
const BLOCK = 2048;

/** The characters that a property of Unicode names; null: no property has that name. */
const properties = new Map<string, Ranges | null>();
function propertySet(name: string): Ranges | null {
  const known = properties.get(name);
  if (known !== undefined) return known;
  let set: Ranges | null = null;
  try {
    const runs = new RegExp(`\\p{${name}}+`, 'gu');
    const found: [number, number][] = [];
    for (const plane of PLANES)
      for (let block = plane * PLANE; block < (plane + 1) * PLANE; block += BLOCK) {
        // surrogates are no characters
        if (block === 0xd800) block = 0xe000;
        const text = String.fromCodePoint(...new Uint32Array(BLOCK).map((_, i) => block + i));
        const units = block < PLANE ? 1 : 2;
        for (let run = runs.exec(text); run; run = runs.exec(text))
          found.push([block + run.index / units, block + runs.lastIndex / units - 1]);
      }
    for (const plane of EVEN_PLANES) {
      const first = plane * PLANE;
      const last = first + PLANE - 1;
      for (const [from, to] of [
        [first, last - 2],
        [last - 1, last],
      ])
        if (String.fromCodePoint(from).match(runs)) found.push([from, to]);
    }
    set = ranges(found);
  } catch {
    // no name of a property
  }
  properties.set(name, set);
  return set;
}

/**
 * The texts that match as a whole.
 * @param search a match within a text is enough, as JSON Schema's `pattern` has it
 * @param option what the caller gave, as errors name it
 * @throws invalid-option, with the place, for a broken expression and what is not regular
 */
export function regularExpression(source: string, search: boolean, option: string): Regular {
  const tree = parse(source, option);
  const around = search ? ALL : EMPTY;
  return language([tree], around, true, around, (what) => {
    throw new NibbleError(
      'invalid-option',
      `The ${option} has ${what}, which cannot be followed: ${source.slice(0, 100)}`,
      {
        option,
      },
    );
  });
}

const asserts = (tree: Tree): boolean => {
  switch (tree.type) {
    case 'set':
      return false;
    case 'all':
    case 'any':
      return tree.parts.some(asserts);
    case 'repeat':
      return asserts(tree.part);
    default:
      return true;
  }
};

function plain(tree: Tree): Regular {
  switch (tree.type) {
    case 'set':
      return characters(tree.set);
    case 'all':
      return chain(...tree.parts.map(plain));
    case 'any':
      return either(...tree.parts.map(plain));
    case 'repeat':
      return times(plain(tree.part), tree.least, tree.most);
    default:
      return EMPTY;
  }
}

const WORDS = characters(WORD);
const BEHIND_WORD = chain(ALL, WORDS);
const BEFORE_WORD = chain(WORDS, ALL);

/**
 * The texts of which a beginning is `before`, the rest is `after`, and these items stand between.
 * @param whole whether `before` begins where the text does: else only its last character is known
 */
function language(
  items: readonly Tree[],
  before: Regular,
  whole: boolean,
  after: Regular,
  refuse: (what: string) => never,
): Regular {
  const at = items.findIndex(asserts);
  if (at < 0) return chain(before, ...items.map(plain), after);
  const item = items[at];
  const rest = items.slice(at + 1);
  const so = chain(before, ...items.slice(0, at).map(plain));
  const goesOn = (left: Regular, isWhole: boolean) => language(rest, left, isWhole, after, refuse);
  /** the text is cut here: what follows knows no more what is before it */
  const cut = (left: Regular, right: (rest: Regular) => Regular): Regular =>
    left.kind === 'never' ? IMPOSSIBLE : chain(left, right(goesOn(EMPTY, false)));
  switch (item.type) {
    case 'all':
      return language([...item.parts, ...rest], so, whole, after, refuse);
    case 'any':
      return either(...item.parts.map((part) => language([part, ...rest], so, whole, after, refuse)));
    case 'repeat': {
      if (item.most > 1) return refuse('an anchor or a look within a repeat');
      const once = language([item.part, ...rest], so, whole, after, refuse);
      return item.least === 1 ? once : either(once, goesOn(so, whole));
    }
    case 'start':
      if (!whole && so.empty) return refuse('a ^ behind a look ahead');
      return whole && so.empty ? goesOn(EMPTY, true) : IMPOSSIBLE;
    case 'end':
      return chain(so, both(EMPTY, goesOn(EMPTY, false)));
    case 'boundary': {
      if (!whole && so.empty) return refuse('a word boundary behind a look and what may be nothing');
      const [inWord, outside] = [both(so, BEHIND_WORD), both(so, not(BEHIND_WORD))];
      const word = (next: Regular) => both(BEFORE_WORD, next);
      const other = (next: Regular) => both(not(BEFORE_WORD), next);
      const [afterWord, afterOther] = item.negative ? [word, other] : [other, word];
      return either(cut(inWord, afterWord), cut(outside, afterOther));
    }
    case 'look': {
      if (item.ahead) {
        const ahead = language([item.part], EMPTY, false, ALL, refuse);
        return cut(so, (next) => both(item.negative ? not(ahead) : ahead, next));
      }
      if (!whole) return refuse('a look behind after another look');
      const behind = language([item.part], ALL, false, EMPTY, refuse);
      return goesOn(both(so, item.negative ? not(behind) : behind), true);
    }
    default:
      return IMPOSSIBLE;
  }
}

function parse(source: string, option: string): Tree {
  const scan = new Scanner(source);
  let depth = 0;
  const fail = (what: string): never => {
    throw new NibbleError(
      'invalid-option',
      `The ${option} has ${what} at character ${scan.at + 1}: ${source.slice(0, 100)}`,
      {
        option,
        at: scan.at + 1,
      },
    );
  };
  const next = (): number => {
    return scan.next() ?? fail('no end');
  };
  const one = (code: number): Tree => ({ type: 'set', set: ranges([[code, code]]) });

  function alternatives(): Tree {
    if (++depth > MAX_DEPTH) fail(`more than ${MAX_DEPTH} groups in one another`);
    const parts: Tree[] = [];
    do parts.push(sequence());
    while (scan.eat('|'));
    depth--;
    return parts.length === 1 ? parts[0] : { type: 'any', parts };
  }

  function sequence(): Tree {
    const parts: Tree[] = [];
    while (!scan.ended && source[scan.at] !== '|' && source[scan.at] !== ')') {
      const part = atom();
      const count = scan.take(/([*+?]|\{(\d+)(,(\d*))?\})\??/y);
      if (!count) {
        parts.push(part);
        continue;
      }
      const [, sign, low, comma, high] = count;
      const least = low === undefined ? (sign === '+' ? 1 : 0) : Number(low);
      const most =
        low === undefined
          ? sign === '?'
            ? 1
            : Number.POSITIVE_INFINITY
          : comma === undefined
            ? least
            : high === ''
              ? Number.POSITIVE_INFINITY
              : Number(high);
      if (most < least) fail('a repeat whose most is less than its least');
      parts.push({ type: 'repeat', part, least, most });
    }
    return parts.length === 1 ? parts[0] : { type: 'all', parts };
  }

  function atom(): Tree {
    if (/[*+?]/.test(source[scan.at])) fail('a repeat of nothing');
    if (scan.eat('(')) return group();
    if (scan.eat('[')) return { type: 'set', set: charClass() };
    if (scan.eat('.')) return { type: 'set', set: without(LINE_ENDS) };
    if (scan.eat('^') || scan.eat('\\A')) return { type: 'start' };
    if (scan.eat('$') || scan.eat('\\z') || scan.eat('\\Z')) return { type: 'end' };
    if (scan.eat('\\b')) return { type: 'boundary', negative: false };
    if (scan.eat('\\B')) return { type: 'boundary', negative: true };
    if (scan.eat('\\')) {
      const found = escaped();
      return typeof found === 'number' ? one(found) : { type: 'set', set: found };
    }
    return one(next());
  }

  function group(): Tree {
    const close = (part: Tree): Tree => {
      if (!scan.eat(')')) fail('an open bracket');
      return part;
    };
    if (!scan.eat('?')) return close(alternatives());
    if (scan.eat(':') || scan.take(/P?<(?![=!])[^>]*>/y)) return close(alternatives());
    const look = scan.take(/(<?)([=!])/y);
    if (look) return close({ type: 'look', part: alternatives(), ahead: !look[1], negative: look[2] === '!' });
    return fail(`a group (?${source.slice(scan.at, scan.at + 3)}, which is not known`);
  }

  function escaped(): number | Ranges {
    const property = scan.take(/([pP])\{([^{}]*)\}/y);
    if (property) {
      const set = propertySet(property[2]);
      if (!set) return fail(`the unknown property ${property[2]}`);
      return property[1] === 'p' ? set : without(set);
    }
    const pair = scan.take(/u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})/y);
    if (pair) {
      const [high, low] = [pair[1], pair[2]].map((hex) => Number.parseInt(hex, 16));
      return (high - 0xd800) * 0x400 + low - 0xdc00 + 0x10000;
    }
    const code = scan.take(/u\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})/y);
    if (code) return Number.parseInt(code[1] ?? code[2] ?? code[3], 16);
    const control = scan.take(/c([A-Za-z])/y);
    if (control) return control[1].charCodeAt(0) & 0x1f;
    if (scan.take(/[1-9]\d*|k</y)) return fail('a back-reference, which no regular language has,');
    const letter = String.fromCodePoint(next());
    if (Object.hasOwn(SHORT, letter)) return SHORT[letter];
    if (Object.hasOwn(CONTROL, letter)) return CONTROL[letter].charCodeAt(0);
    if (/[A-Za-z]/.test(letter)) return fail(`\\${letter}, which is not known,`);
    return letter.codePointAt(0)!;
  }

  function charClass(): Ranges {
    const negative = scan.eat('^');
    const sets: Ranges[] = [];
    const member = () => {
      if (scan.eat('\\b')) return 8;
      return scan.eat('\\') ? escaped() : next();
    };
    while (!scan.eat(']')) {
      if (scan.ended) fail('an open class');
      const from = member();
      if (typeof from === 'number' && scan.take(/-(?!\])/y)) {
        const to = member();
        if (typeof to !== 'number') return fail('a range to a set');
        if (to < from) fail('an empty range');
        sets.push([[from, to]]);
      } else sets.push(typeof from === 'number' ? [[from, from]] : from);
    }
    const set = union(...sets);
    return negative ? without(set) : intersection(set, ANY_CHARACTER);
  }

  if (source.length > MAX_LENGTH) fail(`${source.length} characters of ${MAX_LENGTH}`);
  const tree = alternatives();
  if (!scan.ended) fail('a bracket too many');
  return tree;
}
