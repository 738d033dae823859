/** Response templates of tokenizers, beside what transformers' own parser makes of the same answers. */
import { describe, expect, it } from 'vitest';
import { fixture, readJson } from '../../formats/test/files';
import { createReasoningSplitter } from '../reasoning';
import { responseTemplate } from './response-template';
import { parseCalls } from './test/parse-calls';

interface Parsed {
  content?: string;
  reasoning_content?: string;
  tool_calls?: { function: { name: string; arguments: object } }[] | { function: object }[][];
}
const { responses, tools } = readJson(fixture('tokenizer/tools.json'));
const given = [tools.sky, tools.add];

describe('a response_template', () => {
  it.each<{ name: string; template: object; answers: string[]; parsed: Parsed[] }>(responses)(
    'that has $name is followed',
    ({ template, answers, parsed }) => {
      const { form, fault } = responseTemplate(template);
      expect(fault).toBeNull();
      answers.forEach((answer, i) => {
        const splitter = createReasoningSplitter(form!.reasoning!, false);
        const pieces = [...splitter.push(answer), ...splitter.end()];
        const of = (type: string) => pieces.flatMap((piece) => (piece.type === type ? [piece.text] : [])).join('');
        const { calls, text, lost } = parseCalls(form!.calls!, given, [...of('text')]);
        const want = parsed[i];
        expect(calls.map(({ name, arguments: said }) => ({ function: { name, arguments: said } }))).toMatchObject(
          (want.tool_calls ?? []).flat().map(({ function: called }) => ({ function: called })),
        );
        expect([text.trim(), of('reasoning'), lost]).toEqual([want.content ?? '', want.reasoning_content ?? '', false]);
      });
    },
  );

  const calls = (field: object) => responseTemplate({ start_anchor: 'x', fields: { tool_calls: field } });
  it.each<[string, object | string | number, string]>([
    ['that is none', 'x', 'is no object with fields'],
    ['of a later version', { version: 2, fields: {} }, 'has the version 2'],
  ])('%s is said not to be followed', (_, template, why) => {
    expect(responseTemplate(template)).toEqual({
      form: null,
      fault: `The tokenizer's response_template is not followed: it ${why}.`,
    });
  });
  it.each<[string, object, string]>([
    [
      'a pattern that looks ahead',
      { open_pattern: '(?=<call>)', content: 'json', transform: { function: '{content}' } },
      'has the pattern',
    ],
    ['no opening mark', { content: 'json', transform: { function: '{content}' } }, 'without an opening mark'],
    [
      'lines',
      { open: '<call>', content: 'kv-lines', transform: { function: '{content}' } },
      'has calls that are "kv-lines"',
    ],
    ['no transform', { open: '<call>', content: 'json' }, 'has a transform of another shape'],
    [
      'a pattern without end',
      { open_pattern: `(${'('.repeat(9999)}`, content: 'json', transform: { function: '{content}' } },
      'has the pattern',
    ],
  ])('with %s neither', (_, field, why) => {
    expect(calls(field)).toMatchObject({ form: null, fault: expect.stringContaining(why) });
  });

  it('is not needed', () => {
    expect(responseTemplate(undefined)).toEqual({ form: null, fault: null });
  });
});
