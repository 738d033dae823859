/**
 * Grammars in GBNF, as llama.cpp reads them (its grammars/README.md): rules `name ::= alternatives`, of which `root`
 * is the answer; literals, classes with ranges and ^, the dot, groups, the repeats * + ? {m} {m,} {m,n}, comments, and
 * line ends within brackets and behind `::=` and `|`. Tokens by their number, `<[1000]>`, are not known here; `<name>`
 * is a control token.
 */
import { NibbleError } from '../errors';
import { Scanner } from '../text/scanner';
import { ANY_CHARACTER, type Ranges, union, without } from './characters';
import { all, any, type Expression, type Grammar, optional, repeat, rule, set, text, token } from './grammar';

const MAX_LENGTH = 1_000_000;
const MAX_DEPTH = 200;
const HEX: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };
const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  '\\': '\\',
  '"': '"',
  '[': '[',
  ']': ']',
};

/** @throws invalid-option, with line and column, for what is no such grammar */
export function gbnfGrammar(source: string): Grammar {
  const rules = new Map<string, Expression>();
  const named: { name: string; at: number }[] = [];
  const scan = new Scanner(source);
  let depth = 0;

  const fail = (what: string, place = scan.at): never => {
    const before = source.slice(0, place).split('\n');
    const [line, column] = [before.length, before[before.length - 1].length + 1];
    throw new NibbleError('invalid-option', `The grammar has ${what} at line ${line}, column ${column}.`, {
      option: 'grammar',
      line,
      column,
    });
  };
  /** Spaces and comments; line ends only where a rule goes on. */
  const skip = (lines: boolean) => {
    while (scan.take(lines ? /[ \t\r\n]+|#[^\n]*/y : /[ \t]+|#[^\n]*/y));
  };
  function character(): number {
    const { at } = scan;
    const code = source.codePointAt(at);
    if (code !== 0x5c) return scan.next() ?? fail('no end');
    const sign = source[at + 1] ?? '';
    if (Object.hasOwn(HEX, sign)) {
      const digits = source.slice(at + 2, at + 2 + HEX[sign]);
      const value = Number.parseInt(digits, 16);
      if (digits.length < HEX[sign] || !/^[0-9a-fA-F]+$/.test(digits) || value > 0x10ffff)
        return fail(`an escape \\${sign} without its ${HEX[sign]} hexadecimal digits`);
      scan.at += 2 + HEX[sign];
      return value;
    }
    if (!Object.hasOwn(ESCAPES, sign)) return fail(`the unknown escape \\${sign}`);
    scan.at += 2;
    return ESCAPES[sign].charCodeAt(0);
  }

  function alternatives(inner: boolean): Expression {
    if (++depth > MAX_DEPTH) fail(`more than ${MAX_DEPTH} groups in one another`);
    const parts: Expression[] = [];
    do {
      skip(true);
      parts.push(sequence(inner));
    } while (scan.eat('|'));
    depth--;
    return any(...parts);
  }

  function sequence(inner: boolean): Expression {
    const parts: Expression[] = [];
    for (;;) {
      skip(inner);
      const part = atom();
      if (!part) return all(...parts);
      parts.push(repeated(part));
    }
  }

  function atom(): Expression | null {
    const start = scan.at;
    if (scan.eat('"')) {
      let value = '';
      while (!scan.eat('"')) {
        if (scan.ended || source[scan.at] === '\n') fail('a literal without an end', start);
        value += String.fromCodePoint(character());
      }
      return text(value);
    }
    if (scan.eat('[')) return set(charClass(start));
    if (scan.eat('.')) return set(ANY_CHARACTER);
    if (scan.eat('(')) {
      const part = alternatives(true);
      skip(true);
      if (!scan.eat(')')) fail('an open bracket', start);
      return part;
    }
    if (source.startsWith('<[', scan.at)) fail('a token by its number, which is not known here: write its text');
    const mark = scan.take(/<[^<>\s]+>/y);
    if (mark) return token(mark[0]);
    const name = scan.take(/[A-Za-z0-9-_]+(?![A-Za-z0-9-_]*[ \t]*::=)/y);
    if (!name) return null;
    named.push({ name: name[0], at: start });
    return rule(name[0]);
  }

  function charClass(start: number): Ranges {
    const negative = scan.eat('^');
    const sets: Ranges[] = [];
    while (!scan.eat(']')) {
      if (scan.ended) fail('a class without an end', start);
      const from = character();
      let to = from;
      if (source[scan.at] === '-' && source[scan.at + 1] !== ']') {
        scan.at++;
        to = character();
        if (to < from) fail('an empty range');
      }
      sets.push([[from, to]]);
    }
    const found = union(...sets);
    return negative ? without(found) : found;
  }

  function repeated(part: Expression): Expression {
    let now = part;
    for (;;) {
      skip(false);
      if (scan.eat('*')) now = repeat(now, 0);
      else if (scan.eat('+')) now = repeat(now, 1);
      else if (scan.eat('?')) now = optional(now);
      else {
        const counts = scan.take(/\{[ \t]*(\d+)[ \t]*(,[ \t]*(\d*))?[ \t]*\}/y);
        if (!counts) return now;
        const least = Number(counts[1]);
        const most = counts[2] === undefined ? least : counts[3] ? Number(counts[3]) : Number.POSITIVE_INFINITY;
        if (most < least) fail('a repeat whose most is less than its least');
        now = repeat(now, least, most);
      }
    }
  }

  if (source.length > MAX_LENGTH) fail(`${source.length} characters of ${MAX_LENGTH}`, 0);
  skip(true);
  while (!scan.ended) {
    const start = scan.at;
    const name = scan.take(/([A-Za-z0-9-_]+)[ \t]*/y);
    if (!name) return fail('something that is no rule');
    if (!scan.eat('::=')) return fail('a rule without ::=');
    if (rules.has(name[1])) fail(`the rule "${name[1]}" a second time`, start);
    rules.set(name[1], alternatives(false));
    skip(false);
    if (!scan.ended && !scan.take(/\r?\n/y)) fail('something that no rule can have');
    skip(true);
  }
  if (!rules.has('root')) fail('no rule "root", with which an answer begins,', 0);
  const missing = named.find(({ name }) => !rules.has(name));
  if (missing) fail(`the name "${missing.name}", which no rule has,`, missing.at);
  return { start: rule('root'), rules };
}
