/** Every language says everything, with what English puts in, in the forms that its numbers have. */
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { AR } from './ar';
import { DE } from './de';
import type { Phrase } from './en';
import { ES } from './es';
import { FR } from './fr';
import { LANGUAGES } from './languages';
import { ZH } from './zh';

/** en.ts, and what comes with its elements: en-settings.ts and the like. */
const FILES = readdirSync('src/ui/words').filter((name) => /^en(-\w+)?\.ts$/.test(name));
const PARTS: Record<string, Phrase>[] = await Promise.all(
  FILES.map(async (name) => Object.values<Record<string, Phrase>>(await import(`./${name.slice(0, -3)}.ts`))[0]),
);
const ENGLISH = Object.assign({}, ...PARTS) as Record<string, Phrase>;
const OTHERS: Record<string, Record<string, Phrase>> = { zh: ZH, es: ES, de: DE, fr: FR, ar: AR };

const formsOf = (phrase: Phrase) => (typeof phrase === 'string' ? { other: phrase } : phrase);
const namesIn = (text: string) => [...new Set([...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name))].sort();

test('there is a file for each language that can be chosen, and no phrase of English stands in two of its files', () => {
  expect(Object.keys(OTHERS)).toEqual(Object.keys(LANGUAGES).filter((language) => language !== 'en'));
  const names = PARTS.flatMap((part) => Object.keys(part));
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});

test('no phrase is empty', () => {
  for (const words of [ENGLISH, ...Object.values(OTHERS)]) {
    for (const [name, phrase] of Object.entries(words))
      for (const text of Object.values(formsOf(phrase))) expect(text.trim(), name).not.toBe('');
  }
});

describe.each(Object.entries(OTHERS))('%s', (language, words) => {
  test('has every phrase, and none that nobody says', () => {
    expect(Object.keys(ENGLISH).filter((name) => !(name in words))).toEqual([]);
    expect(Object.keys(words).filter((name) => !(name in ENGLISH))).toEqual([]);
  });

  test('puts in what English does', () => {
    for (const [name, phrase] of Object.entries(words)) {
      if (!(name in ENGLISH)) continue;
      const english = namesIn(formsOf(ENGLISH[name]).other);
      for (const [category, text] of Object.entries(formsOf(phrase))) {
        const unsaid = category === 'other' ? [] : ['count'];
        expect(
          namesIn(text).filter((put) => !unsaid.includes(put)),
          `${name}, ${category}`,
        ).toEqual(english.filter((put) => !unsaid.includes(put)));
      }
    }
  });

  test('has the forms of its own numbers, where English has forms', () => {
    const { pluralCategories } = new Intl.PluralRules(language).resolvedOptions();
    // "many" of Spanish and French is for millions
    const needed = pluralCategories.filter((category) => language === 'ar' || category !== 'many');
    for (const [name, phrase] of Object.entries(words)) {
      if (typeof ENGLISH[name] !== 'object') continue;
      const forms = Object.keys(formsOf(phrase));
      expect(
        needed.filter((category) => !forms.includes(category)),
        name,
      ).toEqual([]);
      expect(
        forms.filter((category) => !pluralCategories.includes(category as Intl.LDMLPluralRule)),
        name,
      ).toEqual([]);
    }
  });
});
