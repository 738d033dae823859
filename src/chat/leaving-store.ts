/** A store of idb-keyval's that is in nobody's way. */
import { createStore, type UseStore } from 'idb-keyval';

/** Its connection is closed for who wants to change or delete the database, and opened again with the next use. */
export function leavingStore(database: string): UseStore {
  const open = () => createStore(database, 'keyval');
  let store = open();
  return (mode, use) =>
    store(mode, (all) => {
      const { db } = all.transaction;
      db.onversionchange = () => {
        db.close();
        store = open();
      };
      return use(all);
    });
}
