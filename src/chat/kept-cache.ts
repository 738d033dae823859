/**
 * The engine's cache of the conversation on show, saved after answers: the next visit goes on from it. A cache is of
 * one conversation with one model, under a name of its own; when that is over, it is deleted.
 */
import { NibbleError } from '../errors';
import type { GenerateResult } from '../protocol';
import type { Talk } from '../ui/conversation/chat-engine';
import type { ChatSession } from '../ui/conversation/session';
import { cacheName } from './cache-name';

/** A cache that takes more bytes, or more of the room that the browser has left, is not saved. Text always is. */
const CACHE_BYTES = 256 << 20;
const CACHE_SHARE = 0.1;
/**
 * A cache is saved when it has grown by this share: in a visit nine times its bytes are written at most, and once more
 * for each answer after which the page is hidden, for it may not come back.
 */
const CACHE_GROWTH = 1 / 8;

/** What is kept of it beside the conversation. */
export interface CacheRecord {
  /** name of the saved cache; '': it has none yet */
  cache: string;
  /** there may be one of that name */
  cached: boolean;
}

export interface CacheKeeper {
  /** whether caches are to be saved now: in another visit nobody could say which model a file of this one was */
  isWanted(): boolean;
  /** the record has changed: it is to be written */
  write(): void;
  /** a saved cache is of no use any more */
  outdate(name: string): void;
  /** it is in use again */
  reuse(name: string): void;
  /** Deletes the oldest saved cache of another conversation. @returns false: there is none */
  makeRoom(): Promise<boolean>;
}

export class KeptCache {
  readonly #session: ChatSession;
  readonly #record: CacheRecord;
  readonly #keeper: CacheKeeper;
  #result: GenerateResult | null = null;
  /** the conversation with the engine, and the name that it saves under; none where it began before there was one */
  #talk: Talk | null = null;
  #talkName: string | undefined;
  /** computed since the last save, and what that holds */
  #newTokens = 0;
  #savedTokens = 0;
  /** the save that is under way */
  #save: { stop: AbortController; tokens: number; done: Promise<void> } | null = null;
  /** another one was to begin meanwhile */
  #missed = false;

  /** @param record is kept up to date */
  constructor(session: ChatSession, record: CacheRecord, keeper: CacheKeeper) {
    this.#session = session;
    this.#record = record;
    this.#keeper = keeper;
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
    this.leave();
    this.#notice();
    if (this.#record.cached) this.#keeper.outdate(this.#record.cache);
    this.#record.cached = false;
    this.#newTokens = this.#savedTokens = 0;
    this.#session.saved = this.#record.cache = cacheName(this.#session.choice);
  }

  /** Another conversation is shown from now on, or this one is over. */
  leave(): void {
    this.#save?.stop.abort();
  }

  /** resolves when no save is under way */
  get settled(): Promise<void> {
    return this.#save?.done ?? Promise.resolve();
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
    this.#keeper.reuse(name);
    this.#session.saved = this.#record.cache = name;
  }

  /** Whether there is room for a cache of that many bytes; the oldest of other conversations give way. */
  async #hasRoom(bytes: number, signal: AbortSignal): Promise<boolean> {
    if (bytes > CACHE_BYTES) return false;
    while (!signal.aborted) {
      // a browser that does not tell its room (WebKitGTK) refuses what it has none for
      const { quota = Infinity, usage = 0 } = (await navigator.storage?.estimate?.()) ?? {};
      if (bytes <= CACHE_SHARE * (quota - usage)) return !signal.aborted;
      if (!(await this.#keeper.makeRoom())) return false;
    }
    return false;
  }

  /**
   * Saves the engine's cache, where there is room for it, until something is asked. What fails is tried again later.
   */
  #saveNow(): void {
    const { talk, phase, memory } = this.#session;
    if (!talk || !memory || phase !== 'ready' || !this.#keeper.isWanted()) return;
    if (this.#save) {
      this.#missed = this.#newTokens > this.#save.tokens;
      return;
    }
    this.#notice();
    const name = this.#talkName!;
    const stop = new AbortController();
    const { signal } = stop;
    const tokens = this.#newTokens;
    const trySave = async (): Promise<{ tokens: number }> => {
      try {
        return await talk.save({ signal });
      } catch (error) {
        const isFull = error instanceof NibbleError && error.code === 'quota-exceeded';
        if (!isFull || signal.aborted || !(await this.#keeper.makeRoom())) throw error;
        return trySave();
      }
    };
    const save = async () => {
      if (!(await this.#hasRoom(memory.kv, signal))) return;
      if (name !== this.#record.cache) this.#rename(name);
      if (!this.#record.cached) {
        this.#record.cached = true;
        this.#keeper.write();
      }
      const saved = await trySave();
      if (signal.aborted) return;
      this.#savedTokens = saved.tokens;
      this.#newTokens -= tokens;
    };
    const done = save()
      .catch(() => {})
      .finally(() => {
        this.#save = null;
        if (!this.#missed) return;
        this.#missed = false;
        this.answered();
      });
    this.#save = { stop, tokens, done };
  }
}
