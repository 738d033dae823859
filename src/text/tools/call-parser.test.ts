import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FunctionTool } from '../../protocol';
import { CALL_FORMS, type CallForm, callForm, GENERIC_FORM } from './call-forms';
import { parseCalls } from './test/parse-calls';
import { type WrittenCall, writeCalls } from './write-calls';

const tool = (name: string, properties: Record<string, unknown>): FunctionTool => ({
  type: 'function',
  function: { name, parameters: { type: 'object', properties } },
});
const TOOLS = [
  tool('sky', {
    town: { type: 'string' },
    days: { type: 'integer' },
    exact: { type: 'boolean' },
    kinds: { type: 'array' },
    at: { anyOf: [{ type: 'number' }, { type: 'null' }] },
  }),
  tool('now', {}),
];
const form = (name: string): CallForm => CALL_FORMS.find((one) => one.name.includes(name))!;
const [HERMES, CODER, MISTRAL, LIST, LLAMA, GLM] = [
  'Hermes',
  'Coder',
  'name before',
  'Mistral, a list',
  'Llama',
  'GLM',
].map(form);

/** What a form makes of a text, which has to be the same in one piece, in letters, and in every two pieces. */
function read(form: CallForm, text: string) {
  const whole = parseCalls(form, TOOLS, [text]);
  const { pieces, ...same } = whole;
  expect(same.lost).toBe(false);
  for (let at = 0; at <= text.length; at++) {
    expect(parseCalls(form, TOOLS, [text.slice(0, at), text.slice(at)])).toMatchObject(same);
  }
  expect(parseCalls(form, TOOLS, [...text])).toMatchObject(same);
  return { text: whole.text, calls: whole.calls.map((call) => [call.name, call.arguments]), whole };
}
const sky = (given: object) => ['sky', given];

