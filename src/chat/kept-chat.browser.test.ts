/** A conversation that the page keeps. It is long because each way to lose one is a test on the same database. */
import { clear, createStore, get, set } from 'idb-keyval';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { NibbleError } from '../errors';
import { ChatSession } from '../ui/conversation/session';
import { newId, wayOf } from '../ui/conversation/thread';
import type { ModelChoice } from '../ui/models/model-choice';
import { pageFolder } from '../ui/remember';
import { FakeEngine, fakeLoad } from '../ui/test/fake-engine';
import type { Conversation } from './conversations/conversation';
import { ConversationStore } from './conversations/store';
import { KeptChat } from './kept-chat';

const store = createStore('nibble-chat', 'keyval');
const HELLO = { role: 'user', content: 'Hi' };
const ANSWER = { role: 'assistant', content: 'Hello there.' };
const OTHER: ModelChoice = { model: 'org/other', name: 'other', revision: 'v2', token: 'hf_x' };

let here = '';
let deleted: string[] = [];
/** awaited by every deletion */
let deletable: Promise<void> = Promise.resolve();
const deleteCache = async (name: string) => {
  await deletable;
  deleted.push(name);
};

const keyOf = (address: string) => `${pageFolder()} ${address}`;

/** The conversation that was held last at an address. */
async function conversationAt(address: string): Promise<Conversation | undefined> {
  const all = new ConversationStore();
  const entry = (await all.list()).find((one) => one.address === address);
  return entry && all.read(entry.id);
}

/** What is kept at this test's address, its last way in short, and the caches that are still to be deleted. */
async function kept() {
  const conversation = await conversationAt(here);
  if (!conversation) return undefined;
  const way = wayOf(conversation.thread);
  const messages = way.map(({ message }) => message);
  return { ...conversation, messages, cut: way.at(-1)?.cut ?? null };
}

const outdated = () => new ConversationStore().outdated();

/** The same at another address, as this page holds the claim to the first. */
const atAddress = (conversation: Conversation, address: string) =>
  new ConversationStore().add([{ ...conversation, id: newId(), address }]);

/** A page that was opened at an address: each has a lock that only the end of the page frees. */
async function open(address: string, engine = new FakeEngine()) {
  here = address;
  const chat = await KeptChat.open(address, deleteCache);
  const { model = 'm', ...access } = chat.model ?? {};
  const session = new ChatSession(fakeLoad(engine), {
    choice: { model, name: 'm', ...access },
    engine: {},
    sampling: {},
  });
  chat.attach(session);
  await session.load();
  return { chat, session, engine };
}

/** What the last visit of a page of before December 2026 would have left. */
async function left(address: string, record: object, under = keyOf(address)) {
  await set(under, { messages: [HELLO, ANSWER], named: { model: 'm' }, cache: 'then', outdated: [], ...record }, store);
}

/** After what was begun: a transaction waits for those before it. */
async function settled() {
  for (let turn = 0; turn < 5; turn++) await set('settled', turn, store);
}

beforeEach(async () => {
  await clear(store);
  localStorage.clear();
  deleted = [];
  deletable = Promise.resolve();
});
afterEach(() => vi.restoreAllMocks());

