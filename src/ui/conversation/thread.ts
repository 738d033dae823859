/**
 * What was said in a conversation, as a tree: an answer that is given anew and a question that is edited stand beside
 * what was there, and one way through the tree is shown. All functions leave what they get as it is.
 */
import type { ChatMessage, GenerateStats } from '../../protocol';
import type { Cut } from './cut';

/** A message, and what is known of it. */
export interface Turn {
  /** unique in its thread */
  readonly id: string;
  /** the turn that it follows; null: a conversation's first */
  readonly parent: string | null;
  readonly message: ChatMessage;
  /** when it was said, ms since 1970 */
  readonly at: number;
  /** of an answer that is not whole */
  readonly cut?: Cut | null;
  /** of an answer: what it took */
  readonly stats?: GenerateStats;
  /** of an answer: the engine's note about it */
  readonly note?: string | null;
  /** of an answer: how long its reasoning took, ms */
  readonly thoughtMs?: number;
  /** of an answer that came from a server: its host */
  readonly server?: string;
  /** of an answer: the model's name */
  readonly model?: string;
  /** of a question whose content has more than what was typed, such as passages of files: what was typed */
  readonly question?: string;
  /** of a question: what of attached files was sent with it. The message's content has it; this is what is shown */
  readonly attached?: readonly Attached[];
}

/** A passage of a file that was sent with a question. */
export interface UsedPassage {
  readonly text: string;
  /** from 1; null: the file has no pages */
  readonly page: number | null;
}

/** A file that went with a question. */
export interface Attached {
  readonly name: string;
  /** its whole text, for questions that follow; '' where an earlier question has it */
  readonly text: string;
  /** the passages that were sent; absent: all of it */
  readonly used?: readonly UsedPassage[];
}

export interface Thread {
  readonly turns: readonly Turn[];
  /** the last turn of the way that is shown; null: nothing is said on it */
  readonly leaf: string | null;
}

export const EMPTY_THREAD: Thread = { turns: [], leaf: null };

/** A new turn's id: 96 random bits. (`crypto.randomUUID` is missing on insecure pages.) */
export const newId = (): string =>
  Array.from(crypto.getRandomValues(new Uint32Array(3)), (word) => word.toString(36).padStart(7, '0')).join('');

/** A thread of one way. */
export function threadOf(messages: readonly ChatMessage[], at = Date.now()): Thread {
  const ids = messages.map(newId);
  const turns = messages.map((message, i): Turn => ({ id: ids[i], parent: ids[i - 1] ?? null, message, at }));
  return { turns, leaf: ids.at(-1) ?? null };
}

/** The turns that are shown, the first one first. */
export function wayOf({ turns, leaf }: Thread): Turn[] {
  const byId = new Map(turns.map((turn) => [turn.id, turn]));
  const way: Turn[] = [];
  // a stored thread may be broken: each turn once
  for (let id = leaf; id !== null && byId.has(id); ) {
    const turn: Turn = byId.get(id)!;
    byId.delete(id);
    way.push(turn);
    id = turn.parent;
  }
  return way.reverse();
}

/** Whether `id` is in the thread. */
const has = ({ turns }: Thread, id: string | null) => id !== null && turns.some((turn) => turn.id === id);

/** A turn more; the way that is shown ends with it. */
export function append({ turns }: Thread, turn: Turn): Thread {
  return { turns: [...turns, turn], leaf: turn.id };
}

/** The same thread with other fields of one turn. A thread that has no such turn stays as it is. */
export function alter(thread: Thread, id: string, fields: Partial<Omit<Turn, 'id' | 'parent'>>): Thread {
  // the newest one is what grows
  const index = thread.turns.findLastIndex((turn) => turn.id === id);
  if (index < 0) return thread;
  return { ...thread, turns: thread.turns.with(index, { ...thread.turns[index], ...fields }) };
}

/** What stands beside a turn, and the turn itself, the oldest first: edits of a question, answers to it. */
export function siblingsOf({ turns }: Thread, id: string): Turn[] {
  const turn = turns.find((other) => other.id === id);
  if (!turn) return [];
  return turns.filter(({ parent, message }) => parent === turn.parent && message.role === turn.message.role);
}

/** Shows the way through a turn, and from there to the newest of what follows it. */
export function showTurn(thread: Thread, id: string): Thread {
  if (!has(thread, id)) return thread;
  const newest = new Map(thread.turns.map((turn) => [turn.parent, turn.id]));
  const passed = new Set<string>();
  let leaf = id;
  // a stored thread may be broken: each turn once
  for (let next: string | undefined = id; next !== undefined && !passed.has(next); next = newest.get(next)) {
    passed.add(next);
    leaf = next;
  }
  return { ...thread, leaf };
}

/** Without a turn and all that follows it. Where that was shown, what stands beside it is, or else what was before. */
export function removeTurn(thread: Thread, id: string): Thread {
  const turn = thread.turns.find((other) => other.id === id);
  if (!turn) return thread;
  const gone = new Set([id]);
  // also where what follows was stored before what it follows
  for (let before = 0; before < gone.size; ) {
    before = gone.size;
    for (const { id: other, parent } of thread.turns) if (parent !== null && gone.has(parent)) gone.add(other);
  }
  const turns = thread.turns.filter((other) => !gone.has(other.id));
  if (thread.leaf === null || !gone.has(thread.leaf)) return { turns, leaf: thread.leaf };
  const beside = siblingsOf(thread, id).findLast((other) => other.id !== id);
  if (beside) return showTurn({ turns, leaf: null }, beside.id);
  return { turns, leaf: has({ turns, leaf: null }, turn.parent) ? turn.parent : null };
}

/**
 * A thread of one way that says these messages: a turn that says the same message at the same place stays what it is.
 */
export function sayAgain(thread: Thread, messages: readonly ChatMessage[], at = Date.now()): Thread {
  const way = wayOf(thread);
  let turns: Turn[] = [];
  for (const [index, message] of messages.entries()) {
    const same = way[index]?.message === message && way[index].parent === (turns.at(-1)?.id ?? null);
    const parent = turns.at(-1)?.id ?? null;
    turns = [...turns, same ? way[index] : { id: newId(), parent, message, at }];
  }
  return { turns, leaf: turns.at(-1)?.id ?? null };
}
