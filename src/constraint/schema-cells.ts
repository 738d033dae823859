/**
 * What several schemas allow together, as alternatives that need no "and" between them: cells, each of one type with
 * its own bounds. Negations (of `not`, `if`, and of the other branches of `oneOf`) become cells, too. A cell may allow
 * less than the schemas do where that cannot be said, never more. It is long because each keyword stands here once,
 * beside what its negation means.
 */
import { isObject, type Json } from '../formats/json';
import { own, refuse, type Schema, type SchemaDocument, type SchemaObject } from './schema-document';
import { FORMATS } from './schema-formats';
import type { Bounds } from './schema-numbers';

/** A schema, or that it is not met. */
export interface Claim {
  schema: Schema;
  holds: boolean;
}

/** What one schema says of an object's properties. */
export interface Fields {
  named: ReadonlyMap<string, readonly Claim[]>;
  patterns: readonly { pattern: string; claims: readonly Claim[] }[];
  others: readonly Claim[];
  /** whether others are written without being asked for */
  offers: boolean;
}

/** What one schema says of a list's items. */
export interface Items {
  first: readonly (readonly Claim[])[];
  rest: readonly Claim[];
}

export type Cell =
  | { type: 'value'; value: Json }
  | { type: 'null' }
  | { type: 'boolean' }
  | ({ type: 'number' } & Bounds)
  | {
      type: 'string';
      least: number;
      most: number;
      patterns: readonly { source: string; search: boolean; holds: boolean }[];
      not: readonly string[];
    }
  | { type: 'array'; least: number; most: number; items: readonly Items[]; unique: boolean; path: string }
  | {
      type: 'object';
      least: number;
      most: number;
      fields: readonly Fields[];
      required: readonly string[];
      forbidden: readonly string[];
      names: readonly Claim[];
    };

type CellOf<T extends Cell['type']> = Extract<Cell, { type: T }>;

/** Cells of one place: more are too many alternatives. */
const MAX_CELLS = 2000;
const ENDLESS = Number.POSITIVE_INFINITY;

const ANYTHING: readonly Cell[] = [
  { type: 'object', least: 0, most: ENDLESS, fields: [], required: [], forbidden: [], names: [] },
  { type: 'array', least: 0, most: ENDLESS, items: [], unique: false, path: '' },
  { type: 'string', least: 0, most: ENDLESS, patterns: [], not: [] },
  {
    type: 'number',
    whole: false,
    least: -ENDLESS,
    above: false,
    most: ENDLESS,
    below: false,
    multiples: [],
    noMultiples: [],
    not: [],
  },
  { type: 'boolean' },
  { type: 'null' },
];

const typeOf = (value: Json): Cell['type'] => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  const type = typeof value;
  return type === 'boolean' || type === 'number' || type === 'string' ? type : 'object';
};

export const equal = (a: Json, b: Json): boolean => {
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((one, i) => equal(one, b[i]));
  if (!isObject(a)) return a === b;
  if (!isObject(b)) return false;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && equal(a[name], b[name]))
  );
};

const yes = (schema: Schema): Claim => ({ schema, holds: true });
const no = (schema: Schema): Claim => ({ schema, holds: false });

/** A pattern as validators read it. */
const matcher = (pattern: string): RegExp => {
  try {
    return new RegExp(pattern, 'u');
  } catch {
    return new RegExp(pattern);
  }
};

export class Cells {
  readonly #given: SchemaDocument;

  constructor(given: SchemaDocument) {
    this.#given = given;
  }

  /** What the claims allow together. @throws invalid-option */
  of(claims: readonly Claim[]): readonly Cell[] {
    let cells: readonly Cell[] = ANYTHING;
    for (const claim of claims) cells = this.#claim(cells, claim, []);
    return cells.filter((cell, i) => {
      if (cell.type !== 'value') return isPossible(cell);
      const first = cells.findIndex((other) => other.type === 'value' && equal(other.value, cell.value));
      return first === i && claims.every(({ schema, holds }) => this.accepts(schema, cell.value) === holds);
    });
  }

