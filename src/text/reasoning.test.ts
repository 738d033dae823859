import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createReasoningSplitter, type Piece } from './reasoning';

const THINK = { open: '<think>', close: '</think>' };

function split(pieces: readonly string[], begun = false) {
  const splitter = createReasoningSplitter(THINK, begun);
  const out: Piece[] = [...pieces.flatMap((text) => splitter.push(text)), ...splitter.end()];
  const of = (type: Piece['type']) => out.flatMap((piece) => (piece.type === type ? [piece.text] : [])).join('');
  return { reasoning: of('reasoning'), text: of('text'), all: out.map(({ text }) => text).join('') };
}

describe('reasoning', () => {
  it.each<[string, string, boolean, string, string]>([
    ['an answer without any', 'Paris.', false, '', 'Paris.'],
    ['Qwen 3', '<think>\nWell, France.\n</think>\n\nParis.', false, 'Well, France.', 'Paris.'],
    [
      'opened by the prompt, as for DeepSeek R1',
      'Well,\n\nFrance.\n</think>\n\nParis.',
      true,
      'Well,\n\nFrance.',
      'Paris.',
    ],
    ['opened by the prompt, and by the model again', '<think>\nWell.</think>Paris.', true, 'Well.', 'Paris.'],
    ['an empty block', '<think>\n\n</think>\n\nParis.', false, '', 'Paris.'],
    ['an empty block that the prompt opened', '</think>Paris.', true, '', 'Paris.'],
    ['GLM, after a line end', '\n<think>Well.</think>\nParis.', false, 'Well.', 'Paris.'],
    ['on one line', '<think> Well. </think> Paris.', false, 'Well.', 'Paris.'],
    ['an answer that begins with indented code', '<think>a</think>\n\n    x = 1\n', false, 'a', '    x = 1\n'],
    ['cut off inside', '<think>\nWell, Fra', false, 'Well, Fra', ''],
    ['cut off in the closing mark', '<think>Well</thi', false, 'Well</thi', ''],
    ['cut off in the opening mark', '<thin', false, '', '<thin'],
    ['cut off after it', '<think>Well.</think>\n', false, 'Well.', ''],
    ['nothing at all', '', true, '', ''],
    ['marks that the answer writes later', 'Write <think> a </think> b.', false, '', 'Write <think> a </think> b.'],
    ['marks in the answer after it', '<think>a</think>b<think>c</think>', false, 'a', 'b<think>c</think>'],
    ['an opening mark that is thought about', '<think>a <think> b</think>c', false, 'a <think> b', 'c'],
    ['white space before an answer without any', '\n\n Paris', false, '', '\n\n Paris'],
  ])('%s', (_, answer, begun, reasoning, text) => {
    for (const pieces of [[answer], [...answer]]) {
      expect(split(pieces, begun)).toEqual({ reasoning, text, all: answer });
    }
  });

  it('is the same wherever the pieces are cut, and nothing is lost', () => {
    const word = fc.constantFrom('<think>', '</think>', '\n', ' ', 'a', '<', '</thi', 'think>', '  b\n');
    const cuts = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), cuts, fc.boolean(), (words, sizes, begun) => {
        const answer = words.join('');
        const pieces: string[] = [];
        for (let at = 0, i = 0; at < answer.length; at += sizes[i++ % sizes.length])
          pieces.push(answer.slice(at, at + sizes[i % sizes.length]));
        const whole = split([answer], begun);
        expect(whole.all).toBe(answer);
        expect(split(pieces, begun)).toEqual(whole);
      }),
      { numRuns: 500 },
    );
  });

  it('ends where a call begins that may not be thought, wherever the pieces are cut', () => {
    const answer = '<think>\nI call <tool_call> now.\n<tool_call>\n<function=a>';
    for (let at = 0; at <= answer.length; at++) {
      const splitter = createReasoningSplitter(THINK, false, ['<tool_call>\n<function=']);
      const pieces = [...splitter.push(answer.slice(0, at)), ...splitter.push(answer.slice(at)), ...splitter.end()];
      const of = (kind: Piece['type']) => pieces.flatMap(({ type, text }) => (type === kind ? [text] : [])).join('');
      expect([of('reasoning'), of('text')]).toEqual(['I call <tool_call> now.', '<tool_call>\n<function=a>']);
    }
  });

  it('says what is certain at once', () => {
    const splitter = createReasoningSplitter(THINK, false);
    expect(splitter.push('<think>\nWell, ')).toEqual([
      { type: 'mark', text: '<think>' },
      { type: 'mark', text: '\n' },
      { type: 'reasoning', text: 'Well,' },
    ]);
    expect(splitter.push('yes</th')).toEqual([{ type: 'reasoning', text: ' yes' }]);
    expect(splitter.push('ink>\n')).toEqual([{ type: 'mark', text: '</think>' }]);
    expect(splitter.answering).toBe(false);
    expect(splitter.push('Pa')).toEqual([
      { type: 'mark', text: '\n' },
      { type: 'text', text: 'Pa' },
    ]);
    expect(splitter.answering).toBe(true);
  });
});
