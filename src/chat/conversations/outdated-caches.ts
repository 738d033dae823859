/** Saved caches that nobody needs any more: they are deleted now, or at another visit. */
import type { ConversationStore } from './store';

export class OutdatedCaches {
  readonly #store: ConversationStore;
  readonly #deleteCache: (name: string) => Promise<void>;
  /** also where the store has no room for the names: deleting makes some */
  readonly #names = new Set<string>();
  #sweeping = false;

  /** @param deleteCache the engine's deleteSavedCache() */
  constructor(store: ConversationStore, deleteCache: (name: string) => Promise<void>) {
    this.#store = store;
    this.#deleteCache = deleteCache;
  }

  /** Those that an earlier visit left, or another tab. */
  async recall(): Promise<void> {
    for (const name of await this.#store.outdated()) this.#names.add(name);
  }

  /** It is to be deleted, by sweep(). */
  async add(name: string): Promise<void> {
    this.#names.add(name);
    await this.#store.outdate(name).catch(() => {});
  }

  /** It is in use again. */
  async drop(name: string): Promise<void> {
    if (this.#names.delete(name)) await this.#store.forgetOutdated(name).catch(() => {});
  }

  /**
   * Deletes them. That may wait for other tabs, which what is said does not. What fails is tried again by the next
   * call.
   * @param before is awaited before each: what is being written or saved
   */
  async sweep(before: () => Promise<unknown>): Promise<void> {
    if (this.#sweeping) return;
    this.#sweeping = true;
    try {
      while (this.#names.size > 0) {
        await before();
        // one of them may be in use again
        const [name] = this.#names;
        if (name === undefined) break;
        await this.#deleteCache(name);
        this.#names.delete(name);
        await this.#store.forgetOutdated(name).catch(() => {});
      }
    } catch {
      // its name stays
    } finally {
      this.#sweeping = false;
    }
  }
}
