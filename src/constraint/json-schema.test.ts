import Ajv from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import { describe, expect, it } from 'vitest';
import { refusal } from '../options/test/refusal';
import { schemaGrammar } from './json-schema';
import { randomOf, SchemaWriter } from './test/random-schemas';
import { randomText, reads, statesOf } from './test/walk';

const ajv = new Ajv({ strict: false });
addFormats(ajv);

const open = (schema: unknown) => statesOf(schemaGrammar(schema));

/** What a schema takes, and what it does not. */
const CASES: [name: string, schema: unknown, takes: string[], refuses: string[]][] = [
  ['true', true, ['null', '{"a": [1, {}]}', '-0.5e+3'], ['', '{"a":1}', '01', 'nul']],
  ['types', { type: ['null', 'integer'] }, ['null', '-12', '0'], ['1.5', '"a"', '-0', 'true']],
  ['an enum', { enum: [1, 'a"b', null, [1, 2]] }, ['1', '"a\\"b"', 'null', '[1, 2]'], ['2', '[1,2]', '"a"']],
  ['a const within bounds', { const: 3, maximum: 4 }, ['3'], ['4']],
  [
    'properties in their order, those that must',
    { properties: { b: { type: 'null' }, a: { type: 'boolean' } }, required: ['a'], type: 'object' },
    ['{"a": true}', '{"b": null, "a": false}'],
    ['{}', '{"a": true, "b": null}', '{"b": null}', '{"c": 1, "a": true}'],
  ],
  [
    'other properties',
    { type: 'object', properties: { a: {} }, additionalProperties: { type: 'null' } },
    ['{"a": 1}', '{"x": null}', '{"a": 1, "b": null, "aa": null}'],
    ['{"a": 1, "a": null}', '{"\\u0061": null}', '{"x": 1}'],
  ],
  ['any object', { type: 'object' }, ['{}', '{"x": [], "y": {}}'], ['[]', '{"x"}']],
  [
    'counts of properties',
    { type: 'object', properties: { a: {}, b: {}, c: {} }, minProperties: 2, maxProperties: 2 },
    ['{"a": 1, "c": 1}'],
    ['{"a": 1}', '{"a": 1, "b": 1, "c": 1}'],
  ],
  [
    'names by pattern',
    { type: 'object', patternProperties: { '^x': { type: 'null' } }, additionalProperties: false },
    ['{}', '{"xa": null}'],
    ['{"a": null}', '{"x": 1}'],
  ],
  [
    'names',
    { type: 'object', propertyNames: { maxLength: 2 }, additionalProperties: true },
    ['{"ab": 1}'],
    ['{"abc": 1}'],
  ],
  [
    'a tuple',
    {
      type: 'array',
      prefixItems: [{ type: 'null' }, { type: 'boolean' }],
      items: { const: 1 },
      minItems: 1,
      maxItems: 3,
    },
    ['[null]', '[null, true]', '[null, true, 1]'],
    ['[]', '[true]', '[null, true, 2]', '[null, true, 1, 1]'],
  ],
  [
    'lengths',
    { type: 'string', minLength: 2, maxLength: 3 },
    ['"ab"', '"äöü"', '"\\n😀"'],
    ['"a"', '"abcd"', '"\\ud83d"'],
  ],
  ['a pattern anywhere', { type: 'string', pattern: 'b+c' }, ['"abbcd"', '"bc"'], ['"ac"', '"b"']],
  ['a pattern and lengths', { type: 'string', pattern: '^a', maxLength: 2 }, ['"a"', '"ab"'], ['"abc"', '"ba"']],
  ['bounds', { type: 'integer', exclusiveMinimum: -3, maximum: 120 }, ['-2', '0', '99', '120'], ['-3', '121', '007']],
  [
    'bounds with places',
    { type: 'number', minimum: 0.5, exclusiveMaximum: 2 },
    ['0.5', '1', '1.999'],
    ['0.49', '2', '2.0'],
  ],
  ['multiples', { type: 'integer', multipleOf: 7, minimum: 10 }, ['14', '700'], ['7', '15']],
  ['multiples with places', { type: 'number', multipleOf: 0.25 }, ['1', '0.25', '-3.50'], ['0.3', '1.1']],
  ['anyOf', { anyOf: [{ type: 'null' }, { minimum: 5, type: 'integer' }] }, ['null', '5'], ['4']],
  [
    'oneOf whose branches overlap',
    {
      oneOf: [
        { type: 'integer', minimum: 0 },
        { type: 'integer', maximum: 10 },
      ],
    },
    ['11', '-1'],
    ['0', '10'],
  ],
  [
    'allOf with refs',
    {
      allOf: [{ $ref: '#/$defs/a' }, { properties: { b: { type: 'null' } } }],
      $defs: { a: { type: 'object', required: ['b'] } },
    },
    ['{"b": null}'],
    ['{}', '{"b": 1}'],
  ],
  [
    'a tree',
    {
      $ref: '#/$defs/n',
      $defs: { n: { type: 'object', properties: { n: { $ref: '#/$defs/n' } }, additionalProperties: false } },
    },
    ['{}', '{"n": {"n": {}}}'],
    ['{"m": {}}'],
  ],
  ['not', { type: 'string', not: { enum: ['a', 'b'] } }, ['"c"', '"ab"'], ['"a"', '"b"']],
  [
    'if, then, else',
    {
      type: 'object',
      properties: { k: { enum: [1, 2] }, v: {} },
      required: ['k'],
      if: { properties: { k: { const: 1 } } },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
      then: { required: ['v'] },
    },
    ['{"k": 1, "v": 0}', '{"k": 2}'],
    ['{"k": 1}'],
  ],
];

