import { beforeEach, expect, test, vi } from 'vitest';
import { PREFERENCES_KEY, Preferences } from './preferences';

const stored = new Map<string, string>();
const listeners: (() => void)[] = [];

beforeEach(() => {
  stored.clear();
  listeners.length = 0;
  vi.stubGlobal('document', { baseURI: 'https://example.org/chat/' });
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => stored.set(key, value),
    removeItem: (key: string) => stored.delete(key),
  });
  vi.stubGlobal('addEventListener', (_: string, listener: () => void) => listeners.push(listener));
});

const KEY = `${PREFERENCES_KEY} /chat/`;

test('what is set is there at the next visit, and what is a default again is forgotten', () => {
  const preferences = new Preferences();
  const changed = vi.fn();
  preferences.addEventListener('change', changed);
  preferences.set('theme', 'dark');
  preferences.set('conversation', { temperature: 0.5, thinking: false });
  expect(changed).toHaveBeenCalledTimes(2);
  const again = new Preferences();
  expect([again.get('theme'), again.get('textSize'), again.get('conversation')]).toEqual([
    'dark',
    'normal',
    { temperature: 0.5, thinking: false },
  ]);
  preferences.set('theme', 'system');
  preferences.set('conversation', {});
  expect(stored.get(KEY)).toBeUndefined();
});

test('follows another tab, and says so once', () => {
  const preferences = new Preferences();
  const changed = vi.fn();
  preferences.addEventListener('change', changed);
  stored.set(KEY, '{"textSize":"large"}');
  for (const listener of listeners) listener();
  for (const listener of listeners) listener();
  expect([preferences.get('textSize'), changed.mock.calls.length]).toEqual(['large', 1]);
});

test.each([
  'null',
  '[]',
  '{',
  '"dark"',
  '{"theme":"pink","textSize":7,"language":["de"],"conversation":"none"}',
  '{"conversation":{"temperature":"hot","topP":2,"seed":1.5,"overflow":"explode","thinking":1,"system":9,"__proto__":{"minP":1}}}',
])('nonsense in the store, %s, counts for nothing', (text) => {
  stored.set(KEY, text);
  const preferences = new Preferences();
  expect([
    preferences.get('theme'),
    preferences.get('textSize'),
    preferences.get('language'),
    preferences.get('conversation'),
  ]).toEqual(['system', 'normal', '', {}]);
});