describe('what is said', () => {
  test('is kept as it is said, an answer that grows included', async () => {
    const { session, engine } = await open('grows');
    let grow = () => {};
    engine.pace = () => new Promise((resolve) => (grow = resolve));
    const answered = session.ask('Hi');
    await vi.waitFor(async () => expect((await kept())?.messages).toEqual([HELLO]));
    grow();
    await vi.waitFor(async () => expect((await kept())?.messages).toEqual([HELLO, { ...ANSWER, content: 'Hello' }]));
    engine.pace = () => Promise.resolve();
    grow();
    await answered;
    await vi.waitFor(async () => expect((await kept())?.messages).toEqual([HELLO, ANSWER]));
  });

  test('is there again, with the model that it was said to, but for its token', async () => {
    const first = await open('again');
    await first.session.change({ ...OTHER, options: { maxContext: 99 } }, null);
    await first.session.ask('Hi');
    await vi.waitFor(async () => expect((await kept())?.messages).toEqual([HELLO, ANSWER]));
    const record = await conversationAt('again');
    expect(record!.named).toEqual({ model: 'org/other', revision: 'v2', options: { maxContext: 99 } });
    expect(JSON.stringify(record)).not.toContain('hf_x');
    // another address, as this page holds the lock of the first
    await atAddress(record!, 'again, later');
    const later = await open('again, later');
    expect(later.session.messages).toEqual([HELLO, ANSWER]);
    expect(later.session.choice).toMatchObject({ model: 'org/other', revision: 'v2', options: { maxContext: 99 } });
    await later.session.ask('And?');
    expect(later.engine.asked[0]).toEqual([HELLO, ANSWER, { role: 'user', content: 'And?' }]);
    expect(later.engine.names).toEqual([record!.cache]);
  });

  test('stays after “New chat”, with its cache, until it is deleted, and its cache with it', async () => {
    await left('stays', {});
    const { chat, session, engine } = await open('stays');
    const { id } = chat;
    session.newChat();
    expect([chat.id, session.messages]).toEqual([null, []]);
    await session.ask('Hi');
    await vi.waitFor(async () => expect(await chat.store.list()).toHaveLength(2));
    expect(engine.names).toHaveLength(1);
    expect(engine.names[0]).not.toBe('then');
    await chat.openConversation(id!);
    expect([chat.id, session.messages, session.saved]).toEqual([id, [HELLO, ANSWER], 'then']);
    expect(deleted).toEqual([]);
    let free = () => {};
    deletable = new Promise((resolve) => (free = resolve));
    await chat.store.remove(id!);
    expect([chat.id, session.messages]).toEqual([null, []]);
    // a page that is loaded again before the cache is deleted takes care of it
    expect(await outdated()).toEqual(['then']);
    void chat.deleteOutdated();
    free();
    await vi.waitFor(async () => expect([deleted, await outdated()]).toEqual([['then'], []]));
    expect(await chat.store.list()).toHaveLength(1);
  });

  test('of a cache that could not be deleted the next visit takes care', async () => {
    await left('undeleted', { messages: [], outdated: ['then'] });
    await open('undeleted');
    await vi.waitFor(async () => expect([await kept(), deleted]).toEqual([undefined, ['then']]));
  });

  test('is kept no more where that is not wanted, at the next visit too', async () => {
    await left('unwanted', {});
    const { chat, session, engine } = await open('unwanted');
    chat.keep(false);
    await vi.waitFor(async () => expect([await kept(), deleted]).toEqual([undefined, ['then']]));
    expect(await outdated()).toEqual([]);
    await session.ask('More');
    const next = await open('unwanted, later');
    expect(next.chat.on).toBe(false);
    await next.session.ask('Hi');
    expect([await kept(), engine.saves, next.engine.saves]).toEqual([undefined, [], []]);
    next.chat.keep(true);
    await vi.waitFor(async () => expect((await kept())?.messages).toEqual([HELLO, ANSWER]));
  });

  test('is not shown, and deleted, where it was kept at another address before it was not wanted any more', async () => {
    await left('other address', { outdated: ['before'] });
    await left('without a cache', { cache: '' });
    localStorage.setItem('nibble-chat-off', '');
    expect((await open('other address')).session.messages).toEqual([]);
    await vi.waitFor(async () => expect([await kept(), deleted]).toEqual([undefined, ['before', 'then']]));
    expect((await open('without a cache')).session.messages).toEqual([]);
    await vi.waitFor(async () => expect(await kept()).toBeUndefined());
  });

  test('in a second tab is a conversation of its own, and leaves that of the first one alone', async () => {
    const first = await open('tabs');
    await first.session.ask('Hi');
    await vi.waitFor(async () => expect((await kept())?.messages).toEqual([HELLO, ANSWER]));
    const { id } = first.chat;
    const second = await open('tabs');
    expect([second.chat.place, second.session.messages]).toEqual(['here', []]);
    await second.session.ask('Other');
    second.session.newChat();
    await first.session.ask('More');
    const lengths = async () =>
      (await Promise.all((await first.chat.store.list()).map((one) => first.chat.store.read(one.id)))).map((one) => [
        one!.id === id,
        one!.thread.turns.length,
      ]);
    await vi.waitFor(async () =>
      expect(await lengths()).toEqual([
        [true, 4],
        [false, 2],
      ]),
    );
    await settled();
    expect(deleted).toEqual([]);
  });

  test('is read only in a second tab, which follows it, until the first one hands it over or closes', async () => {
    const first = await open('handed');
    await first.session.ask('Hi');
    await vi.waitFor(() => expect(first.chat.id).not.toBe(null));
    const second = await open('handed');
    await second.chat.openConversation(first.chat.id!);
    expect([second.chat.place, second.chat.readOnly, second.session.messages]).toEqual([
      'elsewhere',
      true,
      [HELLO, ANSWER],
    ]);
    await first.session.ask('More');
    await vi.waitFor(() => expect(second.session.messages).toHaveLength(4));
    // whatever is said there is not written
    await second.session.ask('Never');
    await settled();
    expect((await kept())?.messages).toHaveLength(4);
    second.chat.takeOver();
    await vi.waitFor(() => expect([first.chat.place, second.chat.place]).toEqual(['elsewhere', 'here']));
    expect(second.session.messages).toHaveLength(4);
    await second.session.ask('And?');
    await vi.waitFor(async () => expect((await kept())?.messages).toHaveLength(6));
    await vi.waitFor(() => expect(first.session.messages).toHaveLength(6));
    // it closes
    second.chat.newChat();
    await vi.waitFor(() => expect(first.chat.place).toBe('here'));
    await first.session.ask('Back');
    await vi.waitFor(async () => expect((await kept())?.messages).toHaveLength(8));
  });

  test('is no less answered where the browser stores nothing', async () => {
    const { chat, session } = await open('refused');
    const put = vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(() => {
      throw new DOMException('full', 'QuotaExceededError');
    });
    await session.ask('Hi');
    expect([session.messages, session.error]).toEqual([[HELLO, ANSWER], null]);
    await vi.waitFor(() => expect(chat.place).toBe('nowhere'));
    put.mockRestore();
    await session.ask('More');
    await vi.waitFor(async () => expect((await kept())?.messages).toHaveLength(4));
    expect(chat.place).toBe('here');
  });
});

