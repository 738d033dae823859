import { afterEach, expect, test, vi } from 'vitest';
import { page } from 'vitest/browser';
import type { ChatMessage } from '../../protocol';
import { BoundedLexer } from '../markdown/bounded-lexer';
import './message-list';
import type { MessageList } from './message-list';

afterEach(() => {
  document.body.replaceChildren();
  vi.restoreAllMocks();
});

const QUESTION: ChatMessage = { role: 'user', content: 'Why?' };

async function show(answer: Partial<ChatMessage>, fields: Partial<MessageList> = {}) {
  const list = document.createElement('nibble-messages') as MessageList;
  Object.assign(list, { messages: [QUESTION, { role: 'assistant', content: '', ...answer }], ...fields });
  document.body.append(list);
  await list.updateComplete;
  // which the list fetches with its first message
  await import('../markdown/bounded-lexer');
  await list.updateComplete;
  return list;
}

test('what was thought is folded away above the answer', async () => {
  await show({ content: 'Because.', reasoning_content: 'A <b>hard</b> one.' });
  await expect.element(page.getByText('Because.')).toBeVisible();
  await expect.element(page.getByText('A <b>hard</b> one.')).not.toBeVisible();
  await page.getByText('Thinking').click();
  await expect.element(page.getByText('A <b>hard</b> one.')).toBeVisible();
});

test('a thought that grows stays as the person has it', async () => {
  const list = await show({ reasoning_content: 'A' }, { busy: true });
  await page.getByText('Thinking').click();
  list.messages = [QUESTION, { role: 'assistant', content: '', reasoning_content: 'A hard one.' }];
  await expect.element(page.getByText('A hard one.')).toBeVisible();
});

test('a long question shows how far it has been read, until the answer begins', async () => {
  const list = await show({}, { busy: true, prefill: { done: 128, total: 600 } });
  await expect.element(page.getByText('Reading 128 of 600 tokens')).toBeVisible();
  list.prefill = { done: 20, total: 30 };
  await list.updateComplete;
  expect(page.getByText('Reading').query()).toBeNull();
  list.prefill = { done: 600, total: 600 };
  list.messages = [QUESTION, { role: 'assistant', content: 'Because.' }];
  await list.updateComplete;
  expect(page.getByText('Reading').query()).toBeNull();
});

test('what only screen readers meet makes nothing longer', async () => {
  const list = await show({ content: 'line\n\n'.repeat(200) });
  list.style.height = '200px';
  document.body.style.margin = '0';
  expect(list.scrollHeight).toBeGreaterThan(2000);
  expect(document.documentElement.scrollHeight).toBe(innerHeight);
});

test('a message that cannot be read takes no other with it', async () => {
  const deep = '>'.repeat(3000);
  const list = await show({ content: deep });
  list.messages = [...list.messages, { role: 'user', content: 'And now?' }, { role: 'assistant', content: 'Fine.' }];
  await expect.element(page.getByText('Fine.')).toBeVisible();
  expect(list.shadowRoot?.querySelectorAll('blockquote').length).toBeLessThanOrEqual(100);
  expect(list.shadowRoot?.querySelector('.assistant')?.textContent?.trim()).toMatch(/^>{2900}/);
});

test('what grows is read once a frame, and a long text over many frames', async () => {
  const lex = vi.spyOn(BoundedLexer.prototype, 'lex');
  const list = await show({ content: 'One' }, { busy: true });
  for (let words = 0; words < 20; words++) {
    list.messages = [QUESTION, { role: 'assistant', content: `One${' more'.repeat(words)}` }];
    await list.updateComplete;
  }
  expect(lex.mock.calls.length).toBeLessThan(3);
  const text = 'One *two*.\n\n'.repeat(3000);
  list.messages = [QUESTION, { role: 'assistant', content: `${text}The end.` }];
  list.busy = false;
  await list.updateComplete;
  await expect.element(page.getByText('The end.')).toBeVisible();
  expect(list.shadowRoot?.querySelectorAll('.assistant em').length).toBe(3000);
});

test('a long question is in pieces, none of them lost', async () => {
  const list = await show({ content: 'Because.' });
  const question = `${'word '.repeat(30_000)}end`;
  list.messages = [{ role: 'user', content: question }];
  await list.updateComplete;
  const user = list.shadowRoot?.querySelector('.user');
  expect(user?.textContent?.replaceAll('\n', '').trim()).toBe(question);
  expect(user?.querySelectorAll('.piece').length).toBeGreaterThan(10);
});

test('the blocks of a growing answer stay the elements that they are, and an update looks at few of them', async () => {
  const blocks = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => `Block ${from + i}.\n\n`).join('');
  const list = await show({ content: blocks(0, 5) }, { busy: true });
  const paragraphs = () => [...list.shadowRoot!.querySelectorAll('.assistant p')];
  const seen = new Set<Element>();
  for (let to = 10; to <= 400; to += 10) {
    list.messages = [QUESTION, { role: 'assistant', content: blocks(0, to) }];
    await expect.poll(() => paragraphs().length).toBe(to);
    // the last block is not finished, and may come into a group; all others stay
    for (const paragraph of seen) expect(paragraph.isConnected).toBe(true);
    for (const paragraph of paragraphs().slice(0, -1)) seen.add(paragraph);
  }
  expect(paragraphs().map(({ textContent }) => textContent)).toEqual(
    Array.from({ length: 400 }, (_, i) => `Block ${i}.`),
  );
  expect(list.shadowRoot!.querySelector('.assistant')!.childElementCount).toBeLessThan(64 + 400 / 64);
});

