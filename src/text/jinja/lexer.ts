/**
 * A template's source to tokens, one at a time, each character looked at a bounded number of times. With Jinja's
 * trim_blocks and lstrip_blocks, as transformers sets them: a block tag alone on its line leaves nothing of the line.
 */
import { character } from './numbers';
import { fail, parseInteger, SPACE, type Value } from './values';
import { read, TemplateError } from './work';

export type TokenType = 'data' | 'name' | 'string' | 'number' | 'operator' | 'end';

export interface Token {
  type: TokenType;
  /** name or operator; the tags' own marks count as operators: {{ }} {% %} */
  text: string;
  /** of data, strings and numbers */
  value: Value;
  line: number;
}

const START = /\{[{%#]/g;
const RAW = new RegExp(`\\{%[-+]?[${SPACE}]*raw[${SPACE}]*(?:-%\\}[${SPACE}]*|%\\})`, 'y');
const END_RAW = new RegExp(`\\{%([-+]?)[${SPACE}]*endraw[${SPACE}]*(?:\\+%\\}|-%\\}[${SPACE}]*|%\\}\\n?)`, 'y');
const BLOCK_END = new RegExp(`\\+%\\}|-%\\}[${SPACE}]*|%\\}\\n?`, 'y');
const PRINT_END = new RegExp(`-\\}\\}[${SPACE}]*|\\}\\}`, 'y');
const BLANK = new RegExp(`[${SPACE}]+`, 'y');
const NUMBER = /0x[\da-f_]+|0o[0-7_]+|0b[01_]+|\d[\d_]*(?:\.\d[\d_]*)?(?:e[+-]?\d[\d_]*)?/iy;
const DIGITS = /\d+/y;
const NAME = /[\p{ID_Start}_]\p{ID_Continue}*/uy;
const OPERATOR = /\*\*|\/\/|==|!=|<=|>=|[-+*/%~[\](){}<>=.:|,;]/y;
const CLOSES = new Map([
  ['(', ')'],
  ['[', ']'],
  ['{', '}'],
]);

const ONE_BLANK = new RegExp(`[${SPACE}]`);
const isBlank = (c: string) => c !== undefined && ONE_BLANK.test(c);

/** @throws TemplateError with the line */
export function* tokens(template: string): Generator<Token, undefined> {
  read(template.length);
  const source = template.replace(/\r\n?/g, '\n').replace(/\n$/, '');
  let at = 0;
  let line = 1;
  let atLineStart = true;

  const advance = (to: number): string => {
    const passed = source.slice(at, to);
    read(2 * passed.length);
    for (let i = passed.indexOf('\n'); i >= 0; i = passed.indexOf('\n', i + 1)) line++;
    if (to > at) atLineStart = source[to - 1] === '\n';
    at = to;
    return passed;
  };
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(source)?.[0];
  };
  const broken = (message: string): never => {
    const error = new TemplateError(message);
    error.line = line;
    throw error;
  };
  /** Text in front of a tag, cut as the tag's sign asks. */
  function* data(to: number, sign: string, cuts: boolean): Generator<Token, undefined> {
    const start = { line, atLineStart };
    const text = advance(to);
    let end = text.length;
    if (sign === '-') while (end > 0 && isBlank(text[end - 1])) end--;
    else if (sign !== '+' && cuts) {
      const lineStart = text.lastIndexOf('\n') + 1;
      let blank = end;
      while (blank > lineStart && isBlank(text[blank - 1])) blank--;
      if (blank === lineStart && (lineStart > 0 || start.atLineStart)) end = lineStart;
    }
    if (end > 0) yield { type: 'data', text: '', value: text.slice(0, end), line: start.line };
  }
  const signAt = (index: number) => (source[index] === '-' || source[index] === '+' ? source[index] : '');

  while (at < source.length) {
    START.lastIndex = at;
    const tag = START.exec(source);
    if (!tag) {
      yield* data(source.length, '+', false);
      break;
    }
    const sign = signAt(tag.index + 2);
    yield* data(tag.index, sign, tag[0] !== '{{');
    const open = line;
    if (tag[0] === '{#') {
      advance(at + 2 + sign.length);
      const end = source.indexOf('#}', at);
      if (end < 0 && at === source.length) break;
      if (end < 0) {
        line = open;
        broken('a comment has no end');
      }
      const closing = end > at ? signAt(end - 1) : '';
      advance(end + 2);
      if (closing === '-') advance(at + (match(BLANK)?.length ?? 0));
      else if (closing === '' && source[at] === '\n') advance(at + 1);
      continue;
    }
    const raw = tag[0] === '{%' ? match(RAW) : undefined;
    if (raw !== undefined) {
      advance(at + raw.length);
      const from = at;
      let end = source.indexOf('{%', at);
      let found: RegExpExecArray | null = null;
      for (; end >= 0; end = source.indexOf('{%', end + 2)) {
        END_RAW.lastIndex = end;
        found = END_RAW.exec(source);
        if (found) break;
      }
      read((found ? end : source.length) - from);
      if (!found && from === source.length) break;
      if (!found) {
        line = open;
        broken('{% raw %} has no {% endraw %}');
      }
      yield* data(end, found![1], true);
      advance(at + found![0].length);
      continue;
    }
    advance(at + 2 + sign.length);
    yield { type: 'operator', text: tag[0], value: null, line };
    yield* inside(tag[0] === '{%' ? BLOCK_END : PRINT_END, tag[0] === '{%' ? '%}' : '}}');
  }
  yield { type: 'end', text: 'the end of the template', value: null, line };
  return;

  function* inside(end: RegExp, mark: string): Generator<Token, undefined> {
    const open: string[] = [];
    for (;;) {
      if (at >= source.length) broken(`a tag has no ${mark}`);
      const closing = open.length ? undefined : match(end);
      const start = line;
      if (closing !== undefined) {
        advance(at + closing.length);
        yield { type: 'operator', text: mark, value: null, line: start };
        return;
      }
      const blank = match(BLANK);
      if (blank !== undefined) {
        advance(at + blank.length);
        continue;
      }
      const c = source[at];
      if (c === "'" || c === '"') {
        let close = at + 1;
        while (close < source.length && source[close] !== c) close += source[close] === '\\' ? 2 : 1;
        if (close >= source.length) broken('a string has no end');
        const text = advance(close + 1).slice(1, -1);
        yield { type: 'string', text: 'a string', value: unescaped(text), line: start };
        continue;
      }
      // messages.0.1 has no float in it
      const digits = match(source[at - 1] === '.' ? DIGITS : NUMBER);
      if (digits !== undefined) {
        advance(at + digits.length);
        yield { type: 'number', text: digits, value: numeric(digits), line: start };
        continue;
      }
      const name = match(NAME);
      if (name !== undefined) {
        advance(at + name.length);
        yield { type: 'name', text: name, value: null, line: start };
        continue;
      }
      const operator = match(OPERATOR) ?? broken(`unexpected character '${c}'`);
      if (CLOSES.has(operator)) open.push(CLOSES.get(operator)!);
      else if (')]}'.includes(operator) && open.pop() !== operator) broken(`unexpected '${operator}'`);
      advance(at + operator.length);
      yield { type: 'operator', text: operator, value: null, line: start };
    }
  }
}

function numeric(digits: string): Value {
  const plain = digits.replaceAll('_', '');
  if (/^0[xob]/i.test(plain)) return parseInteger(plain);
  if (/[.e]/i.test(plain)) return Number(plain);
  return /^0+[1-9]/.test(plain) ? fail(`${digits} is not a number`) : parseInteger(plain);
}

const SIMPLE = new Map(
  Object.entries({
    n: '\n',
    t: '\t',
    r: '\r',
    a: '\x07',
    b: '\b',
    f: '\f',
    v: '\v',
    '\n': '',
    '\\': '\\',
    "'": "'",
    '"': '"',
  }),
);

function unescaped(text: string): string {
  return text.replace(
    /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{1,3})|([\s\S]))/g,
    (all, x, u, long, octal, other) => {
      const code = x ?? u ?? long;
      if (code !== undefined) return character(Number.parseInt(code, 16));
      if (octal !== undefined) return character(Number.parseInt(octal, 8));
      if ('xuUN'.includes(other)) fail(`the escape ${all} is not complete, or is not supported`);
      return SIMPLE.get(other) ?? all;
    },
  );
}
