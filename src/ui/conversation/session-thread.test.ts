/** What can be done with what was said: other answers and questions, other conversations, and questions that wait. */
import { describe, expect, test } from 'vitest';
import { NibbleError } from '../../errors';
import { FakeEngine, fakeLoad, INFO } from '../test/fake-engine';
import { ChatSession } from './session';
import { EMPTY_THREAD, siblingsOf, type Turn, threadOf } from './thread';

function make(engine = new FakeEngine(), sampling = {}) {
  const chat = new ChatSession(fakeLoad(engine), { choice: { model: 'm', name: 'm' }, engine: {}, sampling });
  return { engine, chat };
}

async function talked(...questions: string[]) {
  const { engine, chat } = make();
  await chat.load();
  for (const question of questions) await chat.ask(question);
  const said = () => chat.messages.map(({ content }) => content);
  return { engine, chat, said };
}

describe('an answer', () => {
  test('is given anew beside the one before, drawn, and either is shown', async () => {
    const { engine, chat, said } = await talked('Hi');
    const [, first] = chat.way;
    engine.answer = ['Good', ' day.'];
    await chat.answerAnew(first.id);
    expect(said()).toEqual(['Hi', 'Good day.']);
    expect(engine.asked[1]).toEqual([{ role: 'user', content: 'Hi' }]);
    expect(engine.sampling[1].temperature).toBeGreaterThan(0);
    const [, second] = chat.way;
    expect(siblingsOf(chat.thread, second.id)).toHaveLength(2);
    await chat.show(first.id);
    expect(said()).toEqual(['Hi', 'Hello there.']);
  });

  test('that is given anew is drawn as the person has set it, and by another seed', async () => {
    const { engine, chat } = await talked('Hi');
    chat.settings = { temperature: 0.3, seed: 4 };
    await chat.answerAnew(chat.way[1].id);
    expect(engine.sampling[1]).toEqual({ overflow: 'shift', temperature: 0.3, maxNewTokens: 256 });
    await chat.answerAnew(chat.way[1].id, { anew: true, penalty: true });
    expect(engine.sampling[2].repetitionPenalty).toBeGreaterThan(1);
  });

  test('that is stopped by another one is kept as far as it came', async () => {
    const { engine, chat } = await talked('Hi');
    engine.answer = ['One', ' two', ' three'];
    let again: Promise<void> | null = null;
    engine.pace = async () => {
      if (chat.messages.at(-1)?.content !== 'One' || again) return;
      again = chat.answerAnew(chat.way[1].id);
    };
    await chat.answerAnew(chat.way[1].id);
    await again;
    const answers = siblingsOf(chat.thread, chat.way[1].id);
    expect(answers.map(({ message }) => message.content)).toEqual(['Hello there.', 'One', 'One two three']);
    expect(answers.map(({ cut }) => cut?.finish)).toEqual([undefined, 'aborted', undefined]);
  });

  test('knows what it took and who gave it', async () => {
    const engine = new FakeEngine();
    const sourceReason = 'A server answers (https://ai.example:8080/v1).';
    engine.info = async () => ({ ...INFO, name: 'llama', source: 'server', sourceReason, backend: 'server' });
    const { chat: ask } = engine;
    engine.chat = (messages, options) => {
      const { parts, result } = ask.call(engine, messages, options);
      return { parts, result: result.then((it) => ({ ...it, source: 'server' as const })) };
    };
    engine.thoughts = ['Well.'];
    const { chat } = make(engine);
    await chat.load();
    await chat.ask('Hi');
    const answer = chat.way[1];
    expect([answer.model, answer.stats?.decodeTps, answer.note]).toEqual(['llama', 4.25, null]);
    expect(answer.server).toBe('ai.example:8080');
    expect(answer.thoughtMs).toBeGreaterThan(0);
  });
});

