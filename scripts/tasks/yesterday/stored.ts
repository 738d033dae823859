/**
 * What a version of Nibble has stored in a browser, as JSON: taken out of one origin, and put into another browser's.
 * All of it lies in databases of one object store, `keyval`, in caches, and in localStorage.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from '@playwright/test';

/** In a value: bytes, as base64, or where they are found. */
type Bytes = { $bytes: string } | { $file: string; from: number; to: number };

export interface Stored {
  /** by name of the database: keys and values */
  databases: Record<string, [string, unknown][]>;
  /** by name of the cache: addresses. What they answered is not kept */
  caches: Record<string, string[]>;
  localStorage: Record<string, string>;
}

/** Runs in the page. */
async function take(): Promise<Stored> {
  const done = <T>(request: IDBRequest<T>) =>
    new Promise<T>((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  const plain = (value: unknown): unknown => {
    if (value instanceof Uint8Array) {
      let text = '';
      for (const byte of value) text += String.fromCharCode(byte);
      return { $bytes: btoa(text) };
    }
    if (Array.isArray(value)) return value.map(plain);
    if (typeof value !== 'object' || value === null) return value;
    if (Object.getPrototypeOf(value) !== Object.prototype) throw new Error(`a ${value.constructor.name} is stored`);
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)]));
  };
  const databases: Stored['databases'] = {};
  for (const { name } of await indexedDB.databases()) {
    const database = await done(indexedDB.open(name!));
    const store = database.transaction('keyval').objectStore('keyval');
    const [keys, values] = await Promise.all([done(store.getAllKeys()), done(store.getAll())]);
    databases[name!] = keys.map((key, i) => [String(key), plain(values[i])]);
    database.close();
  }
  const kept: Stored['caches'] = {};
  for (const name of await caches.keys()) {
    kept[name] = (await (await caches.open(name)).keys()).map(({ url }) => url);
  }
  return { databases, caches: kept, localStorage: { ...localStorage } };
}

/** Runs in the page. */
async function put(stored: Stored): Promise<void> {
  const whole = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(whole);
    if (typeof value !== 'object' || value === null) return value;
    if ('$bytes' in value) return Uint8Array.from(atob(String(value.$bytes)), (c) => c.charCodeAt(0));
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, whole(item)]));
  };
  for (const [name, entries] of Object.entries(stored.databases)) {
    const opened = indexedDB.open(name);
    opened.onupgradeneeded = () => opened.result.createObjectStore('keyval');
    await new Promise<void>((resolve, reject) => {
      opened.onerror = () => reject(opened.error);
      opened.onsuccess = () => {
        const transaction = opened.result.transaction('keyval', 'readwrite');
        for (const [key, value] of entries) transaction.objectStore('keyval').put(whole(value), key);
        transaction.oncomplete = () => {
          opened.result.close();
          resolve();
        };
        transaction.onerror = () => reject(transaction.error);
      };
    });
  }
  for (const [name, urls] of Object.entries(stored.caches)) {
    const cache = await caches.open(name);
    for (const url of urls) await cache.put(url, new Response('of an older version'));
  }
  for (const [key, value] of Object.entries(stored.localStorage)) localStorage.setItem(key, value);
}

/** A copy with other bytes in the place of those for which `change` has any. */
function withBytes(value: unknown, change: (bytes: Bytes) => Bytes): unknown {
  if (Array.isArray(value)) return value.map((item) => withBytes(item, change));
  if (typeof value !== 'object' || value === null) return value;
  if ('$bytes' in value || '$file' in value) return change(value as Bytes);
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, withBytes(item, change)]));
}

/** @param model the folder whose files are not repeated in what is taken */
export async function takeStored(page: Page, model: string): Promise<Stored> {
  const files = readdirSync(model)
    .filter((name) => statSync(join(model, name)).isFile())
    .map((name) => ({ name, bytes: readFileSync(join(model, name)) }));
  return withBytes(await page.evaluate(take), (bytes) => {
    const own = '$bytes' in bytes ? Buffer.from(bytes.$bytes, 'base64') : Buffer.alloc(0);
    for (const { name, bytes: all } of own.length > 1000 ? files : []) {
      const from = all.indexOf(own);
      if (from >= 0) return { $file: name, from, to: from + own.length };
    }
    return bytes;
  }) as Stored;
}

export async function putStored(page: Page, model: string, stored: Stored): Promise<void> {
  const whole = withBytes(stored, (bytes) =>
    '$file' in bytes
      ? { $bytes: readFileSync(join(model, bytes.$file)).subarray(bytes.from, bytes.to).toString('base64') }
      : bytes,
  ) as Stored;
  await page.evaluate(put, whole);
}
