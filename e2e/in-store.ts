/** What the page keeps in IndexedDB, looked at from outside. */
import type { Page } from '@playwright/test';

type Call = 'get' | 'put' | 'getAll' | 'getAllKeys';

/** Runs in the page: one call of an idb-keyval store; null where that is not there yet, or has nothing. */
export async function callStore([name, call, given]: readonly [string, Call, readonly unknown[]]): Promise<unknown> {
  const done = <T>(request: IDBRequest<T>) =>
    new Promise<T>((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  const known = await indexedDB.databases();
  if (!known.some((database) => database.name === name)) return null;
  const database = await done(indexedDB.open(name));
  const store = database.transaction('keyval', 'readwrite').objectStore('keyval');
  const result = await done((store[call] as (...given: unknown[]) => IDBRequest)(...given));
  database.close();
  return result ?? null;
}

/** Looks into a database of the page, or changes it. */
export const inStore = (page: Page, name: string, call: Call, ...given: unknown[]): Promise<unknown> =>
  page.evaluate(callStore, [name, call, given] as const);
