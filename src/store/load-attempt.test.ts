import { expect, it } from 'vitest';
import type { EngineOptions } from '../protocol';
import { createSession } from '../runtime/session';
import { host } from '../runtime/test/tiny';
import type { SourceDescription } from '../sources/source';
import { createMemoryStore, type ModelStore } from './chunk-store';
import { beginAttempt, lastAttempt } from './load-attempt';

const mark = { id: 'a', key: 'm@', bytes: 12_300_000, at: 7 };

it('is known until it ends, for its own model', async () => {
  const store = createMemoryStore();
  const end = await beginAttempt(store, mark);
  expect(await lastAttempt(store, 'other@')).toBeNull();
  const { message, ...numbers } = (await lastAttempt(store, 'm@'))!;
  expect(numbers).toEqual({ id: 'a', bytes: 12_300_000, at: 7 });
  expect(message).toContain('13 MB');
  await end();
  expect(await lastAttempt(store, 'm@')).toBeNull();
});

it('that another one followed leaves that one’s mark', async () => {
  const store = createMemoryStore();
  const end = await beginAttempt(store, mark);
  await beginAttempt(store, { ...mark, id: 'b' });
  await end();
  expect((await lastAttempt(store, 'm@'))?.id).toBe('b');
});

it('in a store that fails is not known, and nothing breaks', async () => {
  const store: ModelStore = createMemoryStore();
  const broken = () => Promise.reject(new Error('gone'));
  store.loading = { get: broken, put: broken, delete: broken };
  await (await beginAttempt(store, mark))();
  expect(await lastAttempt(store, 'm@')).toBeNull();
});

/** Loads with an attempt's name, and looks at the mark when the executor is made. */
async function load(
  store: ModelStore,
  left: string | null = null,
  options: EngineOptions = {},
  source: SourceDescription = { kind: 'http', base: 'http://unused/' },
) {
  const session = createSession(host({ store }));
  const notes = new Set<string | undefined>();
  let during: unknown;
  const put = store.loading.put;
  store.loading.put = async (mark) => {
    during = mark;
    await put(mark);
  };
  const request = { id: 1, source, options, attempt: 'now', left };
  const loaded = session.load(request, { postMessage: ({ note }) => void notes.add(note) });
  const result = await loaded.catch((error) => error);
  return { result, notes: [...notes].filter(Boolean).join(), during, session };
}

it('is marked before anything is allocated, with what is planned, and ends with the load, good or bad', async () => {
  const store = createMemoryStore();
  const { during, notes, session } = await load(store);
  const { peak } = await session.memory();
  expect(during).toMatchObject({ id: 'now', key: 'tiny@', bytes: expect.any(Number) });
  expect((during as { bytes: number }).bytes).toBeGreaterThan(0.5 * peak);
  expect(notes).not.toContain('without a word');
  expect(await store.loading.get()).toBeUndefined();

  const failed = await load(store, null, { tune: 'nonsense', backend: 'cpu' });
  expect(failed.result).toMatchObject({ code: 'invalid-option' });
  expect(failed.during).toBeTruthy();
  expect(await store.loading.get()).toBeUndefined();
});

it('is marked for files on this device too, of which nothing is kept; with storage off nothing is written', async () => {
  const store = createMemoryStore();
  const files: SourceDescription = { kind: 'files', name: 'tiny', files: [] };
  await store.loading.put({ ...mark, key: 'tiny@' });
  const { during, notes, session } = await load(store, null, {}, files);
  expect(during).toMatchObject({ id: 'now', key: 'tiny@' });
  expect(notes).toContain('ended without a word');
  expect([await store.loading.get(), await store.ledger.keys(), await store.chunks.keys('')]).toEqual([
    undefined,
    [],
    [],
  ]);
  await session.dispose();
  const off = await load(store, null, { storage: 'none' }, files);
  expect(off.during).toBeUndefined();
  await off.session.dispose();
});

it('that nobody ended is told of by the next load, unless it is known how it ended', async () => {
  const store = createMemoryStore();
  await store.loading.put({ ...mark, key: 'tiny@' });
  expect((await load(store, 'a')).notes).toBe('');
  await store.loading.put({ ...mark, key: 'tiny@' });
  const { notes, session } = await load(store);
  expect(notes).toContain('ended without a word');
  expect(notes).toContain('13 MB');
  await session.dispose();
});
