/** Tokens to a tree, by Jinja's grammar with the tags break, continue and generation. */
import type { CallExpression, Expression, FilterExpression, MacroParts, Statement, Target } from './ast';
import { CONSTANTS, ExpressionParser, type Known, NO_ARGUMENTS } from './expression-parser';
import { nested, TemplateError } from './work';

/** @throws TemplateError with the line */
export function parse(template: string, known: Known): Statement[] {
  const parser = new Parser(template, known);
  try {
    return parser.template();
  } catch (thrown) {
    if (thrown instanceof TemplateError) thrown.line ||= parser.line();
    throw thrown;
  }
}

class Parser extends ExpressionParser {
  private loops = 0;

  template(): Statement[] {
    return this.statements([]);
  }

  /** Up to one of these tags, whose name is read and whose rest is left. */
  private statements(ends: string[], opened = 0): Statement[] {
    const body: Statement[] = [];
    for (;;) {
      const { line } = this.token;
      if (this.token.type === 'data') body.push({ line, kind: 'text', text: this.next().value as string });
      else if (this.skip('{{')) {
        body.push({ line, kind: 'print', values: [this.tuple()] });
        this.expect('}}');
      } else if (this.skip('{%')) {
        if (this.isWord(...ends)) return body;
        body.push(nested(() => this.statement(line)));
        this.expect('%}');
      } else {
        if (ends.length) this.fail(`{% ${ends.at(-1)} %} is missing`, opened);
        return body;
      }
    }
  }

  /** The body of a tag that is open, with its end. @returns the tag that ended it */
  private block(ends: string[], soft = false): { body: Statement[]; end: string } {
    const before = this.soft;
    this.soft = soft;
    this.skip(':');
    const { line } = this.expect('%}');
    const body = this.statements(ends, line);
    this.soft = before;
    return { body, end: this.name() };
  }

  private statement(line: number): Statement {
    const tag = this.name();
    switch (tag) {
      case 'if':
        return this.ifStatement(line);
      case 'for':
        return this.forStatement(line);
      case 'set': {
        const target = this.target(true);
        if (this.skip('=')) return { line, kind: 'set', target, value: this.tuple() };
        const filter = this.filters(null);
        return { line, kind: 'setBlock', target, filter, body: this.block(['endset']).body };
      }
      case 'with': {
        const pairs: [Target, Expression][] = [];
        while (!this.is('%}') && !this.is(':')) {
          if (pairs.length) this.expect(',');
          const target = this.target(false);
          this.expect('=');
          pairs.push([target, this.expression()]);
        }
        return { line, kind: 'with', pairs, body: this.block(['endwith']).body };
      }
      case 'macro':
        return { line, kind: 'macro', macro: this.macro(this.name(), 'endmacro', true) };
      case 'call': {
        const parameters = this.is('(') ? this.parameters() : [];
        const call = this.expression();
        if (call.kind !== 'call') this.fail('a call is expected', line);
        return {
          line,
          kind: 'call',
          call: call as CallExpression,
          caller: this.macro('caller', 'endcall', false, parameters),
        };
      }
      case 'generation': // of transformers: a call block by its nature
        return {
          line,
          kind: 'call',
          call: { kind: 'call', of: { kind: 'name', name: ' generation' }, with: NO_ARGUMENTS },
          caller: this.macro('caller', 'endgeneration', false, []),
        };
      case 'filter':
        return {
          line,
          kind: 'filter',
          filter: this.filters(null, true) as FilterExpression,
          body: this.block(['endfilter']).body,
        };
      case 'break':
      case 'continue':
        if (!this.loops) this.fail(`{% ${tag} %} outside of a loop`, line);
        return { line, kind: tag };
      case 'print': {
        const values: Expression[] = [];
        while (!this.is('%}')) {
          if (values.length) this.expect(',');
          values.push(this.expression());
        }
        return { line, kind: 'print', values };
      }
      case 'autoescape': {
        const value = this.expression();
        return { line, kind: 'autoescape', value, body: this.block(['endautoescape']).body };
      }
      case 'block': {
        const name = this.name();
        const scoped = this.skipWord('scoped');
        this.skipWord('required');
        const { body } = this.loopless(() => this.block(['endblock']));
        this.skipWord(name);
        return { line, kind: 'block', body, scoped };
      }
      case 'include':
      case 'import':
      case 'from':
      case 'extends':
        while (!this.is('%}') && this.token.type !== 'end') this.next();
        return { line, kind: 'refused', tag };
      default:
        return this.fail(`the tag ${tag} is unknown, or stands in the wrong place`, line);
    }
  }

