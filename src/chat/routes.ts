/** Names of conversations in the address bar, `#/c/<id>`: Back and Forward go between them. */
import type { StoreChange } from './conversations/store';
import type { KeptChat } from './kept-chat';

const NAMED = /^#\/c\/([\w-]+)$/;

/** What an entry of the browser's history is of, where its address names no conversation. */
interface State {
  chat: 'new' | 'temporary';
}

const named = (): string | null => NAMED.exec(location.hash)?.[1] ?? null;
const state = (): State | null => {
  const { chat } = (history.state ?? {}) as Partial<State>;
  return chat === 'new' || chat === 'temporary' ? { chat } : null;
};

/**
 * Which conversation is asked for: an id; null: a new one, as a page that is loaded again had; undefined: the last one.
 */
export function wantedConversation(): string | null | undefined {
  return named() ?? (state() ? null : undefined);
}

/** Whether the conversation on show is to be one of which nothing is kept. */
export const wantsTemporary = (): boolean => state()?.chat === 'temporary';

/**
 * What the installed page is opened for, by its shortcuts (`?new`, `?temporary`) and by what is shared with it
 * (`?shared`): a conversation begins, and the address says it no more.
 * @returns the value of `?shared`; null: nothing was
 */
export function takeOpening(): string | null {
  const address = new URL(location.href);
  const { searchParams } = address;
  const shared = searchParams.get('shared');
  const names = ['new', 'temporary', 'shared'].filter((name) => searchParams.has(name));
  if (names.length === 0) return null;
  const begun: State = { chat: names.includes('temporary') ? 'temporary' : 'new' };
  for (const name of names) searchParams.delete(name);
  address.hash = '';
  history.replaceState(begun, '', address);
  return shared;
}

/** Keeps the address bar and the conversation on show together. */
export function followAddress(kept: KeptChat): void {
  const plain = () => location.pathname + location.search;
  const address = () => (kept.id === null ? plain() : `#/c/${kept.id}`);
  const now = (): State | null => (kept.id === null ? { chat: kept.temporary ? 'temporary' : 'new' } : null);
  const replace = () => history.replaceState(now(), '', address());

  const page = document.title;
  /** tabs and the list of Back are told apart by it */
  const entitle = async () => {
    const entry = kept.id === null ? undefined : await kept.store.entry(kept.id).catch(() => undefined);
    document.title = entry?.title ? `${entry.title} · Nibble` : page;
  };
  for (const event of ['name', 'show']) kept.addEventListener(event, entitle);
  kept.store.addEventListener('change', (event) => {
    if ((event as CustomEvent<StoreChange>).detail.id === kept.id) void entitle();
  });
  void entitle();
  kept.addEventListener('name', replace);
  kept.addEventListener('show', () => {
    if (kept.lost || (named() === kept.id && state()?.chat === now()?.chat)) replace();
    else history.pushState(now(), '', address());
  });
  window.addEventListener('popstate', () => {
    const id = named();
    if (id !== null) void kept.openConversation(id);
    else kept.newChat(state()?.chat === 'temporary');
  });
  if (kept.id !== null) replace();
  if (kept.id === null && wantsTemporary()) kept.newChat(true);
}
