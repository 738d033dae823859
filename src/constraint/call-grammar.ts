/**
 * A call of a tool as a grammar, in the form that a model's family writes it: its marks, the names of the tools, and
 * arguments by their schemas. What a form has no quotes for is any text up to the mark behind it.
 */
import { type CallForm, marksOf } from '../text/tools/call-forms';
import { all, any, type Expression, type Grammar, optional, rule, text, token } from './grammar';
import { schemaGrammar } from './json-schema';
import { string } from './json-text';
import { thoughtGrammar } from './thought';

export interface CallableTool {
  name: string;
  /** JSON Schema of the arguments; absent: it takes none */
  parameters?: Readonly<Record<string, unknown>>;
}

type Schema = Readonly<Record<string, unknown>>;

const NO_ARGUMENTS: Schema = { type: 'object', additionalProperties: false };

/**
 * One call of one of these tools; of none, an answer in the generic form.
 * @param orAnswer an answer in the generic form will do, too
 * @throws invalid-option, with the place, for parameters that cannot be followed
 */
export function callGrammar(form: CallForm, tools: readonly CallableTool[], orAnswer = false): Grammar {
  const rules = new Map<string, Expression>();
  let names = 0;
  /** A grammar's own rules under names that are nobody else's. */
  const adopt = ({ start, rules: own }: Grammar): Expression => {
    const prefix = `${names++} `;
    const renamed = (of: Expression): Expression => {
      if (of.type === 'rule') return rule(prefix + of.name);
      if (of.type === 'repeat') return { ...of, part: renamed(of.part) };
      return 'parts' in of ? { ...of, parts: of.parts.map(renamed) } : of;
    };
    for (const [name, expression] of own) rules.set(prefix + name, renamed(expression));
    return renamed(start);
  };
  const json = (schema: unknown) => adopt(schemaGrammar(schema));
  const upTo = (mark: string) => adopt(thoughtGrammar(mark));

  const marks = marksOf(form);
  /** A text in which marks may be control tokens. */
  const marked = (written: string): Expression => {
    const parts: Expression[] = [];
    let rest = written;
    while (rest) {
      const here = marks.filter((mark) => rest.startsWith(mark)).sort((a, b) => b.length - a.length)[0];
      if (here) parts.push(token(here));
      else parts.push(text(rest[0]));
      rest = rest.slice(here?.length ?? 1);
    }
    return all(...parts);
  };

  const argumentsOf = ({ parameters }: CallableTool) => {
    const properties = Object.entries(Object(parameters?.properties) as Record<string, unknown>);
    const required: unknown[] = Array.isArray(parameters?.required) ? parameters.required : [];
    return properties.map(([name, schema]) => ({ name, schema, must: required.includes(name) }));
  };
  /** Members in their order, those that may be left out or not. */
  const members = (
    tool: CallableTool,
    separator: string,
    written: (name: string, schema: unknown) => Expression,
  ): Expression => {
    const list = argumentsOf(tool).map((one) => ({ ...one, expression: written(one.name, one.schema) }));
    const rest = (at: number, some: boolean): Expression => {
      if (at === list.length) return text('');
      const { must, expression } = list[at];
      const here = all(some ? text(separator) : text(''), expression, rest(at + 1, true));
      return must ? here : any(here, rest(at + 1, some));
    };
    return rest(0, false);
  };
  const isString = (schema: unknown) => {
    const { type, enum: choices, const: only, pattern } = Object(schema) as Schema;
    return type === 'string' && choices === undefined && only === undefined && pattern === undefined;
  };
  /** A value as it stands, which its mark ends; texts of an enumeration are themselves. */
  const bare = (schema: unknown, end: string): Expression => {
    if (isString(schema)) return upTo(end);
    const choices: unknown = (Object(schema) as Schema).enum;
    if (Array.isArray(choices) && choices.every((one) => typeof one === 'string')) {
      return all(any(...choices.map((one: string) => text(one))), marked(end));
    }
    return all(json(schema), marked(end));
  };

  const called = (tool: CallableTool): Expression => {
    const { name, parameters = NO_ARGUMENTS } = tool;
    const { payload } = form;
    const quoted = text(JSON.stringify(name));
    switch (payload.kind) {
      case 'json':
        if (payload.named) return all('{', quoted, ': ', json(parameters), '}');
        return all(`{"${payload.name}": `, quoted, `, "${payload.arguments}": `, json(parameters), '}');
      case 'named': {
        const before = marked(payload.before(name));
        const [quote] = payload.dialect?.quotes ?? [];
        if (payload.opens === '(') {
          return all(
            before,
            '(',
            members(tool, ', ', (key, schema) => all(`${key}=`, json(schema))),
            ')',
          );
        }
        if (quote === undefined) return all(before, json(parameters));
        const value = (schema: unknown) => (isString(schema) ? all(token(quote), upTo(quote)) : json(schema));
        return all(
          before,
          '{',
          members(tool, ',', (key, schema) => all(`${key}:`, value(schema))),
          '}',
        );
      }
      case 'tags': {
        const [open, nameEnd, close] = payload.call;
        const [keyOpen, keyEnd, valueOpen, valueClose] = payload.argument;
        const framed = keyEnd === '>' ? '\n' : '';
        const one = ({ name: key, schema, must }: ReturnType<typeof argumentsOf>[number]) => {
          const between = valueOpen === '<arg_value>' ? `\n${valueOpen}` : valueOpen;
          const head = marked(`${keyOpen}${key}${keyEnd}${between}${framed}`);
          const member = all(head, bare(schema, framed + valueClose), '\n');
          return must ? member : optional(member);
        };
        return all(marked(`${open}${name}${nameEnd}\n`), ...argumentsOf(tool).map(one), marked(close));
      }
    }
  };

  const { open, close, around: [before, after] = ['', ''], payload } = form;
  const own = payload.kind === 'tags' && open[0] === payload.call[0];
  const framed = payload.kind === 'tags' && payload.call[0] === '<function=' ? '\n' : '';
  const call = all(
    own ? text('') : marked(open[0]),
    marked(before + framed),
    any(...tools.map(called)),
    marked(framed + after),
    marked(close),
  );
  const answer = all('{"response": ', string(), '}');
  if (tools.length === 0) return { start: answer, rules };
  return { start: orAnswer ? any(call, answer) : call, rules };
}
