import { expect, test } from 'vitest';
import { wordsOf } from './words-of';

test('words are those of each language, whatever their case, width and accents', () => {
  expect(wordsOf('Do STOP — café, Ｎｏ!')).toEqual(['do', 'stop', 'cafe', 'no']);
  expect(wordsOf('Größe der Straße')).toEqual(['grosse', 'der', 'strasse']);
  expect(wordsOf('هذا كتاب جديد')).toEqual(['هذا', 'كتاب', 'جديد']);
});

test('a question in Chinese shares words with its text, and so does each of its signs', () => {
  const text = new Set(wordsOf('我们在北京大学学习物理。'));
  for (const word of wordsOf('北京 物理')) expect(text).toContain(word);
  expect(wordsOf('北京')).toEqual(['北京', '北', '京']);
});

test('nothing has no words, and signs are none', () => {
  expect(wordsOf(' …!? \n')).toEqual([]);
});