describe('an answer that was cut', () => {
  test('is kept as one, with what it goes on from', async () => {
    const { session, engine } = await open('cut');
    engine.finish = 'length';
    await session.ask('Hi');
    await vi.waitFor(async () => expect(await kept()).toMatchObject({ cut: { finish: 'length', ids: [1, 2] } }));
    await atAddress((await conversationAt('cut'))!, 'cut, later');
    const later = await open('cut, later');
    expect(later.session.cut).toEqual({ finish: 'length', ids: [1, 2] });
    await later.session.continue();
    expect(later.engine.sampling[0].made).toEqual([1, 2]);
    await vi.waitFor(async () => expect((await kept())?.cut).toBeNull());
    // where the address bar names another model
    await left('cut, other', { cut: { finish: 'length', ids: [1, 2] }, named: { model: 'org/other' } });
    const chat = await KeptChat.open('cut, other', deleteCache);
    const other = new ChatSession(fakeLoad(new FakeEngine()), {
      choice: { model: 'm', name: 'm' },
      engine: {},
      sampling: {},
    });
    chat.attach(other);
    expect(other.cut).toEqual({ finish: 'length', ids: null });
  });

  test('by the end of the page is kept as one', async () => {
    const { session, engine } = await open('left');
    let grow = () => {};
    engine.pace = () => new Promise((resolve) => (grow = resolve));
    const answered = session.ask('Hi');
    grow();
    await vi.waitFor(async () => expect((await kept())?.messages).toHaveLength(2), { timeout: 20_000 });
    expect((await kept())?.cut).toEqual({ finish: 'aborted', ids: null });
    engine.pace = () => Promise.resolve();
    grow();
    await answered;
    await vi.waitFor(async () => expect((await kept())?.cut).toBeNull());
  });

  test('of a new chat that is undone goes on where it was', async () => {
    const { chat, session } = await open('undone');
    await session.ask('Hi');
    await vi.waitFor(async () => expect((await kept())?.messages).toEqual([HELLO, ANSWER]));
    const { id } = chat;
    session.newChat();
    expect(chat.id).toBe(null);
    session.undoNewChat();
    expect([chat.id, session.messages]).toEqual([id, [HELLO, ANSWER]]);
    await session.ask('More');
    await vi.waitFor(async () => expect((await kept())?.messages).toHaveLength(4));
    expect(await chat.store.list()).toHaveLength(1);
  });
});

