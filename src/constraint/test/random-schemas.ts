/** Schemas drawn by a seed: each keyword that answers can be held to, alone and in combination. */
import type { Json } from '../../formats/json';
import type { Schema, SchemaObject } from '../schema-document';

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const NAMES = ['name', 'age', 'id', 'tags', 'größe', 'a b', 'is"ok', 'next', 'value', 'kind'];
const PATTERNS = [
  '^[a-z]{2,6}$',
  '^\\d{3}-\\d{4}$',
  '[A-Z]',
  '^(foo|bar|bäz)+$',
  '^\\p{Lu}\\w*$',
  '^[^"\\\\]{1,20}$',
  '^(?=.*\\d)[a-f\\d]{4,8}$',
  '^(?!tmp)[a-z]+$',
  '\\bok\\b',
  '^.{0,12}$',
];
const FORMATS = [
  'date',
  'time',
  'date-time',
  'duration',
  'email',
  'hostname',
  'ipv4',
  'ipv6',
  'uri',
  'uuid',
  'json-pointer',
];
const VALUES: Json[] = [null, true, false, 0, -3, 2.5, 'yes', 'nö', '', 'a "q" \\ b', [1, 'x'], { a: 1 }];

/** What a schema is drawn from, and how often each keyword was. */
export class SchemaWriter {
  readonly counts = new Map<string, number>();
  readonly #random: () => number;
  #defs: Record<string, Schema> = {};

  constructor(seed: number) {
    this.#random = randomOf(seed);
  }

