/** The half of the parser that reads expressions, by Jinja's grammar. */
import type { Arguments, Expression } from './ast';
import { type Token, tokens } from './lexer';
import { nested, spend, TemplateError } from './work';

export const CONSTANTS = new Map([
  ['true', true],
  ['True', true],
  ['false', false],
  ['False', false],
  ['none', null],
  ['None', null],
]);
const COMPARISONS = ['==', '!=', '<', '<=', '>', '>='];
const ASKED_FOR = ['caller', 'varargs', 'kwargs'];
export const NO_ARGUMENTS: Arguments = { args: [], keywords: [], list: null, dict: null };

/** The names of filters and tests that there are: others are refused at once, where Jinja does so. */
export interface Known {
  filter(name: string): boolean;
  test(name: string): boolean;
}

/** Tokens that are read one by one, and the expressions in them. */
export abstract class ExpressionParser {
  private readonly stream: Generator<Token>;
  protected token: Token;
  private ahead: Token | null = null;
  /** within an if, unknown filters are errors only when they are met */
  protected soft = false;
  /** of the macros around, from the outermost */
  protected macros: Set<string>[] = [];

  constructor(
    template: string,
    private readonly known: Known,
  ) {
    this.stream = tokens(template);
    this.token = this.read();
  }

  line = (): number => this.token.line;

  // --- tokens

  private read(): Token {
    return this.stream.next().value as Token;
  }

  protected fail(message: string, line = this.token.line): never {
    const error = new TemplateError(message);
    error.line = line;
    throw error;
  }

  protected next(): Token {
    const { token } = this;
    spend(1);
    if (token.type !== 'end') this.token = this.ahead ?? this.read();
    this.ahead = null;
    return token;
  }

  private peek(): Token {
    this.ahead ??= this.token.type === 'end' ? this.token : this.read();
    return this.ahead;
  }

  protected is(text: string, type = 'operator', token = this.token): boolean {
    return token.type === type && token.text === text;
  }
  protected isWord = (...words: string[]) => this.token.type === 'name' && words.includes(this.token.text);
  protected skip(operator: string): boolean {
    const found = this.is(operator);
    if (found) this.next();
    return found;
  }
  protected skipWord(word: string): boolean {
    const found = this.isWord(word);
    if (found) this.next();
    return found;
  }
  protected expect(operator: string): Token {
    return this.is(operator) ? this.next() : this.fail(`${operator} is expected, not ${this.token.text}`);
  }
  protected name(): string {
    return this.token.type === 'name' ? this.next().text : this.fail(`a name is expected, not ${this.token.text}`);
  }
  // --- expressions, from the loosest binding to the tightest

  /** Expressions with commas between them are a tuple. */
  protected tuple(conditional = true, ends: string[] = [], brackets = false): Expression {
    const items: Expression[] = [];
    let several = false;
    for (;;) {
      if (['}}', '%}', ')'].some((end) => this.is(end)) || this.isWord(...ends)) break;
      items.push(conditional ? this.expression() : this.or());
      if (!this.skip(',')) break;
      several = true;
    }
    if (!several && items.length) return items[0];
    if (!several && !brackets) this.fail(`an expression is expected, not ${this.token.text}`);
    return { kind: 'tuple', items };
  }

  protected expression(): Expression {
    return nested(() => {
      const before = this.soft;
      let value = this.or();
      while (this.skipWord('if')) {
        this.soft = true;
        const test = this.or();
        const no = this.skipWord('else') ? this.expression() : null;
        value = { kind: 'if', test, yes: value, no };
        this.soft = before;
      }
      return value;
    });
  }

  private or(): Expression {
    let left = this.and();
    while (this.skipWord('or')) left = { kind: 'or', left, right: this.and() };
    return left;
  }

  private and(): Expression {
    let left = this.not();
    while (this.skipWord('and')) left = { kind: 'and', left, right: this.not() };
    return left;
  }

  private not(): Expression {
    if (this.skipWord('not')) return { kind: 'unary', operator: 'not', of: nested(() => this.not()) };
    const first = this.sum();
    const rest: [string, Expression][] = [];
    for (;;) {
      const notIn = this.isWord('not') && this.is('in', 'name', this.peek());
      if (notIn) this.next();
      if (COMPARISONS.includes(this.token.text) && this.token.type === 'operator')
        rest.push([this.next().text, this.sum()]);
      else if (this.skipWord('in')) rest.push([notIn ? 'not in' : 'in', this.sum()]);
      else break;
    }
    return rest.length ? { kind: 'compare', first, rest } : first;
  }

  private binary(operators: string[], operand: () => Expression): Expression {
    let left = operand();
    while (this.token.type === 'operator' && operators.includes(this.token.text)) {
      left = { kind: 'binary', operator: this.next().text, left, right: operand() };
    }
    return left;
  }

  private sum = (): Expression => this.binary(['+', '-'], this.concat);
  private concat = (): Expression => {
    const items = [this.product()];
    while (this.skip('~')) items.push(this.product());
    return items.length > 1 ? { kind: 'concat', items } : items[0];
  };
  private product = (): Expression => this.binary(['*', '/', '//', '%'], this.power);
  private power = (): Expression => this.binary(['**'], () => this.unary(true));

  private unary(filtered: boolean): Expression {
    let value: Expression;
    if (this.is('-') || this.is('+')) {
      const operator = this.next().text;
      value = { kind: 'unary', operator, of: nested(() => this.unary(false)) };
    } else value = this.primary();
    value = this.postfix(value);
    return filtered ? this.filtersAndTests(value) : value;
  }

