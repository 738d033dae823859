import { expect, it } from 'vitest';
import { fixture, readJson } from '../formats/test/files';
import type { Piece } from '../text/reasoning';
import { createTokenizer } from '../text/tokenizer';
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
