/** Conversations: their list, by keyboard; addresses that name them; two tabs; files in and out; temporary chats. */
import { readFileSync } from 'node:fs';
import type { Page } from '@playwright/test';
import { useFakeEngine } from './fake-engine';
import { inStore } from './in-store';
import { picture, pictures } from './picture';
import { Chat, expect, TINY, test } from './product';

const list = (page: Page) => page.locator('nibble-conversations');
const link = (page: Page, name: string | RegExp) => list(page).getByRole('link', { name });
const titles = (page: Page) => list(page).getByRole('link').allTextContents();
const newChat = (page: Page) => page.getByRole('button', { name: 'New chat' });

test('conversations are found, renamed, moved, copied, deleted and brought back by keyboard', async ({
  product,
  profile,
}) => {
  const { page, context, complaints } = await profile.open({ width: 1280, height: 800 });
  await useFakeEngine(context, { answer: (messages) => `You asked: ${messages.at(-1)!.content}` });
  const chat = new Chat(page);
  await page.goto(`${product.site.origin}/?model=${TINY}`);
  const begin = async (question: string) => {
    await chat.question.focus();
    await newChat(page).press('Enter');
    await expect(chat.question).toBeFocused();
    await chat.ask(question);
  };
  await begin('Which trees lose their leaves in winter?');
  const first = page.url();
  expect(first).toMatch(/#\/c\/\w+$/);
  await begin('How is bread baked?');
  await begin('北京的冬天冷吗？');
  await expect.poll(() => titles(page)).toHaveLength(3);
  expect(await page.evaluate(() => document.documentElement.scrollHeight - innerHeight)).toBe(0);
  await pictures(page, 'conversations-desktop-*');

  // Back and Forward
  await page.goBack();
  await expect(chat.log).toContainText('How is bread baked?');
  await page.goForward();
  await expect(chat.log).toContainText('北京');
  await page.goto(first);
  await expect(chat.log).toContainText('lose their leaves');

  // search, in the text, and in Chinese
  const search = list(page).getByRole('searchbox');
  await search.fill('asked bread');
  await expect.poll(() => titles(page)).toEqual([expect.stringContaining('How is bread baked?')]);
  await picture(page, 'conversations-search');
  await search.fill('冬天');
  await expect.poll(() => titles(page)).toEqual([expect.stringContaining('北京')]);
  await search.fill('');
  await expect.poll(() => titles(page)).toHaveLength(3);

  // the keys of the list
  await search.press('ArrowDown');
  await expect(link(page, '北京')).toBeFocused();
  await page.keyboard.press('ArrowDown');
  await expect(link(page, 'How is bread baked?')).toBeFocused();
  await page.keyboard.press('F2');
  await expect(list(page).getByLabel('Title of the conversation')).toBeFocused();
  await page.keyboard.type('Bread');
  await page.keyboard.press('Enter');
  await expect(link(page, 'Bread')).toBeFocused();
  await link(page, 'Bread').press('Enter');
  await expect(page).toHaveTitle('Bread · Nibble');
  await page.goBack();
  await expect(page).toHaveTitle(/lose their leaves.* · Nibble/);
  await link(page, 'Bread').focus();

  // its menu
  const act = async (name: string) => {
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    const item = list(page).getByRole('menuitem', { name, exact: true });
    for (let step = 0; step < 8 && !(await item.evaluate((element) => element.matches(':focus'))); step++)
      await page.keyboard.press('ArrowDown');
    if (name === 'Pin') await picture(page, 'conversations-menu');
    await page.keyboard.press('Enter');
  };
  await act('Pin');
  await expect(list(page).getByRole('heading').first()).toHaveText('Pinned');
  await expect(link(page, 'Bread')).toBeFocused();
  await act('Move to a folder');
  await list(page).getByLabel('New folder').fill('Kitchen');
  await page.keyboard.press('Enter');
  await expect(link(page, 'Bread')).toBeFocused();
  await act('Unpin');
  await expect(list(page).getByRole('heading').first()).toHaveText('Kitchen');
  await act('Duplicate');
  await expect(link(page, 'Bread (copy)')).toBeFocused();
  await page.keyboard.press('Delete');
  await expect(link(page, 'Bread (copy)')).toHaveCount(0);
  await list(page).getByRole('button', { name: 'Undo' }).press('Enter');
  await expect(link(page, 'Bread (copy)')).toBeFocused();
  await expect.poll(() => titles(page)).toHaveLength(4);
  await page.reload();
  await expect.poll(() => titles(page)).toHaveLength(4);
  await expect(chat.log).toContainText('lose their leaves');

  // a column that was put away stays so
  await page.getByRole('button', { name: 'Hide conversations' }).press('Enter');
  await expect(list(page)).toBeHidden();
  await page.reload();
  await expect(page.getByRole('button', { name: 'Show conversations' })).toBeVisible();
  await expect(list(page)).toBeHidden();
  await expect(chat.log).toContainText('lose their leaves');
  await page.keyboard.press('Control+Shift+F');
  await expect(search).toBeFocused();
  // from right to left
  await page.evaluate(() => localStorage.setItem('nibble-preferences /', JSON.stringify({ language: 'ar' })));
  await page.reload();
  await expect.poll(() => titles(page)).toHaveLength(4);
  await expect(page.getByRole('navigation', { name: 'المحادثات' })).toBeVisible();
  await pictures(page, 'conversations-rtl-*');
  expect(complaints).toEqual([]);
});

test('on a phone the list is a drawer', async ({ product, profile }) => {
  const { page, context } = await profile.open({ width: 390, height: 780 });
  await useFakeEngine(context);
  const chat = new Chat(page);
  await page.goto(`${product.site.origin}/?model=${TINY}`);
  await chat.ask('One');
  await newChat(page).click();
  await chat.ask('Two');
  const show = page.getByRole('button', { name: 'Show conversations' });
  await show.click();
  const drawer = page.getByRole('dialog', { name: 'Conversations' });
  await expect(drawer).toBeVisible();
  await pictures(page, 'conversations-drawer-*');
  await page.keyboard.press('Escape');
  await expect(drawer).toBeHidden();
  await expect(show).toBeFocused();
  await show.click();
  await link(page, 'One').click();
  await expect(drawer).toBeHidden();
  await expect(chat.log).toContainText('One');
  await show.click();
  await page.mouse.click(380, 400);
  await expect(drawer).toBeHidden();
  await page.evaluate(() => document.documentElement.setAttribute('dir', 'rtl'));
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
});

test('two tabs see each other, and one conversation is written from one of them', async ({ product, profile }) => {
  const { page, context } = await profile.open();
  await useFakeEngine(context);
  const [first, second] = [new Chat(page), new Chat(await context.newPage())];
  await page.goto(`${product.site.origin}/?model=${TINY}`);
  await first.ask('Hello');
  await expect(link(page, 'Hello')).toBeVisible();
  await second.page.goto(page.url());
  const notice = second.page.locator('nibble-conversation-notice');
  await expect(notice).toContainText('Another tab has this conversation open.');
  await expect(second.question).toBeDisabled();
  await picture(second.page, 'conversations-elsewhere');
  await first.ask('More');
  await expect(second.log).toContainText('More');
  await notice.getByRole('button', { name: 'Continue here' }).click();
  await expect(second.question).toBeEnabled();
  await expect(first.question).toBeDisabled();
  await second.ask('From here');
  await expect(first.log).toContainText('From here');
  // it closes
  await second.page.close();
  await expect(first.question).toBeEnabled();
  await first.ask('And back');
  expect((await first.state()).messages).toHaveLength(8);
});

test('a temporary chat is marked, and writes nothing', async ({ product, profile }) => {
  const { page, context } = await profile.open();
  await useFakeEngine(context);
  const chat = new Chat(page);
  await page.goto(`${product.site.origin}/?model=${TINY}`);
  await page.getByRole('button', { name: 'Temporary chat' }).click();
  await expect(page.getByText('A temporary chat: nothing of it is kept.')).toBeVisible();
  await chat.ask('Secret');
  await picture(page, 'conversations-temporary');
  await chat.question.fill('A draft that is secret, too');
  await page.reload();
  await expect(page.getByText('A temporary chat: nothing of it is kept.')).toBeVisible();
  await expect(chat.log).toHaveCount(0);
  await expect(chat.question).toHaveValue('');
  expect(await inStore(page, 'nibble-chat', 'getAll')).toEqual([]);
  expect(page.url()).not.toContain('#');
});

test('files of other tools come in, and our own go out and come back', async ({ product, profile }) => {
  const { page, context } = await profile.open();
  await useFakeEngine(context);
  const chat = new Chat(page);
  await page.goto(`${product.site.origin}/?model=${TINY}`);
  await chat.ask('Hello <b>there</b>');
  await expect(link(page, 'Hello')).toBeVisible();
  const bring = (name: string, text: string) =>
    list(page)
      .locator('input[type=file]')
      .setInputFiles({ name, mimeType: 'application/json', buffer: Buffer.from(text) });
  const node = (parent: string | null, role: string, said: string) => ({
    parent,
    message: { author: { role }, content: { content_type: 'text', parts: [said] }, create_time: 1_700_000_000 },
  });
  const mapping = {
    a: node(null, 'system', ''),
    b: node('a', 'user', 'What is <img src=x onerror=alert(1)>?'),
    c: node('b', 'assistant', 'A tag.'),
  };
  await bring(
    'conversations.json',
    JSON.stringify([{ title: 'Tags', create_time: 1_700_000_000, mapping, current_node: 'c' }, { title: 'Broken' }]),
  );
  await expect(list(page)).toContainText('1 of 2 conversations imported');
  await expect(list(page).getByRole('heading', { name: 'November 2023' })).toBeVisible();
  await link(page, 'Tags').click();
  await expect(chat.log).toContainText('A tag.');
  expect(await page.evaluate(() => document.querySelectorAll('img').length)).toBe(0);
  await bring('nothing.json', '{"a": [1, 2');
  await expect(list(page)).toContainText('nothing.json has no conversation that can be read');
  // out and in again
  await list(page).getByRole('button', { name: 'Actions for Tags' }).click();
  const [file] = await Promise.all([
    page.waitForEvent('download'),
    list(page).getByRole('menuitem', { name: 'Export as JSON' }).click(),
  ]);
  const text = readFileSync(await file.path(), 'utf8');
  await bring(file.suggestedFilename(), text);
  await expect(list(page)).toContainText('1 conversation imported.');
  await expect.poll(() => titles(page)).toHaveLength(3);
});

test('a thousand conversations are listed without reading what was said', async ({ product, profile }) => {
  const { page, context } = await profile.open();
  await useFakeEngine(context);
  const chat = new Chat(page);
  await page.goto(`${product.site.origin}/?model=${TINY}`);
  await chat.ask('Hello');
  await expect(link(page, 'Hello')).toBeVisible();
  const day = 86_400_000;
  const conversations = Array.from({ length: 1000 }, (_, index) => ({
    title: `Conversation ${index}`,
    updated: Date.now() - index * (day / 4),
    thread: {
      turns: [
        {
          id: 'a',
          parent: null,
          at: 1,
          message: { role: 'user', content: `Question ${index} about a needle${index}` },
        },
      ],
      leaf: 'a',
    },
  }));
  const file = JSON.stringify({ kind: 'nibble-conversations', version: 1, conversations });
  await list(page)
    .locator('input[type=file]')
    .setInputFiles({ name: 'all.json', mimeType: 'application/json', buffer: Buffer.from(file) });
  await expect(list(page)).toContainText('1,000 conversations imported.');
  await page.addInitScript(() => {
    const reads = { bodies: 0 };
    const { get } = IDBObjectStore.prototype;
    IDBObjectStore.prototype.get = function (key) {
      if (Array.isArray(key) && key[1] === 'body') reads.bodies++;
      return get.call(this, key);
    };
    Object.assign(window, { reads });
  });
  await page.reload();
  await expect.poll(async () => (await titles(page)).length).toBe(1001);
  expect(await page.evaluate(() => (window as unknown as { reads: { bodies: number } }).reads.bodies)).toBe(1);
  await list(page).getByRole('searchbox').fill('needle731');
  await expect.poll(() => titles(page)).toEqual([expect.stringContaining('Conversation 731')]);
});
