/** A conversation as the page sees it. It is long because every step and every failure is told with one fake engine. */
import { describe, expect, test, vi } from 'vitest';
import { NibbleError } from '../../errors';
import type { Progress } from '../../protocol';
import { FakeEngine, fakeLoad, INFO, PROGRESS } from '../test/fake-engine';
import type { LoadEngine } from './chat-engine';
import { ChatSession } from './session';

const session = (load: LoadEngine, system?: string) =>
  new ChatSession(load, {
    choice: { model: 'm', name: 'm' },
    engine: { backend: 'cpu' },
    sampling: { maxNewTokens: 8 },
    system,
  });

async function ready(engine = new FakeEngine(), system?: string) {
  const chat = session(fakeLoad(engine), system);
  await chat.load();
  return { engine, chat };
}

describe('loading', () => {
  test('goes from idle through progress to ready', async () => {
    const chat = session(fakeLoad(new FakeEngine()));
    const phases: string[] = [];
    chat.addEventListener('change', () => phases.push(`${chat.phase} ${chat.progress?.loadedBytes ?? '-'}`));
    await chat.load();
    expect(phases).toEqual(['loading -', `loading ${PROGRESS.loadedBytes}`, `ready ${PROGRESS.loadedBytes}`]);
    expect(chat.info).toBe(INFO);
  });

  test('hands the options to the engine', async () => {
    let given: unknown;
    const chat = session(async (model, options) => {
      given = { model, backend: options.backend };
      return new FakeEngine();
    });
    await chat.load();
    expect(given).toEqual({ model: 'm', backend: 'cpu' });
  });

  test('hands over the memory limit as it is now, and what was chosen for this model', async () => {
    const given: unknown[] = [];
    const chat = session(async (_, { memoryBudget, maxContext, backend }) => {
      given.push([memoryBudget, maxContext, backend]);
      return new FakeEngine();
    });
    chat.memoryBudget = 2 ** 29;
    chat.adjust({ maxContext: 200 });
    expect([chat.memoryBudget, chat.choice.options]).toEqual([2 ** 29, { maxContext: 200 }]);
    await chat.load();
    chat.memoryBudget = null;
    await chat.change({ model: 'other', name: 'other' }, null);
    expect(given).toEqual([
      [2 ** 29, 200, 'cpu'],
      [undefined, undefined, 'cpu'],
    ]);
  });

  test('a failure is shown, and the next try works', async () => {
    let failure: NibbleError | null = new NibbleError('network', 'The server is away. Try again.');
    const chat = session(fakeLoad(new FakeEngine(), () => failure));
    await chat.load();
    expect([chat.phase, chat.error?.code]).toEqual(['idle', 'network']);
    failure = null;
    await chat.retry();
    expect([chat.phase, chat.error]).toEqual(['ready', null]);
  });

  test('goes on under a new chat', async () => {
    const chat = session(fakeLoad(new FakeEngine()));
    chat.messages = [{ role: 'user', content: 'Hi' }];
    const loading = chat.load();
    chat.newChat();
    await loading;
    expect([chat.phase, chat.messages]).toEqual(['ready', []]);
  });

  test('stop is no error', async () => {
    const chat = session(fakeLoad(new FakeEngine()));
    const loading = chat.load();
    chat.stop();
    await loading;
    expect([chat.phase, chat.error]).toEqual(['idle', null]);
  });
});

