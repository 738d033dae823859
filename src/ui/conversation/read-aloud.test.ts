/** Who reads aloud. */
import { expect, test } from 'vitest';
import { languageOf, localVoice } from './read-aloud';

const voice = (lang: string, localService: boolean, isDefault = false) => ({ lang, localService, default: isDefault });

test('only voices of this device', () => {
  expect(localVoice([], 'en')).toBeNull();
  expect(localVoice([voice('en-US', false, true), voice('de-DE', false)], 'en')).toBeNull();
  const local = voice('en-GB', true);
  expect(localVoice([voice('en-US', false, true), local], 'en-US')).toBe(local);
});

test('one that speaks the language, the very same or the default one, or else any', () => {
  const [us, gb, de] = [voice('en-US', true), voice('en_GB', true, true), voice('de-DE', true)];
  expect(localVoice([us, gb, de], 'en-US')).toBe(us);
  expect(localVoice([us, gb, de], 'en')).toBe(gb);
  expect(localVoice([us, de], 'de')).toBe(de);
  expect(localVoice([us, gb], 'zh')).toBe(gb);
});

test('the language is that of the script, or the page’s', () => {
  expect(languageOf('Bonjour', 'fr')).toBe('fr');
  expect(languageOf('你好', 'en')).toBe('zh');
  expect(languageOf('こんにちは、世界', 'en')).toBe('ja');
  expect(languageOf('مرحبا', 'en')).toBe('ar');
});
