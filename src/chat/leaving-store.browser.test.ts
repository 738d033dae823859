import { get, promisifyRequest, set } from 'idb-keyval';
import { expect, it } from 'vitest';
import { leavingStore } from './leaving-store';

it('lets a database go that is deleted, and makes it again', async () => {
  const store = leavingStore('leaving');
  await set('a', 1, store);
  await promisifyRequest(indexedDB.deleteDatabase('leaving') as IDBRequest);
  expect(await get('a', store)).toBeUndefined();
  await set('b', 2, store);
  expect(await get('b', leavingStore('leaving'))).toBe(2);
});