describe('a model that is unloaded', () => {
  test('is out of memory, and what is asked next loads it again and goes on', async () => {
    const engines = [new FakeEngine(), new FakeEngine(), new FakeEngine()];
    let loads = 0;
    const chat = session(async () => engines[loads++]);
    chat.offer({ bytes: 7, here: true });
    await chat.load();
    await chat.ask('Hi');
    await chat.unload();
    expect([chat.phase, chat.info, chat.memory, chat.unloaded, engines[0].disposed]).toEqual([
      'idle',
      null,
      null,
      true,
      true,
    ]);
    expect(chat.messages).toHaveLength(2);
    await chat.ask('And you?');
    expect([chat.unloaded, loads]).toEqual([false, 2]);
    expect(engines[1].asked[0].map(({ content }) => content)).toEqual(['Hi', 'Hello there.', 'And you?']);
    await chat.unload();
    const answered = new Promise((resolve) => chat.addEventListener('message', resolve, { once: true }));
    await chat.answerAnew(chat.way.at(-1)!.id);
    await answered;
    expect(loads).toBe(3);
  });

  test('and is not on this device waits for the person, who would download it again', async () => {
    let loads = 0;
    const chat = session(async () => {
      loads++;
      return Object.assign(new FakeEngine(), { info: async () => ({ ...INFO, storageReason: 'No room.' }) });
    });
    chat.offer({ bytes: 7, here: false });
    await chat.load();
    await chat.unload();
    void chat.ask('Hi');
    await Promise.resolve();
    expect([loads, chat.phase, chat.waiting.length]).toEqual([1, 'idle', 1]);
  });

  test('in the middle of an answer keeps what there is of it', async () => {
    const { engine, chat } = await ready();
    engine.pace = async () => {
      if (chat.messages.at(-1)?.content === 'Hello') void chat.unload();
    };
    await chat.ask('Hi');
    await expect.poll(() => chat.unloaded).toBe(true);
    expect([chat.messages.at(-1)?.content, chat.cut?.finish]).toEqual(['Hello', 'aborted']);
  });
});

describe('another model', () => {
  const other = { model: 'org/other', name: 'other', revision: 'v2', token: 'hf_x' };
  const preview = { bytes: 5, here: false };

  test('takes the place of the first, with its own access, and the conversation goes on', async () => {
    const engines = [new FakeEngine(), new FakeEngine()];
    const given: unknown[] = [];
    const chat = session(async (model, { revision, token, persist, backend }) => {
      given.push({ model, revision, token, persist, backend });
      return engines[given.length - 1];
    });
    await chat.load();
    await chat.ask('Hi');
    await chat.change(other, preview);
    expect(given[1]).toEqual({ model: 'org/other', revision: 'v2', token: 'hf_x', persist: true, backend: 'cpu' });
    expect(engines.map(({ disposed }) => disposed)).toEqual([true, false]);
    expect([chat.phase, chat.choice.name, chat.previous, chat.preview?.here]).toEqual(['ready', 'other', null, true]);
    await chat.ask('And you?');
    expect(engines[1].asked[0].map(({ content }) => content)).toEqual(['Hi', 'Hello there.', 'And you?']);
  });

  test('that fails leaves the first to go back to', async () => {
    let failure: NibbleError | null = null;
    const chat = session(fakeLoad(new FakeEngine(), () => failure));
    chat.offer({ bytes: 7, here: false });
    await chat.load();
    failure = new NibbleError('corrupt-checkpoint', 'It is broken.');
    await chat.change(other, preview);
    expect([chat.phase, chat.error?.code, chat.info]).toEqual(['idle', 'corrupt-checkpoint', null]);
    await chat.change({ model: 'third', name: 'third' }, preview);
    expect(chat.previous).toEqual({ choice: { model: 'm', name: 'm' }, preview: { bytes: 7, here: true } });
    failure = null;
    await chat.change(chat.previous!.choice, chat.previous!.preview);
    expect([chat.phase, chat.choice.name, chat.error, chat.previous]).toEqual(['ready', 'm', null, null]);
  });

  test('stops the answer or the download that is under way', async () => {
    const { engine, chat } = await ready();
    engine.pace = async () => {
      if (chat.messages.at(-1)?.content === 'Hello') void chat.change(other, preview);
    };
    await chat.ask('Hi');
    await vi.waitFor(() => expect([chat.phase, chat.choice.name]).toEqual(['ready', 'other']));
    expect([chat.messages.at(-1)?.content, chat.error]).toEqual(['Hello', null]);

    const loads: string[] = [];
    const slow = session(async (model, { signal }) => {
      loads.push(model as string);
      if (model === 'm') await new Promise((_, reject) => signal!.addEventListener('abort', () => reject(stopped)));
      return new FakeEngine();
    });
    const stopped = new NibbleError('aborted', 'The request was stopped.');
    const first = slow.load();
    await slow.change(other, preview);
    await first;
    expect([loads, slow.phase, slow.previous]).toEqual([['m', 'org/other'], 'ready', null]);
  });

  test('that there is no room for is not kept when the person says so; the next one is', async () => {
    const storage: unknown[] = [];
    const chat = session(async (_, options) => {
      storage.push(options.storage);
      if (storage.length === 1) throw new NibbleError('quota-exceeded', 'There is no room.');
      return new FakeEngine();
    });
    await chat.load();
    await chat.loadWithoutRoom();
    expect(chat.phase).toBe('ready');
    await chat.change(other, preview);
    expect(storage).toEqual([undefined, 'if-room', undefined]);
  });
});