  #chance(of: number): boolean {
    return this.#random() < of;
  }

  #int(from: number, to: number): number {
    return from + Math.floor(this.#random() * (to - from + 1));
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#int(0, list.length - 1)];
  }

  #several<T>(list: readonly T[], least: number, most: number): T[] {
    const rest = [...list];
    return Array.from({ length: Math.min(list.length, this.#int(least, most)) }, () =>
      rest.splice(this.#int(0, rest.length - 1), 1),
    ).flat();
  }

  /** A schema, of `depth` objects and lists in one another at most. */
  next(depth = 4): SchemaObject {
    this.#defs = {};
    const schema = { ...this.#schema(depth) };
    if (Object.keys(this.#defs).length) schema.$defs = this.#defs as Json;
    const count = (part: unknown, named: boolean): void => {
      if (typeof part !== 'object' || part === null) return;
      for (const [key, value] of Object.entries(part)) {
        if (!Array.isArray(part) && !named) this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
        if (key === 'type' && !named)
          for (const type of [value].flat())
            this.counts.set(`type ${type}`, (this.counts.get(`type ${type}`) ?? 0) + 1);
        if (['enum', 'const'].includes(key) && !named) continue;
        count(value, !named && ['properties', '$defs'].includes(key));
      }
    };
    count(schema, false);
    return schema;
  }

  #schema(depth: number): Record<string, Json> {
    const kinds = ['string', 'number', 'integer', 'boolean', 'null', 'enum', 'const', 'types'];
    if (depth > 0)
      kinds.push('object', 'object', 'object', 'array', 'array', 'tuple', 'anyOf', 'oneOf', 'allOf', 'ref', 'tree');
    const kind = this.#pick(kinds);
    const sub = () => this.#schema(depth - 1) as Json;
    switch (kind) {
      case 'string':
        return this.#string();
      case 'number':
      case 'integer':
        return this.#number(kind);
      case 'enum':
        return { enum: this.#several(VALUES, 1, 4) };
      case 'const':
        return { const: this.#pick(VALUES) };
      case 'types':
        return { type: this.#several(['null', 'boolean', 'integer', 'string'], 2, 3) };
      case 'object':
        return this.#object(depth);
      case 'array': {
        const least = this.#int(0, 2);
        return {
          type: 'array',
          items: sub(),
          ...(this.#chance(0.5) && { minItems: least }),
          ...(this.#chance(0.7) && { maxItems: least + this.#int(0, 2) }),
        };
      }
      case 'tuple':
        return {
          type: 'array',
          prefixItems: [sub(), sub()],
          items: this.#chance(0.5) ? false : sub(),
          ...(this.#chance(0.5) && { minItems: this.#int(1, 2) }),
          ...(this.#chance(0.5) && { maxItems: this.#int(2, 4) }),
        };
      case 'anyOf':
        return { anyOf: [sub(), sub()] };
      case 'oneOf':
        return { oneOf: this.#branches(depth) };
      case 'allOf':
        return { allOf: this.#both(depth) };
      case 'ref': {
        const name = `d${Object.keys(this.#defs).length}`;
        this.#defs[name] = true;
        this.#defs[name] = sub() as Schema;
        return { $ref: `#/$defs/${name}` };
      }
      case 'tree': {
        const name = `d${Object.keys(this.#defs).length}`;
        this.#defs[name] = true;
        const self = { $ref: `#/$defs/${name}` };
        this.#defs[name] = {
          type: 'object',
          properties: { value: sub(), next: this.#chance(0.5) ? self : { type: 'array', items: self, maxItems: 2 } },
          required: ['value'],
          additionalProperties: false,
        };
        return self;
      }
      default:
        return { type: kind };
    }
  }

  #string(): Record<string, Json> {
    const least = this.#int(0, 4);
    if (this.#chance(0.35)) {
      const pattern = this.#pick(PATTERNS);
      return {
        type: 'string',
        pattern,
        ...(this.#chance(0.4) && { maxLength: 12 }),
        ...(this.#chance(0.3) && { minLength: 4 }),
      };
    }
    if (this.#chance(0.4)) return { type: 'string', format: this.#pick(FORMATS) };
    return {
      type: 'string',
      ...(this.#chance(0.5) && { minLength: least }),
      ...(this.#chance(0.7) && { maxLength: least + this.#int(0, 20) }),
    };
  }

  #number(type: string): Record<string, Json> {
    const least = this.#pick([-100, -2.5, 0, 0.125, 3, 10]);
    return {
      type,
      ...(this.#chance(0.5) && { [this.#chance(0.5) ? 'minimum' : 'exclusiveMinimum']: least }),
      ...(this.#chance(0.5) && { [this.#chance(0.5) ? 'maximum' : 'exclusiveMaximum']: least + this.#int(6, 5000) }),
      ...(this.#chance(0.4) && { multipleOf: this.#pick(type === 'integer' ? [2, 3, 5] : [0.5, 0.25, 3, 0.1]) }),
    };
  }

  #object(depth: number): Record<string, Json> {
    const names = this.#several(NAMES, 1, 4);
    return {
      type: 'object',
      properties: Object.fromEntries(names.map((name) => [name, this.#schema(depth - 1) as Json])),
      ...(this.#chance(0.7) && { required: this.#several(names, 1, names.length) }),
      ...(this.#chance(0.6) && {
        additionalProperties: this.#chance(0.5) ? false : (this.#schema(Math.min(0, depth - 1)) as Json),
      }),
      ...(this.#chance(0.3) && { minProperties: 1 }),
      ...(this.#chance(0.3) && { maxProperties: names.length }),
    };
  }

  /** Branches of which one holds: some that are apart, and some that overlap. */
  #branches(depth: number): Json[] {
    switch (this.#int(0, 4)) {
      case 0:
        return [{ type: 'integer' }, { type: 'string', maxLength: 5 }, this.#object(depth - 1)];
      case 1:
        return [
          { type: 'integer', minimum: 0 },
          { type: 'integer', maximum: 10 },
        ];
      case 2:
        return [
          { type: 'object', properties: { kind: { const: 'a' }, value: this.#schema(depth - 1) }, required: ['kind'] },
          { type: 'object', properties: { kind: { const: 'b' } }, required: ['kind'] },
        ];
      case 3:
        return [
          { type: 'string', minLength: 2, maxLength: 6 },
          { type: 'string', pattern: '^a' },
        ];
      default:
        return [
          { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] },
          { type: 'object', properties: { b: { type: 'integer' } }, required: ['b'] },
        ];
    }
  }

  /** Schemas that hold together. */
  #both(depth: number): Json[] {
    switch (this.#int(0, 3)) {
      case 0:
        return [
          { type: 'object', properties: { a: this.#schema(depth - 1) }, required: ['a'] },
          { type: 'object', properties: { b: this.#schema(depth - 1) } },
        ];
      case 1:
        return [
          { type: 'string', pattern: '^[a-z]+$' },
          { minLength: 2, maxLength: 9 },
        ];
      case 2:
        return [{ type: 'number', minimum: 1 }, { maximum: 50 }, { type: 'integer' }];
      default:
        return [{ type: 'array', items: this.#schema(depth - 1) }, { maxItems: 3 }];
    }
  }
}
