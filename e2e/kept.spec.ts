/** The chat page keeps its conversation: what was said, and the cache with which it goes on at once. */
import type { Page } from '@playwright/test';
import type { SavedCache } from '../src/protocol';
import type { ChatSession } from '../src/ui/conversation/session';
import { inStore } from './in-store';
import { Chat, expect, TINY, test } from './product';
import { slowOnCpu } from './slow-worker';

const url = (origin: string, query = '&max-new-tokens=8') => `${origin}/?model=${TINY}${query}`;
/** The tiny model answers them within its context. */
const QUESTIONS = ['cat', 'yes', 'no', 'no'];

/** All that one of the page's databases holds. */
const stored = async <T>(page: Page, database: string): Promise<T[]> =>
  ((await inStore(page, database, 'getAll')) ?? []) as T[];

/** What is kept of conversations: their entries, and what was said. */
interface Kept {
  title?: string;
  named?: { options?: object };
  thread?: { turns: { id: string; message: { content: string } }[]; leaf: string };
}
const keptBodies = async (page: Page) => (await stored<Kept>(page, 'nibble-chat')).filter(({ thread }) => thread);

/** Waits until the cache of all that was said is saved. */
async function saved(page: Page) {
  const { stats } = (await new Chat(page).state()).result!;
  const tokens = async () => (await stored<SavedCache>(page, 'nibble-saved')).map((save) => save.tokens);
  await expect.poll(tokens).toContain(stats.promptTokens + stats.newTokens - 1);
}

/** What the dialog says of it; it stands in the dialog, but belongs to the page. */
const setting = (page: Page) => page.locator('nibble-kept');

async function openDialog(page: Page) {
  await expect(setting(page)).toBeHidden();
  await page.getByRole('button', { name: 'Models' }).click();
  const dialog = page.getByRole('dialog', { name: 'Models' });
  await expect(dialog).toBeVisible();
  return dialog;
}

test('a conversation goes on after a reload, and after the browser was closed, offline, as if nothing had been', async ({
  product,
  profile,
}) => {
  const { origin } = product.site;
  const first = await profile.open({ own: true });
  let chat = new Chat(first.page);
  await first.page.goto(url(origin));
  await chat.loadModel();
  /** What it says to the question with that number, and the part of its figures that no clock has a say in. */
  const ask = async (index: number) => {
    await chat.ask(QUESTIONS[index]);
    const { messages, result } = await chat.state();
    const { promptTokens, reusedTokens, newTokens } = result!.stats;
    return { messages, ids: result!.ids, note: result!.note, promptTokens, reusedTokens, newTokens };
  };
  const right: Awaited<ReturnType<typeof ask>>[] = [];
  for (const index of QUESTIONS.keys()) right.push(await ask(index));
  expect(right.map(({ note }) => note)).toEqual([null, null, null, null]);
  // of two turns all but the end of an answer, which its text may be cut into other tokens
  expect(right[2].reusedTokens).toBeGreaterThan(right[1].promptTokens);

  await first.page.getByRole('button', { name: 'New chat' }).click();
  for (const index of [0, 1]) expect(await ask(index)).toEqual(right[index]);
  await saved(first.page);
  await first.page.reload();
  await chat.loaded();
  await expect(chat.log).toContainText(right[1].messages[2].content);
  expect((await chat.state()).messages).toEqual(right[1].messages);
  expect(await ask(2)).toEqual(right[2]);
  await expect(chat.stat('ttft')).toContainText(`${right[2].reusedTokens} of ${right[2].promptTokens} tokens reused`);

  await saved(first.page);
  await first.page.waitForFunction(() => navigator.serviceWorker.controller !== null);
  await first.close();
  await product.close();
  const second = await profile.open({ own: true });
  chat = new Chat(second.page);
  await second.page.goto(url(origin));
  await chat.loaded();
  expect((await chat.state()).messages).toEqual(right[2].messages);
  expect(await ask(3)).toEqual(right[3]);
  expect([...first.complaints, ...second.complaints]).toEqual([]);
});

