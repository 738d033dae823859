/** The element with an engine of its page's: what it does without a worker. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Engine } from '../engine';
import { FakeEngine } from '../ui/test/fake-engine';
import './index';
import type { NibbleChatElement, NibbleChatEvents } from './element';
import { forgetThread, recallThread } from './kept-threads';

const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
beforeEach(() => warn.mockClear());
afterEach(() => document.body.replaceChildren());

/** An element in the page, with a fake engine unless it is to have none. */
function put(attributes: Record<string, string> = {}, engine: FakeEngine | null = new FakeEngine()) {
  const chat = document.createElement('nibble-chat');
  for (const [name, value] of Object.entries(attributes)) chat.setAttribute(name, value);
  if (engine) chat.engine = engine as unknown as Engine;
  document.body.append(chat);
  const all = (selector: string) => [...chat.shadowRoot!.querySelectorAll<HTMLElement>(selector)];
  return { chat, engine: engine!, all, one: (selector: string) => all(selector)[0] };
}

/** The names of the events that an element has announced. */
function heard(chat: NibbleChatElement) {
  const names: string[] = [];
  const types = ['open', 'close', 'ready', 'token', 'message', 'error'] as const;
  for (const type of types) chat.addEventListener(`nibble-${type}`, () => names.push(type));
  return names;
}

const tick = () => new Promise<void>((done) => setTimeout(done));

describe('what a script calls', () => {
  test('ask() opens, answers, and tells it by events that TypeScript knows', async () => {
    const { chat } = put();
    const names = heard(chat);
    const pieces: NibbleChatEvents['nibble-token']['detail'][] = [];
    chat.addEventListener('nibble-token', ({ detail }) => pieces.push(detail));
    const said = await chat.ask('Hi');
    expect(said).toEqual({ role: 'assistant', content: 'Hello there.' });
    expect(pieces.map(({ text }) => text).join('')).toBe('Hello there.');
    expect(chat.messages.map(({ content }) => content)).toEqual(['Hi', 'Hello there.']);
    expect([names[0], names[1], names.at(-1)]).toEqual(['open', 'ready', 'message']);
  });

  test('questions wait for each other; stop() withdraws those that wait, and what was said stays', async () => {
    const { chat, engine } = put();
    engine.pace = tick;
    engine.answer = Array(1000).fill('x');
    const [first, second] = [chat.ask('One'), chat.ask('Two')];
    const fails = expect(second).rejects.toMatchObject({ code: 'aborted' });
    await vi.waitFor(() => expect(chat.messages.at(-1)!.content).toMatch(/^x/));
    chat.stop();
    expect((await first).content).toMatch(/^x{1,999}$/);
    await fails;
    expect(engine.asked).toHaveLength(1);
  });

  test('what cannot be asked, or goes wrong, is an error with a code', async () => {
    const { chat, engine } = put();
    await expect(chat.ask('  ')).rejects.toMatchObject({ code: 'invalid-option' });
    const { NibbleError } = await import('../errors');
    engine.failure = new NibbleError('context-overflow', 'Too long.');
    await expect(chat.ask('Hi')).rejects.toMatchObject({ code: 'context-overflow' });
    await expect(put({}, null).chat.ask('Hi')).rejects.toMatchObject({ code: 'invalid-option' });
  });

  test('messages are set before and after it is opened; nonsense is refused', async () => {
    const { chat, engine } = put();
    const before = [
      { role: 'user', content: 'A' },
      { role: 'assistant', content: 'B' },
    ] as const;
    chat.messages = before;
    await chat.ask('C');
    expect(engine.asked[0].map(({ content }) => content)).toEqual(['A', 'B', 'C']);
    chat.messages = [];
    await chat.ask('D');
    expect(engine.asked[1].map(({ content }) => content)).toEqual(['D']);
    expect(() => {
      chat.messages = [{ role: 'wizard' }] as never;
    }).toThrow(/messages is a list; it must be/);
    chat.clear();
    expect(chat.messages).toEqual([]);
  });
});

