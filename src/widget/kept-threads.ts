/**
 * What widgets with `keep` have said, by name, for all pages of a site. Two tabs may write one conversation: what both
 * have said stands beside each other in its tree, and nothing is lost.
 */
import { createStore, promisifyRequest } from 'idb-keyval';
import type { Thread, Turn } from '../ui/conversation/thread';

/** What a record's fields mean; another number where they come to mean something else. */
const FORMAT = 1;

interface Kept {
  format: number;
  thread: Thread;
  /** ms since 1970 */
  updated: number;
}

let opened: ReturnType<typeof createStore> | undefined;
/** opened with its first use, which may be forbidden */
const store: ReturnType<typeof createStore> = async (mode, callback) => {
  opened ??= createStore('nibble-widget', 'keyval');
  return opened(mode, callback);
};

const isTurn = (turn: unknown): turn is Turn => {
  const { id, parent, message } = (turn ?? {}) as Partial<Turn>;
  return (
    typeof id === 'string' &&
    (parent === null || typeof parent === 'string') &&
    (message?.role === 'user' || message?.role === 'assistant') &&
    typeof message.content === 'string'
  );
};

/** A record as it was kept, without what is broken. @returns null where it is of another version, or none */
export function readKept(kept: unknown): Thread | null {
  const { format, thread } = (kept ?? {}) as Partial<Kept>;
  if (format !== FORMAT || !Array.isArray(thread?.turns)) return null;
  const turns = thread.turns.filter(isTurn);
  const leaf = turns.some(({ id }) => id === thread.leaf) ? thread.leaf : (turns.at(-1)?.id ?? null);
  return { turns, leaf };
}

/** Both trees as one; of a turn that both have, and of the way that is shown, the second one's. */
export function union(theirs: Thread, ours: Thread): Thread {
  const turns = new Map([...theirs.turns, ...ours.turns].map((turn) => [turn.id, turn]));
  return { turns: [...turns.values()], leaf: ours.leaf };
}

/** @throws what the browser says where nothing may be stored */
export async function recallThread(name: string): Promise<Thread | null> {
  return readKept(await store('readonly', (objects) => promisifyRequest(objects.get(name))));
}

/**
 * Keeps a conversation. What another tab has kept of it since is kept, too; a record of a later version is left alone.
 * @param known turns that this widget has seen: one of them that it no longer has was removed on purpose
 * @returns what is kept now
 */
export function keepThread(name: string, thread: Thread, known: ReadonlySet<string>): Promise<Thread> {
  return store(
    'readwrite',
    (objects) =>
      new Promise<Thread>((resolve, reject) => {
        const reading = objects.get(name);
        reading.onerror = () => reject(reading.error);
        // in the transaction that has read it
        reading.onsuccess = () => {
          const theirs = readKept(reading.result);
          if (!theirs && reading.result !== undefined) return resolve(thread);
          const unseen = theirs?.turns.filter(({ id }) => !known.has(id)) ?? [];
          const kept = union({ turns: unseen, leaf: null }, thread);
          const writing = objects.put({ format: FORMAT, thread: kept, updated: Date.now() } satisfies Kept, name);
          writing.onerror = () => reject(writing.error);
          writing.onsuccess = () => resolve(kept);
        };
      }),
  );
}

/** Deletes what is kept under a name. */
export const forgetThread = (name: string): Promise<void> =>
  store('readwrite', (objects) => promisifyRequest(objects.delete(name)));