test.each([
  ['One.', 'ltr'],
  ['1. \u05d0\u05d7\u05ea', 'rtl'],
  ['\u0648\u0627\u062d\u062f and one', 'rtl'],
  ['one \u0648\u0627\u062d\u062f', 'ltr'],
  ['- '.repeat(50_000), 'ltr'],
])('the direction of %j is that of its first letter', async (content, direction) => {
  const list = await show({ content });
  list.messages = [{ role: 'user', content }, ...list.messages.slice(1)];
  await list.updateComplete;
  for (const part of ['user', 'assistant']) {
    expect(getComputedStyle(list.shadowRoot!.querySelector(`.${part}`)!).direction).toBe(direction);
  }
  // which the browser would find by reading all of it again with each element
  expect(list.shadowRoot!.querySelector('[dir=auto]')).toBeNull();
});

/** A conversation of so many messages in a window of 600 px. */
async function many(count: number) {
  const list = document.createElement('nibble-messages') as MessageList;
  list.style.height = '600px';
  const text = (i: number) => `Number ${i}. ${'word '.repeat((i * 37) % 150)}`;
  list.messages = Array.from({ length: count }, (_, i) => ({ role: i % 2 ? 'assistant' : 'user', content: text(i) }));
  document.body.append(list);
  await import('../markdown/bounded-lexer');
  await import('./message-bar');
  await expect.poll(() => list.shadowRoot!.querySelectorAll('.late').length).toBe(0);
  return list;
}

const turns = (list: MessageList) => [...list.shadowRoot!.querySelectorAll<HTMLElement>('.turn')];
const frame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));

test('of 1,000 messages at most 60 are in the document, wherever one looks; all are counted', async () => {
  const list = await many(1000);
  expect(turns(list).length).toBeLessThanOrEqual(60);
  expect(turns(list).at(-1)?.ariaSetSize).toBe('1000');
  expect(turns(list).at(-1)?.ariaPosInSet).toBe('1000');
  for (const share of [0, 0.3, 0.5, 0.9, 1]) {
    list.scrollTop = share * list.scrollHeight;
    await frame();
    await frame();
    expect(turns(list).length).toBeLessThanOrEqual(60);
    const { top, bottom } = list.getBoundingClientRect();
    const seen = turns(list).filter((turn) => {
      const box = turn.getBoundingClientRect();
      return box.bottom > top && box.top < bottom;
    });
    expect(seen.length).toBeGreaterThan(0);
    // no hole
    expect(seen[0].getBoundingClientRect().top).toBeLessThanOrEqual(top + 8);
  }
});

test('nothing jumps when one scrolls up', async () => {
  const list = await many(200);
  for (let step = 0; step < 40; step++) {
    const { top } = list.getBoundingClientRect();
    const seen = turns(list).find((turn) => turn.getBoundingClientRect().bottom > top)!;
    const before = seen.getBoundingClientRect().top;
    list.scrollTop -= 150;
    await frame();
    await frame();
    if (list.scrollTop === 0) break;
    expect(Math.abs(seen.getBoundingClientRect().top - before - 150)).toBeLessThanOrEqual(2);
  }
});

test('the arrow keys go from message to message, Tab to what can be done with it, and what is said has a speaker', async () => {
  const list = await many(120);
  await list.reveal('119');
  for (let step = 0; step < 80; step++) {
    list.shadowRoot!.activeElement!.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowUp', bubbles: true }));
    await list.updateComplete;
    await list.updateComplete;
    await frame();
  }
  const focused = list.shadowRoot!.activeElement as HTMLElement;
  expect([focused.dataset.id, focused.ariaLabel]).toEqual(['39', 'Answer']);
  const reached = [...list.shadowRoot!.querySelectorAll('nibble-message-bar[reachable]')];
  expect(reached.map((bar) => bar.parentElement)).toEqual([focused]);
});

test('an answer far from the end of the list streams where nobody looks, and the end is one button away', async () => {
  const list = await many(100);
  list.scrollTop = 0;
  await frame();
  const before = list.scrollTop;
  list.messages = [...list.messages, QUESTION, { role: 'assistant', content: 'Because.' }];
  list.busy = true;
  await frame();
  expect(list.scrollTop).toBe(before);
  await page.getByRole('button', { name: 'Jump to the end' }).click();
  await expect.element(page.getByRole('log').getByText('Because.')).toBeInViewport();
});

test('finished sentences are said while an answer grows, and then what came of it', async () => {
  const list = await show({ content: 'Before.' });
  // a first answer has brought what finds sentences
  await import('./sentences');
  list.busy = true;
  await list.updateComplete;
  const status = () => list.shadowRoot!.querySelector('[role=status]')!.textContent;
  const say = async (content: string, cut?: 'aborted') => {
    const [question] = list.turns;
    const answer = {
      ...list.turns[1],
      message: { role: 'assistant' as const, content },
      ...(cut && { cut: { finish: cut, ids: null } }),
    };
    list.turns = [question, answer];
    await list.updateComplete;
  };
  await say('One is. Two');
  expect(status()).toBe('One is.');
  await say('One is. Two is not', 'aborted');
  list.busy = false;
  await list.updateComplete;
  expect(status()).toBe('Two is not The answer was stopped.');
});