test('on a phone the end of what was said is in sight again, above what the loaded model brings', async ({
  product,
  profile,
}) => {
  const { page } = await profile.open({ width: 360, height: 640 });
  const chat = new Chat(page);
  await page.goto(url(product.site.origin, ''));
  await chat.loadModel();
  for (const question of QUESTIONS) await chat.ask(question);
  await page.reload();
  await chat.loaded();
  const list = chat.view.locator('nibble-messages');
  expect(await list.evaluate((element) => element.scrollHeight - element.clientHeight)).toBeGreaterThan(0);
  const below = () =>
    list.evaluate(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight);
  await expect.poll(below).toBeLessThan(2);
  // who reads further up is not pulled down
  await list.evaluate((element) => element.scrollTo(0, 0));
  await page.setViewportSize({ width: 360, height: 560 });
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  expect(await list.evaluate(({ scrollTop }) => scrollTop)).toBe(0);
});

test('it is in the list after “New chat”, and nothing is left of it when it is deleted or not to be kept', async ({
  product,
  profile,
}) => {
  const { page } = await profile.open();
  const chat = new Chat(page);
  await page.goto(url(product.site.origin));
  await chat.loadModel();
  const gone = async () => {
    await expect.poll(() => keptBodies(page)).toEqual([]);
    // its cache goes when nobody can bring it back any more
    await page.reload();
    await expect.poll(() => stored(page, 'nibble-chat')).toEqual([]);
    expect(await stored(page, 'nibble-saved')).toEqual([]);
    const keys = (await inStore(page, 'nibble-chunks', 'getAllKeys')) as string[];
    expect(keys.filter((key) => key.startsWith('@saved/'))).toEqual([]);
    await page.reload();
    await chat.loaded();
    await expect(chat.log).toHaveCount(0);
  };
  await chat.ask('Hello');
  await saved(page);
  await page.getByRole('button', { name: 'New chat' }).click();
  await expect(chat.log).toHaveCount(0);
  await page.reload();
  await expect(page.getByRole('link', { name: 'Hello' })).toBeVisible();
  await expect(chat.log).toHaveCount(0);
  await page.getByRole('link', { name: 'Hello' }).click();
  await expect(chat.log).toContainText('Hello');
  await page.getByRole('link', { name: 'Hello' }).press('Delete');
  await gone();

  await chat.ask('Hello');
  await saved(page);
  await openDialog(page);
  const keep = setting(page).getByLabel('Keep it in this browser');
  await expect(keep).toBeChecked();
  await keep.uncheck();
  await page.keyboard.press('Escape');
  await chat.ask('More');
  await gone();
  await openDialog(page);
  await expect(keep).not.toBeChecked();
});

test.describe('of a slow model', () => {
  test.use({ serverOptions: { intercept: slowOnCpu } });
  test('an answer that a reload cut off is there as far as it came', async ({ product, profile }) => {
    const { page } = await profile.open();
    const chat = new Chat(page);
    await page.goto(url(product.site.origin, '&backend=cpu&ignore-eos'));
    await chat.loadModel();
    await chat.question.fill('Write a long story about a river.');
    await chat.question.press('Enter');
    const kept = async () => (await keptBodies(page))[0]?.thread?.turns[1]?.message.content ?? '';
    await expect.poll(async () => (await kept()).length).toBeGreaterThan(8);
    const before = await kept();
    await page.reload();
    await chat.loaded();
    const { messages } = await chat.state();
    expect(messages).toHaveLength(2);
    expect(messages[1].content.startsWith(before)).toBe(true);
  });
});

test('a question that a reload left without an answer is offered to be answered', async ({ product, profile }) => {
  const { page } = await profile.open();
  const chat = new Chat(page);
  await page.goto(url(product.site.origin));
  await chat.loadModel();
  const answer = await chat.ask('Hello');
  await saved(page);
  // as it is kept while the question is computed
  const keys = (await inStore(page, 'nibble-chat', 'getAllKeys')) as string[][];
  const [kept] = await keptBodies(page);
  const turns = kept.thread!.turns.slice(0, 1);
  const asked = { ...kept, thread: { turns, leaf: turns[0].id } };
  await inStore(
    page,
    'nibble-chat',
    'put',
    asked,
    keys.find(([, kind]) => kind === 'body'),
  );
  await page.reload();
  await expect(chat.error).toContainText('before this question was answered');
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect(chat.log).toContainText(answer);
  await expect(chat.error).toHaveCount(0);
  expect((await chat.state()).messages.map(({ content }) => content)).toEqual(['Hello', answer]);
});

