/**
 * The page's conversations, kept in this browser (conversations/store.ts): the one on show is written as it is said,
 * and the engine's cache of it is saved after answers (kept-cache.ts). What is said in a tab that does not hold the
 * claim to a conversation is not written, nor is a temporary chat. Where the browser stores nothing, nothing is kept,
 * and the chat goes on. It is long because all ways from one conversation to another meet here, and each must lose
 * nothing.
 */
import { NibbleError } from '../errors';
import { type Draft, EMPTY_DRAFT } from '../ui/composer/draft';
import type { ChatSettings } from '../ui/conversation/chat-settings';
import type { ChatSession } from '../ui/conversation/session';
import { EMPTY_THREAD, newId, type Thread, wayOf } from '../ui/conversation/thread';
import type { ModelChoice } from '../ui/models/model-choice';
import { recall, remember } from '../ui/remember';
import { claimName, hold, type Release } from './conversations/claim';
import {
  asKept,
  type Conversation,
  FORMAT,
  isLater,
  type NamedModel,
  titleOf,
  withoutIds,
} from './conversations/conversation';
import { OutdatedCaches } from './conversations/outdated-caches';
import { ConversationStore, hasEarlier, isFull, type StoreChange } from './conversations/store';
import { type CacheRecord, KeptCache } from './kept-cache';

/** While an answer grows, it is stored this often, ms. */
const STORE_MS = 1000;
/** How long an answer that is stopped for another tab may take to end, ms. */
const STOP_MS = 2000;
/** localStorage has it where nothing is to be kept. */
const OFF = 'nibble-chat-off';

/**
 * Where what is said in this tab goes: 'here'; 'elsewhere': another tab writes this conversation; 'later': a later
 * version of the page has written it, and it is left as it is; 'nowhere': this browser has no room, or stores nothing.
 */
export type Place = 'here' | 'elsewhere' | 'later' | 'nowhere';

/** What became of a conversation that was to be shown: it is not in this browser; another tab has deleted it. */
export type Loss = 'missing' | 'deleted';

/** The conversation on show. */
interface Shown extends CacheRecord {
  readonly id: string;
  readonly created: number;
  readonly temporary: boolean;
  /** it is in the store */
  written: boolean;
  /** another tab has deleted it: it is not written again */
  gone: boolean;
  updated: number;
  thread: Thread;
  settings: ChatSettings;
  /** an answer is under way */
  growing: boolean;
  named: NamedModel | undefined;
  /** the session's when it was shown */
  choice: ModelChoice | null;
  release: Release | null;
  /** ends the wait for the claim that another tab has */
  wait: AbortController | null;
}

export function nameOf({ model, revision, options }: ModelChoice): NamedModel | undefined {
  return typeof model === 'string' ? { model, revision, options } : undefined;
}

const isSame = (a: NamedModel | undefined, b: NamedModel | undefined) => JSON.stringify(a) === JSON.stringify(b);

/** One that begins. */
const begun = (temporary = false): Shown => ({
  id: newId(),
  created: Date.now(),
  temporary,
  written: false,
  gone: false,
  updated: Date.now(),
  thread: EMPTY_THREAD,
  settings: {},
  growing: false,
  named: undefined,
  choice: null,
  cache: '',
  cached: false,
  release: null,
  wait: null,
});

const shownOf = (record: Conversation, release: Release | null): Shown => ({
  ...begun(),
  id: record.id,
  created: record.created,
  updated: record.updated,
  written: true,
  thread: record.thread,
  settings: record.settings,
  named: record.named,
  cache: record.cache,
  cached: record.cached,
  release,
});

/**
 * Dispatches 'change' when a field does, 'show' when another conversation is shown, and 'name' when the one on show is
 * kept from now on, or no more, and its `id` is another.
 */
export class KeptChat extends EventTarget {
  readonly store = new ConversationStore();
  place: Place = 'here';
  /** whether the person wants conversations kept */
  on = recall(OFF) === null;
  lost: Loss | null = null;
  /** what was written in the conversation on show, and not sent */
  draft: Draft = EMPTY_DRAFT;
  /** what new conversations begin with */
  defaults: () => ChatSettings = () => ({});
  /** the model that the address bar names */
  readonly address: string;
  readonly #outdated: OutdatedCaches;
  readonly #deleteCache: (name: string) => Promise<void>;
  #session!: ChatSession;
  #cache: KeptCache | null = null;
  #shown = begun();
  /** what "New chat" put away */
  #before: Shown | null = null;
  /** one conversation makes room for another in the session */
  #switching = false;
  /** of the conversation that was asked for last: one that is still being read gives way to it */
  #turn = 0;
  #written: Promise<void> = Promise.resolve();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** caches that were deleted to make room, should that not be written */
  readonly #roomMade = new Set<string>();