describe('another page of the same origin', () => {
  /** As if this test's page were in another folder. */
  function elsewhere() {
    const base = document.createElement('base');
    base.href = '/elsewhere/';
    document.head.append(base);
    onTestFinished(() => base.remove());
  }

  test('has conversations of its own, and choices of its own', async () => {
    const first = await open('two pages');
    await first.session.ask('Hi');
    await vi.waitFor(async () => expect((await kept())?.messages).toEqual([HELLO, ANSWER]));
    elsewhere();
    const second = await open('two pages');
    expect([second.chat.place, second.session.messages]).toEqual(['here', []]);
    second.chat.keep(false);
    await second.session.ask('Other');
    document.querySelector('base')!.remove();
    expect((await kept())?.messages).toEqual([HELLO, ANSWER]);
    expect((await open('two pages, later')).chat.on).toBe(true);
  });

  test('goes on with what was kept before the folder was part of its name, and one page alone does', async () => {
    await left('', {}, 'org/model');
    const first = await open('org/model');
    expect([first.session.messages, first.session.saved]).toEqual([[HELLO, ANSWER], 'then']);
    expect(await get('org/model', store)).toBeUndefined();
    expect((await kept())?.messages).toEqual([HELLO, ANSWER]);
    elsewhere();
    const second = await open('org/model');
    expect([second.session.messages, second.session.saved === 'then']).toEqual([[], false]);
    await settled();
    expect(deleted).toEqual([]);
  });

  test('leaves alone what a tab with the page of before still keeps', async () => {
    await left('', {}, 'org/held');
    let free = () => {};
    const held = new Promise<void>((resolve) => (free = resolve));
    await new Promise<void>((resolve) => {
      void navigator.locks.request('nibble-chat:org/held', () => {
        resolve();
        return held;
      });
    });
    const { session } = await open('org/held');
    expect(session.messages).toEqual([]);
    await session.ask('Hi');
    expect(await get('org/held', store)).toMatchObject({ messages: [HELLO, ANSWER], cache: 'then' });
    free();
  });

  test('knows what was not wanted before, until the person wants it again', async () => {
    localStorage.setItem('nibble-chat-off', '');
    const { chat } = await open('wanted before');
    expect(chat.on).toBe(false);
    chat.keep(true);
    expect((await open('wanted again')).chat.on).toBe(true);
    elsewhere();
    expect((await open('wanted again')).chat.on).toBe(false);
  });
});