describe('in a corner', () => {
  test('it opens and closes with the focus, and counts what is not read', async () => {
    const { chat, engine, one } = put({ launcher: 'bottom-right' });
    const names = heard(chat);
    await tick();
    const [launcher, dialog] = [one('.launcher'), one('dialog') as HTMLDialogElement];
    expect([one('.float').matches(':popover-open'), dialog.open]).toEqual([true, false]);
    launcher.click();
    await vi.waitFor(() => expect(chat.shadowRoot!.activeElement?.localName).toBe('nibble-view'));
    expect([dialog.open, launcher.ariaExpanded]).toEqual([true, 'true']);
    engine.pace = tick;
    engine.answer = Array(100).fill('x ');
    const answer = chat.ask('Hi');
    await vi.waitFor(() => expect(engine.asked).toHaveLength(1));
    chat.close();
    await vi.waitFor(() => expect(chat.shadowRoot!.activeElement).toBe(launcher));
    await answer;
    await vi.waitFor(() => expect(one('.badge').textContent).toBe('1'));
    expect(launcher.ariaLabel).toBe('Open the chat: 1 new answer');
    launcher.click();
    await vi.waitFor(() => expect(one('.badge')).toBeUndefined());
    expect(names.filter((name) => name === 'open' || name === 'close')).toEqual(['open', 'close', 'open']);
  });

  test('Escape minimises; the conversation is there again, also after the element was moved', async () => {
    const { chat, one } = put({ launcher: 'top-left' });
    await chat.ask('Hi');
    const dialog = one('dialog') as HTMLDialogElement;
    dialog.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }));
    await vi.waitFor(() => expect(dialog.open).toBe(false));
    document.body.append(document.createElement('main'));
    document.querySelector('main')!.append(chat);
    await tick();
    expect(one('.float').matches(':popover-open')).toBe(true);
    await chat.open();
    await vi.waitFor(() => expect(dialog.open).toBe(true));
    expect(chat.messages).toHaveLength(2);
  });
});

describe('what a page may do wrong', () => {
  test('nonsense in attributes is named in the console, and counts for the default', async () => {
    const { chat, engine, all } = put({
      launcher: 'middle',
      'color-scheme': 'purple',
      keep: '../x',
      lang: '!!',
      temperature: 'hot',
      'max-new-tokens': '8',
    });
    await chat.ask('Hi');
    expect(all('dialog')).toHaveLength(0);
    expect(engine.sampling[0]).toMatchObject({ maxNewTokens: 8 });
    expect(engine.sampling[0].temperature).toBeUndefined();
    const told = warn.mock.calls.map(([sentence]) => String(sentence)).join('\n');
    for (const part of ['launcher is "middle"', 'color-scheme is "purple"', 'lang is "!!"', 'temperature is "hot"'])
      expect(told).toContain(part);
  });

  test('its insides are removed: it draws them anew, and nothing that was said is lost', async () => {
    const { chat, all } = put();
    await chat.ask('Hi');
    chat.shadowRoot!.replaceChildren();
    await vi.waitFor(() => expect(all('nibble-view')).toHaveLength(1));
    await chat.ask('Again');
    expect(chat.messages).toHaveLength(4);
  });

  test('a clone is a chat of its own', async () => {
    const { chat } = put({ heading: 'Mine' });
    await chat.ask('Hi');
    const clone = chat.cloneNode(true) as NibbleChatElement;
    document.body.append(clone);
    expect([clone.heading, clone.messages.length, chat.messages.length]).toEqual(['Mine', 0, 2]);
  });

  test('one that is taken out ends its part, and leaves what was said for when it is put in again', async () => {
    const { chat, engine } = put();
    await chat.ask('Hi');
    chat.remove();
    await vi.waitFor(() => expect(engine.closed).toBeGreaterThan(0));
    expect(engine.disposed).toBe(false);
    document.body.append(chat);
    await chat.ask('More');
    expect(chat.messages).toHaveLength(4);
  });
});

