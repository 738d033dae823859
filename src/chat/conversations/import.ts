/**
 * Conversations from files: Nibble's own JSON, ChatGPT's `conversations.json` (a list of conversations, each a
 * `mapping` from ids to `{ parent, children, message: { author: { role }, content: { parts }, create_time } }`, with
 * `current_node`), and Jan's threads (`{ id, title, ... }` with `messages`, or lines of `messages.jsonl`, each `{ role,
 * content: [{ text: { value } }], created_at }`). Texts are taken as texts, whatever markup they hold. A conversation
 * of which nothing can be read is left out and counted.
 */

import { newId, type Thread, type Turn } from '../../ui/conversation/thread';
import { checkSettings } from '../../ui/settings/check-settings';
import { type Conversation, FORMAT, type NamedModel, readThread, shortTitle, titleOf } from './conversation';
import { EXPORT_KIND } from './export';

/** A file of more bytes is not read: JSON of that size takes a tab's memory several times over. */
export const IMPORT_BYTES = 256 << 20;

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

/** Seconds or milliseconds since 1970, or a date as a text. */
function time(value: unknown, otherwise: number): number {
  const number = typeof value === 'string' ? Date.parse(value) : typeof value === 'number' ? value : Number.NaN;
  const ms = number < 1e11 ? number * 1000 : number;
  return Number.isFinite(ms) && ms > 0 ? Math.min(ms, Date.now()) : otherwise;
}

interface Read {
  title: string;
  thread: Thread;
  created: number;
  updated: number;
  more?: Partial<Conversation>;
}

/** Turns of a thread are those that can be read; what is between them is passed over. */
function chained(raw: readonly { id: string; parent: string | null; turn: Omit<Turn, 'id' | 'parent'> | null }[]) {
  const byId = new Map(raw.map((one) => [one.id, one]));
  const names = new Map(raw.map(({ id }) => [id, newId()]));
  const parentOf = (id: string | null): string | null => {
    const seen = new Set<string>();
    let at = id;
    while (at !== null && byId.has(at) && !byId.get(at)!.turn && !seen.has(at)) {
      seen.add(at);
      at = byId.get(at)!.parent;
    }
    return at !== null && byId.get(at)?.turn ? names.get(at)! : null;
  };
  const turns = raw.flatMap(({ id, parent, turn }) =>
    turn ? [{ ...turn, id: names.get(id)!, parent: parentOf(parent) }] : [],
  );
  return { turns, leafOf: parentOf };
}

function readChatGpt(value: Json): Read | null {
  const mapping = isObject(value.mapping) ? Object.entries(value.mapping) : [];
  const created = time(value.create_time, Date.now());
  const raw = mapping.map(([id, node]) => {
    const { message, parent } = isObject(node) ? node : {};
    const { author, content, create_time } = isObject(message) ? message : ({} as Json);
    const role = text(isObject(author) ? author.role : '');
    const { parts } = isObject(content) ? content : ({} as Json);
    const said = list(parts)
      .map((part) => text(isObject(part) ? part.text : part))
      .join('')
      .trim();
    const isSaid = (role === 'user' || role === 'assistant') && said !== '';
    const turn = isSaid
      ? { message: { role, content: said } as Turn['message'], at: time(create_time, created) }
      : null;
    return { id, parent: typeof parent === 'string' ? parent : null, turn };
  });
  const { turns, leafOf } = chained(raw);
  if (turns.length === 0) return null;
  const leaf = leafOf(text(value.current_node)) ?? turns.at(-1)!.id;
  const updated = time(value.update_time, created);
  return { title: text(value.title), thread: { turns, leaf }, created, updated };
}

/** A line of messages of Jan, or of others that have a role and a text. */
function readMessages(messages: readonly unknown[], value: Json): Read | null {
  const created = time(value.created ?? value.created_at, Date.now());
  let parent: string | null = null;
  const turns: Turn[] = [];
  for (const message of messages) {
    if (!isObject(message)) continue;
    const { role, content, created_at } = message;
    const parts = typeof content === 'string' ? [content] : list(content);
    const said = parts
      .map((part) => {
        const inner = isObject(part) ? part.text : part;
        return text(isObject(inner) ? inner.value : inner);
      })
      .join('\n')
      .trim();
    if ((role !== 'user' && role !== 'assistant') || said === '') continue;
    const id = newId();
    turns.push({ id, parent, message: { role, content: said }, at: time(created_at, created) });
    parent = id;
  }
  if (turns.length === 0) return null;
  const updated = time(value.updated ?? value.updated_at, turns.at(-1)!.at);
  return { title: text(value.title), thread: { turns, leaf: parent }, created, updated };
}