describe('a question that was left without an answer', () => {
  const leftAsked = async (address: string) => {
    await left(address, { messages: [HELLO] });
    const { session, engine } = await open(address);
    expect([session.messages, session.error?.code, engine.asked]).toEqual([[HELLO], 'aborted', []]);
    return { session, engine };
  };

  test('is answered where the person wants it', async () => {
    const { session, engine } = await leftAsked('answered');
    await session.retry();
    expect([engine.asked, session.messages, session.error]).toEqual([[[HELLO]], [HELLO, ANSWER], null]);
    await vi.waitFor(async () => expect((await kept())?.messages).toEqual([HELLO, ANSWER]));
  });

  test('gives way to another', async () => {
    const { session, engine } = await leftAsked('another');
    await session.ask('More');
    const more = { ...HELLO, content: 'More' };
    expect([engine.asked, session.messages, session.error]).toEqual([[[more]], [more, ANSWER], null]);
    await vi.waitFor(async () => expect((await kept())?.messages).toEqual([more, ANSWER]));
    engine.answer = [];
    await session.ask('Nothing to say?');
    expect(session.messages.length).toBe(3);
    await session.ask('And now?');
    expect(engine.asked.at(-1)).toEqual([more, ANSWER, { ...HELLO, content: 'And now?' }]);
  });

  test('is no news where it was answered', async () => {
    await left('no news', {});
    const { session, engine } = await open('no news');
    expect(session.error).toBe(null);
    engine.answer = [];
    await session.ask('Nothing to say?');
    await session.change(OTHER, null);
    expect([session.messages.length, session.error]).toEqual([3, null]);
  });
});

test('what a later version keeps is left as it is, whatever is said', async () => {
  await left('later', { format: 3, messages: 'of another kind', cache: 'later' });
  const before = await get(keyOf('later'), store);
  const now = new ConversationStore();
  const { chat, session } = await open('later');
  expect([session.messages, chat.place]).toEqual([[], 'here']);
  await session.ask('More');
  await vi.waitFor(() => expect(chat.id).not.toBe(null));
  const { id } = chat;
  session.newChat();
  // one of the list is shown as far as it is understood
  await now.add([{ ...(await now.read(id!))!, format: 3, id: 'of-later', title: 'Of later' }]);
  await chat.openConversation('of-later');
  expect([chat.place, chat.readOnly, session.messages.length]).toEqual(['later', true, 2]);
  const entry = await now.entry('of-later');
  await session.ask('Even more');
  chat.keep(false);
  await settled();
  expect(await get(keyOf('later'), store)).toEqual(before);
  expect([await now.entry('of-later'), (await now.read('of-later'))!.thread.turns.length]).toEqual([entry, 2]);
  expect(deleted).not.toContain('later');
});

test('what could not be read stays as it is, whatever is said', async () => {
  await left('unread', {});
  const read = vi.spyOn(IDBObjectStore.prototype, 'get').mockImplementation(() => {
    throw new DOMException('not now', 'UnknownError');
  });
  const { chat, session } = await open('unread');
  read.mockRestore();
  expect([session.messages, chat.place]).toEqual([[], 'nowhere']);
  session.newChat();
  await settled();
  expect(await get(keyOf('unread'), store)).toMatchObject({ messages: [HELLO, ANSWER], cache: 'then' });
  await session.ask('More');
  await vi.waitFor(async () => expect((await kept())?.messages).toEqual([{ ...HELLO, content: 'More' }, ANSWER]));
  expect(chat.place).toBe('here');
});

