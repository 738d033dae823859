import { expect, it } from 'vitest';
import { fixture, readJson } from '../formats/test/files';
import type { Piece } from '../text/reasoning';
import { createTokenizer } from '../text/tokenizer';
import { callForm } from '../text/tools/call-forms';
import { createTextStream } from './text-stream';

const json = readJson(fixture('tiny-llama-128/bf16/tokenizer.json'));
/** The tiny tokenizer, with marks of reasoning that are tokens, special or not, or with none. */
function withMarks(special: boolean | null) {
  const marks = ['<think>', '</think>'].map((content, i) => ({ id: 300 + i, content, special, normalized: false }));
  return createTokenizer({ ...json, added_tokens: [...json.added_tokens, ...(special === null ? [] : marks)] }, {});
}

function told(special: boolean | null, answer: string, stops: string[] = [], begun = false) {
  const tokenizer = withMarks(special);
  const stream = createTextStream(tokenizer, stops, {
    reasoning: { open: '<think>', close: '</think>' },
    calls: null,
    begun,
  });
  const pieces: Piece[] = [];
  let stopped = false;
  for (const id of tokenizer.encode(answer, { special: true, bos: false })) {
    const now = stream.push(id);
    pieces.push(...now.pieces);
    stopped = now.stopped;
    if (stopped) break;
  }
  if (!stopped) pieces.push(...stream.end());
  const of = (...types: Piece['type'][]) =>
    pieces.flatMap(({ type, text }) => (types.includes(type) ? [text] : [])).join('');
  return { reasoning: of('reasoning'), text: of('text'), raw: of('reasoning', 'text', 'mark'), stopped };
}

it.each([null, false, true])('reasoning comes apart, with marks that are special tokens: %s', (special) => {
  const answer = '<think>\nWell, é.\n</think>\n\nParis.';
  expect(told(special, answer)).toEqual({ reasoning: 'Well, é.', text: 'Paris.', raw: answer, stopped: false });
  expect(told(special, 'Well</think>', [], true)).toMatchObject({ reasoning: 'Well', text: '' });
});

it('special tokens in the answer stay out of its text', () => {
  expect(told(true, '<think>a</think>b<think>c')).toMatchObject({ reasoning: 'a', text: 'bc' });
  expect(told(true, 'b<think>c')).toMatchObject({ reasoning: '', text: 'bc' });
  expect(told(false, 'b<think>c')).toMatchObject({ reasoning: '', text: 'b<think>c' });
});

it('stop strings end the answer, not what is thought before it', () => {
  const answer = '<think>\none. two\n\n</think>\n\none. two. three';
  expect(told(null, answer, ['two', '\n\n'])).toEqual({
    reasoning: 'one. two',
    text: 'one. ',
    raw: '<think>\none. two\n\n</think>\n\none. ',
    stopped: true,
  });
  expect(told(null, '<think>a</think>b tw', ['two'])).toMatchObject({ text: 'b tw', stopped: false });
});

it.each([false, true])('calls come apart behind a thought, with marks that are special tokens: %s', (special) => {
  const names = ['<think>', '</think>', '<tool_call>', '</tool_call>'];
  const marks = names.map((content, i) => ({ id: 300 + i, content, special, normalized: false }));
  const tokenizer = createTokenizer({ ...json, added_tokens: [...json.added_tokens, ...marks] }, {});
  const form = {
    reasoning: { open: '<think>', close: '</think>' },
    calls: callForm((mark) => names.includes(mark)),
    begun: false,
  };
  const callable = { tools: { a: { b: { type: 'string' } } }, idOf: (index: number) => `c${index}` };
  const stream = createTextStream(tokenizer, ['so on'], form, callable);
  const answer =
    '<think>\nA <tool_call>?\n</think>\n\nYes. <tool_call>\n{"name": "a", "arguments": {"b": "so on"}}\n</tool_call>';
  const ids = tokenizer.encode(answer, { special: true, bos: false });
  const pieces = [...ids.flatMap((id) => stream.push(id).pieces), ...stream.end()];
  const of = (kind: Piece['type']) => pieces.flatMap(({ type, text }) => (type === kind ? [text] : [])).join('');
  expect([of('reasoning'), of('text'), of('tool-call')]).toEqual(['A <tool_call>?', 'Yes.', '{"b":"so on"}']);
  expect(pieces.map(({ raw, text }) => raw ?? text).join('')).toBe(answer);
  expect(stream.calls).toMatchObject([{ id: 'c0', name: 'a', arguments: { b: 'so on' } }]);
});
