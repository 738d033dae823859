/** What page, dialog and widget look like: pictures of each state, and axe. */
import type { ChatSession } from '../src/ui/conversation/session';
import { dress, picture, pictures, SCHEMES } from './picture';
import { Chat, expect, TINY, TINY_GGUF, test } from './product';

const ANSWER = `The sky looks blue because air scatters **short waves** of light more than long ones.

1. Sunlight holds every colour.
2. Blue is scattered about *four times* as much as red.

\`\`\`js
const ratio = (700 / 450) ** 4; // 5.9
\`\`\`

So wherever you look, scattered blue reaches you.`;

for (const [device, size] of Object.entries({
  desktop: { width: 1280, height: 800 },
  phone: { width: 390, height: 780 },
})) {
  test(`the page on a ${device}`, async ({ product, profile }) => {
    const { page } = await profile.open(size);
    const name = (state: string) => `page-${device}-*-${state}`;
    const chat = new Chat(page);
    await page.goto(`${product.site.origin}/?model=${TINY}`);
    await expect(chat.load).toBeVisible();
    await expect(page.locator('nibble-memory summary')).toBeVisible();
    await pictures(page, name('offer'));
    await chat.loadModel();
    await pictures(page, name('ready'));
    await chat.ask('Why is the sky blue?');
    // the tiny model only babbles: show how a real answer is set
    await chat.view.evaluate((view, content) => {
      const { session } = view as unknown as { session: EventTarget & { messages: object[] } };
      session.messages = [...session.messages.slice(0, -1), { role: 'assistant', content }];
      session.dispatchEvent(new Event('change'));
    }, ANSWER);
    await expect(chat.log).toContainText('four times');
    await pictures(page, name('answer'));
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(wide).toBeLessThanOrEqual(0);
  });

  test(`the dialog of models on a ${device}`, async ({ product, profile }) => {
    const { page } = await profile.open(size);
    const name = (state: string) => `models-${device}-*-${state}`;
    await page.goto(`${product.site.origin}/?model=${TINY}`);
    await new Chat(page).loadModel();
    const dialog = page.getByRole('dialog', { name: 'Models' });
    const lookUp = async (model: string) => {
      await dialog.getByLabel('Hugging Face id').fill(model);
      await dialog.getByRole('button', { name: 'Look up' }).click();
    };
    await page.getByRole('button', { name: 'Models' }).click();
    await expect(dialog.getByRole('listitem')).toHaveCount(1);
    await pictures(page, name('first'));
    await lookUp(TINY_GGUF);
    await expect(dialog.locator('[data-cost=memory]')).toBeVisible();
    await pictures(page, name('cost'));
    await dialog.getByRole('button', { name: /^Load/ }).click();
    await expect(dialog).toBeHidden();
    await page.getByRole('button', { name: 'Models' }).click();
    await dialog.getByText('Revision and access token').click();
    await dialog.getByRole('button', { name: 'Delete tiny' }).click();
    await pictures(page, name('kept'));
    await lookUp('org/model');
    await expect(dialog.getByRole('alert')).toBeVisible();
    await pictures(page, name('error'));
    const wide = await dialog.evaluate((element) => element.scrollWidth - element.clientWidth);
    expect(wide).toBeLessThanOrEqual(0);
    await page.keyboard.press('Escape');
    await page.context().route(
      ({ pathname }) => pathname.startsWith('/models/gone/'),
      (route) => route.abort(),
    );
    await new Chat(page).view.evaluate(async (view) => {
      const { session } = view as unknown as { session: ChatSession };
      await session.change({ model: '/models/gone/', name: 'gone' }, null);
    });
    await pictures(page, name('gone'));
  });

  test(`the widget on a ${device}`, async ({ product, profile }) => {
    const { page } = await profile.open(size);
    await page.goto(product.host.origin);
    const start = page.getByRole('button', { name: 'Start a chat' });
    await expect(start).toBeVisible();
    await picture(page, `widget-${device}-closed`);
    await page
      .locator('nibble-chat')
      .evaluate((element, model) => element.setAttribute('model', model), product.site.origin + TINY);
    await start.click();
    const chat = new Chat(page);
    await expect(chat.load).toBeVisible();
    await picture(page, `widget-${device}-offer`);
    await chat.loadModel();
    await chat.ask('Hello');
    await picture(page, `widget-${device}-answer`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(wide).toBeLessThanOrEqual(0);
  });
}

test('a model that does not fit the limit, on a narrow phone', async ({ product, profile }) => {
  const { page } = await profile.open({ width: 360, height: 780 });
  await page.goto(`${product.site.origin}/?model=${TINY}&memory-budget=1300000`);
  await page.getByLabel('Length of the chat').selectOption('512');
  await expect(page.locator('[data-cost=verdict]')).toContainText('It does not fit');
  await pictures(page, 'memory-phone-*');
  await page.getByLabel('Memory limit').scrollIntoViewIfNeeded();
  for (const colorScheme of SCHEMES) {
    await dress(page, colorScheme);
    await page.locator('nibble-memory').screenshot({ path: `test-results/screens/memory-panel-${colorScheme}.png` });
  }
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(wide).toBeLessThanOrEqual(0);
});

test('what the dialog offers is in reach on a small phone', async ({ product, profile }) => {
  const { page } = await profile.open({ width: 360, height: 640 });
  await page.goto(`${product.site.origin}/?model=${TINY}`);
  await page.getByRole('button', { name: 'Models' }).click();
  const dialog = page.getByRole('dialog', { name: 'Models' });
  await dialog.getByLabel('Hugging Face id').fill(TINY);
  await dialog.getByRole('button', { name: 'Look up' }).click();
  const load = dialog.getByRole('button', { name: /^Load/ });
  const inReach = async () => {
    const [inner, outer] = [(await load.boundingBox())!, (await dialog.boundingBox())!];
    expect(outer.y).toBeGreaterThanOrEqual(0);
    expect(outer.y + outer.height).toBeLessThanOrEqual(640);
    expect(inner.y).toBeGreaterThan(outer.y);
    expect(inner.y + inner.height).toBeLessThan(outer.y + outer.height);
    expect(inner.x + inner.width).toBeLessThan(outer.x + outer.width);
  };
  await expect(dialog.locator('[data-cost=memory]')).toBeVisible();
  await pictures(page, 'models-small-*');
  // there is more than the dialog shows
  expect(await dialog.evaluate(({ scrollHeight, clientHeight }) => scrollHeight - clientHeight)).toBeGreaterThan(0);
  await inReach();
  // and nothing of it is lost under the button
  await dialog.evaluate((element) => element.scrollTo(0, element.scrollHeight));
  await inReach();
  const last = (await dialog.locator('nibble-memory').boundingBox())!;
  expect(last.y + last.height).toBeLessThanOrEqual((await load.boundingBox())!.y);
  await pictures(page, 'models-small-*-end');
  await load.click();
  await expect(dialog).toBeHidden();
});

test('the download, at work', async ({ product, profile }) => {
  const { page } = await profile.open();
  await page.goto(`${product.site.origin}/?model=${TINY}`);
  const chat = new Chat(page);
  await expect(chat.load).toBeVisible();
  await chat.view.evaluate((view) => {
    const { session } = view as unknown as { session: EventTarget & Record<string, unknown> };
    const progress = {
      phase: 'download',
      loadedBytes: 31e6,
      totalBytes: 85e6,
      networkBytes: 31e6,
      bytesPerSecond: 9.4e6,
      secondsLeft: 5.7,
    };
    Object.assign(session, { phase: 'loading', progress });
    session.dispatchEvent(new Event('change'));
  });
  await expect(chat.view).toContainText('Downloading · 31 of 85 MB · 9.4 MB/s · 6 s left');
  await picture(page, 'page-desktop-light-loading');
});

test('what stands below an answer and in place of one', async ({ product, profile }) => {
  const { page } = await profile.open({ width: 400, height: 640 });
  await page.goto(`${product.site.origin}/?model=${TINY}&max-new-tokens=4&ignore-eos`);
  const chat = new Chat(page);
  await chat.loadModel();
  await chat.ask('Hello');
  await pictures(page, 'cut-*');
  await page.getByRole('button', { name: 'New chat' }).click();
  await expect(chat.view.getByRole('button', { name: 'Undo' })).toBeVisible();
  await pictures(page, 'undo-*');
  await page.goto(`${product.site.origin}/?model=${TINY}&memory-budget=100000`);
  await expect(chat.view.getByRole('button', { name: /^Allow/ })).toBeVisible();
  await pictures(page, 'allow-*');
  await page.goto(product.host.origin);
  await page.locator('nibble-chat').evaluate((element, model) => {
    element.setAttribute('model', model);
    element.setAttribute('max-new-token', '5');
  }, product.site.origin + TINY);
  await page.getByRole('button', { name: 'Start a chat' }).click();
  await expect(page.getByText('knows no attribute')).toBeVisible();
  await pictures(page, 'mistyped-*');
});
