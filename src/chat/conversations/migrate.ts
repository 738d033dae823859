/**
 * What earlier versions kept becomes part of the store: one conversation for each address of a page (format 1, or none
 * in version 0.1.0), and of before November 2026, when all pages of an origin shared them. Those become the page's that
 * is opened first. A record that a tab with an earlier version still writes stays its own until that closes.
 */
import { keys, promisifyRequest } from 'idb-keyval';
import type { ChatMessage } from '../../protocol';
import type { Cut } from '../../ui/conversation/cut';
import { alter, newId, threadOf } from '../../ui/conversation/thread';
import { modelName } from '../../ui/models/model-choice';
import { pageFolder } from '../../ui/remember';
import { hold } from './claim';
import { type Conversation, FORMAT, type NamedModel, titleOf } from './conversation';
import { type ConversationStore, isFull, keptStore } from './store';

/** Their record of a conversation. */
interface EarlierRecord {
  format?: number;
  messages: ChatMessage[];
  cut?: Cut | null;
  named?: NamedModel;
  cache: string;
  outdated: string[];
}

/** Names of their saved caches end with when they began. */
const BEGAN = /, (\d{4}-\d\d-\d\dT[\d:.]+Z)$/;

function isEarlier(record: unknown): record is EarlierRecord {
  const { format = 1, messages, outdated } = (record ?? {}) as Partial<EarlierRecord>;
  return format === 1 && Array.isArray(messages) && Array.isArray(outdated);
}

function toConversation(record: EarlierRecord, address: string): Conversation {
  const { messages, cut = null, named, cache } = record;
  const began = Date.parse(BEGAN.exec(cache)?.[1] ?? '') || Date.now();
  const thread = threadOf(messages, began);
  // without an answer, the question is asked once more
  const cutThread = cut && messages.at(-1)?.role === 'assistant' ? alter(thread, thread.leaf!, { cut }) : thread;
  return {
    format: FORMAT,
    id: newId(),
    title: titleOf(thread) || modelName(address),
    titled: 'auto',
    created: began,
    updated: began,
    pinned: false,
    folder: null,
    address,
    ...(named && { named }),
    cache,
    cached: cache !== '',
    settings: {},
    thread: cutThread,
  };
}

/**
 * Once for each record, also where two tabs do it at the same time.
 * @param keeps false: the person wants nothing kept; the records and their caches are to be deleted
 * @param outdate notes that a saved cache is to be deleted
 * @returns false: for some there was no room; they are as they were, for the next time
 */
export async function migrate(
  store: ConversationStore,
  keeps: boolean,
  outdate: (cache: string) => Promise<void>,
): Promise<boolean> {
  let all = true;
  const folder = `${pageFolder()} `;
  const earlier = (await keys(keptStore)).filter((key): key is string => typeof key === 'string');
  // an address of before has no folder before it
  for (const key of earlier.filter((name) => name.startsWith(folder) || !name.startsWith('/'))) {
    const release = await hold(`nibble-chat:${key}`, AbortSignal.timeout(50));
    try {
      if (release)
        await migrateOne(store, key, key.startsWith(folder) ? key.slice(folder.length) : key, keeps, outdate);
    } catch (error) {
      if (!isFull(error)) throw error;
      all = false;
    } finally {
      release?.();
    }
  }
  return all;
}

async function migrateOne(
  store: ConversationStore,
  key: string,
  address: string,
  keeps: boolean,
  outdate: (cache: string) => Promise<void>,
): Promise<void> {
  const record = await keptStore('readonly', (all) => promisifyRequest<unknown>(all.get(key)));
  if (!isEarlier(record)) return;
  const goesOn = keeps && record.messages.length > 0;
  const caches = goesOn ? record.outdated : [...record.outdated, ...(record.cache ? [record.cache] : [])];
  for (const cache of caches) await outdate(cache);
  if (goesOn) await store.add([toConversation(record, address)], key);
  else await keptStore('readwrite', (all) => promisifyRequest(all.delete(key)));
}
