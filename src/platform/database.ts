/** A database of the browser, opened for as long as nobody else needs it otherwise. */
import { promisifyRequest, type UseStore } from 'idb-keyval';
import { type Alarm, within } from './within';

/** Nothing is said of a wait that is shorter. */
const NOTED_MS = 1000;
/** What holds a database for longer will hold it for long: the model is then loaded without being kept. */
const OPEN_MS = 10_000;

export interface DatabaseOptions {
  /** told what is waited for, in a sentence for the person, and '' when it is no more */
  onNote?: (note: string) => void;
  alarm?: Alarm;
}

/**
 * idb-keyval's store function with relaxed durability: a chunk lost to a power cut is fetched again anyway. Its
 * connection is closed for who wants to change or delete the database, and opened again with the next use.
 */
export function database(name: string, { onNote, alarm }: DatabaseOptions = {}): UseStore {
  let opened: Promise<IDBDatabase> | undefined;

  async function open(): Promise<IDBDatabase> {
    const request = indexedDB.open(name);
    request.onupgradeneeded = () => request.result.createObjectStore('keyval');
    const opening = promisifyRequest(request);
    const noted = new Error();
    let told = false;
    const held = `The database ${name} is held by another tab of this site, or by another version of this page in one. Close the others`;
    const late = () => {
      // it would be in the way of others
      opening.then((db) => db.close()).catch(() => {});
      return new DOMException(`${held}, and load this page again`, 'TimeoutError');
    };
    try {
      await within(NOTED_MS, opening, () => noted, alarm).catch((error) => {
        if (error !== noted) throw error;
        told = true;
        onNote?.(`${held}: it is waited for.`);
      });
      const db = await within(OPEN_MS, opening, late, alarm);
      db.onclose = forget;
      db.onversionchange = () => {
        db.close();
        forget();
      };
      return db;
    } finally {
      if (told) onNote?.('');
    }
  }

  function forget(): void {
    opened = undefined;
  }

  return async (mode, callback) => {
    try {
      opened ??= open();
      const db = await opened;
      return await callback(db.transaction('keyval', mode, { durability: 'relaxed' }).objectStore('keyval'));
    } catch (error) {
      forget();
      throw error;
    }
  };
}