describe('a storage that is full', () => {
  /** Three conversations with saved caches, the oldest first. */
  async function withCaches(address: string) {
    const { chat, session } = await open(`${address}, before`);
    await session.ask('Hi');
    await vi.waitFor(() => expect(chat.id).not.toBe(null));
    await chat.written;
    const one = (await chat.store.read(chat.id!))!;
    const caches = ['oldest', 'older', 'old'];
    await chat.store.add(
      caches.map((cache, index) => ({ ...one, id: cache, cache, cached: true, updated: index + 1 })),
    );
    return chat.store;
  }

  test('in the middle of a save makes the oldest caches give way, and loses nothing', async () => {
    const all = await withCaches('full');
    const { put } = IDBObjectStore.prototype;
    const { chat, session } = await open('full');
    await session.ask('Hi');
    await vi.waitFor(async () => expect((await kept())?.messages).toEqual([HELLO, ANSWER]));
    const full = vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (
      this: IDBObjectStore,
      value,
      name,
    ) {
      const isBody = Array.isArray(name) && name[1] === 'body';
      // the second of two requests is the one that there is no room for
      if (!isBody && deleted.length < 2) throw new DOMException('full', 'QuotaExceededError');
      return put.call(this, value, name);
    });
    await session.ask('More');
    await vi.waitFor(async () => expect((await kept())?.messages).toHaveLength(4));
    expect([chat.place, deleted]).toEqual(['here', ['oldest', 'older']]);
    full.mockRestore();
    expect((await all.read('oldest'))?.thread.turns).toHaveLength(2);
  });

  test('that stays full keeps what was there before, says so, and the chat goes on', async () => {
    const { chat, session } = await open('stays full');
    await session.ask('Hi');
    await vi.waitFor(async () => expect((await kept())?.messages).toEqual([HELLO, ANSWER]));
    await chat.written;
    const { put } = IDBObjectStore.prototype;
    const full = vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (
      this: IDBObjectStore,
      value,
      name,
    ) {
      if (Array.isArray(name) && name[1] === 'entry') throw new DOMException('full', 'QuotaExceededError');
      return put.call(this, value, name);
    });
    await session.ask('More');
    await vi.waitFor(() => expect(chat.place).toBe('nowhere'));
    expect([(await kept())?.messages, session.messages.length]).toEqual([[HELLO, ANSWER], 4]);
    full.mockRestore();
    await session.ask('And?');
    await vi.waitFor(async () => expect((await kept())?.messages).toHaveLength(6));
    expect(chat.place).toBe('here');
  });

  test('has room for the cache of this conversation when those of the oldest are gone', async () => {
    await withCaches('room');
    const { session, engine } = await open('room');
    vi.spyOn(navigator.storage, 'estimate').mockImplementation(async () => ({
      quota: 1e8,
      usage: 9e7 - deleted.length * 3e7,
    }));
    await session.ask('Hi');
    await vi.waitFor(() => expect(engine.saves).toHaveLength(1));
    expect(deleted).toEqual(['oldest', 'older']);
  });
});

describe('the model of a conversation', () => {
  test('is kept with it, and another one that is loaded goes on only when it is asked', async () => {
    const { chat, session, engine } = await open('two models');
    session.settings = { system: 'Be brief', temperature: 0.3 };
    await session.ask('Hi');
    await vi.waitFor(() => expect(chat.id).not.toBe(null));
    const { id } = chat;
    chat.newChat();
    expect(session.settings).toEqual({});
    await session.change(OTHER, null);
    await chat.openConversation(id!);
    expect([chat.otherModel?.model, session.settings]).toEqual(['m', { system: 'Be brief', temperature: 0.3 }]);
    await chat.written;
    expect((await chat.store.entry(id!))?.named).toMatchObject({ model: 'm' });
    await session.ask('More');
    expect(engine.asked.at(-1)![0]).toEqual({ role: 'system', content: 'Be brief' });
    await vi.waitFor(async () => expect((await chat.store.entry(id!))?.named).toMatchObject({ model: 'org/other' }));
    expect(chat.otherModel).toBe(null);
  });

  test('a temporary chat and its draft are written nowhere, and a draft is otherwise', async () => {
    const { chat, session, engine } = await open('temporary');
    chat.newChat(true);
    await session.ask('Hi');
    await chat.keepDraft({ text: 'secret', attached: [] });
    await settled();
    expect([chat.temporary, await kept(), engine.names, engine.saves]).toEqual([true, undefined, [undefined], []]);
    chat.newChat();
    expect([chat.temporary, chat.draft.text]).toEqual([false, '']);
    await chat.keepDraft({ text: 'not yet', attached: [] });
    expect((await open('temporary, later')).chat.draft.text).toBe('not yet');
  });
});