  private primary(): Expression {
    const { type, text, value } = this.next();
    if (type === 'name') {
      if (CONSTANTS.has(text)) return { kind: 'constant', value: CONSTANTS.get(text)! };
      if (ASKED_FOR.includes(text)) for (const uses of this.macros) uses.add(text);
      return { kind: 'name', name: text };
    }
    if (type === 'number') return { kind: 'constant', value };
    if (type === 'string') {
      const parts = [value as string];
      while (this.token.type === 'string') parts.push(this.next().value as string);
      return { kind: 'constant', value: parts.join('') };
    }
    if (type === 'operator' && text === '(') {
      const inner = nested(() => this.tuple(true, [], true));
      this.expect(')');
      return inner;
    }
    if (type === 'operator' && text === '[') return { kind: 'list', items: this.listed(']', () => this.expression()) };
    if (type === 'operator' && text === '{') {
      const pairs = this.listed('}', (): [Expression, Expression] => {
        const key = this.expression();
        this.expect(':');
        return [key, this.expression()];
      });
      return { kind: 'dict', pairs };
    }
    return this.fail(`unexpected ${text}`);
  }

  private listed<T>(end: string, element: () => T): T[] {
    const items: T[] = [];
    while (!this.is(end)) {
      if (items.length) this.expect(',');
      if (this.is(end)) break;
      items.push(element());
    }
    this.expect(end);
    return items;
  }

  private postfix(start: Expression): Expression {
    let value = start;
    for (;;) {
      if (this.skip('.')) {
        const { type, text, value: index } = this.next();
        if (type === 'name') value = { kind: 'attribute', of: value, name: text };
        else if (type === 'number' && typeof index === 'bigint')
          value = { kind: 'item', of: value, key: { kind: 'constant', value: index } };
        else this.fail(`a name is expected, not ${text}`);
      } else if (this.skip('[')) value = this.subscript(value);
      else if (this.is('(')) value = { kind: 'call', of: value, with: this.callArguments() };
      else return value;
    }
  }

  private subscript(of: Expression): Expression {
    const keys: Expression[] = [];
    let several = false;
    while (!this.is(']')) {
      if (keys.length) {
        this.expect(',');
        several = true;
      }
      const bounds: (Expression | null)[] = [null];
      if (!this.is(':')) {
        const key = this.expression();
        if (!this.is(':')) {
          keys.push(key);
          continue;
        }
        bounds[0] = key;
      }
      while (this.skip(':') && bounds.length < 3) bounds.push(this.is(':') || this.is(']') ? null : this.expression());
      this.expect(']');
      if (several || keys.length) this.fail('a slice beside other keys is not supported');
      return { kind: 'slice', of, bounds };
    }
    this.expect(']');
    return { kind: 'item', of, key: keys.length === 1 ? keys[0] : { kind: 'tuple', items: keys } };
  }

  private callArguments(): Arguments {
    const found: Arguments = { args: [], keywords: [], list: null, dict: null };
    const given = new Set<string>();
    const ensure = (right: boolean) => {
      if (!right) this.fail('the arguments of a call stand in the wrong order');
    };
    this.expect('(');
    this.listed(')', () => {
      if (this.skip('*')) {
        ensure(!found.list && !found.dict);
        found.list = this.expression();
      } else if (this.skip('**')) {
        ensure(!found.dict);
        found.dict = this.expression();
      } else if (this.token.type === 'name' && this.is('=', 'operator', this.peek())) {
        ensure(!found.dict);
        const name = this.next().text;
        this.next();
        if (given.has(name)) this.fail(`the argument '${name}' is given twice`);
        given.add(name);
        found.keywords.push([name, this.expression()]);
      } else {
        ensure(!found.list && !found.dict && !found.keywords.length);
        found.args.push(this.expression());
      }
    });
    return found;
  }

  private dotted(): string {
    let name = this.name();
    while (this.skip('.')) name += `.${this.name()}`;
    return name;
  }

  private filtersAndTests(start: Expression): Expression {
    let value = start;
    for (;;) {
      if (this.is('|')) value = this.filters(value)!;
      else if (this.isWord('is')) value = this.test(value);
      else if (this.is('(')) value = { kind: 'call', of: value, with: this.callArguments() };
      else return value;
    }
  }

  protected filters(of: Expression | null, inline = false): Expression | null {
    let value = of;
    for (let first = inline; first || this.skip('|'); first = false) {
      const { line } = this.token;
      const name = this.dotted();
      if (!this.soft && !this.known.filter(name)) this.fail(`there is no filter ${name}`, line);
      value = { kind: 'filter', name, of: value, with: this.is('(') ? this.callArguments() : NO_ARGUMENTS };
    }
    return value;
  }

  private test(of: Expression): Expression {
    const { line } = this.next();
    const not = this.skipWord('not');
    const name = this.dotted();
    if (!this.soft && !this.known.test(name)) this.fail(`there is no test ${name}`, line);
    let given = NO_ARGUMENTS;
    const { type, text } = this.token;
    if (this.is('(')) given = this.callArguments();
    else if (
      (type === 'operator' ? '[{'.includes(text) : type !== 'data' && type !== 'end') &&
      !this.isWord('else', 'or', 'and')
    ) {
      if (this.isWord('is')) this.fail('tests cannot follow each other');
      given = { ...NO_ARGUMENTS, args: [this.postfix(this.primary())] };
    }
    const test: Expression = { kind: 'test', name, of, with: given };
    return not ? { kind: 'unary', operator: 'not', of: test } : test;
  }
}
