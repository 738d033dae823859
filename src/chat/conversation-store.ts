/**
 * The conversations that this browser keeps for pages: a record for each address of a page. Of several tabs with the
 * same address the one that was opened first holds the record, by a lock that ends with the tab; the others leave it
 * alone.
 */
import { del, get, promisifyRequest, set } from 'idb-keyval';
import { database } from '../platform/database';
import type { ChatMessage, EngineOptions } from '../protocol';
import type { Cut } from '../ui/conversation/cut';
import { pageFolder } from '../ui/remember';

/** What can be named again at another visit. A model from files cannot, and a token is never stored. */
export interface NamedModel {
  model: string;
  revision?: string;
  options?: EngineOptions;
}

/** What a record's fields mean; another number where they come to mean something else. */
const FORMAT = 1;

export interface ConversationRecord {
  /** absent in what version 0.1.0 kept, whose fields mean the same */
  format?: number;
  messages: ChatMessage[];
  /** of an answer that is not whole */
  cut?: Cut | null;
  /** the model that it was held with last */
  named?: NamedModel;
  /** name of its saved cache */
  cache: string;
  /** names of saved caches that are still to be deleted */
  outdated: string[];
}

/**
 * Where what is said in this tab goes: 'here'; 'elsewhere': another tab keeps its conversation; 'later': a later
 * version of the page does, whose record is left as it is; 'nowhere': this browser has no room, or stores nothing.
 */
export type Place = 'here' | 'elsewhere' | 'later' | 'nowhere';

/** How long a page that is loaded again waits for the lock of the one that it was, ms. */
const LOCK_MS = 500;

/** Holds a lock until the page goes. @returns false when another tab has it */
function hold(name: string): Promise<boolean> {
  const { locks } = navigator;
  // an insecure page has none
  if (!locks) return Promise.resolve(true);
  return new Promise((resolve) => {
    const forever = () => new Promise<never>(() => resolve(true));
    locks.request(name, { signal: AbortSignal.timeout(LOCK_MS) }, forever).catch(() => resolve(false));
  });
}

/** One conversation of the store, as long as this tab has it. */
export interface OpenConversation {
  readonly place: Place;
  /** what was kept of it; undefined: nothing, or nothing that this tab may read */
  readonly record: ConversationRecord | undefined;
  /** resolves when all that was to be written before is written, or could not be */
  readonly written: Promise<void>;
  /**
   * Writes it, after what was written before.
   * @param record is asked when its turn comes; null: nothing of it is kept
   * @param onPlace told where it is now: 'here', or 'nowhere' where it could not be written
   */
  write(record: () => ConversationRecord | null, onPlace: (place: Place) => void): void;
}

const store = database('nibble-chat');

/**
 * Opens the conversation of an address: with each model that the address bar names, a page has one of its own.
 * @returns it, 'elsewhere' where another tab holds it, and 'nowhere' where nothing could be read
 */
export async function openConversation(address: string): Promise<OpenConversation> {
  const key = `${pageFolder()} ${address}`;
  let written: Promise<void> = Promise.resolve();
  const { place, record } = await find(key, address);
  return {
    place,
    record,
    get written() {
      return written;
    },
    write(record, onPlace) {
      const put = async () => {
        const now = record();
        if (now) await set(key, { ...now, format: FORMAT }, store);
        else await del(key, store);
      };
      written = written.then(put).then(
        () => onPlace('here'),
        () => onPlace('nowhere'),
      );
    },
  };
}

async function find(key: string, address: string): Promise<Pick<OpenConversation, 'place' | 'record'>> {
  if (!(await hold(`nibble-chat:${key}`))) return { place: 'elsewhere', record: undefined };
  try {
    const record = (await get<ConversationRecord>(key, store)) ?? (await takeOver(key, address));
    const isLater = (record?.format ?? FORMAT) !== FORMAT;
    return isLater ? { place: 'later', record: undefined } : { place: 'here', record };
  } catch {
    return { place: 'nowhere', record: undefined };
  }
}

/**
 * What was kept before November 2026, when the pages of an origin had one conversation with a model: it becomes that of
 * the page which is opened first, unless a tab with an older page keeps it still.
 */
async function takeOver(key: string, address: string): Promise<ConversationRecord | undefined> {
  const before = await get<ConversationRecord>(address, store);
  if (!before || !(await hold(`nibble-chat:${address}`))) return undefined;
  return store('readwrite', async (all) => {
    const kept = await promisifyRequest<ConversationRecord | undefined>(all.get(address));
    if (!kept) return undefined;
    all.put(kept, key);
    all.delete(address);
    await promisifyRequest(all.transaction);
    return kept;
  });
}
