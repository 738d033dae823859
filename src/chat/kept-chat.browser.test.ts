/** A conversation that the page keeps. It is long because each way to lose one is a test on the same database. */
import { clear, createStore, get, set } from 'idb-keyval';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { NibbleError } from '../errors';
import { ChatSession } from '../ui/conversation/session';
import type { ModelChoice } from '../ui/models/model-choice';
import { pageFolder } from '../ui/remember';
import { FakeEngine, fakeLoad } from '../ui/test/fake-engine';
import { KeptChat } from './kept-chat';

const store = createStore('nibble-chat', 'keyval');
const HELLO = { role: 'user', content: 'Hi' };
const ANSWER = { role: 'assistant', content: 'Hello there.' };
const OTHER: ModelChoice = { model: 'org/other', name: 'other', revision: 'v2', token: 'hf_x' };

let key = '';
let deleted: string[] = [];
/** awaited by every deletion */
let deletable: Promise<void> = Promise.resolve();
const deleteCache = async (name: string) => {
  await deletable;
  deleted.push(name);
};

const keyOf = (address: string) => `${pageFolder()} ${address}`;

/** What is kept under this test's key. */
const kept = () =>
  get<{ messages: object[]; cut?: object | null; named?: object; cache: string; outdated: string[] }>(key, store);

/** A page that was opened at an address: each has a lock that only the end of the page frees. */
async function open(address: string, engine = new FakeEngine()) {
  key = keyOf(address);
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

/** What the last visit would have left. */
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
    const record = await kept();
    expect(record!.named).toEqual({ model: 'org/other', revision: 'v2', options: { maxContext: 99 } });
    expect(JSON.stringify(record)).not.toContain('hf_x');
    // another address, as this page holds the lock of the first
    await set(keyOf('again, later'), record, store);
    const later = await open('again, later');
    expect(later.session.messages).toEqual([HELLO, ANSWER]);
    expect(later.session.choice).toMatchObject({ model: 'org/other', revision: 'v2', options: { maxContext: 99 } });
    await later.session.ask('And?');
    expect(later.engine.asked[0]).toEqual([HELLO, ANSWER, { role: 'user', content: 'And?' }]);
    expect(later.engine.names).toEqual([record!.cache]);
  });

  test('is forgotten with a new chat, and its cache with it', async () => {
    await left('forgotten', {});
    let free = () => {};
    deletable = new Promise((resolve) => (free = resolve));
    const { session, engine } = await open('forgotten');
    session.newChat();
    await vi.waitFor(async () => expect(await kept()).toMatchObject({ messages: [], outdated: ['then'] }));
    // a page that is loaded again before the cache is deleted goes on with nothing
    expect(await kept()).not.toHaveProperty('named');
    free();
    await vi.waitFor(async () => expect([await kept(), deleted]).toEqual([undefined, ['then']]));
    await session.ask('Hi');
    expect(engine.names).toHaveLength(1);
    expect(engine.names[0]).not.toBe('then');
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

  test('in a second tab goes with it, and leaves the first one alone', async () => {
    const first = await open('tabs');
    await first.session.ask('Hi');
    await vi.waitFor(async () => expect((await kept())?.messages).toEqual([HELLO, ANSWER]));
    const record = await kept();
    const second = await open('tabs');
    expect([second.chat.place, second.session.messages]).toEqual(['elsewhere', []]);
    await second.session.ask('Other');
    second.session.newChat();
    await first.session.ask('More');
    await vi.waitFor(async () => expect((await kept())?.messages).toHaveLength(4));
    expect((await kept())?.cache).toBe(record?.cache);
    await settled();
    expect([second.engine.saves, deleted]).toEqual([[], []]);
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
    await set(keyOf('cut, later'), await kept(), store);
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

  test('of a new chat that is undone is kept again', async () => {
    const { session } = await open('undone');
    await session.ask('Hi');
    session.newChat();
    await vi.waitFor(async () => expect(await kept()).toBeUndefined());
    session.undoNewChat();
    await vi.waitFor(async () => expect((await kept())?.messages).toEqual([HELLO, ANSWER]));
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
    expect((await get<{ messages: object[] }>(keyOf('two pages'), store))?.messages).toEqual([HELLO, ANSWER]);
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
  await left('later', { format: 2, messages: 'of another kind', cache: 'later' });
  const before = await get(keyOf('later'), store);
  const { chat, session } = await open('later');
  expect([session.messages, chat.place]).toEqual([[], 'later']);
  await session.ask('More');
  session.newChat();
  chat.keep(false);
  await settled();
  expect(await kept()).toEqual(before);
  expect(deleted).not.toContain('later');
});

test('what could not be read stays as it is until something is said', async () => {
  await left('unread', {});
  const read = vi.spyOn(IDBObjectStore.prototype, 'get').mockImplementation(() => {
    throw new DOMException('not now', 'UnknownError');
  });
  const { chat, session } = await open('unread');
  read.mockRestore();
  expect([session.messages, chat.place]).toEqual([[], 'nowhere']);
  session.newChat();
  await settled();
  expect(await kept()).toMatchObject({ messages: [HELLO, ANSWER], cache: 'then' });
  await session.ask('More');
  await vi.waitFor(async () => expect((await kept())?.messages).toEqual([{ ...HELLO, content: 'More' }, ANSWER]));
  expect(chat.place).toBe('here');
});

describe('the cache', () => {
  test('that waits to be deleted does not keep what is said from being stored', async () => {
    await left('waits', { outdated: ['before'] });
    let go = () => {};
    deletable = new Promise((resolve) => (go = resolve));
    const { session } = await open('waits');
    await session.ask('More');
    await vi.waitFor(async () => expect((await kept())?.messages).toHaveLength(4));
    expect([await kept(), deleted]).toMatchObject([{ cache: 'then', outdated: ['before'] }, []]);
    go();
    await vi.waitFor(async () => expect([(await kept())?.outdated, deleted]).toEqual([[], ['before']]));
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
    await vi.waitFor(async () => expect(await kept()).toMatchObject({ outdated: [], messages: { length: 4 } }));
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
    key = keyOf('early');
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
    const { session, engine } = await open('over');
    let save = () => {};
    engine.saving = () => new Promise((resolve) => (save = resolve));
    await session.ask('Hi');
    await vi.waitFor(() => expect(engine.saves).toHaveLength(1));
    session.newChat();
    await vi.waitFor(async () => expect((await kept())?.outdated).toEqual(engine.names));
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
    session.newChat();
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
    session.newChat();
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
    await vi.waitFor(async () => expect((await kept())?.outdated).toEqual(engine.names));
    chat.keep(true);
    await session.ask('More');
    await vi.waitFor(() => expect(engine.saves).toHaveLength(2));
    deletable = Promise.resolve();
    await session.ask('More');
    await vi.waitFor(async () => expect(await kept()).toMatchObject({ cache: engine.names[0], outdated: [] }));
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