/** What a file may say of a turn. */
function cleanTurn({ id, parent, message, at, cut, note, model, server, question }: Turn): Turn {
  const { role, content, reasoning_content } = message;
  const isCut = cut?.finish === 'length' || cut?.finish === 'aborted' || cut?.finish === 'loop';
  const texts = { note, model, server, question };
  return {
    ...Object.fromEntries(Object.entries(texts).filter(([, one]) => typeof one === 'string')),
    id,
    parent,
    at,
    message: { role, content, ...(typeof reasoning_content === 'string' && { reasoning_content }) },
    // ids are a model's
    ...(isCut && { cut: { finish: cut.finish, ids: null } }),
  };
}

function readOwn(value: Json): Read | null {
  const { turns, leaf } = readThread(value.thread);
  const isSaid = ({ message: { role } }: Turn) => role === 'user' || role === 'assistant';
  if (turns.length === 0 || !turns.every(isSaid)) return null;
  const thread = { turns: turns.map(cleanTurn), leaf };
  const created = time(value.created, Date.now());
  const { named } = value;
  const model: NamedModel | null =
    isObject(named) && typeof named.model === 'string'
      ? { model: named.model, ...(typeof named.revision === 'string' && { revision: named.revision }) }
      : null;
  return {
    title: text(value.title),
    thread,
    created,
    updated: time(value.updated, created),
    more: {
      titled: value.titled === 'person' ? 'person' : 'auto',
      pinned: value.pinned === true,
      folder: text(value.folder) || null,
      settings: checkSettings(value.settings),
      ...(model && { named: model }),
    },
  };
}

function readOne(value: unknown): Read | null {
  if (!isObject(value)) return null;
  if (isObject(value.mapping)) return readChatGpt(value);
  if (isObject(value.thread) && Array.isArray(value.thread.turns)) return readOwn(value);
  if (Array.isArray(value.messages)) return readMessages(value.messages, isObject(value.thread) ? value.thread : value);
  return null;
}

/** All that a file may hold: one conversation, a list of them, or a line a message. */
function candidates(content: string): unknown[] {
  try {
    const value: unknown = JSON.parse(content);
    if (isObject(value) && value.kind === EXPORT_KIND) return list(value.conversations);
    if (isObject(value) && Array.isArray(value.conversations)) return value.conversations;
    if (isObject(value) && Array.isArray(value.threads)) return value.threads;
    const isMessages = Array.isArray(value) && value.length > 0 && value.every((one) => isObject(one) && 'role' in one);
    if (isMessages) return [{ messages: value }];
    return Array.isArray(value) ? value : [value];
  } catch {
    // one JSON a line
    const lines = content.split('\n').filter((line) => line.trim() !== '');
    const messages: unknown[] = [];
    for (const line of lines) {
      try {
        messages.push(JSON.parse(line));
      } catch {
        // the others may be whole
      }
    }
    return messages.length > 0 ? [{ messages }] : [];
  }
}

export interface Imported {
  conversations: Conversation[];
  /** conversations that the file has, with those of which nothing could be read */
  all: number;
}

/**
 * Reads a file's text. It throws nothing: what cannot be read is left out.
 * @param address of the model at whose address they go on
 */
export function readConversations(content: string, address: string): Imported {
  const found = candidates(content.replace(/^\ufeff/, ''));
  const conversations = found.flatMap((value): Conversation[] => {
    let read: Read | null = null;
    try {
      read = readOne(value);
    } catch {
      // nested beyond what can be read
    }
    if (!read) return [];
    const { title, thread, created, updated, more } = read;
    const own = shortTitle(title, 200);
    return [
      {
        titled: own ? 'person' : 'auto',
        pinned: false,
        folder: null,
        settings: {},
        ...more,
        format: FORMAT,
        id: newId(),
        title: own || titleOf(thread),
        created,
        updated,
        address,
        cache: '',
        cached: false,
        thread,
      },
    ];
  });
  return { conversations, all: found.length };
}
