/**
 * The page's conversation, kept in this browser: what was said, as it is said (conversation-store.ts), and the engine's
 * cache of it, after answers (kept-cache.ts). What is said in a tab that does not hold the conversation goes with it.
 * Where the browser stores nothing, nothing is kept, and the chat goes on.
 */
import { NibbleError } from '../errors';
import { isSaid } from '../ui/conversation/cut';
import type { ChatSession } from '../ui/conversation/session';
import type { ModelChoice } from '../ui/models/model-choice';
import { recall, remember } from '../ui/remember';
import {
  type ConversationRecord,
  type NamedModel,
  type OpenConversation,
  openConversation,
  type Place,
} from './conversation-store';
import { KeptCache } from './kept-cache';

/** While an answer grows, it is stored this often, ms. */
const STORE_MS = 1000;
/** localStorage has it where nothing is to be kept. */
const OFF = 'nibble-chat-off';

function nameOf({ model, revision, options }: ModelChoice): NamedModel | undefined {
  return typeof model === 'string' ? { model, revision, options } : undefined;
}

/** Dispatches 'change' when `on` or `place` does. */
export class KeptChat extends EventTarget {
  place: Place;
  /** whether the person wants it */
  on = recall(OFF) === null;
  readonly #open: OpenConversation;
  readonly #deleteCache: (name: string) => Promise<void>;
  #session!: ChatSession;
  #cache!: KeptCache;
  #record: ConversationRecord = { messages: [], cache: '', outdated: [] };
  /** what was kept could not be read, so that it stays as it is until something is said */
  #unread: boolean;
  #timer: ReturnType<typeof setTimeout> | undefined;

  private constructor(open: OpenConversation, deleteCache: (name: string) => Promise<void>) {
    super();
    this.#open = open;
    this.#deleteCache = deleteCache;
    this.place = open.place;
    this.#unread = open.place === 'nowhere';
    const { record } = open;
    if (record && this.on) this.#record = record;
    // kept at this address before the person said at another one that they do not want it
    else if (record) this.#record.outdated = [...record.outdated, ...(record.cache ? [record.cache] : [])];
  }

  /**
   * Looks for what was kept.
   * @param address the model that the address bar names: with each, this page has a conversation of its own
   * @param deleteCache the engine's deleteSavedCache()
   */
  static async open(address: string, deleteCache: (name: string) => Promise<void>): Promise<KeptChat> {
    return new KeptChat(await openConversation(address), deleteCache);
  }

  /** The model that the conversation was held with last, where that can be named. */
  get model(): NamedModel | undefined {
    return this.#record.named;
  }

  /** Gives the session what was kept, where nothing has been said yet, and from now on keeps what is said. */
  attach(session: ChatSession): void {
    this.#session = session;
    if (session.messages.length === 0) this.#goOn();
    this.#cache = new KeptCache(session, this.#record, {
      isWanted: () => this.place === 'here' && this.on,
      write: () => this.#write(),
      written: () => this.#open.written,
      deleteCache: this.#deleteCache,
    });
    session.addEventListener('change', this.#changed);
    document.addEventListener('visibilitychange', this.#hidden);
    session.dispatchEvent(new Event('change'));
    if (!this.on || this.#record.outdated.length > 0) this.#write();
  }

  #goOn(): void {
    const session = this.#session;
    session.messages = this.#record.messages;
    // left without an answer: the person is asked, as after one that failed
    const left = () => session.messages.at(-1)?.role === 'user';
    const { cut = null } = this.#record;
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
    if (!on) this.#cache.renew();
    this.#unread = false;
    this.#write();
  }

  #changed = () => {
    const { messages, phase, choice } = this.#session;
    const before = this.#record.messages;
    const said = messages !== before;
    const grows = phase === 'answering' && messages.length === before.length;
    this.#record.messages = messages;
    this.#cache.changed();
    // should the page be left now
    this.#record.cut = phase === 'answering' ? { finish: 'aborted', ids: null } : this.#session.cut;
    const other = this.#isOther(choice);
    this.#record.named = nameOf(choice);
    if (other || (said && messages.length === 0)) this.#cache.renew();
    if (said && grows) this.#timer ??= setTimeout(this.#write, STORE_MS);
    else if (said || other) this.#write();
    this.#cache.answered();
  };

  #hidden = () => {
    if (!document.hidden) return;
    if (this.#timer !== undefined) this.#write();
    this.#cache.hidden();
  };

  /** Whether the model is another one than before; what that computed is of no use to it. */
  #isOther(choice: ModelChoice): boolean {
    return JSON.stringify(this.#record.named) !== JSON.stringify(nameOf(choice));
  }

  #write = () => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#record.messages.length > 0) this.#unread = false;
    if (this.place === 'elsewhere' || this.place === 'later' || this.#unread) return;
    this.#open.write(
      () => this.#asKept(),
      (place) => {
        this.place = place;
        this.dispatchEvent(new Event('change'));
      },
    );
    void this.#cache.deleteOutdated();
  };

  /** What is to be kept now; null: nothing. With nothing said, the next visit has no model to go on with, either. */
  #asKept(): ConversationRecord | null {
    const messages = this.on ? this.#record.messages.filter(isSaid) : [];
    const { cache, outdated } = this.#record;
    if (messages.length > 0) return { ...this.#record, messages };
    return outdated.length > 0 ? { messages, cache, outdated } : null;
  }
}