describe('asking', () => {
  test('streams, and keeps the conversation', async () => {
    const { engine, chat } = await ready();
    const seen: string[] = [];
    chat.addEventListener('change', () => seen.push(chat.messages.at(-1)?.content ?? ''));
    await chat.ask(' Hi ');
    expect([...new Set(seen)]).toEqual(['', 'Hello', 'Hello there', 'Hello there.']);
    await chat.ask('And?');
    expect(engine.asked[1]).toEqual([
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello there.' },
      { role: 'user', content: 'And?' },
    ]);
    expect(engine.sampling[0]).toEqual({ maxNewTokens: 8, overflow: 'shift' });
    expect(chat.result?.stats.decodeTps).toBe(4.25);
    expect(chat.memory?.kvFullContext).toBe(188e6);
  });

  test.each([
    [8192, 256],
    [96, 48],
    [1, 1],
  ])('with a context of %d, an answer gets %d tokens unless it is told otherwise', async (maxContext, expected) => {
    const engine = new FakeEngine();
    engine.info = async () => ({ ...INFO, options: { ...INFO.options, maxContext } });
    const chat = new ChatSession(fakeLoad(engine), { choice: { model: 'm', name: 'm' }, engine: {}, sampling: {} });
    await chat.load();
    await chat.ask('Hi');
    expect(engine.sampling[0]).toEqual({ maxNewTokens: expected, overflow: 'shift' });
  });

  test('the system message goes first and is not shown', async () => {
    const { engine, chat } = await ready(undefined, 'Be brief.');
    await chat.ask('Hi');
    expect(engine.asked[0][0]).toEqual({ role: 'system', content: 'Be brief.' });
    expect(chat.messages.map((message) => message.role)).toEqual(['user', 'assistant']);
  });

  test('what is asked while an answer is under way waits for it; an empty question is none', async () => {
    const { engine, chat } = await ready();
    const first = chat.ask('one');
    const second = chat.ask('two');
    expect([engine.asked.length, chat.waiting.map(({ question }) => question)]).toEqual([1, ['two']]);
    await first;
    await chat.ask('  ');
    await second;
    expect(engine.asked.map((messages) => messages.length)).toEqual([1, 3]);
  });

  test('stop keeps what was said', async () => {
    const { engine, chat } = await ready();
    engine.pace = async () => {
      if (chat.messages.at(-1)?.content === 'Hello') chat.stop();
    };
    await chat.ask('Hi');
    expect(chat.messages.at(-1)).toEqual({ role: 'assistant', content: 'Hello' });
    expect([chat.phase, chat.error, chat.result?.finish]).toEqual(['ready', null, 'aborted']);
  });

  test('a new chat in the middle of an answer stays empty', async () => {
    const { engine, chat } = await ready();
    engine.pace = async () => {
      if (chat.messages.at(-1)?.content === 'Hello') chat.newChat();
    };
    await chat.ask('Hi');
    expect([chat.phase, chat.messages, chat.result]).toEqual(['ready', [], null]);
    engine.pace = () => Promise.resolve();
    await chat.ask('Again');
    expect(engine.asked[1]).toEqual([{ role: 'user', content: 'Again' }]);
  });

  test('a new chat gives back the memory of the last one', async () => {
    const { engine, chat } = await ready();
    await chat.ask('Hi');
    expect(engine.closed).toBe(0);
    chat.newChat();
    chat.newChat();
    expect(engine.closed).toBe(1);
  });

  test('a new chat of an engine that is gone is no unhandled rejection', async () => {
    const { engine, chat } = await ready();
    await chat.ask('Hi');
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    engine.memory = () => Promise.reject(new NibbleError('worker-failed', 'It died.'));
    chat.newChat();
    await new Promise((resolve) => setTimeout(resolve));
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
    expect([engine.closed, chat.phase, chat.error]).toEqual([1, 'ready', null]);
  });

  test('having no room for an answer keeps the model', async () => {
    const { engine, chat } = await ready();
    engine.failure = new NibbleError('out-of-memory', 'No room.');
    await chat.ask('Hi');
    expect([chat.phase, chat.error?.code, engine.disposed]).toEqual(['ready', 'out-of-memory', false]);
  });

  test('an error in the middle is shown, and retry answers the question once more', async () => {
    const { engine, chat } = await ready();
    engine.failure = new NibbleError('context-overflow', 'Too long. Start a new chat.');
    const errors: unknown[] = [];
    chat.addEventListener('error', (event) => errors.push((event as CustomEvent).detail.code));
    engine.answer = ['Hello'];
    engine.pace = async () => {
      throw engine.failure;
    };
    await chat.ask('Hi');
    expect([chat.phase, chat.error?.code, errors]).toEqual(['ready', 'context-overflow', ['context-overflow']]);
    expect(chat.messages).toEqual([{ role: 'user', content: 'Hi' }]);
    engine.pace = () => Promise.resolve();
    engine.failure = null;
    await chat.retry();
    expect(chat.messages.at(-1)).toEqual({ role: 'assistant', content: 'Hello' });
  });

  test('after a lost device, retry loads again and then answers', async () => {
    const engines = [new FakeEngine(), new FakeEngine()];
    let loads = 0;
    const chat = session(async () => engines[loads++]);
    await chat.load();
    engines[0].pace = async () => {
      throw new NibbleError('device-lost', 'The GPU went away. Try again.');
    };
    await chat.ask('Hi');
    expect([chat.phase, chat.info, engines[0].disposed]).toEqual(['idle', null, true]);
    await chat.retry();
    expect([loads, engines[1].asked.length, chat.messages.length]).toEqual([2, 1, 2]);
  });

  test('while a lost model is loaded again, that is what there is to see; the next answer begins without', async () => {
    const engine = new FakeEngine();
    let report: (progress: Progress) => void = () => {};
    const chat = session(async (_, { onProgress }) => {
      report = onProgress!;
      return engine;
    });
    await chat.load();
    const seen: unknown[] = [];
    const recovering = { ...PROGRESS, note: 'The graphics device was lost.' };
    engine.pace = async () => {
      seen.push([chat.phase, chat.progress]);
      report(recovering);
    };
    await chat.ask('Hi');
    await chat.ask('And?');
    const answering = (progress: unknown) => ['answering', progress];
    const one = [answering(null), answering(recovering), answering(recovering)];
    expect(seen).toEqual([...one, ...one]);
  });

  test('after a loss that is not recovered from, the conversation and the partial answer stay', async () => {
    const { engine, chat } = await ready();
    engine.failure = new NibbleError('device-lost', 'Reload the page to go on.');
    await chat.ask('Hi');
    expect([chat.phase, chat.error?.message]).toEqual(['idle', 'Reload the page to go on.']);
    expect(chat.messages).toEqual([
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello' },
    ]);
  });
});

