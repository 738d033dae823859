/**
 * The page's conversation, kept in this browser: what was said, as it is said, and the engine's cache of it, after
 * answers. Of several tabs with the same address the one that was opened first keeps its conversation; what is said in
 * the others goes with them. Where the browser stores nothing, nothing is kept, and the chat goes on.
 */
import { del, get, promisifyRequest, set } from 'idb-keyval';
import { NibbleError } from '../errors';
import { database } from '../platform/database';
import type { ChatMessage, EngineOptions, GenerateResult } from '../protocol';
import type { ModelChoice } from '../ui/model-choice';
import { pageFolder, recall, remember } from '../ui/remember';
import { type ChatSession, type Cut, isSaid, type Talk } from '../ui/session';

/** What can be named again at another visit. A model from files cannot, and a token is never stored. */
export interface NamedModel {
  model: string;
  revision?: string;
  options?: EngineOptions;
}

/** What a Kept's fields mean; another number where they come to mean something else. */
const FORMAT = 1;

interface Kept {
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

/** While an answer grows, it is stored this often, ms. */
const STORE_MS = 1000;
/** How long a page that is loaded again waits for the lock of the one that it was, ms. */
const LOCK_MS = 500;
/** A cache that takes more bytes, or more of the room that the browser has left, is not saved. Text always is. */
const CACHE_BYTES = 256 << 20;
const CACHE_SHARE = 0.1;
/**
 * A cache is saved when it has grown by this share: in a visit nine times its bytes are written at most, and once more
 * for each answer after which the page is hidden, for it may not come back.
 */
const CACHE_GROWTH = 1 / 8;
/** localStorage has it where nothing is to be kept. */
const OFF = 'nibble-chat-off';

function nameOf({ model, revision, options }: ModelChoice): NamedModel | undefined {
  return typeof model === 'string' ? { model, revision, options } : undefined;
}

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

/** Dispatches 'change' when `on` or `place` does. */
export class KeptChat extends EventTarget {
  /**
   * 'elsewhere': another tab keeps its conversation; 'later': a later version of the page does, whose record is left as
   * it is; 'nowhere': this browser has no room, or stores nothing
   */
  place: 'here' | 'elsewhere' | 'later' | 'nowhere' = 'here';
  /** whether the person wants it */
  on = recall(OFF) === null;
  readonly #address: string;
  readonly #key: string;
  readonly #deleteCache: (name: string) => Promise<void>;
  readonly #database = database('nibble-chat');
  #session!: ChatSession;
  #kept: Kept = { messages: [], cache: '', outdated: [] };
  #result: GenerateResult | null = null;
  /** the conversation with the engine, and the name that it saves under; none where it began before there was one */
  #talk: Talk | null = null;
  #talkName: string | undefined;
  /** what was kept could not be read, so that it stays as it is until something is said */
  #unread = false;
  /** there may be a saved cache of this conversation */
  #mayBeSaved = false;
  /** computed since the last save, and what that holds */
  #newTokens = 0;
  #savedTokens = 0;
  /** the save that is under way */
  #save: { stop: AbortController; done: Promise<void> } | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** the last write, which waits for those before it */
  #written: Promise<void> = Promise.resolve();
  /** outdated caches are being deleted */
  #deleting = false;

  private constructor(address: string, deleteCache: (name: string) => Promise<void>) {
    super();
    this.#address = address;
    this.#key = `${pageFolder()} ${address}`;
    this.#deleteCache = deleteCache;
  }

  /**
   * Looks for what was kept.
   * @param address the model that the address bar names: with each, this page has a conversation of its own
   * @param deleteCache the engine's deleteSavedCache()
   */
  static async open(address: string, deleteCache: (name: string) => Promise<void>): Promise<KeptChat> {
    const chat = new KeptChat(address, deleteCache);
    if (await hold(`nibble-chat:${chat.#key}`)) await chat.#read();
    else chat.place = 'elsewhere';
    return chat;
  }

