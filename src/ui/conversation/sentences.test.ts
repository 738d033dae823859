/** What is spoken of an answer. */
import { expect, test } from 'vitest';
import { Sentences, sentencesOf, spokenText } from './sentences';

test('without marks, and code by a word', () => {
  const text =
    '# Title\n\n**Bold** and `x`: [a link](https://a.b).\n\n```js\nlet a = 1;\n```\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |';
  expect(spokenText(text, 'Code.')).toBe('Title\n\nBold and x : a link.\n\nCode.\n\none\ntwo\n\na b\n\n1 2');
  expect(spokenText('Before\n```\nopen', 'Code.')).toBe('Before\n\nCode.');
});

test('by sentences, in other scripts, too', () => {
  expect(sentencesOf('One. Two! Three?', 'en')).toEqual(['One.', 'Two!', 'Three?']);
  expect(sentencesOf('你好。再见。', 'zh')).toEqual(['你好。', '再见。']);
});

test('each once, when it has its end; the rest when nothing comes after it', () => {
  const sentences = new Sentences();
  const told: string[] = [];
  const text = 'It costs 3.5 dollars. That is little. And more';
  for (let end = 1; end <= text.length; end++) told.push(sentences.next(text.slice(0, end), 'en', 'Code.'));
  expect(told.filter(Boolean)).toEqual(['It costs 3.5 dollars.', 'That is little.']);
  expect(sentences.next(text, 'en', 'Code.', true)).toBe('And more');
  expect(sentences.next(text, 'en', 'Code.', true)).toBe('');
});
