/** What a tool's parameters say of an argument's type, for forms that write values without quotes. */

import { isObject } from '../messages';
import { Incoming } from './incoming';
import { readValue } from './literal';

/** The `properties` of each tool's parameters, by its name. */
export type ToolSchemas = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

const typeOf = (value: unknown): string => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value;
};

/** Types that a schema names, those of its alternatives among them; none: any. */
function typesOf(schema: unknown): string[] {
  if (!isObject(schema)) return [];
  const { type, anyOf, oneOf, enum: choices, nullable } = schema;
  if ('const' in schema) return [typeOf(schema.const)];
  if (Array.isArray(choices)) return choices.map(typeOf);
  const named = (Array.isArray(type) ? type : [type]).filter((one): one is string => typeof one === 'string');
  const inner = [anyOf, oneOf].flatMap((list) => (Array.isArray(list) ? list.flatMap(typesOf) : []));
  const types = [...named, ...inner].map((one) => (one === 'integer' ? 'number' : one));
  return nullable && types.length > 0 ? [...types, 'null'] : types;
}

/** Whether what is written for this argument is its text as it stands; so is what no schema speaks of. */
export const isText = (schema: unknown): boolean =>
  schema === undefined || (typesOf(schema).length > 0 && typesOf(schema).every((type) => type === 'string'));

/** A value of JSON or Python, as JSON; null: it is none. */
function literal(text: string): string | null {
  const from = new Incoming();
  from.text = text.trim();
  from.ended = true;
  let json = '';
  try {
    // a word may end with the text
    from.text += ' ';
    readValue(from, (part) => {
      json += part;
    }).next();
  } catch {
    return null;
  }
  return from.text.slice(from.at).trim() === '' ? json : null;
}

/**
 * The text of an argument as JSON, by its schema: a value of JSON or Python where that is allowed, else the text.
 * @param sure it is said to be a value, and no text
 */
export function coerced(text: string, schema: unknown, sure = false): string {
  const types = typesOf(schema);
  const json = literal(text);
  const type = json === null ? '' : typeOf(JSON.parse(json));
  return json !== null && (sure || types.length === 0 || types.includes(type)) ? json : JSON.stringify(text);
}

/** Arguments with what is a text and may be none as what it stands for: "10" where a number is asked for. */
export function settled(given: Record<string, unknown>, schemas: Readonly<Record<string, unknown>> = {}) {
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => {
      const schema = Object.hasOwn(schemas, name) ? schemas[name] : undefined;
      const types = typesOf(schema);
      const asked = typeof value === 'string' && types.length > 0 && !types.includes('string');
      return [name, asked ? JSON.parse(coerced(value, schema)) : value];
    }),
  );
}