  private constructor(address: string, deleteCache: (name: string) => Promise<void>) {
    super();
    this.address = address;
    this.#deleteCache = deleteCache;
    this.#outdated = new OutdatedCaches(this.store, deleteCache);
    this.store.addEventListener('change', this.#stored);
  }

  /**
   * Looks for what was kept.
   * @param address the model that the address bar names: at each, the page goes on with what was said there last
   * @param deleteCache the engine's deleteSavedCache()
   * @param wanted a conversation's id; null: a new one; undefined: the last one at this address that no other tab has
   */
  static async open(
    address: string,
    deleteCache: (name: string) => Promise<void>,
    wanted?: string | null,
  ): Promise<KeptChat> {
    const chat = new KeptChat(address, deleteCache);
    try {
      if (await hasEarlier()) await chat.#migrate();
      await chat.#outdated.recall();
      if (wanted === undefined) await chat.#findLast();
      else if (wanted !== null) await chat.#find(wanted);
      await chat.#recallDraft();
    } catch {
      chat.place = 'nowhere';
    }
    return chat;
  }

  /** The conversation on show; null: one that is not kept, or has not begun. */
  get id(): string | null {
    return this.#shown.written ? this.#shown.id : null;
  }

  /** The model that the conversation was held with last, where that can be named. */
  get model(): NamedModel | undefined {
    return this.#shown.named;
  }

  /** Where that is another one than the session has: that model. What is asked now is answered by the session's. */
  get otherModel(): NamedModel | null {
    const { named, thread } = this.#shown;
    const now = nameOf(this.#session.choice);
    if (!named || thread.turns.length === 0) return null;
    return named.model === now?.model && named.revision === now?.revision ? null : named;
  }

  get temporary(): boolean {
    return this.#shown.temporary;
  }

  /** whether something may be said and changed here */
  get readOnly(): boolean {
    return this.place === 'elsewhere' || this.place === 'later';
  }

  /** Gives the session what was kept, where nothing has been said yet, and from now on keeps what is said. */
  attach(session: ChatSession): void {
    this.#session = session;
    if (session.messages.length === 0 && this.#shown.written) this.#put(this.#shown);
    else {
      // what was said before this was here is a conversation of its own
      this.#shown.release?.();
      this.#shown = begun();
      this.place = this.place === 'nowhere' ? 'nowhere' : 'here';
      if (session.thread.turns.length === 0) session.settings = this.defaults();
      const { thread, settings, saved: cache = '' } = session;
      Object.assign(this.#shown, { thread, settings, cache });
      this.#keepNew();
    }
    for (const event of ['change', 'thread', 'settings']) session.addEventListener(event, this.#changed);
    document.addEventListener('visibilitychange', this.#hidden);
    window.addEventListener('pagehide', this.#hidden);
    session.dispatchEvent(new Event('change'));
    if (session.thread.turns.length > 0 && !this.#shown.written) this.#write();
    void this.#sweep();
  }

  /** Shows another conversation. What is under way in the one on show is stopped, and kept in it. */
  async openConversation(id: string): Promise<void> {
    if (id === this.id) return;
    const turn = ++this.#turn;
    const before = this.#shown;
    await this.#written;
    const found = await this.#read(id).catch(() => null);
    if (turn !== this.#turn) {
      found?.shown.release?.();
      return;
    }
    if (!found) {
      this.newChat();
      this.lost = 'missing';
      this.#tell('show');
      return;
    }
    this.#show(found.shown, found.place);
    await this.#recallDraft();
    this.#dispose(before);
    this.#tell('show');
  }

  /** Puts the conversation away; the model stays. @param temporary nothing of the new one is kept */
  newChat(temporary = false): void {
    this.#turn++;
    if (this.#session.messages.length === 0 && temporary === this.temporary && !this.readOnly) return;
    this.#switching = true;
    this.#session.newChat();
    this.#switching = false;
    this.#begin(temporary);
  }

  /** Asks the tab that has this conversation for it; it is handed over as soon as what that tab said is written. */
  takeOver(): void {
    this.store.tell({ what: 'ask', id: this.#shown.id });
  }

  /**
   * As the person wants it. What was kept of the conversation on show is deleted where none is to be; the others are in
   * the list.
   */
  keep(on: boolean): void {
    this.on = on;
    remember(OFF, on ? null : '');
    if (!on) this.#cache?.renew();
    this.#write();
    this.#tell();
  }

  /** What the person has written and not sent. */
  async keepDraft(draft: Draft): Promise<void> {
    this.draft = draft;
    const { temporary, thread, id } = this.#shown;
    if (temporary || !this.on || this.readOnly) return;
    const isEmpty = draft.text === '' && draft.attached.length === 0;
    await this.store.keepDraft(thread.turns.length > 0 ? id : '', isEmpty ? null : draft).catch(() => {});
  }

  /** resolves when all that was to be written before is written, or could not be */
  get written(): Promise<void> {
    return this.#written;
  }

  /** Deletes the saved caches of conversations that were deleted. */
  async deleteOutdated(): Promise<void> {
    await this.#outdated.recall().catch(() => {});
    await this.#sweep();
  }

  dismissLoss(): void {
    this.lost = null;
    this.#tell();
  }

  /** Takes over what earlier versions kept. */
  async #migrate(): Promise<void> {
    const { migrate } = await import('./conversations/migrate');
    const take = () => migrate(this.store, this.on, (name) => this.#outdated.add(name));
    if (await take()) return;
    // where there is no room for them, what is not needed any more makes some
    await this.#sweep();
    await take();
  }

  async #recallDraft(): Promise<void> {
    const { temporary, thread, id } = this.#shown;
    const kept = temporary
      ? undefined
      : await this.store.draft(thread.turns.length > 0 ? id : '').catch(() => undefined);
    this.draft = kept ?? { ...EMPTY_DRAFT };
  }

  async #findLast(): Promise<void> {
    for (const { id, address, ...entry } of await this.store.list()) {
      if (address !== this.address || isLater({ ...entry })) continue;
      const found = await this.#read(id);
      if (found?.place === 'here') Object.assign(this, { place: found.place });
      if (found?.place === 'here') this.#shown = found.shown;
      // the newest one alone: of what another tab shows, this one is not the place
      return;
    }
  }

  async #find(id: string): Promise<void> {
    const found = await this.#read(id);
    if (!found) {
      this.lost = 'missing';
      return;
    }
    this.#shown = found.shown;
    this.place = found.place;
  }

  /** Reads a conversation under its claim, where no other tab has that. */
  async #read(id: string): Promise<{ shown: Shown; place: Place } | null> {
    const release = await hold(claimName(id));
    const record = await this.store.read(id);
    if (!record) {
      release?.();
      return null;
    }
    return { shown: shownOf(record, release), place: isLater(record) ? 'later' : release ? 'here' : 'elsewhere' };
  }

  /** Puts a conversation into the session, in the place of the one there. */
  #show(shown: Shown, place: Place): void {
    this.#switching = true;
    const isOther = !isSame(shown.named, nameOf(this.#session.choice));
    if (isOther) shown.thread = withoutIds(shown.thread);
    this.#session.openThread(shown.thread, { settings: shown.settings, saved: shown.cache || undefined });
    this.#switching = false;
    Object.assign(this, { place, lost: null });
    this.#take(shown);
  }

  /** At the first visit of a page: the session has said nothing yet. */
  #put(shown: Shown): void {
    this.#show(shown, this.place);
    const session = this.#session;
    // left without an answer: the person is asked, as after one that failed
    const isLeft = () => {
      const last = session.way.at(-1);
      return this.#shown === shown && last?.message.role === 'user' && !last.cut;
    };
    const offer = () =>
      isLeft() && session.report(new NibbleError('aborted', 'The page was left before this question was answered.'));
    if (session.phase === 'ready') offer();
    else if (isLeft()) session.addEventListener('ready', offer, { once: true });
  }

  /** The conversation on show is this one from now on. */
  #take(shown: Shown): void {
    this.#cache?.leave();
    this.#shown = shown;
    shown.choice = this.#session.choice;
    this.#cache = null;
    if (this.place === 'elsewhere') void this.#await(shown);
    else if (!shown.temporary && this.place !== 'later') this.#cache = this.#keepCache(shown);
    else this.#session.saved = undefined;
  }

  /** What the session says now is a new conversation. */
  #keepNew(): void {
    this.#shown.named = nameOf(this.#session.choice);
    this.#take(this.#shown);
  }

  /** What comes next is a new conversation; the one before stays where it is. */
  #begin(temporary: boolean): void {
    const before = this.#shown;
    Object.assign(this, { place: 'here', lost: null, draft: { ...EMPTY_DRAFT } });
    this.#cache?.leave();
    this.#shown = begun(temporary);
    const settings = this.defaults();
    Object.assign(this.#shown, { settings, thread: this.#session.thread });
    this.#cache = null;
    this.#switching = true;
    this.#session.settings = settings;
    this.#switching = false;
    this.#keepNew();
    this.#dispose(before);
    this.#before = before;
    this.#tell('show');
  }

  /** "New chat" is undone. */
  #undo(before: Shown): void {
    const turn = ++this.#turn;
    this.#before = null;
    before.thread = this.#session.thread;
    before.settings = this.#session.settings;
    this.#take(before);
    this.#tell('show');
    void this.#claim(before).then(() => turn === this.#turn && this.#write());
  }

  /** A conversation is left: what it said is written, and other tabs may have it then. */
  #dispose(shown: Shown): void {
    shown.wait?.abort();
    clearTimeout(this.#timer);
    if (this.#timer !== undefined) {
      this.#timer = undefined;
      this.#write(shown);
    }
    void this.#written.then(() => {
      if (this.#shown === shown) return;
      shown.release?.();
      shown.release = null;
    });
  }

  async #claim(shown: Shown): Promise<void> {
    shown.release ??= await hold(claimName(shown.id));
  }

  /** Waits until the tab that has a conversation closes, or hands it over. */
  async #await(shown: Shown): Promise<void> {
    const wait = new AbortController();
    shown.wait = wait;
    const release = await hold(claimName(shown.id), wait.signal);
    const record = release && (await this.store.read(shown.id).catch(() => undefined));
    if (!record || this.#shown !== shown) {
      release?.();
      return;
    }
    this.#show(shownOf(record, release), isLater(record) ? 'later' : 'here');
    this.#tell();
  }

  /** Another tab wants this conversation: what is under way is stopped and written, then it is that one's. */
  async #handOver(): Promise<void> {
    const shown = this.#shown;
    const session = this.#session;
    session.stop();
    const until = AbortSignal.timeout(STOP_MS);
    while (session.phase === 'answering' && !until.aborted) {
      await new Promise((resolve) => {
        session.addEventListener('change', resolve, { once: true });
        until.addEventListener('abort', resolve, { once: true });
      });
    }
    if (this.#shown !== shown) return;
    this.#write();
    this.#cache?.leave();
    await this.#cache?.settled;
    await this.#written;
    if (this.#shown !== shown) return;
    const { release } = shown;
    this.place = 'elsewhere';
    this.#cache = null;
    shown.release = null;
    release?.();
    void this.#await(shown);
    this.#tell();
  }

  #stored = (event: Event) => {
    const { id, what, here } = (event as CustomEvent<StoreChange>).detail;
    const shown = this.#shown;
    if (id !== shown.id || !this.#session) return;
    if (what === 'ask' && !here && this.place === 'here') void this.#handOver();
    else if (what === 'written' && this.place === 'elsewhere') void this.#follow(shown);
    else if (what === 'removed' && shown.written) {
      shown.gone = true;
      this.#switching = true;
      this.#session.openThread(EMPTY_THREAD, {});
      this.#switching = false;
      this.#begin(false);
      this.#before = null;
      if (!here) this.lost = 'deleted';
      this.#tell();
    }
  };

  /** Shows what another tab has said. */
  async #follow(shown: Shown): Promise<void> {
    const record = await this.store.read(shown.id).catch(() => undefined);
    if (!record || this.#shown !== shown || this.place !== 'elsewhere') return;
    this.#switching = true;
    shown.thread = record.thread;
    this.#session.thread = record.thread;
    this.#switching = false;
  }

  #keepCache(shown: Shown): KeptCache {
    return new KeptCache(this.#session, shown, {
      isWanted: () => this.place === 'here' && this.on && !shown.temporary && shown.named !== undefined,
      write: () => this.#write(shown),
      outdate: (name) => void this.#outdated.add(name),
      reuse: (name) => {
        void this.#outdated.drop(name);
        this.#write(shown);
      },
      makeRoom: () => this.#makeRoom(),
    });
  }