test('a model that was chosen in the dialog is there again with its conversation', async ({ product, profile }) => {
  const { page } = await profile.open();
  const chat = new Chat(page);
  await page.goto(`${product.site.origin}/?max-new-tokens=8`);
  const dialog = await openDialog(page);
  await dialog.getByLabel('Hugging Face id').fill(TINY);
  await dialog.getByRole('button', { name: 'Look up' }).click();
  await dialog.getByRole('button', { name: /^Load/ }).click();
  await chat.loaded();
  const answer = await chat.ask('Hello');
  await saved(page);
  const { info } = await chat.state();
  await page.reload();
  await chat.loaded();
  await expect(chat.log).toContainText('Hello');
  expect((await chat.state()).messages[1].content).toBe(answer);
  expect((await chat.state()).info!.name).toBe(info!.name);
  await chat.ask('More');
  expect((await chat.state()).result!.stats.reusedTokens).toBeGreaterThan(0);

  // what was chosen there gives way to what the address bar says
  await chat.view.evaluate((view) => (view as unknown as { session: ChatSession }).session.adjust({ kv: 'f16' }));
  const named = async () =>
    (await stored<Kept>(page, 'nibble-chat')).filter(({ title }) => title).map(({ named }) => named);
  await expect.poll(named).toMatchObject([{ options: { kv: 'f16' } }]);
  await page.goto(`${product.site.origin}?kv=f32`);
  await chat.loaded();
  await expect(chat.log).toContainText('More');
  expect((await chat.state()).info!).toMatchObject({ name: info!.name, options: { kv: 'f32' } });
});

test('of two tabs each keeps its conversation, through reloads, and sees that of the other in its list', async ({
  product,
  profile,
}) => {
  const { page, context } = await profile.open();
  const first = new Chat(page);
  await page.goto(url(product.site.origin));
  await first.loadModel();
  const answer = await first.ask('Hello');
  await saved(page);
  const other = await context.newPage();
  const second = new Chat(other);
  await other.goto(url(product.site.origin));
  await second.loaded();
  await expect(second.log).toHaveCount(0);
  await second.ask('Something else');
  for (const tab of [page, other])
    for (const title of ['Hello', 'Something else']) await expect(tab.getByRole('link', { name: title })).toBeVisible();
  await other.getByRole('button', { name: 'New chat' }).click();
  for (let reload = 0; reload < 5; reload++) {
    await page.reload();
    await expect(first.log).toContainText('Hello');
    expect((await first.state()).messages.map(({ content }) => content)).toEqual(['Hello', answer]);
  }
  await first.loaded();
  await first.ask('More');
  expect((await first.state()).result!.stats.reusedTokens).toBeGreaterThan(0);
});

for (const [what, script] of Object.entries({
  'refuses IndexedDB': `indexedDB.open = () => { throw new DOMException('not here', 'SecurityError'); };`,
  'is full': `IDBObjectStore.prototype.put = () => { throw new DOMException('full', 'QuotaExceededError'); };`,
})) {
  test(`a browser that ${what} leaves the chat as it was, and says so where it is asked`, async ({
    product,
    profile,
  }) => {
    const { page, complaints } = await profile.open();
    // in the page, not in the worker: the model is kept, what is said is not
    await page.addInitScript(script);
    const chat = new Chat(page);
    await page.goto(url(product.site.origin));
    await chat.loadModel();
    await chat.ask('Hello');
    await chat.ask('More');
    expect((await chat.state()).messages).toHaveLength(4);
    await expect(chat.error).toHaveCount(0);
    await openDialog(page);
    await expect(setting(page)).toContainText('or stores nothing for this page');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'New chat' }).click();
    await chat.ask('Hello');
    await page.reload();
    await chat.loaded();
    await expect(chat.log).toHaveCount(0);
    expect(complaints).toEqual([]);
  });
}

test('the widget, which is on other people’s sites, keeps nothing of what is said', async ({ product, profile }) => {
  const { page } = await profile.open();
  const { site, host } = product;
  const chat = new Chat(page);
  const visit = async () => {
    await page.goto(host.origin);
    await page.locator('nibble-chat').evaluate((element, model) => {
      element.setAttribute('model', model);
      element.setAttribute('max-new-tokens', '8');
    }, site.origin + TINY);
    await page.getByRole('button', { name: 'Start a chat' }).click();
  };
  await visit();
  await chat.loadModel();
  await chat.ask('Hello');
  const names = await page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));
  expect(names).toContain('nibble-models');
  expect(names).not.toContain('nibble-chat');
  expect(names).not.toContain('nibble-saved');
  await visit();
  await chat.loaded();
  await expect(chat.log).toHaveCount(0);
});
