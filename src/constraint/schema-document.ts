/** A JSON Schema as it was given: its parts by their places, what references lead to, and that all of it is known. */
import { NibbleError } from '../errors';
import { isObject, type Json } from '../formats/json';

export type SchemaObject = { readonly [keyword: string]: Json };
export type Schema = boolean | SchemaObject;

const OPTION = 'schema';
/** Schemas in one another. */
const MAX_DEPTH = 200;

/** Keywords that hold a schema, a list of schemas, or schemas by name. */
const ONE = ['additionalProperties', 'propertyNames', 'items', 'not', 'if', 'then', 'else', 'contains'];
const LIST = ['prefixItems', 'anyOf', 'oneOf', 'allOf'];
const NAMED = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'];
/** Numbers, whole ones, and what they may be. */
const NUMBERS = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'];
const COUNTS = ['minLength', 'maxLength', 'minItems', 'maxItems', 'minProperties', 'maxProperties'];
const OTHERS = ['type', 'enum', 'const', 'required', 'pattern', 'format', '$ref', 'dependentRequired', 'uniqueItems'];
/** They say nothing about what is valid. */
const NOTES = [
  '$schema',
  '$id',
  '$anchor',
  '$comment',
  '$vocabulary',
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
  'contentEncoding',
  'contentMediaType',
  'contentSchema',
];
const KNOWN = new Set([...ONE, ...LIST, ...NAMED, ...NUMBERS, ...COUNTS, ...OTHERS, ...NOTES]);
const TYPES = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object'];

export const own = <T>(of: { readonly [name: string]: T }, name: string): T | undefined =>
  Object.hasOwn(of, name) ? of[name] : undefined;

/** @param path a JSON Pointer, as `#/properties/name` */
export function refuse(path: string, says: string): NibbleError {
  return new NibbleError('invalid-option', `The schema cannot be followed at ${path}: ${says}`, {
    option: OPTION,
    path,
  });
}

export class SchemaDocument {
  readonly root: Schema;
  readonly #paths = new Map<object, string>();
  readonly #anchors = new Map<string, Schema>();
  readonly #id: string;

  /** @throws invalid-option, with the place, for what is no schema and for a keyword that is not known */
  constructor(given: unknown) {
    if (typeof given !== 'boolean' && !isObject(given)) throw refuse('#', 'a schema is an object, or true or false.');
    this.root = given;
    this.#id = isObject(given) && typeof given.$id === 'string' ? given.$id : '';
    this.#read(given, '#', 0);
  }

  pathOf(schema: Schema): string {
    return (isObject(schema) && this.#paths.get(schema)) || '#';
  }

  /** What `$ref` of a schema leads to. @throws invalid-option */
  target(schema: SchemaObject): Schema {
    const ref = schema.$ref as string;
    const path = this.pathOf(schema);
    const local = this.#id && ref.startsWith(this.#id) ? ref.slice(this.#id.length) || '#' : ref;
    if (!local.startsWith('#')) throw refuse(path, `$ref "${ref}" leads out of it. Put what it means under $defs.`);
    const anchor = this.#anchors.get(local.slice(1));
    if (anchor !== undefined) return anchor;
    let at: unknown = this.root;
    for (const part of local.slice(1).split('/').slice(1)) {
      let name = part.replaceAll('~1', '/').replaceAll('~0', '~');
      try {
        name = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
      } catch {
        // no address: as it is written
      }
      at = Array.isArray(at) ? at[Number(name)] : isObject(at) ? own(at, name) : undefined;
    }
    if (typeof at === 'boolean') return at;
    if (!isObject(at) || (local.length > 1 && !local.startsWith('#/')))
      throw refuse(path, `$ref "${ref}" leads to nothing that is there.`);
    if (!this.#paths.has(at)) this.#read(at, local, 0);
    return at;
  }

  #read(schema: unknown, path: string, depth: number): void {
    if (typeof schema === 'boolean') return;
    if (!isObject(schema)) throw refuse(path, 'a schema is an object, or true or false.');
    if (depth > MAX_DEPTH) throw refuse(path.slice(0, 200), `it nests deeper than ${MAX_DEPTH}.`);
    if (this.#paths.has(schema)) return;
    this.#paths.set(schema, path);
    if (typeof schema.$anchor === 'string') this.#anchors.set(schema.$anchor, schema);
    for (const [keyword, value] of Object.entries(schema)) {
      const at = `${path}/${keyword.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      if (!KNOWN.has(keyword) && !keyword.startsWith('x-'))
        throw refuse(at, `the keyword "${keyword}" is not one that answers can be held to. Leave it out.`);
      if (ONE.includes(keyword)) this.#read(value, at, depth + 1);
      else if (LIST.includes(keyword)) {
        if (!Array.isArray(value) || value.length === 0) throw refuse(at, 'it is a list of schemas, of at least one.');
        for (const [i, part] of value.entries()) this.#read(part, `${at}/${i}`, depth + 1);
      } else if (NAMED.includes(keyword)) {
        if (!isObject(value)) throw refuse(at, 'it is an object of schemas.');
        for (const [name, part] of Object.entries(value))
          this.#read(part, `${at}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`, depth + 1);
      } else checkValue(keyword, value, at);
    }
  }
}

const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every((one) => typeof one === 'string');

/** @throws invalid-option for a value that a keyword cannot have */
function checkValue(keyword: string, value: Json, at: string): void {
  const must = (holds: boolean, says: string) => {
    if (!holds) throw refuse(at, `it is ${says}.`);
  };
  if (NUMBERS.includes(keyword)) must(typeof value === 'number' && Number.isFinite(value), 'a number');
  if (keyword === 'multipleOf') must((value as number) > 0, 'a number above 0');
  if (COUNTS.includes(keyword)) must(Number.isInteger(value) && (value as number) >= 0, 'a whole number from 0');
  if (keyword === 'type')
    must(
      (Array.isArray(value) ? value : [value]).every((type) => TYPES.includes(type as string)),
      `one or some of ${TYPES.join(', ')}`,
    );
  if (keyword === 'enum') must(Array.isArray(value), 'a list of values');
  if (keyword === 'required') must(isTexts(value), 'a list of names');
  if (keyword === 'dependentRequired') must(isObject(value) && Object.values(value).every(isTexts), 'lists of names');
  if (['pattern', 'format', '$ref', '$anchor'].includes(keyword)) must(typeof value === 'string', 'a text');
  if (keyword === 'uniqueItems') must(typeof value === 'boolean', 'true or false');
}
