/** Walks over a template's tree and writes its text. */
import { bind } from './arguments';
import type { MacroParts, Statement, Target } from './ast';
import { call, evaluate, evaluateArguments, filtered, Scope } from './evaluate';
import { checkName, globals } from './globals';
import { comparison } from './tests';
import {
  Dict,
  fail,
  type Keywords,
  length,
  list,
  Namespace,
  orElse,
  Thing,
  Tuple,
  text,
  truthy,
  typeName,
  Undefined,
  type Value,
  walk,
} from './values';
import { LIMITS, make, nested, read, spend, TemplateError, visit } from './work';

/** What is written, in pieces; the whole is bounded. */
class Output {
  private readonly parts: string[] = [];
  private size = 0;
  write(part: string): void {
    this.parts.push(part);
    this.size += part.length;
    read(part.length);
    if (this.size > LIMITS.characters) make(this.size);
  }
  text = (): string => this.parts.join('');
}

type Signal = 'break' | 'continue' | undefined;

/** @param names what the template can read, beside the globals that it has anyway */
export function render(template: Statement[], names: Iterable<readonly [string, Value]>): string {
  const root = new Scope(null);
  for (const [name, value] of [...globals(), ...names]) root.set(name, value);
  root.set(
    ' generation',
    new Thing('generation', (_, keywords) => (keywords.get('caller') as Thing).call!([], new Map())),
  );
  const output = new Output();
  run(template, new Scope(root), output);
  return output.text();
}

function run(statements: Statement[], scope: Scope, output: Output): Signal {
  for (const statement of statements) {
    spend(1);
    try {
      const signal = execute(statement, scope, output);
      if (signal) return signal;
    } catch (thrown) {
      // the innermost statement is where it happened
      if (thrown instanceof TemplateError) thrown.line ||= statement.line;
      throw thrown;
    }
  }
  return undefined;
}

/** What a body writes, as a value. */
function captured(body: Statement[], scope: Scope): { written: string; signal: Signal } {
  const output = new Output();
  const signal = nested(() => run(body, scope, output));
  return { written: output.text(), signal };
}

function execute(statement: Statement, scope: Scope, output: Output): Signal {
  switch (statement.kind) {
    case 'text':
      output.write(statement.text);
      return undefined;
    case 'print':
      for (const value of statement.values) output.write(text(evaluate(value, scope)));
      return undefined;
    case 'if': {
      const found = statement.branches.find(([test]) => truthy(evaluate(test, scope)));
      return nested(() => run(found ? found[1] : statement.otherwise, scope, output));
    }
    case 'for':
      return loop(statement, scope, output);
    case 'break':
    case 'continue':
      return statement.kind;
    case 'set': {
      checkTarget(statement.target, scope);
      assign(statement.target, evaluate(statement.value, scope), scope);
      return undefined;
    }
    case 'setBlock': {
      const inner = new Scope(scope);
      const { written, signal } = captured(statement.body, inner);
      if (signal) return signal;
      checkTarget(statement.target, scope);
      assign(statement.target, statement.filter ? filtered(statement.filter, written, inner) : written, scope);
      return undefined;
    }
    case 'with': {
      const inner = new Scope(scope);
      // the values see the names around, not each other
      for (const [target, value] of statement.pairs) assign(target, evaluate(value, scope), inner);
      return nested(() => run(statement.body, inner, output));
    }
    case 'filter': {
      const inner = new Scope(scope);
      const { written, signal } = captured(statement.body, inner);
      if (!signal) output.write(text(filtered(statement.filter, written, inner)));
      return signal;
    }
    case 'macro':
      scope.set(statement.macro.name, macro(statement.macro, scope));
      return undefined;
    case 'call': {
      const { args, keywords } = evaluateArguments(statement.call.with, scope);
      keywords.set('caller', macro(statement.caller, scope));
      output.write(text(call(evaluate(statement.call.of, scope), args, keywords)));
      return undefined;
    }
    case 'autoescape':
      if (truthy(evaluate(statement.value, scope))) fail('{% autoescape true %} is not supported');
      return nested(() => run(statement.body, new Scope(scope), output));
    case 'block':
      return nested(() => run(statement.body, new Scope(scope), output));
    case 'refused':
      return fail(`{% ${statement.tag} %} is not supported: a chat template is one file`);
  }
}

function checkTarget(target: Target, scope: Scope): void {
  if (target.kind === 'several') for (const each of target.targets) checkTarget(each, scope);
  else if (target.kind === 'attribute' && !(scope.get(target.of) instanceof Namespace)) {
    fail(`'${target.of}' is not a namespace, its attributes cannot be set`);
  }
}

function assign(target: Target, value: Value, scope: Scope): void {
  if (target.kind === 'name') scope.set(target.name, value);
  else if (target.kind === 'attribute') {
    checkName(target.name);
    (scope.get(target.of) as Namespace).attributes.set(target.name, value);
  } else {
    const { targets } = target;
    const values = list(value);
    if (values.length !== targets.length) fail(`${values.length} values do not fit into ${targets.length} names`);
    for (const [i, each] of targets.entries()) assign(each, values[i], scope);
  }
}

// --- loops

type For = Extract<Statement, { kind: 'for' }>;