  /** The oldest saved caches go first. */
  async #makeRoom(): Promise<boolean> {
    const entries = await this.store.list().catch(() => []);
    const isSpare = ({ id, cached, cache }: (typeof entries)[number]) =>
      cached && id !== this.#shown.id && !this.#roomMade.has(cache);
    const oldest = entries.findLast(isSpare);
    if (!oldest) return false;
    await this.#deleteCache(oldest.cache);
    await this.store.change(oldest.id, () => ({ cached: false })).catch(() => this.#roomMade.add(oldest.cache));
    return true;
  }

  #changed = ({ type }: Event) => {
    // the last of the conversation that is left is announced, what is opened is not
    if (this.#switching) return type === 'thread' ? this.#said() : undefined;
    const session = this.#session;
    const shown = this.#shown;
    const { thread } = session;
    if (thread !== shown.thread) {
      const before = this.#before;
      const isUndone = before && thread.turns.length > 0 && thread.turns[0].id === before.thread.turns[0]?.id;
      // a session may put its conversation away by itself
      if (isUndone) return this.#undo(before);
      if (type === 'change' && thread.turns.length === 0 && shown.thread.turns.length > 0) return this.#begin(false);
    }
    this.#cache?.changed();
    this.#said();
    this.#cache?.answered();
  };