describe('calls', () => {
  it.each<[string, CallForm, string, string, unknown[]]>([
    [
      'Hermes, after words',
      HERMES,
      'I look.\n\n<tool_call>\n{"name": "sky", "arguments": {"town": "Bern"}}\n</tool_call>',
      'I look.',
      [sky({ town: 'Bern' })],
    ],
    [
      'the arguments first',
      HERMES,
      '<tool_call>{"arguments": {"days": 2}, "name": "sky"}</tool_call>',
      '',
      [sky({ days: 2 })],
    ],
    [
      'arguments in a text',
      HERMES,
      '<tool_call>{"name": "sky", "arguments": "{\\"days\\": 2}"}</tool_call>',
      '',
      [sky({ days: 2 })],
    ],
    ['no arguments', HERMES, '<tool_call>{"name": "now"}</tool_call>', '', [['now', {}]]],
    ['arguments that are null', HERMES, '<tool_call>{"name": "now", "arguments": null}</tool_call>', '', [['now', {}]]],
    [
      'a list in one mark',
      HERMES,
      '<tool_call>[{"name": "now"}, {"name": "sky", "arguments": {}}]</tool_call>',
      '',
      [['now', {}], sky({})],
    ],
    ['without the closing mark', HERMES, '<tool_call>{"name": "now", "arguments": {}}', '', [['now', {}]]],
    [
      'words behind it',
      HERMES,
      '<tool_call>{"name": "now", "arguments": {}}</tool_call>\nDone.',
      '\nDone.',
      [['now', {}]],
    ],
    [
      'marks within a text',
      HERMES,
      '<tool_call>{"name": "sky", "arguments": {"town": "</tool_call>{\\"}"}}</tool_call>',
      '',
      [sky({ town: '</tool_call>{"}' })],
    ],
    ["Python's literals", HERMES, `<tool_call>{'name': 'now', 'arguments': {}} </tool_call>`, '', [['now', {}]]],
    [
      'numbers in texts, by the schema',
      LLAMA,
      '{"name": "sky", "parameters": {"days": "10", "town": "3", "exact": "True"}}',
      '',
      [sky({ days: 10, town: '3', exact: true })],
    ],
    [
      'Llama with its own mark, several',
      LLAMA,
      '<|python_tag|>{"type": "function", "name": "now", "parameters": {}}; {"name": "now", "parameters": {}}',
      '',
      [
        ['now', {}],
        ['now', {}],
      ],
    ],
    [
      'raw values, by the schema',
      CODER,
      '<tool_call>\n<function=sky>\n<parameter=town>\nnull\n</parameter>\n<parameter=days>\n2\n</parameter>\n<parameter=exact>\nTrue\n</parameter>\n<parameter=kinds>\n["a"]\n</parameter>\n<parameter=at>\nNone\n</parameter>\n</function>\n</tool_call>',
      '',
      [sky({ town: 'null', days: 2, exact: true, kinds: ['a'], at: null })],
    ],
    [
      'values of several lines',
      CODER,
      '<tool_call>\n<function=sky>\n<parameter=town>\n a\n\n"b"</p\n</parameter>\n</function>\n</tool_call>',
      '',
      [sky({ town: ' a\n\n"b"</p' })],
    ],
    ['without the outer mark', CODER, 'So:\n<function=now>\n</function>', 'So:', [['now', {}]]],
    ['GLM without arguments', GLM, '<tool_call>now</tool_call>', '', [['now', {}]]],
    [
      'a list that ends with words',
      LIST,
      '[TOOL_CALLS] [{"name": "now", "arguments": {}, "id": "a1B2c3D4e"}] and so on',
      'and so on',
      [['now', {}]],
    ],
    ['Mistral without its inner mark', MISTRAL, '[TOOL_CALLS]now{}', '', [['now', {}]]],
    [
      'a generic call',
      GENERIC_FORM,
      '{"tool_call": {"name": "sky", "arguments": {"town": "Bern"}}}',
      '',
      [sky({ town: 'Bern' })],
    ],
    [
      'generic calls',
      GENERIC_FORM,
      '```json\n{"tool_calls": [{"name": "now", "arguments": {}, "id": "1234"}, {"name": "now", "arguments": {}}]}\n```',
      '',
      [
        ['now', {}],
        ['now', {}],
      ],
    ],
    [
      'a generic answer',
      GENERIC_FORM,
      '{"response": "Say \\"é\\u00e9\\ud83d\\ude42\\"\\nnow."}',
      'Say "éé🙂"\nnow.',
      [],
    ],
    ['an answer without a form', GENERIC_FORM, 'It rains.', 'It rains.', []],
  ])('%s', (_, form, text, words, calls) => {
    const got = read(form, text);
    expect(got.calls).toEqual(calls);
    expect(got.text).toBe(words);
    expect(got.whole.calls.some(({ error }) => error !== undefined)).toBe(false);
  });

  it.each<[string, CallForm, string]>([
    ['a mark in words', HERMES, 'Write <tool_call> and </tool_call> around it.'],
    ['a mark before JSON that is no call', HERMES, '<tool_call>{"a": 1}</tool_call>'],
    ['a mark that is cut off', HERMES, 'Well <tool_c'],
    ['JSON that is no call', LLAMA, '{"title": "Bern", "days": [1, 2]}'],
    ['JSON with the name of no tool', LLAMA, '{"name": "Bern", "days": 3}'],
    ['code', CODER, '#include <functional>\n<functor=x>'],
    ['brackets', LLAMA, '[see](https://a.example) {x}'],
    ['a name that is none', MISTRAL, '[TOOL_CALLS]Let me see what there is to be done {}'],
    ['a response that is cut off', GENERIC_FORM, '{"respon'],
  ])('%s stays text', (_, form, text) => {
    const got = read(form, text);
    expect([got.text, got.calls]).toEqual([text, []]);
  });

  it.each<[string, CallForm, string, RegExp]>([
    [
      'arguments that are cut off',
      HERMES,
      '<tool_call>{"name": "sky", "arguments": {"town": "Be',
      /arguments of sky are cut off/,
    ],
    [
      'arguments that are no JSON',
      HERMES,
      '<tool_call>{"name": "sky", "arguments": {town: }}</tool_call>',
      /arguments of sky have "t"/,
    ],
    [
      'arguments that are a list',
      HERMES,
      '<tool_call>{"name": "sky", "arguments": [1]}</tool_call>',
      /arguments of sky are no object/,
    ],
    [
      'values between which is text',
      CODER,
      '<tool_call>\n<function=sky>\nBern\n</function>\n</tool_call>',
      /arguments of sky have text between them/,
    ],
    [
      'a call of no tool',
      HERMES,
      '<tool_call>{"name": "rain", "arguments": {}}</tool_call>',
      /There is no tool rain. There are: sky, now./,
    ],
    [
      'lists without end',
      HERMES,
      `<tool_call>{"name": "sky", "arguments": {"kinds": ${'['.repeat(200)}`,
      /more than 100 levels/,
    ],
    [
      'a number that JSON lacks',
      HERMES,
      '<tool_call>{"name": "sky", "arguments": {"at": 1e999}}</tool_call>',
      /have "1e999" in the place of a value/,
    ],
  ])('%s: the call says so, and its text is kept', (_, form, text, error) => {
    const { whole } = read(form, text);
    expect(whole.calls[0].error).toMatch(error);
    const bare = (text: string) => text.replace(/\s|<.tool_call>/g, '');
    expect(bare(whole.calls[0].text)).toBe(bare(text));
    expect(whole.text).toBe('');
  });

  it('a bad call loses none of its neighbours', () => {
    const good = '<tool_call>{"name": "now", "arguments": {}}</tool_call>';
    const { calls, text } = read(HERMES, `${good}\n<tool_call>{"name": "sky", "arguments": {x}}</tool_call>\n${good}`);
    expect([calls, text]).toEqual([
      [
        ['now', {}],
        ['sky', null],
        ['now', {}],
      ],
      '',
    ]);
  });

  it('grows as it comes', () => {
    const { pieces } = parseCalls(HERMES, TOOLS, [
      'Yes. <tool_call>\n{"na',
      'me": "sky", "argu',
      'ments": {"town": "Be',
      'rn"}}\n</tool_call>',
    ]);
    expect(pieces.map(({ type, text, call }) => [type, text, call?.name, call?.whole?.arguments])).toEqual([
      ['text', 'Yes.', undefined, undefined],
      ['tool-call', '', 'sky', undefined],
      ['tool-call', '{"town":"Be', 'sky', undefined],
      ['tool-call', 'rn"}', 'sky', undefined],
      ['tool-call', '', 'sky', { town: 'Bern' }],
      ['mark', '\n</tool_call>', undefined, undefined],
    ]);
  });

  const words = fc.string({
    unit: fc.constantFrom('a', 'é', '"', "'", '\\', ' ', '{', ']', ',', '🙂', '1'),
    maxLength: 8,
  });
  const given = fc.record(
    {
      town: words,
      days: fc.integer(),
      exact: fc.boolean(),
      kinds: fc.array(words, { maxLength: 3 }),
      at: fc.option(fc.integer()),
    },
    { requiredKeys: [] },
  );
  it.each([...CALL_FORMS, GENERIC_FORM].map((form) => [form.name, form] as const))(
    'of the form %s are read as they are written',
    (_, form) => {
      const call = fc.record({ name: fc.constantFrom('sky', 'now'), arguments: given, id: fc.constant('a1B2c3D4e') });
      fc.assert(
        fc.property(fc.array(call, { minLength: 1, maxLength: form === GENERIC_FORM ? 1 : 3 }), (made) => {
          const calls = made.map(
            ({ name, arguments: args, id }): WrittenCall => ({
              name,
              arguments: name === 'now' ? {} : { ...args },
              id,
            }),
          );
          const text = writeCalls(form, calls);
          const read = parseCalls(form, TOOLS, [text.slice(0, text.length >> 1), text.slice(text.length >> 1)]);
          expect(read.calls.map((call) => [call.name, call.arguments])).toEqual(
            calls.map((call) => [call.name, call.arguments]),
          );
          expect([read.text.trim(), read.lost]).toEqual(['', false]);
        }),
        { numRuns: 60 },
      );
    },
  );

  it('no text is lost or hangs, whatever comes', () => {
    const part = fc.constantFrom(
      '<tool_call>',
      '</tool_call>',
      '{',
      '}',
      '"',
      '[',
      ']',
      '"name":',
      '"sky"',
      '"arguments":',
      ',',
      ' ',
      'a',
      '<function=sky>',
      '<parameter=town>',
      '</parameter>',
      '</function>',
      '[TOOL_CALLS]',
      '[ARGS]',
      '{"tool_call":',
      '"response":',
      '\\',
      'call:sky{',
      '<|"|>',
      '<|tool_call>',
    );
    const texts = fc.array(
      fc.array(part, { maxLength: 4 }).map((parts) => parts.join('')),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(fc.constantFrom(...CALL_FORMS, GENERIC_FORM), texts, (form, texts) => {
        const got = parseCalls(form, TOOLS, texts);
        expect(got.lost).toBe(false);
        const { pieces, ...same } = parseCalls(form, TOOLS, [texts.join('')]);
        expect(got).toMatchObject(same);
      }),
      { numRuns: 1000 },
    );
  });
});

it('a form is known by its marks, the one with more of them first', () => {
  const known = (source: string) => callForm((mark) => source.includes(mark))?.name ?? null;
  expect(known('<tool_call> </tool_call>')).toContain('Hermes');
  expect(known('<tool_call></tool_call><function=x><parameter=y>')).toContain('Coder');
  expect(known('[TOOL_CALLS] [ARGS]')).toContain('name before');
  expect(known('nothing')).toBeNull();
});