describe('an answer that was cut', () => {
  const cutAt = async (words: string[], finish: 'length' | 'aborted') => {
    const { engine, chat } = await ready();
    if (finish === 'length') Object.assign(engine, { finish, answer: words });
    else {
      engine.pace = async () => {
        if (chat.messages.at(-1)?.content === words.join('')) chat.stop();
      };
    }
    await chat.ask('Hi');
    Object.assign(engine, { finish: 'stop', answer: ['Hello', ' there', '.'], pace: () => Promise.resolve() });
    return { engine, chat };
  };

  test.each(['length', 'aborted'] as const)('by %s says so, and goes on from its ids', async (finish) => {
    const { engine, chat } = await cutAt(['Hello', ' there'], finish);
    expect(chat.cut).toEqual({ finish, ids: [1, 2] });
    const seen = new Set<string>();
    chat.addEventListener('change', () => seen.add(chat.messages.at(-1)!.content));
    await chat.continue();
    // it is told again from its beginning, and never becomes shorter
    expect([...seen]).toEqual(['Hello there', 'Hello there.']);
    expect(engine.asked[1]).toEqual([{ role: 'user', content: 'Hi' }]);
    expect(engine.sampling[1]).toEqual({ maxNewTokens: 2 + 8, overflow: 'shift', made: [1, 2] });
    expect([chat.cut, chat.messages.length]).toEqual([null, 2]);
    await chat.continue();
    expect(engine.asked).toHaveLength(2);
  });

  test('and is stopped again before it is longer, stays as it was', async () => {
    const { engine, chat } = await cutAt(['Hello', ' there'], 'length');
    engine.pace = async () => chat.stop();
    await chat.continue();
    expect(chat.messages.at(-1)?.content).toBe('Hello there');
    expect(chat.cut).toEqual({ finish: 'aborted', ids: [1, 2] });
  });

  test('and fails when it goes on, stays as it was, and can go on', async () => {
    const { engine, chat } = await cutAt(['Hello', ' there'], 'length');
    engine.failure = new NibbleError('out-of-memory', 'No room.');
    await chat.continue();
    expect(chat.messages.at(-1)?.content).toBe('Hello there');
    expect([chat.error?.code, chat.cut]).toEqual(['out-of-memory', { finish: 'aborted', ids: [1, 2] }]);
    engine.failure = null;
    await chat.continue();
    expect([chat.messages.at(-1)?.content, chat.cut]).toEqual(['Hello there.', null]);
  });

  test('before its first word leaves a question that can be answered', async () => {
    const { engine, chat } = await ready();
    engine.pace = async () => chat.stop();
    await chat.ask('Hi');
    expect([chat.messages.length, chat.cut]).toEqual([1, { finish: 'aborted', ids: [] }]);
    engine.pace = () => Promise.resolve();
    await chat.continue();
    expect([engine.asked[1], chat.messages.length, chat.cut]).toEqual([engine.asked[0], 2, null]);
  });

  test('goes on by its text where another model goes on with it', async () => {
    const { chat } = await cutAt(['Hello', ' there'], 'length');
    await chat.change({ model: 'other', name: 'other' }, null);
    expect(chat.cut).toEqual({ finish: 'length', ids: null });
  });

  test('goes on by its text also where it was put away while the model changed', async () => {
    const { chat } = await cutAt(['Hello', ' there'], 'length');
    chat.newChat();
    await chat.change({ model: 'other', name: 'other' }, null);
    chat.undoNewChat();
    expect([chat.cut, chat.messages.length]).toEqual([{ finish: 'length', ids: null }, 2]);
  });

  test('and known by its text only is told to the engine in its tokens', async () => {
    const { engine, chat } = await ready();
    chat.messages = [
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello there' },
    ];
    chat.cut = { finish: 'aborted', ids: null };
    await chat.continue();
    expect(engine.sampling[0].made).toEqual([1, 2]);
    expect(chat.messages.at(-1)?.content).toBe('Hello there.');
  });

  test('is no more to go on with once something else is asked', async () => {
    const { chat } = await cutAt(['Hello', ' there'], 'length');
    await chat.ask('And?');
    expect([chat.cut, chat.messages.length]).toEqual([null, 4]);
  });
});