  /** Something was said or set, or may have been. */
  #said(): void {
    const { thread, phase, choice, settings } = this.#session;
    const shown = this.#shown;
    const said = thread !== shown.thread && !this.readOnly;
    const grows = said && phase === 'answering' && thread.turns.length === shown.thread.turns.length;
    const set = JSON.stringify(settings) !== JSON.stringify(shown.settings);
    const chosen = choice !== shown.choice || (said && phase === 'answering');
    const other = chosen && !isSame(shown.named, nameOf(choice));
    if (said) shown.updated = Date.now();
    Object.assign(shown, { thread, choice, settings, growing: phase === 'answering' });
    if (other) {
      shown.named = nameOf(choice);
      this.#cache?.renew();
    }
    if (said && thread.turns.length > 0) this.#before = null;
    if (grows) this.#timer ??= setTimeout(this.#write, STORE_MS);
    else if (said || other || set) this.#write();
  }

  #hidden = (event: Event) => {
    if (!document.hidden && event.type !== 'pagehide') return;
    if (this.#timer !== undefined) this.#write();
    if (document.hidden) this.#cache?.hidden();
  };

  #write = (shown: Shown = this.#shown) => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (shown.temporary || (shown === this.#shown && this.readOnly)) return;
    this.#written = this.#written
      .then(() => this.#keep(shown))
      .then(
        () => this.#place(shown, 'here'),
        () => this.#place(shown, 'nowhere'),
      );
    void this.#sweep();
  };

  #place(shown: Shown, place: Place): void {
    if (shown !== this.#shown || this.readOnly || place === this.place) return;
    this.place = place;
    this.#tell();
  }

  /** Writes it; where there is no room, the oldest saved caches give way, and the record before stays until then. */
  async #keep(shown: Shown): Promise<void> {
    for (;;) {
      try {
        return await this.#keepOnce(shown);
      } catch (error) {
        if (!isFull(error) || !(await this.#makeRoom())) throw error;
      }
    }
  }

  async #keepOnce(shown: Shown): Promise<void> {
    if (shown.gone) return;
    const { id, settings, cache, cached, named, updated } = shown;
    const thread = this.on ? asKept(shown.thread, shown.growing) : EMPTY_THREAD;
    if (thread.turns.length === 0) {
      if (!shown.written) return;
      shown.written = false;
      await this.store.remove(id);
      if (shown === this.#shown) this.#tell('name');
      return;
    }
    await this.#claim(shown);
    const auto = titleOf(thread);
    const fields = { updated, cache, cached, named };
    if (shown.written) {
      const title = (entry: { titled: string; title: string }) =>
        entry.titled === 'auto' && wayOf(thread).length > 0 ? auto : entry.title;
      const kept = await this.store.change(id, (entry) => ({ ...fields, title: title(entry) }), { settings, thread });
      if (!kept) shown.gone = true;
      return;
    }
    await this.store.add([
      {
        ...fields,
        format: FORMAT,
        id,
        title: auto,
        titled: 'auto',
        created: shown.created,
        pinned: false,
        folder: null,
        address: this.address,
        settings,
        thread,
      },
    ]);
    shown.written = true;
    if (shown === this.#shown) this.#tell('name');
  }

  #sweep(): Promise<void> {
    return this.#outdated.sweep(() => Promise.all([this.#written, this.#cache?.settled]));
  }

  #tell(event: 'change' | 'show' | 'name' = 'change'): void {
    if (event !== 'change') this.dispatchEvent(new Event(event));
    this.dispatchEvent(new Event('change'));
  }
}

export type { NamedModel };