describe('a JSON Schema', () => {
  it.each(CASES)('%s', (_, schema, takes, refuses) => {
    const states = open(schema);
    for (const text of takes) expect([text, reads(states, text)]).toEqual([text, true]);
    for (const text of refuses) expect([text, reads(states, text) === true]).toEqual([text, false]);
    const validate = ajv.compile(schema as object | boolean);
    for (const text of takes) expect([text, validate(JSON.parse(text))]).toEqual([text, true]);
  });

  it('of any kind has only valid texts', () => {
    const writer = new SchemaWriter(3);
    const random = randomOf(4);
    for (let n = 0; n < 40; n++) {
      const schema = writer.next();
      const validate = ajv.compile(schema);
      const states = open(schema);
      for (const free of [10, 60, 200]) {
        const text = randomText(states, random, free);
        expect([JSON.stringify(schema), text, validate(JSON.parse(text))]).toEqual([
          JSON.stringify(schema),
          text,
          true,
        ]);
      }
    }
  });

  it.each<[string, unknown, string, RegExp]>([
    ['that is none', 3, '#', /an object, or true or false/],
    ['with an unknown keyword', { properties: { a: { madeUp: 1 } } }, '#/properties/a/madeUp', /"madeUp"/],
    ['with what cannot be held to', { type: 'array', uniqueItems: true }, '#/uniqueItems', /cannot be held to/],
    ['with an unknown format', { type: 'string', format: 'color' }, '#/format', /There are: date, time/],
    ['with a broken bound', { minLength: -1 }, '#/minLength', /a whole number from 0/],
    ['with an unknown type', { type: 'int' }, '#/type', /one or some of null/],
    ['that leads elsewhere', { $ref: 'https://a.b/c' }, '#', /leads out of it/],
    ['that leads nowhere', { items: { $ref: '#/$defs/x' }, type: 'array' }, '#/items', /nothing that is there/],
    ['that is itself', { $ref: '#' }, '#', /refers to itself/],
  ])('%s is refused by its place', (_, schema, path, words) => {
    const error = refusal(() => open(schema));
    expect([error.code, error.details.option, error.details.path]).toEqual(['invalid-option', 'schema', path]);
    expect(error.message).toMatch(words);
  });

  it.each<[string, unknown]>([
    ['contradicts itself', { type: 'string', minLength: 5, maxLength: 2 }],
    ['has bounds apart', { type: 'integer', minimum: 5, maximum: 4 }],
    ['has a const of another type', { type: 'string', const: 5 }],
    ['recurses without end', { type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] }],
    ['has patterns apart', { allOf: [{ type: 'string', pattern: '^a' }, { pattern: '^b' }] }],
  ])('that %s allows no answer', (_, schema) => {
    const error = refusal(() => open(schema));
    expect([error.code, error.message]).toEqual([
      'invalid-option',
      expect.stringMatching(/allows no answer that ever ends/),
    ]);
  });

  it('leaves out what would recurse without end', () => {
    const schema = {
      type: 'object',
      properties: { a: { type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] } },
    };
    expect(reads(open({ ...schema, required: [] }), '{}')).toBe(true);
  });

  it.each(['(a+)+$', '(a|a)*b', '^(\\w+\\s?)*$', '(x+x+)+y'])(
    'a pattern that others hang on takes linear work: %s',
    (pattern) => {
      const states = open({ type: 'string', pattern });
      const text = `"${'a'.repeat(2000)}`;
      reads(states, text.slice(0, 1001));
      const half = states.steps;
      reads(states, text);
      expect(states.steps).toBeLessThan(3 * half + 1000);
    },
  );

  it('repeats within repeats that can be read in too many ways are refused', () => {
    const states = open({ type: 'string', pattern: '^((a{1,99}){1,99}){1,99}$' });
    expect(refusal(() => reads(states, `"${'a'.repeat(500)}`)).message).toMatch(/too many ways at once/);
  });
});