describe('a new chat', () => {
  test('can be undone until something is asked', async () => {
    const { engine, chat } = await ready();
    await chat.ask('Hi');
    const { messages } = chat;
    chat.newChat();
    chat.newChat();
    expect(chat.messages).toEqual([]);
    chat.undoNewChat();
    expect([chat.messages, chat.closed]).toEqual([messages, null]);
    await chat.ask('And?');
    expect(engine.asked[1]).toHaveLength(3);
    chat.newChat();
    await chat.ask('Other');
    chat.undoNewChat();
    expect(chat.messages.map(({ content }) => content)).toEqual(['Other', 'Hello there.']);
  });

  test('in the middle of an answer is undone to what there was of it', async () => {
    const { engine, chat } = await ready();
    engine.pace = async () => {
      if (chat.messages.at(-1)?.content === 'Hello') chat.newChat();
    };
    await chat.ask('Hi');
    engine.pace = () => Promise.resolve();
    chat.undoNewChat();
    expect(chat.messages.map(({ content }) => content)).toEqual(['Hi', 'Hello']);
    await chat.continue();
    expect([engine.sampling[1].made, chat.messages.at(-1)?.content]).toEqual([[1], 'Hello there.']);
  });
});

describe('a question that was left without an answer', () => {
  test('gives way to the next', async () => {
    const { engine, chat } = await ready();
    engine.answer = [];
    await chat.ask('Nothing to say?');
    await chat.ask('And now?');
    expect(engine.asked[1]).toEqual([{ role: 'user', content: 'And now?' }]);
  });

  test('for want of memory is answered under the limit that the person allows', async () => {
    const engines = [new FakeEngine(), new FakeEngine()];
    const budgets: unknown[] = [];
    const chat = session(async (_, { memoryBudget }) => engines[budgets.push(memoryBudget) - 1]);
    chat.memoryBudget = 2 ** 20;
    await chat.load();
    engines[0].answer = [];
    engines[0].chat = () => {
      throw new NibbleError('out-of-memory', 'No room.', { budget: 2 ** 20, enough: 2 ** 21 });
    };
    await chat.ask('Hi');
    expect([chat.phase, chat.error?.code, chat.messages.length]).toEqual(['ready', 'out-of-memory', 1]);
    await chat.allow(2 ** 21);
    expect([budgets, engines[0].disposed, chat.error]).toEqual([[2 ** 20, 2 ** 21], true, null]);
    expect(chat.messages.map(({ content }) => content)).toEqual(['Hi', 'Hello there.']);
  });
});

