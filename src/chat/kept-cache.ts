/**
 * The engine's cache of the page's conversation, saved after answers: the next visit goes on from it. A cache is of one
 * conversation with one model, under a name of its own; when that is over, it is deleted.
 */
import type { GenerateResult } from '../protocol';
import type { Talk } from '../ui/conversation/chat-engine';
import type { ChatSession } from '../ui/conversation/session';
import type { ConversationRecord } from './conversation-store';

/** A cache that takes more bytes, or more of the room that the browser has left, is not saved. Text always is. */
const CACHE_BYTES = 256 << 20;
const CACHE_SHARE = 0.1;
/**
 * A cache is saved when it has grown by this share: in a visit nine times its bytes are written at most, and once more
 * for each answer after which the page is hidden, for it may not come back.
 */
const CACHE_GROWTH = 1 / 8;

export interface CacheKeeper {
  /** whether caches are to be saved now */
  isWanted(): boolean;
  /** the record's names have changed: it is to be written */
  write(): void;
  /** resolves when what was to be written is */
  written(): Promise<void>;
  /** the engine's deleteSavedCache() */
  deleteCache(name: string): Promise<void>;
}

export class KeptCache {
  readonly #session: ChatSession;
  readonly #record: ConversationRecord;
  readonly #keeper: CacheKeeper;
  #result: GenerateResult | null = null;
  /** the conversation with the engine, and the name that it saves under; none where it began before there was one */
  #talk: Talk | null = null;
  #talkName: string | undefined;
  /** there may be a saved cache of this conversation */
  #mayBeSaved: boolean;
  /** computed since the last save, and what that holds */
  #newTokens = 0;
  #savedTokens = 0;
  /** the save that is under way */
  #save: { stop: AbortController; done: Promise<void> } | null = null;
  /** outdated caches are being deleted */
  #deleting = false;

  /** @param record whose `cache` and `outdated` are kept up to date */
  constructor(session: ChatSession, record: ConversationRecord, keeper: CacheKeeper) {
    this.#session = session;
    this.#record = record;
    this.#keeper = keeper;
    this.#mayBeSaved = record.messages.length > 0;
    this.#notice();
    if (record.cache === '') this.renew();
    else session.saved = record.cache;
  }

  /** The session has changed. A question goes before a save that is under way. */
  changed(): void {
    const { phase } = this.#session;
    if (phase !== 'ready') this.#save?.stop.abort();
    if (phase !== 'answering') this.#closeNameless();
  }

  /** Saves what was computed for an answer, where the cache has grown enough by it. */
  answered(): void {
    const { result } = this.#session;
    if (result && result !== this.#result) {
      const { promptTokens, reusedTokens, newTokens } = result.stats;
      this.#newTokens += promptTokens - reusedTokens + newTokens;
    }
    this.#result = result;
    if (this.#newTokens > CACHE_GROWTH * this.#savedTokens) this.#saveNow();
  }

  /** The page is hidden, and may not come back. */
  hidden(): void {
    if (this.#newTokens > 0) this.#saveNow();
  }

  /** From now on caches are saved under another name, and the old one is to be deleted. */
  renew(): void {
    this.#save?.stop.abort();
    this.#notice();
    if (this.#mayBeSaved) this.#record.outdated.push(this.#record.cache);
    this.#mayBeSaved = false;
    this.#newTokens = this.#savedTokens = 0;
    this.#session.saved = this.#record.cache = `${this.#session.choice.name.slice(0, 99)}, ${new Date().toISOString()}`;
  }

  /** That may wait for other tabs, which what is said does not. What fails is tried again after the next write. */
  async deleteOutdated(): Promise<void> {
    if (this.#deleting) return;
    this.#deleting = true;
    try {
      while (this.#record.outdated.length > 0) {
        // even where there was no room to write: this makes some
        await this.#keeper.written();
        await this.#save?.done;
        // one of them may be in use again
        const name = this.#record.outdated[0];
        if (name === undefined) break;
        await this.#keeper.deleteCache(name);
        this.#record.outdated = this.#record.outdated.filter((other) => other !== name);
        this.#keeper.write();
      }
    } catch {
      // its name stays on record
    } finally {
      this.#deleting = false;
    }
  }

  /** A conversation with the engine has the name that it began with, whatever name the next one gets. */
  #notice(): void {
    const { talk, saved } = this.#session;
    if (talk !== this.#talk) this.#talkName = saved;
    this.#talk = talk;
  }

  /** The next question begins a conversation with a name. It computes once more what was said. */
  #closeNameless(): void {
    this.#notice();
    if (this.#talk === null || this.#talkName !== undefined) return;
    this.#session.talk = null;
    this.#talk.close().catch(() => {});
  }

  /** Back to the name of a conversation that began before the person did not want it kept, and then did again. */
  #rename(name: string): void {
    this.#record.outdated = this.#record.outdated.filter((other) => other !== name);
    this.#session.saved = this.#record.cache = name;
    this.#keeper.write();
  }

  /**
   * Saves the engine's cache, where there is room for it, until something is asked. What fails is tried again later.
   */
  #saveNow(): void {
    const { talk, phase, memory } = this.#session;
    if (!talk || !memory || phase !== 'ready' || this.#save || !this.#keeper.isWanted()) return;
    // in another visit nobody could say which model it is
    if (!this.#record.named) return;
    this.#notice();
    const name = this.#talkName!;
    const stop = new AbortController();
    const { signal } = stop;
    const tokens = this.#newTokens;
    const save = async () => {
      // a browser that does not tell its room (WebKitGTK) refuses what it has none for
      const { quota = Infinity, usage = 0 } = (await navigator.storage?.estimate?.()) ?? {};
      if (signal.aborted || memory.kv > Math.min(CACHE_BYTES, CACHE_SHARE * (quota - usage))) return;
      this.#mayBeSaved = true;
      if (name !== this.#record.cache) this.#rename(name);
      const saved = await talk.save({ signal });
      if (signal.aborted) return;
      this.#savedTokens = saved.tokens;
      this.#newTokens -= tokens;
    };
    const done = save()
      .catch(() => {})
      .finally(() => {
        this.#save = null;
      });
    this.#save = { stop, done };
  }
}
