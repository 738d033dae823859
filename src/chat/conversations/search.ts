/**
 * Finds conversations by words of their titles and texts (BM25, minisearch). The index is made when something is first
 * searched for, and follows what is said from then on.
 */
import MiniSearch from 'minisearch';
import { wordsOf } from '../../ui/search/words-of';
import type { Conversation } from './conversation';
import type { ConversationStore, StoreChange } from './store';

/** That many are read before the page gets a turn. */
const AT_ONCE = 20;
/** Letters around what was found. */
const AROUND = 60;

export interface Found {
  id: string;
  /** of its text, around what was found; '' where the title has it */
  passage: string;
}

const textOf = ({ thread }: Conversation): string => thread.turns.map(({ message }) => message.content).join('\n');

/** The text around the first of these words. */
export function passageOf(text: string, words: readonly string[]): string {
  const low = text.toLowerCase();
  const places = words.map((word) => low.indexOf(word)).filter((place) => place >= 0);
  if (places.length === 0) return '';
  const at = Math.min(...places);
  const start = Math.max(0, at - AROUND / 2);
  const passage = text
    .slice(start, start + 2 * AROUND)
    .replace(/\s+/g, ' ')
    .trim();
  return `${start > 0 ? '…' : ''}${passage}${start + 2 * AROUND < text.length ? '…' : ''}`;
}

export class ConversationSearch {
  readonly #store: ConversationStore;
  readonly #index = new MiniSearch<{ id: string; title: string; text: string }>({
    fields: ['title', 'text'],
    tokenize: wordsOf,
    // they are folded already
    processTerm: (word) => word,
    searchOptions: { boost: { title: 3 }, prefix: true, combineWith: 'AND' },
  });
  /** null: all of them */
  #unread: Set<string> | null = null;

  constructor(store: ConversationStore) {
    this.#store = store;
    store.addEventListener('change', (event) => {
      const { id, what } = (event as CustomEvent<StoreChange>).detail;
      if (what !== 'ask') this.#unread?.add(id);
    });
  }

  /** The best first. @param signal ends a search whose words are others by now */
  async find(query: string, most = 50, signal?: AbortSignal): Promise<Found[]> {
    await this.#read(signal);
    const words = wordsOf(query);
    if (words.length === 0) return [];
    const results = this.#index.search(words.join(' '), { tokenize: (text) => text.split(' ') }).slice(0, most);
    const passages = results.map(async ({ id, terms }): Promise<Found> => {
      const conversation = await this.#store.read(id);
      return { id, passage: conversation ? passageOf(textOf(conversation), terms) : '' };
    });
    return Promise.all(passages);
  }

  async #read(signal?: AbortSignal): Promise<void> {
    this.#unread ??= new Set((await this.#store.list()).map(({ id }) => id));
    while (this.#unread.size > 0 && !signal?.aborted) {
      const ids = [...this.#unread].slice(0, AT_ONCE);
      for (const id of ids) this.#unread.delete(id);
      for (const [index, one] of (await Promise.all(ids.map((id) => this.#store.read(id)))).entries()) {
        if (this.#index.has(ids[index])) this.#index.discard(ids[index]);
        if (one) this.#index.add({ id: one.id, title: one.title, text: textOf(one) });
      }
      await new Promise((resolve) => setTimeout(resolve));
    }
  }
}
