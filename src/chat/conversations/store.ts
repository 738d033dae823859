/**
 * The conversations that this browser keeps for a page. Of each there is a light entry, for the list, and its body with
 * all that was said; a change of both is one transaction, so that a storage that is full leaves what was there before.
 * All tabs of the page share them, and hear of each other's changes. Who writes a body holds the conversation's claim
 * (claim.ts); titles, pins and folders may be changed from any tab.
 */
import { keys, promisifyRequest } from 'idb-keyval';
import { database } from '../../platform/database';
import type { Draft } from '../../ui/composer/draft';
import type { ChatSettings } from '../../ui/conversation/chat-settings';
import { pageFolder } from '../../ui/remember';
import { type Conversation, type Entry, FORMAT, isLater, readThread } from './conversation';

/** The database: records of before December 2026 have keys that are texts (migrate.ts), these have lists. */
export const keptStore = database('nibble-chat');

/** Whether an earlier version of the page has kept something. */
export const hasEarlier = async (): Promise<boolean> => (await keys(keptStore)).some((key) => typeof key === 'string');

/** What is kept of a conversation beside its entry. */
interface Body {
  format: number;
  settings: ChatSettings;
  thread: unknown;
}

/** What a tab tells the others. 'ask': it wants to write the conversation, which another one does now. */
export interface StoreEvent {
  what: 'written' | 'removed' | 'ask';
  id: string;
}

/** What a store tells its tab; `here`: that tab did it. */
export interface StoreChange extends StoreEvent {
  here: boolean;
}

type Kind = 'entry' | 'body' | 'outdated' | 'draft';

/** The record is as it was before: there is no room for the new one. */
export const isFull = (error: unknown): boolean => error instanceof DOMException && error.name === 'QuotaExceededError';

/** All requests and their transaction; what cannot be done leaves nothing half done. */
async function whole(all: IDBObjectStore, requests: () => IDBRequest[]): Promise<void> {
  try {
    await Promise.all([...requests().map(promisifyRequest), promisifyRequest(all.transaction)]);
  } catch (error) {
    try {
      all.transaction.abort();
    } catch {
      // it has ended
    }
    throw error;
  }
}

/** Dispatches 'change' (detail: StoreChange) when this tab or another one has changed something. */
export class ConversationStore extends EventTarget {
  readonly #folder = pageFolder();
  readonly #channel: BroadcastChannel | null = null;

  constructor() {
    super();
    if (typeof BroadcastChannel === 'undefined') return;
    this.#channel = new BroadcastChannel(`nibble-conversations ${this.#folder}`);
    this.#channel.onmessage = ({ data }: MessageEvent<StoreEvent>) => this.#announce(data, false);
  }

  /** Tells all tabs. */
  tell(event: StoreEvent): void {
    this.#channel?.postMessage(event);
    this.#announce(event, true);
  }