function loop(statement: For, scope: Scope, output: Output, over = evaluate(statement.over, scope), depth = 0): Signal {
  const again = (items: Value) => {
    const inner = new Output();
    nested(() => loop(statement, scope, inner, items, depth + 1));
    return inner.text();
  };
  const items = new LoopItems(
    statement.test ? chosen(statement, scope, over) : walk(over),
    statement.test ? null : over,
  );
  const state = items.thing(depth, statement.recursive ? again : null);
  let done = false;
  while (items.next()) {
    spend(1);
    const inner = new Scope(scope);
    assign(statement.target, items.current!, inner);
    inner.set('loop', state);
    const signal = nested(() => run(statement.body, inner, output));
    // as Jinja has it: a turn that break or continue cut short does not keep the else away
    done ||= !signal;
    if (signal === 'break') break;
  }
  return done ? undefined : nested(() => run(statement.otherwise, new Scope(scope), output));
}

/** The items for which the loop's own `if` is true, asked when their turn comes. */
function* chosen(statement: For, scope: Scope, over: Value): Generator<Value, undefined> {
  for (const item of walk(over)) {
    const inner = new Scope(scope);
    assign(statement.target, item, inner);
    if (truthy(evaluate(statement.test!, inner))) yield item;
  }
}

/** The items of a loop, one ahead where it asks for the next. */
class LoopItems {
  current: Value | undefined;
  private before: Value | undefined;
  private ahead: Value[] = [];
  /** where in `ahead` the next one stands */
  private taken = 0;
  private index = -1;
  private size: number | null = null;
  private last: Value[] | null = null;

  /** @param sized what has a length, if known */
  constructor(
    private readonly items: Iterator<Value>,
    private readonly sized: Value | null,
  ) {}

  next(): boolean {
    const following = this.peek();
    if (following === undefined) return false;
    this.taken++;
    this.before = this.current;
    this.current = following;
    this.index++;
    return true;
  }

  private peek(): Value | undefined {
    if (this.taken === this.ahead.length) {
      this.ahead = [];
      this.taken = 0;
      const { value, done } = this.items.next();
      if (!done) this.ahead.push(value);
    }
    return this.ahead[this.taken];
  }

  private length(): number {
    if (this.size === null) {
      if (this.sized !== null && typeName(this.sized) !== 'generator') this.size = length(this.sized);
      else {
        this.peek();
        this.ahead = [...this.ahead, ...walkRest(this.items)];
        this.size = this.index + 1 + this.ahead.length - this.taken;
      }
    }
    return this.size;
  }

  thing(depth: number, again: ((items: Value) => string) | null): Thing {
    const attributes = new Map<string, () => Value>(
      Object.entries({
        index: () => BigInt(this.index + 1),
        index0: () => BigInt(this.index),
        revindex: () => BigInt(this.length() - this.index),
        revindex0: () => BigInt(this.length() - this.index - 1),
        first: () => this.index === 0,
        last: () => this.peek() === undefined,
        length: () => BigInt(this.length()),
        depth: () => BigInt(depth + 1),
        depth0: () => BigInt(depth),
        previtem: () => (this.index ? this.before! : new Undefined('there is no previous item')),
        nextitem: () => orElse(this.peek(), () => new Undefined('there is no next item')),
        cycle: () =>
          new Thing('cycle', (args) => (args.length ? args[this.index % args.length] : fail('cycle() needs items'))),
        changed: () =>
          new Thing('changed', (args) => {
            const same = this.last !== null && comparison('==')(this.last, args);
            this.last = args;
            return !same;
          }),
      }),
    );
    const call = (args: Value[], keywords: Keywords) => {
      const [items] = bind('loop', 'iterable', args, keywords);
      return again ? again(items!) : fail("the loop is not marked 'recursive'");
    };
    return new Thing('loop', call, (name) => attributes.get(name)?.());
  }
}

function* walkRest(items: Iterator<Value>): Generator<Value, undefined> {
  for (let { value, done } = items.next(); !done; { value, done } = items.next()) yield value;
}

// --- macros

function macro({ name, parameters, body, uses }: MacroParts, scope: Scope): Thing {
  visit(parameters.length);
  const run = (args: Value[], keywords: Keywords): Value => {
    visit(4 * (parameters.length + keywords.size));
    const inner = new Scope(scope);
    const left = new Map(keywords);
    for (const [i, [parameter, otherwise]] of parameters.entries()) {
      const given = i < args.length ? args[i] : left.get(parameter);
      if (i >= args.length) left.delete(parameter);
      // a default sees the parameters before it
      inner.set(
        parameter,
        orElse(given, () =>
          otherwise
            ? evaluate(otherwise, inner)
            : new Undefined(`the parameter '${parameter}' of ${name} was not given`),
        ),
      );
    }
    if (uses.has('caller'))
      inner.set('caller', left.get('caller') ?? new Undefined(`${name} was called without a body`));
    if (uses.has('caller')) left.delete('caller');
    if (uses.has('kwargs')) inner.set('kwargs', new Dict(left));
    else for (const extra of left.keys()) fail(`${name} does not know the argument '${extra}'`);
    if (uses.has('varargs')) inner.set('varargs', new Tuple(args.slice(parameters.length)));
    else if (args.length > parameters.length)
      fail(`${name} takes ${parameters.length} arguments, ${args.length} were given`);
    return captured(body, inner).written;
  };
  const attributes = new Map<string, Value>([
    ['name', name],
    ['arguments', new Tuple(parameters.map(([parameter]) => parameter))],
    ['caller', uses.has('caller')],
    ['catch_kwargs', uses.has('kwargs')],
    ['catch_varargs', uses.has('varargs')],
  ]);
  return new Thing(`Macro '${name}'`, run, (attribute) => attributes.get(attribute));
}

// --- expressions
