import { describe, expect, test } from 'vitest';
import { threadOf } from '../../ui/conversation/thread';
import { Vocabulary } from '../../ui/words/words';
import { asKept, type Entry, readThread, shortTitle, titleOf } from './conversation';
import { groupsOf } from './groups';

const user = (content: string) => ({ role: 'user' as const, content });
const answer = (content: string) => ({ role: 'assistant' as const, content });

test('a title is the first question, cut at a word where there are words', () => {
  expect(titleOf(threadOf([user('  How do\tI bake bread?\nWith yeast.'), answer('Slowly.')]))).toBe(
    'How do I bake bread?',
  );
  expect(shortTitle('Please explain to me at length how photosynthesis works in plants')).toBe(
    'Please explain to me at length how…',
  );
  expect(shortTitle('光'.repeat(60))).toBe(`${'光'.repeat(48)}…`);
  expect(shortTitle('👩‍🔬'.repeat(60)).endsWith('…')).toBe(true);
  expect(titleOf(threadOf([]))).toBe('');
});

describe('should the page be left now', () => {
  test('an answer that grows is kept as one that is not whole', () => {
    const thread = threadOf([user('Hi'), answer('Hel')]);
    expect(asKept(thread, false)).toBe(thread);
    expect(asKept(thread, true).turns[1].cut).toEqual({ finish: 'aborted', ids: null });
  });

  test('one that has not begun is none', () => {
    const thread = threadOf([user('Hi'), answer('')]);
    expect(asKept(thread, true)).toEqual({ turns: [thread.turns[0]], leaf: thread.turns[0].id });
  });
});

test('of a stored thread what is one is read', () => {
  const thread = threadOf([user('Hi'), answer('Hello')]);
  expect(readThread(structuredClone(thread))).toEqual(thread);
  expect(readThread({ turns: [...thread.turns, { id: 'x' }], leaf: 'x' })).toEqual(thread);
  for (const broken of [null, 'x', {}, { turns: 'x' }]) expect(readThread(broken).turns).toEqual([]);
});

test('the list has pinned ones first, folders, then days and months', () => {
  const now = new Date(2026, 11, 1, 9);
  const at = (year: number, month: number, day: number, hour = 0) => new Date(year, month, day, hour).getTime();
  const entry = (id: string, updated: number, more: Partial<Entry> = {}): Entry => ({
    format: 2,
    id,
    title: id,
    titled: 'auto',
    created: 0,
    updated,
    pinned: false,
    folder: null,
    address: '',
    cache: '',
    cached: false,
    ...more,
  });
  const entries = [
    entry('now', at(2026, 11, 1, 8)),
    entry('pinned', at(2026, 11, 1, 7), { pinned: true, folder: 'B' }),
    entry('late', at(2026, 10, 30, 23)),
    entry('b', at(2026, 10, 29), { folder: 'B' }),
    entry('a', at(2026, 10, 29), { folder: 'A' }),
    entry('week', at(2026, 10, 25)),
    entry('month', at(2026, 10, 2)),
    entry('year', at(2025, 2, 3)),
  ];
  const words = new Vocabulary();
  const groups = groupsOf(entries, words.say, 'en', now).map(({ name, entries: all }) => [
    name,
    ...all.map(({ id }) => id),
  ]);
  expect(groups.map(([, ...ids]) => ids.join())).toEqual(['pinned', 'a', 'b', 'now', 'late', 'week', 'month', 'year']);
  expect(groups.map(([name]) => name).slice(1, 3)).toEqual(['A', 'B']);
  expect(groups.map(([name]) => name).slice(-2)).toEqual(['November 2026', 'March 2025']);
});
