/** Tools as an application gives them: checked, and told apart into what is sent and what stays in the page. */
import { isObject, refuse, shown } from '../options/spec';
import type { FunctionTool, GenerateRequest } from '../protocol';
import type { Tool, ToolChoice } from './answer';
import { plain } from './arguments';

/** Makes a call. */
export type Run = NonNullable<Tool['run']>;

export interface CheckedTools {
  /** as templates are given them, in the order given */
  tools: FunctionTool[];
  /** the functions, by name */
  functions: ReadonlyMap<string, Run>;
}

/** Names that every family can write. */
const NAME = /^[a-zA-Z0-9_.-]{1,64}$/;
const TYPES = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'];

/** What is wrong with a value as JSON Schema, as far as its keywords' kinds go; null: nothing. */
function schemaFault(value: unknown, path: string): string | null {
  if (typeof value === 'boolean') return null;
  if (!isObject(value)) return `${path} is ${shown(value)}`;
  const { type, properties, required, items, enum: choices } = value;
  const types = Array.isArray(type) ? type : [type];
  const other = types.find((one) => one !== undefined && !TYPES.includes(one as string));
  if (other !== undefined) return `${path}.type is ${shown(other)}`;
  if (required !== undefined && !(Array.isArray(required) && required.every((name) => typeof name === 'string'))) {
    return `${path}.required is no list of names`;
  }
  if (choices !== undefined && !Array.isArray(choices)) return `${path}.enum is no list`;
  if (properties !== undefined && !isObject(properties)) return `${path}.properties is ${shown(properties)}`;
  for (const [name, inner] of Object.entries(properties ?? {})) {
    const fault = schemaFault(inner, `${path}.properties.${name}`);
    if (fault) return fault;
  }
  return items === undefined || Array.isArray(items) ? null : schemaFault(items, `${path}.items`);
}

/**
 * @throws invalid-option for tools without a name of their own, with parameters that are no schema of an object, or
 * with a `run` that is no function
 */
export function checkTools(given: readonly unknown[]): CheckedTools {
  const functions = new Map<string, Run>();
  const names = new Set<string>();
  const tools = given.map((tool, place): FunctionTool => {
    if (!isObject(tool)) return refuse('tools', tool, 'a list of objects: { name, description, parameters }');
    const wrapped = isObject(tool.function);
    const own = (wrapped ? tool.function : tool) as Record<string, unknown>;
    const { name, description, parameters } = own;
    const run = tool.run ?? own.run;
    const which = `tools[${place}]`;
    if (typeof name !== 'string' || !NAME.test(name)) {
      return refuse('tools', name, 'up to 64 letters, digits, _, - and .', `${which}.name`);
    }
    if (names.has(name)) return refuse('tools', name, 'a name that no other tool has', `${which}.name`);
    names.add(name);
    if (description !== undefined && typeof description !== 'string') {
      return refuse('tools', description, 'a text', `The description of the tool ${name}`);
    }
    if (parameters !== undefined) {
      const must = "a JSON Schema of an object: { type: 'object', properties: { … }, required: [ … ] }";
      const type = isObject(parameters) ? (parameters.type ?? 'object') : null;
      const fault = schemaFault(parameters, 'parameters');
      const where = fault && isObject(parameters) ? ` (${fault})` : '';
      if (fault || type !== 'object') refuse('tools', parameters, `${must}${where}`, `parameters of the tool ${name}`);
    }
    if (run !== undefined && typeof run !== 'function') {
      return refuse('tools', run, 'a function', `run of the tool ${name}`);
    }
    if (run) functions.set(name, (run as Run).bind(tool.run ? tool : own));
    const { run: _, ...sent } = own;
    return wrapped
      ? { ...tool, type: 'function', function: sent as never }
      : { type: 'function', function: sent as never };
  });
  return { tools: plain('tools', tools), functions };
}

/**
 * What a choice asks of the answer; null: there are no tools.
 * @throws invalid-option for a choice that there is not, or a tool that is none of these
 */
export function checkChoice(
  choice: ToolChoice | undefined = 'auto',
  tools: readonly FunctionTool[],
): NonNullable<GenerateRequest['tools']>['choice'] | null {
  const names = tools.map((tool) => tool.function.name);
  if (choice === 'auto' || choice === 'none') return names.length === 0 ? null : choice;
  const name = isObject(choice) ? choice.name : undefined;
  if (choice !== 'required' && typeof name !== 'string') {
    return refuse('toolChoice', choice, "'auto', 'none', 'required', or { name } of a tool");
  }
  if (names.length === 0) return refuse('toolChoice', choice, "'auto' or 'none' where there are no tools");
  if (choice === 'required') return choice;
  return names.includes(name!)
    ? { name: name! }
    : refuse('toolChoice', name, `one of ${names.join(', ')}`, 'toolChoice.name');
}
