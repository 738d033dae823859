/** A conversation as this browser keeps it: what a list shows of it, and what was said. */
import type { EngineOptions } from '../../protocol';
import type { ChatSettings } from '../../ui/conversation/chat-settings';
import { isSaid } from '../../ui/conversation/cut';
import { alter, EMPTY_THREAD, type Thread, type Turn, wayOf } from '../../ui/conversation/thread';

/** What can be named again at another visit. A model from files cannot, and a token is never stored. */
export interface NamedModel {
  model: string;
  revision?: string;
  options?: EngineOptions;
}

/** What the fields mean; another number where they come to mean something else. 1: one conversation an address. */
export const FORMAT = 2;

/** What a list needs of a conversation, kept apart from what was said in it. */
export interface Entry {
  readonly format: number;
  /** unique in this browser */
  readonly id: string;
  readonly title: string;
  /** 'auto': from the first question */
  readonly titled: 'auto' | 'person';
  /** ms since 1970 */
  readonly created: number;
  /** when something was said last, ms since 1970 */
  readonly updated: number;
  readonly pinned: boolean;
  readonly folder: string | null;
  /** the model that the address bar named when it began: at that address it goes on */
  readonly address: string;
  /** the model that it was held with last */
  readonly named?: NamedModel;
  /** name of its saved cache */
  readonly cache: string;
  /** there may be a saved cache of that name */
  readonly cached: boolean;
}

export interface Conversation extends Entry {
  readonly settings: ChatSettings;
  readonly thread: Thread;
}

/** A later version of the page wrote it, whose fields may mean something else. */
export const isLater = ({ format }: Pick<Entry, 'format'>): boolean => format > FORMAT;

const TITLE = 48;

/** The first line of a text, cut at a word. */
export function shortTitle(text: string, most = TITLE): string {
  const line = text.trim().split(/\n/, 1)[0].replace(/\s+/g, ' ').trim();
  const letters = [...line];
  if (letters.length <= most) return line;
  const cut = letters.slice(0, most).join('');
  // a language without spaces has words all the same, but no place to cut that a reader would miss
  const words = cut.replace(/\s+\S*$/, '');
  return `${words.length > most / 2 ? words : cut}…`;
}

/** What is said of a thread in a list: its first question. '' where there is none. */
export function titleOf(thread: Thread): string {
  const first = wayOf(thread).find(({ message }) => message.role === 'user');
  return first ? shortTitle(first.question ?? first.message.content) : '';
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

function isTurn(value: unknown): value is Turn {
  if (!isObject(value) || typeof value.id !== 'string' || !isObject(value.message)) return false;
  const { role, content } = value.message;
  return (
    (value.parent === null || typeof value.parent === 'string') &&
    typeof role === 'string' &&
    typeof content === 'string' &&
    typeof value.at === 'number'
  );
}

/** @returns what of it is a thread: turns that are none are left out, and those that follow nothing begin anew */
export function readThread(value: unknown): Thread {
  if (!isObject(value) || !Array.isArray(value.turns)) return EMPTY_THREAD;
  const turns = value.turns.filter(isTurn);
  const { leaf } = value;
  const known = turns.some(({ id }) => id === leaf);
  return { turns, leaf: known ? (leaf as string) : (turns.at(-1)?.id ?? null) };
}

/**
 * A thread as it is kept should the page be left now: an answer that has not begun is none, and one that grows is not
 * whole.
 * @param growing whether an answer is under way
 */
export function asKept(thread: Thread, growing: boolean): Thread {
  const last = thread.turns.find(({ id }) => id === thread.leaf);
  if (!growing || !last) return thread;
  if (last.message.role !== 'assistant') return thread;
  if (isSaid(last.message)) return alter(thread, last.id, { cut: { finish: 'aborted', ids: null } });
  return { turns: thread.turns.filter((turn) => turn !== last), leaf: last.parent };
}

/** The same thread for another model, which has other ids: answers that were cut are known by their text. */
export function withoutIds({ turns, leaf }: Thread): Thread {
  return { turns: turns.map((turn) => (turn.cut?.ids ? { ...turn, cut: { ...turn.cut, ids: null } } : turn)), leaf };
}