describe('a question', () => {
  test('that is edited stands beside what it was, and is answered', async () => {
    const { engine, chat, said } = await talked('Hi', 'And?');
    const [first] = chat.way;
    await chat.edit(first.id, ' Hello ');
    expect(said()).toEqual(['Hello', 'Hello there.']);
    expect(engine.asked[2]).toEqual([{ role: 'user', content: 'Hello' }]);
    await chat.show(first.id);
    expect(said()).toEqual(['Hi', 'Hello there.', 'And?', 'Hello there.']);
    await chat.edit(first.id, 'Hi');
    expect([engine.asked.length, chat.thread.turns.length]).toEqual([3, 6]);
  });

  test('with files is read after them, shown without, and edited without losing them', async () => {
    const { engine, chat, said } = await talked();
    const attached = [{ name: 'a.txt', text: 'All of it.' }];
    await chat.ask('What is it?', { attached, context: 'a.txt: All of it.' });
    expect(said()[0]).toBe('a.txt: All of it.\n\nWhat is it?');
    const [turn] = chat.way;
    expect([turn.question, turn.attached]).toEqual(['What is it?', attached]);
    await chat.edit(turn.id, 'And what not?');
    expect(engine.asked[1][0].content).toBe('a.txt: All of it.\n\nAnd what not?');
    expect([chat.way[0].question, chat.way[0].attached]).toEqual(['And what not?', attached]);
  });

  test('that is edited before there is a model is answered when there is', async () => {
    const { engine, chat } = make();
    chat.messages = [{ role: 'user', content: 'Hi' }];
    await chat.edit(chat.way[0].id, 'Hello');
    expect(engine.asked).toEqual([]);
    await chat.load();
    await expect.poll(() => chat.messages.length).toBe(2);
    expect(engine.asked).toEqual([[{ role: 'user', content: 'Hello' }]]);
  });

  test('that is taken away takes what followed with it, until that is undone', async () => {
    const { chat, said } = await talked('Hi', 'And?');
    const { thread } = chat;
    await chat.remove(chat.way[2].id);
    expect([said(), chat.removed]).toEqual([['Hi', 'Hello there.'], 2]);
    chat.undoRemove();
    expect([chat.thread, chat.removed]).toEqual([thread, null]);
    await chat.remove(chat.way[2].id);
    await chat.ask('Other?');
    chat.undoRemove();
    expect(said()).toEqual(['Hi', 'Hello there.', 'Other?', 'Hello there.']);
  });
});

describe('a question that waits', () => {
  test('for the model runs when it is there', async () => {
    const { engine, chat } = make();
    const answered = chat.ask('Hi');
    const second = chat.ask('And?');
    expect([chat.messages, chat.waiting.length]).toEqual([[], 2]);
    await chat.load();
    await answered;
    await second;
    expect([engine.asked.length, chat.waiting, chat.messages.length]).toEqual([2, [], 4]);
  });

  test('can be taken back', async () => {
    const { engine, chat } = make();
    const asked = chat.ask('Hi');
    const [{ id }] = chat.waiting;
    expect(chat.withdraw(id)?.question).toBe('Hi');
    await asked;
    expect(chat.withdraw(id)).toBeNull();
    await chat.load();
    expect(engine.asked).toEqual([]);
  });

  test('goes on waiting after an error, and is asked after the one that failed', async () => {
    const { engine, chat } = make();
    await chat.load();
    engine.pace = async () => {
      throw new NibbleError('out-of-memory', 'No room.');
    };
    const first = chat.ask('Hi');
    const second = chat.ask('And?');
    await first;
    expect([chat.error?.code, chat.waiting.length]).toEqual(['out-of-memory', 1]);
    engine.pace = () => Promise.resolve();
    await chat.retry();
    await second;
    expect(chat.messages.map(({ content }) => content)).toEqual(['Hi', 'Hello there.', 'And?', 'Hello there.']);
  });

  test('is asked once another model is there', async () => {
    const { engine, chat } = make();
    await chat.load();
    let changed: Promise<void> | null = null;
    engine.pace = async () => {
      changed ??= chat.change({ model: 'other', name: 'other' }, null);
    };
    const first = chat.ask('Hi');
    const second = chat.ask('And?');
    await first;
    await changed;
    await second;
    expect(chat.messages.map(({ content }) => content)).toEqual(['And?', 'Hello there.']);
  });
});