  #claim(cells: readonly Cell[], { schema, holds }: Claim, way: readonly Schema[]): readonly Cell[] {
    if (typeof schema === 'boolean') return schema === holds ? cells : [];
    if (cells.length === 0) return cells;
    if (cells.length > MAX_CELLS)
      throw refuse(this.#given.pathOf(schema), `its alternatives are more than ${MAX_CELLS} together.`);
    if (way.includes(schema))
      throw refuse(this.#given.pathOf(schema), 'it refers to itself without an object or a list between.');
    return holds ? this.#met(cells, schema, [...way, schema]) : this.#unmet(cells, schema, [...way, schema]);
  }

  #all(cells: readonly Cell[], claims: readonly Claim[], way: readonly Schema[]): readonly Cell[] {
    return claims.reduce((now, claim) => this.#claim(now, claim, way), cells);
  }

  /** Those parts of a schema that other schemas are made of. */
  #parts(schema: SchemaObject): { all: Schema[]; any: Schema[][]; one: Schema[][] } {
    const all = [...((schema.allOf as Schema[]) ?? [])];
    if (schema.$ref !== undefined) all.push(this.#given.target(schema));
    const any: Schema[][] = schema.anyOf ? [schema.anyOf as Schema[]] : [];
    for (const [name, names] of Object.entries((schema.dependentRequired as Record<string, string[]>) ?? {}))
      any.push([{ not: { required: [name] } }, { required: names }]);
    for (const [name, then] of Object.entries((schema.dependentSchemas as Record<string, Schema>) ?? {}))
      any.push([{ not: { required: [name] } }, then]);
    if (schema.not !== undefined) all.push({ not: schema.not });
    if (schema.if !== undefined) {
      const [condition, then = true, otherwise = true] = [schema.if, schema.then, schema.else] as Schema[];
      any.push([{ allOf: [condition, then] }, { allOf: [{ not: condition }, otherwise] }]);
    }
    return { all, any, one: schema.oneOf ? [schema.oneOf as Schema[]] : [] };
  }

  #met(cells: readonly Cell[], schema: SchemaObject, way: readonly Schema[]): readonly Cell[] {
    let now: readonly Cell[] = cells.flatMap((cell) => this.#own(cell, schema));
    // a schema of nothing but `not` is not itself again
    if (schema.not !== undefined && Object.keys(schema).length === 1)
      return this.#claim(now, no(schema.not as Schema), way);
    const { all, any, one } = this.#parts(schema);
    now = this.#all(now, all.map(yes), way);
    for (const branches of any) now = branches.flatMap((branch) => this.#claim(now, yes(branch), way));
    for (const branches of one) {
      const before = now;
      now = branches.flatMap((branch, i) => {
        const others = branches.filter((_, j) => j !== i);
        return this.#all(this.#claim(before, yes(branch), way), others.map(no), way);
      });
    }
    return now;
  }

  /** One of its keywords is not met. */
  #unmet(cells: readonly Cell[], schema: SchemaObject, way: readonly Schema[]): readonly Cell[] {
    const out: Cell[] = cells.flatMap((cell) => (cell.type === 'value' ? [cell] : this.#ownUnmet(cell, schema)));
    const open = cells.filter(({ type }) => type !== 'value');
    if (schema.not !== undefined && Object.keys(schema).length === 1)
      return [...out, ...this.#claim(open, yes(schema.not as Schema), way)];
    const { all, any, one } = this.#parts(schema);
    for (const part of all) out.push(...this.#claim(open, no(part), way));
    for (const branches of any) out.push(...this.#all(open, branches.map(no), way));
    for (const branches of one) {
      out.push(...this.#all(open, branches.map(no), way));
      for (let i = 0; i < branches.length; i++)
        for (let j = i + 1; j < branches.length; j++)
          out.push(...this.#all(open, [yes(branches[i]), yes(branches[j])], way));
    }
    return out;
  }

  /** A cell within what a schema says itself. */
  #own(cell: Cell, schema: SchemaObject): Cell[] {
    // they are looked at whole in the end
    if (cell.type === 'value') return [cell];
    const types = schema.type === undefined ? null : [schema.type].flat();
    if (types && !types.includes(cell.type) && !(cell.type === 'number' && types.includes('integer'))) return [];
    const whole = cell.type === 'number' && types !== null && !types.includes('number');
    const listed = schema.const !== undefined ? [schema.const] : (schema.enum as Json[] | undefined);
    if (listed)
      return listed.filter((value) => typeOf(value) === cell.type).map((value): Cell => ({ type: 'value', value }));
    switch (cell.type) {
      case 'number':
        return [number({ ...cell, whole: cell.whole || whole }, schema)];
      case 'string': {
        const patterns = [...cell.patterns];
        if (typeof schema.pattern === 'string') patterns.push({ source: schema.pattern, search: true, holds: true });
        if (typeof schema.format === 'string') patterns.push(this.#format(schema));
        return [{ ...cell, ...counts(cell, schema.minLength, schema.maxLength), patterns }];
      }
      case 'array': {
        if (schema.contains !== undefined)
          throw refuse(`${this.#given.pathOf(schema)}/contains`, 'that some item is of a kind cannot be held to.');
        const says = schema.prefixItems !== undefined || schema.items !== undefined;
        const items: Items = {
          first: ((schema.prefixItems as Schema[]) ?? []).map((item) => [yes(item)]),
          rest: schema.items === undefined ? [] : [yes(schema.items as Schema)],
        };
        return [
          {
            ...cell,
            ...counts(cell, schema.minItems, schema.maxItems),
            items: says ? [...cell.items, items] : cell.items,
            unique: cell.unique || schema.uniqueItems === true,
            path: cell.path || this.#given.pathOf(schema),
          },
        ];
      }
      case 'object': {
        const says = ['properties', 'patternProperties', 'additionalProperties'].some(
          (name) => schema[name] !== undefined,
        );
        return [
          {
            ...cell,
            ...counts(cell, schema.minProperties, schema.maxProperties),
            fields: says ? [...cell.fields, fieldsOf(schema)] : cell.fields,
            required: [...new Set([...cell.required, ...((schema.required as string[]) ?? [])])],
            names:
              schema.propertyNames === undefined ? cell.names : [...cell.names, yes(schema.propertyNames as Schema)],
          },
        ];
      }
      default:
        return [cell];
    }
  }

  #format(schema: SchemaObject) {
    const name = schema.format as string;
    const source = own(FORMATS, name);
    if (source === undefined)
      throw refuse(
        `${this.#given.pathOf(schema)}/format`,
        `the format "${name}" is not known. There are: ${Object.keys(FORMATS).join(', ')}. Give a pattern in its place.`,
      );
    return { source, search: false, holds: true };
  }

  /** A cell outside what a schema says itself: for each keyword, those that do not meet it. */
  #ownUnmet(cell: Exclude<Cell, { type: 'value' }>, schema: SchemaObject): Cell[] {
    const out: Cell[] = [];
    if (schema.type !== undefined) {
      const types = [schema.type].flat();
      if (cell.type === 'number' && types.includes('integer') && !types.includes('number')) {
        if (!cell.whole) out.push({ ...cell, noMultiples: [...cell.noMultiples, 1] });
      } else if (!types.includes(cell.type)) out.push(cell);
    }
    const listed = schema.const !== undefined ? [schema.const] : (schema.enum as Json[] | undefined);
    if (listed) {
      const same = listed.filter((value) => typeOf(value) === cell.type);
      if (cell.type === 'boolean')
        for (const value of [true, false]) {
          if (!same.includes(value)) out.push({ type: 'value', value });
        }
      else if (cell.type === 'number') out.push({ ...cell, not: [...cell.not, ...(same as number[])] });
      else if (cell.type === 'string') out.push({ ...cell, not: [...cell.not, ...(same as string[])] });
      else if (same.length === 0) out.push(cell);
    }
    const is = (name: string) => schema[name] as number;
    const says = (name: string) => schema[name] !== undefined;
    switch (cell.type) {
      case 'number':
        if (says('minimum')) out.push(number(cell, { exclusiveMaximum: is('minimum') }));
        if (says('exclusiveMinimum')) out.push(number(cell, { maximum: is('exclusiveMinimum') }));
        if (says('maximum')) out.push(number(cell, { exclusiveMinimum: is('maximum') }));
        if (says('exclusiveMaximum')) out.push(number(cell, { minimum: is('exclusiveMaximum') }));
        if (Number.isInteger(is('multipleOf')))
          out.push({ ...cell, noMultiples: [...cell.noMultiples, is('multipleOf')] });
        break;
      case 'string':
        if (is('minLength') > 0) out.push({ ...cell, ...counts(cell, undefined, is('minLength') - 1) });
        if (says('maxLength')) out.push({ ...cell, ...counts(cell, is('maxLength') + 1, undefined) });
        if (says('pattern')) {
          const pattern = { source: schema.pattern as string, search: true, holds: false };
          out.push({ ...cell, patterns: [...cell.patterns, pattern] });
        }
        break;
      case 'array': {
        if (is('minItems') > 0) out.push({ ...cell, ...counts(cell, undefined, is('minItems') - 1) });
        if (says('maxItems')) out.push({ ...cell, ...counts(cell, is('maxItems') + 1, undefined) });
        const first = (schema.prefixItems as Schema[]) ?? [];
        const broken = says('items') ? [...first, schema.items as Schema] : first;
        // the first item that can be is the one that is not met
        broken.forEach((item, i) => {
          const items: Items = { first: [...Array.from({ length: i }, () => []), [no(item)]], rest: [] };
          out.push({ ...cell, ...counts(cell, i + 1, undefined), items: [...cell.items, items] });
        });
        break;
      }
      case 'object': {
        if (is('minProperties') > 0) out.push({ ...cell, ...counts(cell, undefined, is('minProperties') - 1) });
        if (says('maxProperties')) out.push({ ...cell, ...counts(cell, is('maxProperties') + 1, undefined) });
        for (const name of (schema.required as string[]) ?? [])
          if (!cell.required.includes(name)) out.push({ ...cell, forbidden: [...cell.forbidden, name] });
        const with_ = (name: string, claim: Claim): Cell => ({
          ...cell,
          required: [...new Set([...cell.required, name])],
          fields: [...cell.fields, { named: new Map([[name, [claim]]]), patterns: [], others: [], offers: false }],
        });
        const named = (schema.properties as Record<string, Schema>) ?? {};
        for (const [name, property] of Object.entries(named)) out.push(with_(name, no(property)));
        if (says('additionalProperties')) {
          const known = new Set(cell.fields.flatMap((fields) => [...fields.named.keys()]));
          for (const name of [...known, ...cell.required])
            if (!Object.hasOwn(named, name)) out.push(with_(name, no(schema.additionalProperties as Schema)));
        }
        break;
      }
    }
    return out;
  }

  /** Whether a value is valid. */
  accepts(schema: Schema, value: Json): boolean {
    if (typeof schema === 'boolean') return schema;
    const type = typeOf(value);
    const types = schema.type === undefined ? null : [schema.type].flat();
    if (types && !types.includes(type) && !(Number.isInteger(value) && types.includes('integer'))) return false;
    if (schema.const !== undefined && !equal(schema.const, value)) return false;
    if (schema.enum !== undefined && !(schema.enum as Json[]).some((one) => equal(one, value))) return false;
    const { all, any, one } = this.#parts(schema);
    const isNot = schema.not !== undefined && Object.keys(schema).length === 1;
    if (isNot) return !this.accepts(schema.not as Schema, value);
    if (!all.every((part) => this.accepts(part, value))) return false;
    if (!any.every((parts) => parts.some((part) => this.accepts(part, value)))) return false;
    if (!one.every((parts) => parts.filter((part) => this.accepts(part, value)).length === 1)) return false;
    const within = (size: number, least: Json | undefined, most: Json | undefined) =>
      !(size < ((least as number) ?? 0)) && !(size > ((most as number) ?? ENDLESS));
    if (typeof value === 'number') {
      const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema as Record<string, number>;
      if (!within(value, minimum ?? -ENDLESS, maximum)) return false;
      if (exclusiveMinimum !== undefined && value <= exclusiveMinimum) return false;
      if (exclusiveMaximum !== undefined && value >= exclusiveMaximum) return false;
      return multipleOf === undefined || Number.isInteger(value / multipleOf);
    }
    if (typeof value === 'string') {
      if (!within([...value].length, schema.minLength, schema.maxLength)) return false;
      if (schema.format !== undefined && !new RegExp(`^(?:${this.#format(schema).source})$`, 'u').test(value))
        return false;
      return schema.pattern === undefined || matcher(schema.pattern as string).test(value);
    }
    if (Array.isArray(value)) {
      const first = (schema.prefixItems as Schema[]) ?? [];
      if (!within(value.length, schema.minItems, schema.maxItems)) return false;
      if (schema.uniqueItems === true && value.some((a, i) => value.slice(0, i).some((b) => equal(a, b)))) return false;
      return value.every((item, i) => this.accepts(first[i] ?? (schema.items as Schema) ?? true, item));
    }
    if (isObject(value)) {
      const names = Object.keys(value);
      if (!within(names.length, schema.minProperties, schema.maxProperties)) return false;
      if (!((schema.required as string[]) ?? []).every((name) => Object.hasOwn(value, name))) return false;
      const fields = fieldsOf(schema);
      return names.every(
        (name) =>
          this.accepts((schema.propertyNames as Schema) ?? true, name) &&
          claimsOf(fields, name).every((claim) => this.accepts(claim.schema, value[name]) === claim.holds),
      );
    }
    return true;
  }
}

function fieldsOf(schema: SchemaObject): Fields {
  const named = Object.entries((schema.properties as Record<string, Schema>) ?? {});
  const patterns = Object.entries((schema.patternProperties as Record<string, Schema>) ?? {});
  const others = schema.additionalProperties as Schema | undefined;
  return {
    named: new Map(named.map(([name, property]) => [name, [yes(property)]])),
    patterns: patterns.map(([pattern, property]) => ({ pattern, claims: [yes(property)] })),
    others: others === undefined ? [] : [yes(others)],
    offers: others !== undefined,
  };
}

/** What is said of a property of that name. */
export function claimsOf({ named, patterns, others }: Fields, name: string): readonly Claim[] {
  const matching = patterns.filter(({ pattern }) => matcher(pattern).test(name));
  const own = named.get(name);
  if (!own && matching.length === 0) return others;
  return [...(own ?? []), ...matching.flatMap(({ claims }) => claims)];
}

function counts(cell: { least: number; most: number }, least: Json | undefined, most: Json | undefined) {
  return {
    least: Math.max(cell.least, (least as number) ?? 0),
    most: Math.min(cell.most, (most as number) ?? ENDLESS),
  };
}

function number(cell: CellOf<'number'>, schema: SchemaObject): CellOf<'number'> {
  let { least, above, most, below, multiples } = cell;
  const from = (value: Json | undefined, strict: boolean) => {
    if (typeof value !== 'number' || value < least || (value === least && (above || !strict))) return;
    [least, above] = [value, strict];
  };
  const to = (value: Json | undefined, strict: boolean) => {
    if (typeof value !== 'number' || value > most || (value === most && (below || !strict))) return;
    [most, below] = [value, strict];
  };
  from(schema.minimum, false);
  from(schema.exclusiveMinimum, true);
  to(schema.maximum, false);
  to(schema.exclusiveMaximum, true);
  if (typeof schema.multipleOf === 'number') multiples = [...new Set([...multiples, schema.multipleOf])];
  return { ...cell, least, above, most, below, multiples };
}

/** Whether a cell has anything, as far as its numbers tell. */
function isPossible(cell: Cell): boolean {
  switch (cell.type) {
    case 'number':
      return cell.least < cell.most || (cell.least === cell.most && !cell.above && !cell.below);
    case 'object':
      return (
        cell.least <= cell.most &&
        cell.required.length <= cell.most &&
        !cell.required.some((name) => cell.forbidden.includes(name))
      );
    case 'string':
    case 'array':
      return cell.least <= cell.most;
    default:
      return true;
  }
}
