import { beforeEach, expect, test, vi } from 'vitest';
import { deletePrompt, promptName, promptsFor, savedPrompts, savePrompt } from './saved-prompts';

let kept: Map<string, string>;
beforeEach(() => {
  kept = new Map();
  vi.stubGlobal('document', { baseURI: 'https://page.example/' });
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  });
});

const names = () => savedPrompts().map(({ name }) => name);

test('a prompt is saved, found by its name, changed, deleted, and brought back', () => {
  expect(savePrompt('/Sum up', 'Sum this up:')).toBeNull();
  expect(savePrompt('translate', 'Translate into German:')).toBeNull();
  expect(savePrompt('summary', 'In one sentence:')).toBeNull();
  expect(names()).toEqual(['summary', 'translate', 'Sum-up']);
  expect(promptsFor('/sum').map(({ name }) => name)).toEqual(['summary', 'Sum-up']);
  expect(promptsFor('/SLA')).toEqual([{ name: 'translate', text: 'Translate into German:' }]);
  expect(promptsFor('/')).toHaveLength(3);
  expect([promptsFor('sum'), promptsFor('/sum this'), promptsFor('/sum\n'), promptsFor('/none')].flat()).toEqual([]);
  expect(savePrompt('brief', 'Sum this up briefly:', 'Sum-up')).toBeNull();
  expect(names()).toEqual(['brief', 'summary', 'translate']);
  const undo = deletePrompt('summary');
  expect(names()).toEqual(['brief', 'translate']);
  undo();
  expect(names()).toEqual(['brief', 'summary', 'translate']);
  for (const name of names()) deletePrompt(name);
  expect([...kept]).toEqual([]);
});

test('what cannot be one is refused, with the reason', () => {
  expect(savePrompt(' / ', 'text')).toBe('promptNeedsName');
  expect(savePrompt('name', ' \n')).toBe('promptNeedsText');
  expect(savePrompt('name', 'x'.repeat(20_001))).toBe('promptTooLong');
  for (let i = 0; i < 200; i++) savePrompt(`p${i}`, 'x');
  expect(savePrompt('more', 'x')).toBe('promptsFull');
  expect(savePrompt('p7', 'changed')).toBeNull();
  vi.stubGlobal('localStorage', {
    getItem: () => null,
    setItem() {
      throw new DOMException('full', 'QuotaExceededError');
    },
  });
  expect(savePrompt('name', 'text')).toBe('promptNotKept');
});

test('names are one word, of any script', () => {
  expect(['//a  b', '总结', ' x ', 'é', 'y'.repeat(50)].map(promptName)).toEqual([
    'a-b',
    '总结',
    'x',
    'é',
    'y'.repeat(40),
  ]);
});

test('what is kept may be anything', () => {
  for (const value of ['', '{', 'null', '7', '[7, null, {"name":"a b","text":""}, {"name":"a"}]']) {
    kept.set('nibble-prompts /', value);
    expect(savedPrompts()).toEqual([]);
  }
});