describe('another conversation', () => {
  test('stops the answer under way, and what there is of it is announced with its own thread', async () => {
    const { engine, chat } = make();
    await chat.load();
    const left: Turn[][] = [];
    chat.addEventListener('thread', () => left.push([...chat.way]));
    let waits: Promise<void> | null = null;
    engine.pace = async () => {
      if (chat.messages.at(-1)?.content !== 'Hello' || waits) return;
      waits = chat.ask('And?');
      chat.openThread(threadOf([{ role: 'user', content: 'Other' }]), { settings: { system: 'S' }, saved: 'c' });
    };
    await chat.ask('Hi');
    await waits;
    expect(left.at(-1)?.map(({ message, cut }) => [message.content, cut?.finish])).toEqual([
      ['Hi', undefined],
      ['Hello', 'aborted'],
      ['And?', 'aborted'],
    ]);
    expect([chat.messages.length, chat.waiting, chat.settings, chat.saved]).toEqual([1, [], { system: 'S' }, 'c']);
    expect([chat.phase, engine.closed]).toEqual(['ready', 1]);
    engine.pace = () => Promise.resolve();
    await chat.ask('Next');
    expect(engine.asked.at(-1)).toEqual([
      { role: 'system', content: 'S' },
      { role: 'user', content: 'Next' },
    ]);
    expect(engine.names.at(-1)).toBe('c');
  });

  test('that is opened is not announced', () => {
    const { chat } = make();
    let announced = 0;
    chat.addEventListener('thread', () => announced++);
    chat.openThread(threadOf([{ role: 'user', content: 'Other' }]));
    chat.openThread(EMPTY_THREAD);
    expect([announced, chat.messages]).toEqual([0, []]);
  });
});

describe('an answer that repeats itself', () => {
  test('is stopped, and tried again with a penalty', async () => {
    await import('./loop-detector');
    const { engine, chat } = await talked('Hi');
    // the first answer has brought what finds loops
    await new Promise((resolve) => setTimeout(resolve));
    engine.answer = Array.from(
      { length: 400 },
      (_, i) => ['The', ' river', ' is', ' wide', ' and', ' deep', '. '][i % 7],
    );
    await chat.ask('Tell me.');
    expect(chat.cut?.finish).toBe('loop');
    expect(chat.messages.at(-1)!.content.length).toBeLessThan(200);
    engine.answer = ['Fine.'];
    await chat.answerAnew(chat.way.at(-1)!.id, { anew: true, penalty: true });
    expect([chat.cut, chat.messages.at(-1)?.content]).toEqual([null, 'Fine.']);
    expect(engine.sampling.at(-1)).toMatchObject({ repetitionPenalty: 1.15, dryMultiplier: 0.8 });
  });
});

describe('a question that would take minutes', () => {
  test('waits for the word of the person, by how fast this device has read', async () => {
    const { engine, chat } = make();
    await chat.load();
    const { chat: answer } = engine;
    engine.chat = (messages, options) => {
      const { parts, result } = answer.call(engine, messages, options);
      const slow = { promptTokens: 100, reusedTokens: 0, prefillTps: 5 };
      return { parts, result: result.then((it) => ({ ...it, stats: { ...it.stats, ...slow } })) };
    };
    await chat.ask('Hi');
    const asked = chat.ask('word '.repeat(600));
    await expect.poll(() => chat.slow).toEqual({ id: chat.waiting[0].id, tokens: 600, seconds: 120 });
    expect(engine.asked).toHaveLength(1);
    chat.sendAnyway(chat.waiting[0].id);
    await asked;
    expect([engine.asked.length, chat.slow, chat.waiting]).toEqual([2, null, []]);
    const other = chat.ask('word '.repeat(700));
    await expect.poll(() => chat.slow?.tokens).toBe(700);
    chat.withdraw(chat.waiting[0].id);
    await other;
    expect([engine.asked.length, chat.slow]).toEqual([2, null]);
    await chat.ask('word '.repeat(200));
    expect(engine.asked).toHaveLength(3);
  });
});

describe('the page around it', () => {
  test('may refuse a question, say why, or add to it', async () => {
    const { engine, chat } = make();
    await chat.load();
    chat.hooks.beforeSend = async ({ question }) =>
      question === 'no' ? false : question === 'why' ? { refuse: 'Not that.' } : { context: 'It is May.' };
    await chat.ask('no');
    expect([engine.asked, chat.error, chat.messages]).toEqual([[], null, []]);
    await chat.ask('why');
    expect(chat.error?.message).toBe('Not that.');
    const answers: (string | undefined)[] = [];
    chat.hooks.afterAnswer = ({ message }) => void answers.push(message.content);
    await chat.ask('Which month?');
    expect(engine.asked[0][0].content).toBe('It is May.\n\nWhich month?');
    expect([chat.error, answers]).toEqual([null, ['Hello there.']]);
  });

  test('has its functions called', async () => {
    const { engine, chat } = make();
    await chat.load();
    chat.tools = [{ name: 'clock', run: () => 'noon' }];
    await chat.ask('Hi');
    expect(engine.sampling[0]).toMatchObject({ tools: chat.tools });
  });
});