  async #read(): Promise<void> {
    try {
      const kept = (await get<Kept>(this.#key, this.#database)) ?? (await this.#takeOver());
      if ((kept?.format ?? FORMAT) !== FORMAT) this.place = 'later';
      else if (kept && this.on) this.#kept = kept;
      // kept at this address before the person said at another one that they do not want it
      else if (kept) this.#kept.outdated = [...kept.outdated, ...(kept.cache ? [kept.cache] : [])];
    } catch {
      this.place = 'nowhere';
      this.#unread = true;
    }
    this.#mayBeSaved = this.#kept.messages.length > 0;
  }

  /**
   * What was kept before November 2026, when the pages of an origin had one conversation with a model: it becomes that
   * of the page which is opened first, unless a tab with an older page keeps it still.
   */
  async #takeOver(): Promise<Kept | undefined> {
    const before = await get<Kept>(this.#address, this.#database);
    if (!before || !(await hold(`nibble-chat:${this.#address}`))) return undefined;
    return this.#database('readwrite', async (all) => {
      const kept = await promisifyRequest<Kept | undefined>(all.get(this.#address));
      if (!kept) return undefined;
      all.put(kept, this.#key);
      all.delete(this.#address);
      await promisifyRequest(all.transaction);
      return kept;
    });
  }

  /** The model that the conversation was held with last, where that can be named. */
  get model(): NamedModel | undefined {
    return this.#kept.named;
  }

  /** Gives the session what was kept, where nothing has been said yet, and from now on keeps what is said. */
  attach(session: ChatSession): void {
    this.#session = session;
    if (session.messages.length === 0) this.#goOn();
    this.#notice();
    if (this.#kept.cache === '') this.#renew();
    else session.saved = this.#kept.cache;
    session.addEventListener('change', this.#changed);
    document.addEventListener('visibilitychange', this.#hidden);
    session.dispatchEvent(new Event('change'));
    if (!this.on || this.#kept.outdated.length > 0) this.#write();
  }

  #goOn(): void {
    const session = this.#session;
    session.messages = this.#kept.messages;
    // left without an answer: the person is asked, as after one that failed
    const left = () => session.messages.at(-1)?.role === 'user';
    const { cut = null } = this.#kept;
    // another model has other ids
    if (!left()) session.cut = cut && this.#isOther(session.choice) ? { ...cut, ids: null } : cut;
    const offer = () =>
      left() && session.report(new NibbleError('aborted', 'The page was left before this question was answered.'));
    if (session.phase === 'ready') offer();
    else if (left()) session.addEventListener('ready', offer, { once: true });
  }

  /** As the person wants it. What was kept is deleted where it is not to be. */
  keep(on: boolean): void {
    this.on = on;
    remember(OFF, on ? null : '');
    if (!on) this.#renew();
    this.#unread = false;
    this.#write();
  }

  #changed = () => {
    const { messages, phase, result } = this.#session;
    const before = this.#kept.messages;
    const said = messages !== before;
    const grows = phase === 'answering' && messages.length === before.length;
    this.#kept.messages = messages;
    // a question goes first
    if (phase !== 'ready') this.#save?.stop.abort();
    if (phase !== 'answering') this.#closeNameless();
    // should the page be left now
    this.#kept.cut = phase === 'answering' ? { finish: 'aborted', ids: null } : this.#session.cut;
    const other = this.#isOther(this.#session.choice);
    this.#kept.named = nameOf(this.#session.choice);
    if (other || (said && messages.length === 0)) this.#renew();
    if (said && grows) this.#timer ??= setTimeout(this.#write, STORE_MS);
    else if (said || other) this.#write();
    if (result && result !== this.#result) {
      const { promptTokens, reusedTokens, newTokens } = result.stats;
      this.#newTokens += promptTokens - reusedTokens + newTokens;
    }
    this.#result = result;
    if (this.#newTokens > CACHE_GROWTH * this.#savedTokens) this.#saveCache();
  };

  #hidden = () => {
    if (!document.hidden) return;
    if (this.#timer !== undefined) this.#write();
    if (this.#newTokens > 0) this.#saveCache();
  };

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

  /** Whether the model is another one than before; what that computed is of no use to it. */
  #isOther(choice: ModelChoice): boolean {
    return JSON.stringify(this.#kept.named) !== JSON.stringify(nameOf(choice));
  }

  /** From now on caches are saved under another name, and the old one is to be deleted. */
  #renew(): void {
    this.#save?.stop.abort();
    this.#notice();
    if (this.#mayBeSaved) this.#kept.outdated.push(this.#kept.cache);
    this.#mayBeSaved = false;
    this.#newTokens = this.#savedTokens = 0;
    this.#session.saved = this.#kept.cache = `${this.#session.choice.name.slice(0, 99)}, ${new Date().toISOString()}`;
  }

  /** Back to the name of a conversation that began before the person did not want it kept, and then did again. */
  #rename(name: string): void {
    this.#kept.outdated = this.#kept.outdated.filter((other) => other !== name);
    this.#session.saved = this.#kept.cache = name;
    this.#write();
  }

  #write = () => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#kept.messages.length > 0) this.#unread = false;
    if (this.place === 'elsewhere' || this.place === 'later' || this.#unread) return;
    const next = this.#written.then(() => this.#store());
    this.#written = next.then(
      () => this.#tell('here'),
      () => this.#tell('nowhere'),
    );
    void this.#deleteOutdated();
  };

  #tell(place: KeptChat['place']): void {
    this.place = place;
    this.dispatchEvent(new Event('change'));
  }

  async #store(): Promise<void> {
    const { messages, outdated } = this.#kept;
    const said = this.on ? messages.filter(isSaid) : [];
    if (said.length + outdated.length === 0) await del(this.#key, this.#database);
    else await set(this.#key, { ...this.#kept, format: FORMAT, messages: said }, this.#database);
  }

  /** That may wait for other tabs, which what is said does not. What fails is tried again after the next write. */
  async #deleteOutdated(): Promise<void> {
    if (this.#deleting) return;
    this.#deleting = true;
    try {
      while (this.#kept.outdated.length > 0) {
        // even where there was no room to write: this makes some
        await this.#written;
        await this.#save?.done;
        // one of them may be in use again
        const name = this.#kept.outdated[0];
        if (name === undefined) break;
        await this.#deleteCache(name);
        this.#kept.outdated = this.#kept.outdated.filter((other) => other !== name);
        this.#write();
      }
    } catch {
      // its name stays on record
    } finally {
      this.#deleting = false;
    }
  }

  /** Saves the engine's cache, where there is room for it, until something is asked. What fails is tried again later. */
  #saveCache(): void {
    const { talk, phase, memory } = this.#session;
    if (!talk || !memory || phase !== 'ready' || this.#save || this.place !== 'here' || !this.on) return;
    // in another visit nobody could say which model it is
    if (!this.#kept.named) return;
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
      if (name !== this.#kept.cache) this.#rename(name);
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
