/**
 * Values as models write them in calls, read while they come and told as JSON: JSON itself, Python's literals, keyword
 * arguments, and Gemma's notation with its own quotes and bare keys.
 */
import type { Incoming, Reading } from './incoming';

export interface Dialect {
  /** marks around strings in which nothing is escaped, beside " and ' */
  quotes?: readonly string[];
  /** keys and words may stand without quotes */
  bare?: boolean;
}

/** What is read is no value: a sentence's end, such as "are cut off". */
export class NoValue extends Error {}

/** Lists and objects within each other, at most. */
const DEPTH = 100;
const NUMBER = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;
const CONSTANTS: Readonly<Record<string, string>> = {
  true: 'true',
  True: 'true',
  false: 'false',
  False: 'false',
  null: 'null',
  None: 'null',
};
const PLAIN_ESCAPES = '"\\/bfnrt';
const WORD = /[^\s,:;=()[\]{}"'<>]+/y;
/** characters of a string that stand for themselves: neither quotes nor \\, and no controls */
const PLAIN = /[ !#-&(-[\]-\uffff]+/y;

const cutOff = () => new NoValue('are cut off');

/** A character as it stands in a JSON string. */
const inJson = (character: string): string => JSON.stringify(character).slice(1, -1);

/**
 * Reads a value.
 * @param told hears it as JSON, as it grows
 * @throws NoValue
 */
export function* readValue(from: Incoming, told: (json: string) => void, dialect: Dialect = {}, depth = 0): Reading {
  yield* from.blank();
  const first = yield* from.peek();
  if (!first) throw cutOff();
  const quote = yield* from.take(dialect.quotes ?? []);
  if (quote) return yield* readMarked(from, told, quote);
  if (first === '"' || first === "'") return yield* readString(from, told);
  if (first === '{' || first === '[') {
    if (depth >= DEPTH) throw new NoValue(`have more than ${DEPTH} levels`);
    from.at++;
    if (first === '{') return yield* readMembers(from, told, dialect, ':', '}', depth + 1);
    told('[');
    let some = false;
    for (;;) {
      yield* from.blank();
      if (yield* from.take([']'])) return told(']');
      if (some) told(',');
      yield* readValue(from, told, dialect, depth + 1);
      some = true;
      yield* between(from, ']');
    }
  }
  told(yield* readWord(from, dialect));
}

/** Reads what stands between values: a comma, which may come before the end, too. */
function* between(from: Incoming, close: string): Reading {
  yield* from.blank();
  const next = yield* from.peek();
  if (next === ',') from.at++;
  else if (next !== close) throw next ? new NoValue(`have ${JSON.stringify(next)} in the place of a comma`) : cutOff();
}

/** Reads members up to the closing mark, and tells an object. The opening one was taken. @throws NoValue */
export function* readMembers(
  from: Incoming,
  told: (json: string) => void,
  dialect: Dialect,
  colon: string,
  close: string,
  depth = 0,
): Reading {
  told('{');
  let some = false;
  for (;;) {
    yield* from.blank();
    if (yield* from.take([close])) return told('}');
    const key = yield* readKey(from, { ...dialect, bare: dialect.bare || colon === '=' }, colon);
    told(`${some ? ',' : ''}${key}:`);
    yield* readValue(from, told, dialect, depth);
    some = true;
    yield* between(from, close);
  }
}

/** A key and what stands behind it. @returns it as JSON */
export function* readKey(from: Incoming, dialect: Dialect = {}, colon = ':'): Reading<string> {
  let key = '';
  const told = (text: string) => {
    key += text;
  };
  yield* from.blank();
  const first = yield* from.peek();
  const quote = yield* from.take(dialect.quotes ?? []);
  if (quote) yield* readMarked(from, told, quote);
  else if (first === '"' || first === "'") yield* readString(from, told);
  else if (dialect.bare) key = JSON.stringify(yield* readBare(from));
  if (!key) throw first ? new NoValue(`have ${JSON.stringify(first)} in the place of a name`) : cutOff();
  yield* from.blank();
  if (yield* from.take([colon])) return key;
  throw from.ended && from.at === from.text.length ? cutOff() : new NoValue(`have no ${colon} behind ${key}`);
}

/** Characters of a word. */
function* readBare(from: Incoming): Reading<string> {
  let word = '';
  for (;;) {
    const more = (yield* from.peek()) && from.run(WORD);
    if (!more) return word;
    word += more;
  }
}

/** A number or a constant, as JSON; a word where that may stand without quotes. @throws NoValue */
function* readWord(from: Incoming, { bare }: Dialect): Reading<string> {
  const word = yield* readBare(from);
  if (from.ended && from.at === from.text.length) throw cutOff();
  if (Object.hasOwn(CONSTANTS, word)) return CONSTANTS[word];
  // Python writes no zeros before a number, and models do
  const number = word.replace(/^(-?)0+(?=\d)/, '$1');
  if (NUMBER.test(number) && Number.isFinite(Number(number))) return number;
  if (bare && word) return JSON.stringify(word);
  throw new NoValue(`have ${JSON.stringify((word || (yield* from.peek())).slice(0, 40))} in the place of a value`);
}

/** A string between marks, in which every character is itself. @throws NoValue */
function* readMarked(from: Incoming, told: (json: string) => void, quote: string): Reading {
  told('"');
  if (!(yield* from.until([quote], (text) => told(inJson(text))))) throw cutOff();
  from.at += quote.length;
  told('"');
}

/** A string of JSON or Python; line ends in it are taken as they are. @throws NoValue */
export function* readString(from: Incoming, told: (json: string) => void): Reading {
  const quote = yield* from.next();
  told('"');
  for (;;) {
    const plain = from.run(PLAIN);
    if (plain) told(plain);
    const character = yield* from.next();
    if (!character) throw cutOff();
    if (character === quote) return told('"');
    if (character !== '\\') {
      told(character < ' ' || character === '"' ? inJson(character) : character);
      continue;
    }
    const escaped = yield* from.next();
    if (!escaped) throw cutOff();
    if (PLAIN_ESCAPES.includes(escaped)) told(`\\${escaped}`);
    else if (escaped === 'u') {
      if (!(yield* from.has(4))) throw cutOff();
      const code = from.text.slice(from.at, from.at + 4);
      if (!/^[\da-fA-F]{4}$/.test(code)) throw new NoValue(`have the escape \\u${code}`);
      from.at += 4;
      told(`\\u${code}`);
    } else told(escaped === "'" ? escaped : inJson(`\\${escaped}`));
  }
}
