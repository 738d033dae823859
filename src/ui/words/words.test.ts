import { expect, test, vi } from 'vitest';
import { EN } from './en';
import { EN_CONVERSATIONS } from './en-conversations';
import { EN_MESSAGES } from './en-messages';
import { EN_MODELS } from './en-models';
import { EN_SETTINGS } from './en-settings';
import { EN_WIDGET } from './en-widget';
import { chooseLanguage } from './languages';
import { type Plural, Vocabulary } from './words';

test('says a phrase, with what is put in, as the language writes numbers', () => {
  const words = new Vocabulary();
  expect(words.say('send')).toBe('Send');
  const changed = vi.fn();
  words.addEventListener('change', changed);
  words.speak('de', { send: '{count} von {name} senden', stop: { one: '{count} Halt', other: '{count} Halte' } });
  expect(changed).toHaveBeenCalledTimes(1);
  expect(words.say('send', { count: 1234.5, name: '{x}' })).toBe('1.234,5 von {x} senden');
  expect(words.say('send')).toBe('{count} von {name} senden');
  expect([1, 2].map((count) => words.say('stop', { count }))).toEqual(['1 Halt', '2 Halte']);
  expect(words.say('close')).toBe('Close');
});

test('a plural is chosen by the rules of the language', () => {
  const words = new Vocabulary();
  words.speak('ar', { send: { zero: 'z', one: 'o', two: 't', few: 'f', many: 'm', other: 'x' } });
  expect([0, 1, 2, 3, 11, 100].map((count) => words.say('send', { count })).join('')).toBe('zotfmx');
  expect([words.direction, new Vocabulary().direction]).toEqual(['rtl', 'ltr']);
});

test('every phrase of English is one', () => {
  const all: Record<string, string | Plural> = {
    ...EN,
    ...EN_CONVERSATIONS,
    ...EN_MESSAGES,
    ...EN_MODELS,
    ...EN_SETTINGS,
    ...EN_WIDGET,
  };
  for (const [name, phrase] of Object.entries(all)) {
    expect(typeof phrase === 'string' ? phrase : phrase.other, name).not.toBe('');
  }
});

test('the language is the first that the browser asks for and the page speaks', () => {
  expect(chooseLanguage(['pt-BR', 'de-AT', 'fr'])).toBe('de');
  expect([
    chooseLanguage(['zh-Hant-TW']),
    chooseLanguage([]),
    chooseLanguage(['toString', '']),
    chooseLanguage(['AR']),
  ]).toEqual(['zh', 'en', 'en', 'ar']);
});
