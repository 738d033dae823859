/** What other tabs do with the databases: each is another connection to them. */
import { get, promisifyRequest, set } from 'idb-keyval';
import { afterEach, expect, it } from 'vitest';
import { type Chunk, openModelStore } from '../store/chunk-store';
import { database } from './database';
import type { Alarm } from './within';

const NAMES = ['test-held-chunks', 'test-held-models', 'test-held-loading', 'test-held-saved'];
const others: IDBDatabase[] = [];
const done = (request: IDBOpenDBRequest) =>
  new Promise<IDBDatabase>((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
const chunk: Chunk = { sha256: 'a'.repeat(64), bytes: new Uint8Array([1, 2, 3]) };
/** time passes at once */
const alarm: Alarm = (_, ring) => {
  const timer = setTimeout(ring, 20);
  return () => clearTimeout(timer);
};

afterEach(async () => {
  for (const db of others.splice(0)) db.close();
  await Promise.all(NAMES.map((name) => done(indexedDB.deleteDatabase(name))));
});

it('are deleted and changed by others at once, and opened again for the next use', async () => {
  const { store } = await openModelStore({}, 'test-held');
  await store!.chunks.put('a#0', chunk);
  const blocked: string[] = [];
  const requests = NAMES.map((name) => {
    const request = indexedDB.deleteDatabase(name);
    request.onblocked = () => blocked.push(name);
    return done(request);
  });
  await Promise.all(requests);
  expect(blocked).toEqual([]);
  expect(await store!.chunks.get('a#0')).toBeUndefined();
  await store!.chunks.put('a#0', chunk);
  expect(await store!.chunks.get('a#0')).toEqual(chunk);
});

it('that another version of the page has made otherwise are an error, and stay as they are', async () => {
  const { store } = await openModelStore({}, 'test-held');
  await store!.chunks.put('a#0', chunk);
  const upgrade = indexedDB.open('test-held-chunks', 2);
  upgrade.onupgradeneeded = () => {
    upgrade.result.deleteObjectStore('keyval');
    upgrade.result.createObjectStore('other');
  };
  others.push(await done(upgrade));
  await expect(store!.chunks.get('a#0')).rejects.toMatchObject({ code: 'storage-unavailable' });
  const again = await openModelStore({}, 'test-held');
  expect(again.store).toBeNull();
  expect(others[0].version).toBe(2);
});

it('that a tab holds against one that waits to change them are named, and not waited for without end', async () => {
  // an old tab, which does not let go, and a new one, which wants to change the database
  const old = indexedDB.open('test-held-chunks', 1);
  old.onupgradeneeded = () => old.result.createObjectStore('keyval');
  others.push(await done(old));
  const upgrade = indexedDB.open('test-held-chunks', 2);
  const upgraded = done(upgrade);
  await new Promise((resolve) => {
    upgrade.onblocked = resolve;
  });
  const notes: string[] = [];
  const { store, reason } = await openModelStore({ onNote: (note) => notes.push(note), alarm }, 'test-held');
  expect(store).toBeNull();
  expect(reason).toMatch(
    /The database test-held-chunks is held by another tab.*Close the others.*the model is not kept/,
  );
  expect(notes).toContainEqual(
    expect.stringMatching(/^The database test-held-chunks is held by .*it is waited for\.$/),
  );
  others[0].close();
  others.push(await upgraded);
});

it('are used once they are free, and the note goes', async () => {
  const first = indexedDB.open('test-held-saved', 1);
  first.onupgradeneeded = () => first.result.createObjectStore('keyval');
  const old = await done(first);
  const deleting = indexedDB.deleteDatabase('test-held-saved');
  const gone = done(deleting);
  await new Promise((resolve) => {
    deleting.onblocked = resolve;
  });
  const notes: string[] = [];
  const rings: (() => void)[] = [];
  const use = database('test-held-saved', {
    onNote: (note) => {
      notes.push(note);
      if (note) old.close();
    },
    alarm: (_, ring) => {
      rings.push(ring);
      return () => {};
    },
  });
  const keys = use('readonly', (all) => promisifyRequest(all.getAllKeys()));
  await expect.poll(() => rings.length).toBe(1);
  rings[0]();
  expect(await keys).toEqual([]);
  await gone;
  expect(notes).toEqual([expect.stringMatching(/^The database test-held-saved is held/), '']);
});

it('is let go by a store that is not closed, and made again with its next use', async () => {
  const store = database('test-leaving');
  await set('a', 1, store);
  await promisifyRequest(indexedDB.deleteDatabase('test-leaving') as IDBRequest);
  expect(await get('a', store)).toBeUndefined();
  await set('b', 2, store);
  expect(await get('b', database('test-leaving'))).toBe(2);
});