  private ifStatement(line: number): Statement {
    const branches: [Expression, Statement[]][] = [];
    const before = this.soft;
    this.soft = true;
    let end: string;
    do {
      const test = this.tuple(false);
      const part = this.block(['elif', 'else', 'endif'], true);
      branches.push([test, part.body]);
      end = part.end;
    } while (end === 'elif');
    const otherwise = end === 'else' ? this.block(['endif'], true).body : [];
    this.soft = before;
    return { line, kind: 'if', branches, otherwise };
  }

  private forStatement(line: number): Statement {
    const target = this.target(false);
    if (names(target).includes('loop')) this.fail("a loop cannot put its items into 'loop'", line);
    if (!this.skipWord('in')) this.fail(`in is expected, not ${this.token.text}`);
    const over = this.tuple(false, ['recursive']);
    const test = this.skipWord('if') ? this.expression() : null;
    const recursive = this.skipWord('recursive');
    this.loops++;
    const { body, end } = this.block(['endfor', 'else']);
    this.loops--;
    const otherwise = end === 'else' ? this.block(['endfor']).body : [];
    return { line, kind: 'for', target, over, test, recursive, body, otherwise };
  }

  private loopless<T>(run: () => T): T {
    const { loops } = this;
    this.loops = 0;
    const result = run();
    this.loops = loops;
    return result;
  }

  private macro(name: string, end: string, signed: boolean, given: MacroParts['parameters'] = []): MacroParts {
    const uses = new Set<string>();
    const parameters = signed ? this.parameters() : given;
    this.macros.push(uses);
    const { body } = this.loopless(() => this.block([end]));
    this.macros.pop();
    const caller = parameters.find(([parameter]) => parameter === 'caller');
    if (caller && !caller[1] && uses.has('caller')) this.fail("the parameter 'caller' needs a default");
    for (const [parameter] of parameters) uses.delete(parameter);
    return { name, parameters, body, uses };
  }

  private parameters(): MacroParts['parameters'] {
    const parameters: MacroParts['parameters'] = [];
    this.expect('(');
    while (!this.is(')')) {
      if (parameters.length) this.expect(',');
      const name = this.name();
      const otherwise = this.skip('=') ? this.expression() : null;
      if (!otherwise && parameters.at(-1)?.[1]) this.fail('a parameter without a default follows one that has one');
      parameters.push([name, otherwise]);
    }
    this.expect(')');
    return parameters;
  }

  private target(attributes: boolean): Target {
    const targets: Target[] = [];
    let several = false;
    do {
      if (this.isWord('in') || this.is('%}') || this.is('=') || this.is(')')) break;
      if (this.skip('(')) {
        targets.push(nested(() => this.target(attributes)));
        this.expect(')');
      } else {
        if (this.token.type === 'name' && CONSTANTS.has(this.token.text)) this.fail(`${this.token.text} cannot be set`);
        const name = this.name();
        targets.push(
          attributes && this.skip('.') ? { kind: 'attribute', of: name, name: this.name() } : { kind: 'name', name },
        );
      }
      several ||= this.is(',');
    } while (this.skip(','));
    if (!targets.length) this.fail(`a name is expected, not ${this.token.text}`);
    return several ? { kind: 'several', targets } : targets[0];
  }
}

const names = (target: Target): string[] =>
  target.kind === 'several' ? target.targets.flatMap(names) : target.kind === 'name' ? [target.name] : [];