describe('the cache', () => {
  test('that waits to be deleted does not keep what is said from being stored', async () => {
    await left('waits', { outdated: ['before'] });
    let go = () => {};
    deletable = new Promise((resolve) => (go = resolve));
    const { session } = await open('waits');
    await session.ask('More');
    await vi.waitFor(async () => expect((await kept())?.messages).toHaveLength(4));
    expect([await kept(), await outdated(), deleted]).toMatchObject([{ cache: 'then' }, ['before'], []]);
    go();
    await vi.waitFor(async () => expect([await outdated(), deleted]).toEqual([[], ['before']]));
  });

  test('that is outdated is deleted also where there is no room to write', async () => {
    await left('no room', { messages: [], outdated: ['before'] });
    const put = vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(() => {
      throw new DOMException('full', 'QuotaExceededError');
    });
    const { chat, session } = await open('no room');
    await session.ask('Hi');
    await vi.waitFor(() => expect(deleted).toEqual(['before']));
    put.mockRestore();
    await session.ask('More');
    await vi.waitFor(async () => expect(await kept()).toMatchObject({ messages: { length: 4 } }));
    expect(await outdated()).toEqual([]);
    expect(chat.place).toBe('here');
  });

  test('is saved after an answer, and then where it has grown by an eighth, or the page is left', async () => {
    const { session, engine } = await open('saves');
    const tried = vi.spyOn(navigator.storage, 'estimate');
    // each answer computes 12 tokens
    engine.savedTokens = 200;
    const turns: number[] = [];
    for (let turn = 1; turn <= 4; turn++) {
      await session.ask(`${turn}`);
      turns.push(tried.mock.calls.length);
      await vi.waitFor(() => expect(engine.saves).toHaveLength(tried.mock.calls.length));
      await kept();
    }
    expect(turns).toEqual([1, 1, 1, 2]);
    await session.ask('last');
    vi.spyOn(document, 'hidden', 'get').mockReturnValue(true);
    document.dispatchEvent(new Event('visibilitychange'));
    await vi.waitFor(() => expect(engine.saves).toHaveLength(3));
  });

  test('of what was asked before this was here is not saved, and what comes next is', async () => {
    here = 'early';
    const engine = new FakeEngine();
    const session = new ChatSession(fakeLoad(engine), { choice: { model: 'm', name: 'm' }, engine: {}, sampling: {} });
    await session.load();
    let grow = () => {};
    engine.pace = () => new Promise((resolve) => (grow = resolve));
    const answered = session.ask('Hi');
    (await KeptChat.open('early', deleteCache)).attach(session);
    expect(engine.closed).toBe(0);
    engine.pace = () => Promise.resolve();
    grow();
    await answered;
    expect([engine.names, engine.closed, engine.saves, session.talk]).toEqual([[undefined], 1, [], null]);
    await session.ask('More');
    await vi.waitFor(() => expect(engine.saves).toHaveLength(1));
    await vi.waitFor(async () => expect((await kept())?.cache).toBe(engine.names[1]));
    expect([engine.names[1], (await kept())?.messages.length]).toEqual([expect.stringMatching(/^m, /), 4]);
  });

  test('has a name also where the first model came from files', async () => {
    const engine = new FakeEngine();
    const choice = { model: [new File([], 'model.gguf')], name: 'files' };
    const session = new ChatSession(fakeLoad(engine), { choice, engine: {}, sampling: {} });
    (await KeptChat.open('files first', deleteCache)).attach(session);
    await session.load();
    await session.ask('Hi');
    expect(engine.names).toEqual([expect.stringMatching(/^files, /)]);
  });

  test('gives way to a question', async () => {
    const { session, engine } = await open('gives way');
    let save = () => {};
    engine.saving = () => new Promise((resolve) => (save = resolve));
    await session.ask('Hi');
    await vi.waitFor(() => expect(engine.saves).toHaveLength(1));
    expect(engine.saves[0]!.aborted).toBe(false);
    const answered = session.ask('More');
    expect(engine.saves[0]!.aborted).toBe(true);
    save();
    await answered;
    await vi.waitFor(() => expect(engine.saves).toHaveLength(2));
  });

  test('of a conversation that is over is deleted after its save has ended', async () => {
    const { chat, session, engine } = await open('over');
    let save = () => {};
    engine.saving = () => new Promise((resolve) => (save = resolve));
    await session.ask('Hi');
    await vi.waitFor(() => expect(engine.saves).toHaveLength(1));
    chat.keep(false);
    await vi.waitFor(async () => expect(await outdated()).toEqual(engine.names));
    expect(deleted).toEqual([]);
    save();
    await vi.waitFor(() => expect(deleted).toEqual(engine.names));
    await vi.waitFor(async () => expect(await kept()).toBeUndefined());
  });

  test('is known by its name where the person has changed their mind twice', async () => {
    const { chat, session, engine } = await open('mind');
    await session.ask('Hi');
    await vi.waitFor(() => expect(engine.saves).toHaveLength(1));
    await kept();
    chat.keep(false);
    await vi.waitFor(() => expect(deleted).toEqual(engine.names));
    chat.keep(true);
    await session.ask('More');
    await vi.waitFor(async () => expect((await kept())?.cache).toBe(engine.names[0]));
    await vi.waitFor(async () => expect((await kept())?.cached).toBe(true));
    await chat.store.remove(chat.id!);
    await chat.deleteOutdated();
    await vi.waitFor(() => expect(deleted).toEqual([engine.names[0], engine.names[0]]));
  });

  test('is deleted under the name that it is being saved under, when the conversation is over', async () => {
    const { chat, session, engine } = await open('mind, over');
    await session.ask('Hi');
    await vi.waitFor(() => expect(engine.saves).toHaveLength(1));
    chat.keep(false);
    await vi.waitFor(() => expect(deleted).toEqual(engine.names));
    chat.keep(true);
    let save = () => {};
    engine.saving = () => new Promise((resolve) => (save = resolve));
    await session.ask('More');
    await vi.waitFor(() => expect(engine.saves).toHaveLength(2));
    chat.keep(false);
    save();
    await vi.waitFor(() => expect(deleted).toEqual([engine.names[0], engine.names[0]]));
    await vi.waitFor(async () => expect(await kept()).toBeUndefined());
  });

  test('is not deleted any more once it is saved again', async () => {
    const { chat, session, engine } = await open('mind, saved');
    await session.ask('Hi');
    await vi.waitFor(() => expect(engine.saves).toHaveLength(1));
    deletable = Promise.reject(new NibbleError('storage-unavailable', 'There is no storage.'));
    deletable.catch(() => {});
    chat.keep(false);
    await vi.waitFor(async () => expect(await outdated()).toEqual(engine.names));
    chat.keep(true);
    await session.ask('More');
    await vi.waitFor(() => expect(engine.saves).toHaveLength(2));
    deletable = Promise.resolve();
    await session.ask('More');
    await vi.waitFor(async () => expect([(await kept())?.cache, await outdated()]).toEqual([engine.names[0], []]));
    expect(deleted).toEqual([]);
  });

  test('of one model is not for another', async () => {
    await left('models', {});
    const { session, engine } = await open('models');
    await session.change(OTHER, null);
    await session.ask('And?');
    expect(engine.names[0]).toMatch(/^other, /);
    await vi.waitFor(() => expect(deleted).toEqual(['then']));
    expect((await kept())?.messages).toHaveLength(4);
  });

  test('is not saved where there is little room, of a model from files, or where saving fails', async () => {
    const estimate = vi.spyOn(navigator.storage, 'estimate').mockResolvedValue({ quota: 6e7, usage: 2e7 });
    const small = await open('small');
    await small.session.ask('Hi');
    await vi.waitFor(() => expect(estimate).toHaveBeenCalled());
    expect(small.engine.saves).toEqual([]);
    estimate.mockRestore();
    await small.session.change({ model: [new File([], 'model.gguf')], name: 'files' }, null);
    await small.session.ask('Hi');
    await vi.waitFor(async () => expect((await kept())?.messages).toHaveLength(4));
    expect([small.engine.saves, (await kept())?.named]).toEqual([[], undefined]);
    const full = await open('full');
    full.engine.saving = () => Promise.reject(new NibbleError('quota-exceeded', 'There is no room.'));
    await full.session.ask('Hi');
    await vi.waitFor(() => expect(full.engine.saves).toHaveLength(1));
    await full.session.ask('More');
    await vi.waitFor(() => expect(full.engine.saves).toHaveLength(2));
    expect([full.session.error, full.session.messages.length]).toEqual([null, 4]);
  });
});
