import { Ajv2020 } from 'ajv/dist/2020';
import { describe, expect, it } from 'vitest';
import { CALL_FORMS, GENERIC_FORM } from '../text/tools/call-forms';
import { parseCalls } from '../text/tools/test/parse-calls';
import { callGrammar } from './call-grammar';
import type { Expression, Grammar } from './grammar';

const PARAMETERS = {
  type: 'object',
  properties: {
    town: { type: 'string' },
    days: { type: 'integer', minimum: 1, maximum: 9 },
    exact: { type: 'boolean' },
    kind: { enum: ['rain', 'snow'] },
    at: { type: 'object', properties: { lat: { type: 'number' } }, required: ['lat'], additionalProperties: false },
    list: { type: 'array', items: { type: 'string' }, maxItems: 2 },
  },
  required: ['town', 'kind'],
  additionalProperties: false,
};
const TOOLS = [{ name: 'sky', parameters: PARAMETERS }, { name: 'now' }];
const GIVEN = TOOLS.map((tool) => ({ type: 'function' as const, function: tool }));

/** A generator of numbers below 1 (mulberry32). */
function numbers(seed: number) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A text of the grammar; deep ones end soon. */
function write({ start, rules }: Grammar, random: () => number): string {
  // some alternatives can never be written
  const able = new Set<string>();
  const can = (e: Expression): boolean => {
    if (e.type === 'any') return e.parts.some(can);
    if (e.type === 'all') return e.parts.every(can);
    if (e.type === 'repeat') return e.least === 0 || can(e.part);
    return e.type !== 'rule' || able.has(e.name);
  };
  for (let before = -1; before < able.size; ) {
    before = able.size;
    for (const [name, expression] of rules) if (can(expression)) able.add(name);
  }
  const of = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)];
  let steps = 0;
  const said = (e: Expression): string => {
    steps++;
    switch (e.type) {
      case 'text':
        return e.text;
      case 'token':
        return e.name;
      case 'set': {
        const [from, to] = of(e.set);
        const code = from + Math.floor(random() * Math.min(to - from + 1, 90));
        return String.fromCodePoint(code);
      }
      case 'all':
        return e.parts.map(said).join('');
      case 'any':
        // what is last ends a thought
        return said(steps > 300 ? e.parts.filter(can).at(-1)! : of(e.parts.filter(can)));
      case 'repeat': {
        const times = !can(e.part) ? 0 : Math.min(e.most, e.least + Math.floor(random() * (steps > 300 ? 1 : 4)));
        return Array.from({ length: times }, () => said(e.part)).join('');
      }
      case 'rule':
        return said(rules.get(e.name)!);
    }
  };
  return said(start);
}

describe('a forced call', () => {
  const valid = new Ajv2020().compile(PARAMETERS);

  it.each([...CALL_FORMS, GENERIC_FORM].map((form) => [form.name, form] as const))(
    'of the form %s is a call of a tool, with arguments that are valid',
    (_, form) => {
      const grammar = callGrammar(form, TOOLS);
      const seen = new Set<string>();
      for (let seed = 1; seed <= 40; seed++) {
        const text = write(grammar, numbers(seed));
        const { calls, text: rest } = parseCalls(form, GIVEN, [text]);
        expect([calls.length, rest.trim(), calls[0]?.error, text]).toEqual([1, '', undefined, text]);
        const [{ name, arguments: given }] = calls;
        seen.add(name);
        if (name === 'now') expect(given).toEqual({});
        else expect([valid(given), valid.errors, text]).toEqual([true, null, text]);
      }
      expect([...seen].sort()).toEqual(['now', 'sky']);
    },
  );

  it('may be an answer in the generic form', () => {
    const grammar = callGrammar(GENERIC_FORM, TOOLS, true);
    const kinds = new Set<string>();
    for (let seed = 1; seed <= 60; seed++) {
      const text = write(grammar, numbers(seed));
      const { calls } = parseCalls(GENERIC_FORM, GIVEN, [text]);
      kinds.add(calls.length === 1 ? 'call' : 'answer');
      if (calls.length === 0) expect(parseCalls(GENERIC_FORM, GIVEN, [text]).text).toBe(JSON.parse(text).response);
    }
    expect(kinds).toEqual(new Set(['call', 'answer']));
  });

  it('refuses parameters that it cannot follow', () => {
    const bad = { type: 'object', properties: { a: { $ref: '#/nowhere' } } };
    expect(() => callGrammar(GENERIC_FORM, [{ name: 'a', parameters: bad }])).toThrow(/nowhere/);
  });
});