  /** All entries, those that were talked in last first. Threads are not read. */
  async list(): Promise<Entry[]> {
    const entries = await keptStore('readonly', (all) => promisifyRequest<Entry[]>(all.getAll(this.#range('entry'))));
    return entries.sort((a, b) => b.updated - a.updated);
  }

  /** undefined: there is none */
  entry(id: string): Promise<Entry | undefined> {
    return keptStore('readonly', (all) => promisifyRequest<Entry | undefined>(all.get(this.#key('entry', id))));
  }

  /** A conversation with all that was said. Of one that a later version wrote, as much as this one understands. */
  async read(id: string): Promise<Conversation | undefined> {
    const [entry, body] = await keptStore('readonly', (all) =>
      Promise.all([
        promisifyRequest<Entry | undefined>(all.get(this.#key('entry', id))),
        promisifyRequest<Body | undefined>(all.get(this.#key('body', id))),
      ]),
    );
    if (!entry) return undefined;
    const settings = typeof body?.settings === 'object' && body.settings !== null ? body.settings : {};
    return { ...entry, settings, thread: readThread(body?.thread) };
  }

  /**
   * Conversations that are new here, in one transaction: all of them, or none.
   * @param earlier key of the record that they were, which goes with it
   */
  async add(conversations: readonly Conversation[], earlier?: string): Promise<void> {
    const put = (all: IDBObjectStore, { settings, thread, ...entry }: Conversation) => [
      all.put({ format: FORMAT, settings, thread } satisfies Body, this.#key('body', entry.id)),
      all.put(entry, this.#key('entry', entry.id)),
      // one that was deleted a moment ago
      ...(entry.cached ? [all.delete(this.#key('outdated', entry.cache))] : []),
    ];
    await keptStore('readwrite', (all) =>
      whole(all, () => [
        ...conversations.flatMap((one) => put(all, one)),
        ...(earlier === undefined ? [] : [all.delete(earlier)]),
      ]),
    );
    for (const { id } of conversations) this.tell({ what: 'written', id });
  }

  /**
   * Changes what is kept.
   * @param body without it, only the entry is changed
   * @returns false: it is not there any more, or a later version has written it; then nothing is written
   */
  async change(
    id: string,
    change: (entry: Entry) => Partial<Entry>,
    body?: Pick<Conversation, 'settings' | 'thread'>,
  ): Promise<boolean> {
    const done = await keptStore('readwrite', async (all) => {
      const entry = await promisifyRequest<Entry | undefined>(all.get(this.#key('entry', id)));
      if (!entry || isLater(entry)) return false;
      await whole(all, () => [
        ...(body ? [all.put({ ...body, format: FORMAT }, this.#key('body', id))] : []),
        all.put({ ...entry, ...change(entry) }, this.#key('entry', id)),
      ]);
      return true;
    });
    if (done) this.tell({ what: 'written', id });
    return done;
  }

  /** Deletes it; what it saved is to be deleted, too, from then on. */
  async remove(id: string): Promise<void> {
    await keptStore('readwrite', async (all) => {
      const entry = await promisifyRequest<Entry | undefined>(all.get(this.#key('entry', id)));
      await whole(all, () => [
        ...(['entry', 'body', 'draft'] as const).map((kind) => all.delete(this.#key(kind, id))),
        ...(entry?.cached ? [all.put(entry.cache, this.#key('outdated', entry.cache))] : []),
      ]);
    });
    this.tell({ what: 'removed', id });
  }

  /** Names of saved caches that are still to be deleted. */
  outdated(): Promise<string[]> {
    return keptStore('readonly', (all) => promisifyRequest<string[]>(all.getAll(this.#range('outdated'))));
  }

  /** A saved cache is to be deleted, now or at another visit. */
  async outdate(cache: string): Promise<void> {
    await keptStore('readwrite', (all) => whole(all, () => [all.put(cache, this.#key('outdated', cache))]));
  }

  /** It is deleted, or in use again. */
  async forgetOutdated(cache: string): Promise<void> {
    await keptStore('readwrite', (all) => whole(all, () => [all.delete(this.#key('outdated', cache))]));
  }

  /** What was written in a conversation and not sent; `''` stands for one that has not begun. */
  draft(id: string): Promise<Draft | undefined> {
    return keptStore('readonly', (all) => promisifyRequest<Draft | undefined>(all.get(this.#key('draft', id))));
  }

  /** @param draft null: there is none any more */
  async keepDraft(id: string, draft: Draft | null): Promise<void> {
    const key = this.#key('draft', id);
    await keptStore('readwrite', (all) => whole(all, () => [draft ? all.put(draft, key) : all.delete(key)]));
  }

  #announce(event: StoreEvent, here: boolean): void {
    this.dispatchEvent(new CustomEvent('change', { detail: { ...event, here } satisfies StoreChange }));
  }

  #key(kind: Kind, id: string): IDBValidKey {
    return [this.#folder, kind, id];
  }

  /** Lists come after texts. */
  #range(kind: Kind): IDBKeyRange {
    return IDBKeyRange.bound([this.#folder, kind], [this.#folder, kind, []]);
  }
}