describe('what comes before an answer', () => {
  test('is how far the question has been read', async () => {
    const { chat } = await ready();
    const seen: unknown[] = [];
    chat.addEventListener('change', () => seen.push(chat.prefill?.done));
    await chat.ask('Hi');
    expect(seen.filter((done, index) => done !== seen[index - 1])).toEqual([0, 2, 4, undefined]);
  });

  test('is what was thought, apart from it', async () => {
    const { engine, chat } = await ready();
    engine.thoughts = ['Well', ', a greeting.'];
    await chat.ask('Hi');
    const answer = { role: 'assistant', content: 'Hello there.', reasoning_content: 'Well, a greeting.' };
    expect(chat.messages.at(-1)).toEqual(answer);
    await chat.ask('And?');
    expect(engine.asked[1][1]).toEqual(answer);
  });

  test('is kept where the answer was stopped while it was thought', async () => {
    const { engine, chat } = await ready();
    engine.thoughts = ['Well'];
    engine.pace = async () => chat.stop();
    await chat.ask('Hi');
    expect(chat.messages.at(-1)).toEqual({ role: 'assistant', content: '', reasoning_content: 'Well' });
    expect(chat.cut?.finish).toBe('aborted');
    engine.pace = () => Promise.resolve();
    await chat.continue();
    expect([chat.messages.length, chat.messages.at(-1)?.content, chat.cut]).toEqual([2, 'Hello there.', null]);
  });
});
