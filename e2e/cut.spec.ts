/** Answers that are not whole, a chat that was put away too soon, a limit that is too low, and where the page ends. */
import type { Page } from '@playwright/test';
import { Chat, expect, TINY, test } from './product';
import { slowOnCpu } from './slow-worker';

const url = (origin: string, query = '') => `${origin}/?model=${TINY}&backend=cpu${query}`;
/** What stands below the last answer. */
const said = (chat: Chat) => chat.view.locator('[data-cut]');
const goOn = (chat: Chat) => chat.view.getByRole('button', { name: 'Continue' });

test('an answer that reached its limit says so, and goes on as if it had never ended', async ({ product, profile }) => {
  const { page } = await profile.open();
  const chat = new Chat(page);
  await page.goto(url(product.site.origin, '&max-new-tokens=12&ignore-eos'));
  await chat.loadModel();
  const whole = await chat.ask('Hello');
  const { ids } = (await chat.state()).result!;
  expect(ids).toHaveLength(12);

  await page.goto(url(product.site.origin, '&max-new-tokens=4&ignore-eos'));
  await chat.loaded();
  await page.getByRole('button', { name: 'New chat' }).click();
  await chat.ask('Hello');
  await expect(said(chat)).toContainText('Stopped at 4 tokens');
  await goOn(chat).click();
  await expect(said(chat)).toContainText('Stopped at 8 tokens');
  const { promptTokens, reusedTokens } = (await chat.state()).result!.stats;
  // nothing is computed again
  expect(reusedTokens).toBe(promptTokens);

  // after a reload, too
  await page.reload();
  await expect(goOn(chat)).toBeVisible();
  await goOn(chat).click();
  await expect(said(chat)).toContainText('Stopped at 12 tokens');
  const { messages, result } = await chat.state();
  expect(result!.ids).toEqual(ids);
  expect(messages.map(({ content }) => content)).toEqual(['Hello', whole]);
});

test.describe('of a slow model', () => {
  test.use({ serverOptions: { intercept: slowOnCpu } });
  test('an answer that was stopped says so, and goes on; so does one that a reload cut off', async ({
    product,
    profile,
  }) => {
    const { page } = await profile.open();
    const chat = new Chat(page);
    await page.goto(url(product.site.origin, '&ignore-eos'));
    await chat.loadModel();
    const answer = async () => (await chat.state()).messages.at(-1)!.content;
    await chat.question.fill('Write a long story about a river.');
    await chat.question.press('Enter');
    await expect.poll(async () => (await answer()).length).toBeGreaterThan(8);
    await chat.stop.click();
    await expect(said(chat)).toContainText('The answer was stopped.');
    const stopped = await answer();
    await goOn(chat).click();
    await expect.poll(async () => (await answer()).length).toBeGreaterThan(stopped.length);
    expect((await answer()).startsWith(stopped)).toBe(true);
    await page.reload();
    await expect(goOn(chat)).toBeVisible();
    const left = await answer();
    expect(left.startsWith(stopped)).toBe(true);
    await goOn(chat).click();
    await expect.poll(async () => (await answer()).length).toBeGreaterThan(left.length);
    expect((await answer()).startsWith(left)).toBe(true);
    await chat.stop.click();
    await chat.answered();
    expect((await chat.state()).messages).toHaveLength(2);
  });
});

test('“New chat” can be undone until something is asked', async ({ product, profile }) => {
  const { page } = await profile.open();
  const chat = new Chat(page);
  await page.goto(url(product.site.origin, '&max-new-tokens=8'));
  await chat.loadModel();
  const answer = await chat.ask('Hello');
  await page.getByRole('button', { name: 'New chat' }).click();
  await expect(chat.log).toHaveCount(0);
  await chat.view.getByRole('button', { name: 'Undo' }).click();
  await expect(chat.log).toContainText(answer);
  await chat.ask('More');
  await page.reload();
  await expect(chat.log).toContainText('More');
  expect((await chat.state()).messages).toHaveLength(4);
  await page.getByRole('button', { name: 'New chat' }).click();
  await chat.ask('Other');
  await expect(chat.view.getByRole('button', { name: 'Undo' })).toHaveCount(0);
});

test('an error of the memory limit offers the one that would do', async ({ product, profile }) => {
  const { page } = await profile.open();
  const chat = new Chat(page);
  await page.goto(url(product.site.origin, '&memory-budget=100000'));
  await chat.load.click();
  await expect(chat.error).toContainText('the budget is 0.1 MiB');
  await chat.view.getByRole('button', { name: 'Allow 2 MiB' }).click();
  await chat.loaded();
  expect(await chat.ask('Hello')).not.toBe('');
  expect((await chat.state()).info!.options.memoryBudget).toBe(2 * 2 ** 20);
  // as it is remembered
  await page.goto(`${product.site.origin}/?model=${TINY}`);
  await chat.loaded();
  expect((await chat.state()).info!.options.memoryBudget).toBe(2 * 2 ** 20);
});

/** Whatever is said, what scrolls is the list. */
async function talk(chat: Chat) {
  const height = () => chat.page.evaluate(() => document.documentElement.scrollHeight);
  const before = await height();
  for (let turn = 0; turn < 30; turn++) await chat.ask(`${turn} and a question that takes a line of its own`);
  expect((await chat.state()).messages).toHaveLength(60);
  expect(await height()).toBe(before);
  return before;
}
const windowHeight = (page: Page) => page.evaluate(() => innerHeight);

test('after 30 turns the page is as high as its window', async ({ product, profile }) => {
  const { page } = await profile.open({ width: 400, height: 600 });
  const chat = new Chat(page);
  await page.goto(url(product.site.origin, '&max-new-tokens=4&ignore-eos'));
  await chat.loadModel();
  await chat.ask('first');
  await page.getByRole('button', { name: 'New chat' }).click();
  expect(await talk(chat)).toBe(await windowHeight(page));
});

test('after 30 turns a page is no higher for the widget in it', async ({ product, profile }) => {
  const { page } = await profile.open({ width: 400, height: 600 });
  const chat = new Chat(page);
  await page.goto(product.host.origin);
  await page.locator('nibble-chat').evaluate((element, model) => {
    element.setAttribute('model', model);
    element.setAttribute('max-new-tokens', '4');
  }, product.site.origin + TINY);
  await page.getByRole('button', { name: 'Start a chat' }).click();
  await chat.loadModel();
  await talk(chat);
  // and alone on its page
  await page.evaluate(() => {
    document.querySelector('link')!.remove();
    document.body.replaceChildren(document.querySelector('nibble-chat')!);
    document.body.style.margin = '0';
  });
  expect(await page.evaluate(() => document.documentElement.scrollHeight)).toBe(await windowHeight(page));
});