test('it says what it is told to say', async () => {
  const { chat, one } = put();
  chat.strings = { widgetStart: 'Los', widgetUnread: { one: '{count} neue', other: '{count} neue' } };
  await tick();
  expect(one('.opener').textContent!.trim()).toBe('Los');
  chat.strings = { widgetStrat: 'x' };
  expect(warn.mock.calls.map(String).join()).toContain('Did you mean "widgetStart"?');
});

describe('hooks', () => {
  test('beforeSend refuses with a sentence, or adds what the visitor does not see; afterAnswer hears answers', async () => {
    const { chat, engine } = put();
    const after = vi.fn();
    chat.afterAnswer = after;
    chat.beforeSend = async ({ text }) => (text === 'secret' ? { refuse: 'Not that.' } : { context: 'It rains.' });
    await expect(chat.ask('secret')).rejects.toMatchObject({ code: 'invalid-option', message: 'Not that.' });
    expect(engine.asked).toHaveLength(0);
    await chat.ask('Weather?');
    expect(engine.asked[0].at(-1)!.content).toBe('It rains.\n\nWeather?');
    expect(after).toHaveBeenCalledTimes(1);
    expect(after.mock.calls[0][0]).toEqual({ role: 'assistant', content: 'Hello there.' });
  });
});

test('tools of the page reach the engine, and one that runs is shown until the answer goes on', async () => {
  const { chat, engine } = put();
  const tool = { name: 'opening_hours', description: 'When the shop is open', run: () => '9 to 17' };
  chat.tools = [tool];
  let go = () => {};
  const runs = new Promise<void>((done) => {
    go = done;
  });
  const answer = engine.chat.bind(engine);
  engine.chat = (messages, options) => {
    const { parts, result } = answer(messages, options);
    async function* withCall() {
      const whole = { id: 'c1', name: tool.name, arguments: {}, text: '{}' };
      yield { type: 'tool-call' as const, text: '{}', call: { index: 0, id: 'c1', name: tool.name, whole } };
      await runs;
      yield* parts;
    }
    return { parts: withCall(), result };
  };
  const answered = chat.ask('When are you open?');
  const shown = () => chat.shadowRoot!.querySelector('nibble-view')?.shadowRoot?.querySelector('[data-call]');
  await vi.waitFor(() => expect(shown()?.textContent).toBe('Running opening_hours…'));
  expect(engine.sampling[0]).toMatchObject({ tools: [{ name: tool.name, run: tool.run }] });
  go();
  await answered;
  await vi.waitFor(() => expect(shown()).toBeNull());
  expect(() => {
    chat.tools = 'none' as never;
  }).toThrow(/tools is "none"; it must be a list/);
});

describe('a conversation that is kept', () => {
  test('is there again for the same name, and for no other; New chat forgets it', async () => {
    const keep = `test-${crypto.randomUUID()}`;
    const first = put({ keep });
    await first.chat.ask('Hi');
    first.chat.remove();
    await vi.waitFor(() => expect(first.engine.closed).toBeGreaterThan(0));
    const again = put({ keep });
    await vi.waitFor(async () => {
      await again.chat.open();
      expect(again.chat.messages.map(({ content }) => content)).toEqual(['Hi', 'Hello there.']);
    });
    const other = put({ keep: `${keep}-2` });
    await other.chat.open();
    expect(other.chat.messages).toEqual([]);
    again.chat.clear();
    again.chat.remove();
    await vi.waitFor(async () => expect((await recallThread(keep))?.turns).toEqual([]));
    await forgetThread(keep);
  });

  test('that two tabs go on with has what both have said', async () => {
    const keep = `test-${crypto.randomUUID()}`;
    const [one, two] = [put({ keep }), put({ keep })];
    await one.chat.open();
    await two.chat.open();
    await one.chat.ask('From one');
    await two.chat.ask('From two');
    await vi.waitFor(async () => {
      const { turns } = (await recallThread(keep))!;
      expect(turns.map(({ message }) => message.content).sort()).toEqual(
        ['From one', 'From two', 'Hello there.', 'Hello there.'].sort(),
      );
    });
    await forgetThread(keep);
  });
});
