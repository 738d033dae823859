/** A widget's conversation, kept under a name as it goes on, and taken up again where it was left. */
import type { ChatSession } from '../ui/conversation/session';
import type { Thread } from '../ui/conversation/thread';
import { keepThread, recallThread } from './kept-threads';

/** Pieces of an answer come faster than they are to be written. */
const SAVE_MS = 400;

export class Keeping {
  readonly #name: string;
  readonly #session: ChatSession;
  /** turns that this widget has seen */
  readonly #known = new Set<string>();
  /** as it is kept, as far as this widget knows */
  #kept: Thread | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #saving: Promise<void> = Promise.resolve();

  /** @param name of the conversation, for all pages of the site */
  constructor(name: string, session: ChatSession) {
    this.#name = name;
    this.#session = session;
    session.addEventListener('change', this.#changed);
    document.addEventListener('visibilitychange', this.#visible);
    addEventListener('pagehide', this.#now);
  }

  /** What was said before, unless something is said already. Where nothing may be stored, it is this visit's. */
  async recall(): Promise<void> {
    const thread = await recallThread(this.#name).catch(() => null);
    if (!thread || thread.turns.length === 0) return;
    const { turns } = this.#session.thread;
    const unseen = thread.turns.some(({ id }) => !this.#known.has(id));
    if (turns.length > 0 && (!unseen || this.#session.thread !== this.#kept)) return;
    if (this.#session.phase === 'answering' || this.#session.waiting.length > 0) return;
    for (const { id } of thread.turns) this.#known.add(id);
    this.#kept = thread;
    this.#session.thread = thread;
  }

  /** Ends it. @param thread as it is left: what of it is not kept yet is */
  stop(thread: Thread): void {
    this.#session.removeEventListener('change', this.#changed);
    document.removeEventListener('visibilitychange', this.#visible);
    removeEventListener('pagehide', this.#now);
    void this.#save(thread);
  }

  #changed = () => {
    if (this.#session.thread !== this.#kept) this.#timer ??= setTimeout(this.#now, SAVE_MS);
  };

  /** Another tab may have gone on with it. */
  #visible = () => void (document.hidden ? this.#now() : this.recall());

  #now = () => this.#save(this.#session.thread);

  #save(thread: Thread): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#saving = this.#saving.then(async () => {
      if (thread === this.#kept || (thread.turns.length === 0 && !this.#kept)) return;
      for (const { id } of thread.turns) this.#known.add(id);
      // full, or forbidden: the conversation is this visit's
      if (await keepThread(this.#name, thread, this.#known).catch(() => null)) this.#kept = thread;
    });
    return this.#saving;
  }
}
