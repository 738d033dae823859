/** The page as an app: what is shared with it, files opened with it, its badge, how it is installed and kept new. */
import type { Page } from '@playwright/test';
import { useFakeEngine } from './fake-engine';
import { inStore } from './in-store';
import { pictures } from './picture';
import { BLANK, Chat, expect, TINY, test } from './product';

const url = (origin: string, query = '') => `${origin}/?model=${TINY}&max-new-tokens=8${query}`;

const controlled = (page: Page) => page.waitForFunction(() => navigator.serviceWorker.controller !== null);

test('what another application shares becomes a draft, once, and nothing of it is sent', async ({
  product,
  profile,
}) => {
  const { page, requests } = await profile.open();
  const { origin } = product.site;
  await page.goto(url(origin));
  await controlled(page);
  // what the system opens has no page before it, whose policy would let it send no form
  await page.route(`**${BLANK}`, (route) => route.fulfill({ contentType: 'text/html', body: '<title>System</title>' }));
  const share = async () => {
    await page.goto(`${origin}${BLANK}`);
    // the system sends a form, by navigation
    await page.evaluate(() => {
      const form = document.createElement('form');
      Object.assign(form, { action: 'share', method: 'post', enctype: 'multipart/form-data' });
      for (const [name, value] of Object.entries({ title: 'A title', text: 'What is this?', url: '' })) {
        form.append(Object.assign(document.createElement('input'), { name, value }));
      }
      const files = Object.assign(document.createElement('input'), { type: 'file', name: 'files' });
      const list = new DataTransfer();
      list.items.add(new File(['The house is green.\n'], 'house.txt', { type: 'text/plain' }));
      files.files = list.files;
      form.append(files);
      document.body.append(form);
      form.submit();
    });
    await page.waitForURL((address) => address.pathname === '/');
  };
  await share();
  const chat = new Chat(page);
  await expect(chat.question).toHaveValue('A title\nWhat is this?');
  await expect(chat.view).toContainText('house.txt');
  expect(new URL(page.url()).searchParams.has('shared')).toBe(false);
  expect((await chat.state()).messages).toEqual([]);
  // the form came no further than this browser
  expect(product.site.requests.filter((line) => line.includes('/share'))).toEqual([]);
  expect(requests.filter((address) => !address.startsWith(origin))).toEqual([]);
  expect(await page.evaluate(() => caches.keys())).toEqual([expect.stringMatching(/^nibble-page /)]);

  // what was written and not sent stays above what comes
  await chat.question.fill('Look here:');
  await expect.poll(async () => JSON.stringify(await inStore(page, 'nibble-chat', 'getAll'))).toContain('Look here:');
  await share();
  await expect(chat.question).toHaveValue('Look here:\nA title\nWhat is this?');

  await page.goto(`${origin}/?shared=lost`);
  await expect(page.getByRole('status').filter({ hasText: 'What was shared has not arrived' })).toBeVisible();
  expect(page.url()).toBe(`${origin}/`);
});

test('its shortcuts begin a conversation, of which one keeps nothing', async ({ product, profile }) => {
  const { page, context } = await profile.open();
  await useFakeEngine(context);
  const warnings: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'warning') warnings.push(message.text());
  });
  const { origin } = product.site;
  const chat = new Chat(page);
  const isTemporary = page.getByText('A temporary chat: nothing of it is kept.');
  const chats = () => page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));
  // nobody has talked before
  await page.goto(url(origin, '&temporary'));
  await expect(isTemporary).toBeVisible();
  await chat.loaded();
  await chat.ask('Secret');
  await expect(isTemporary).toBeVisible();
  await page.goto(url(origin));
  await expect(page.getByText('What you talk about is kept here')).toBeVisible();
  await expect(chat.question).toBeVisible();
  await expect(chat.log).toHaveCount(0);
  await chat.ask('First');
  await expect(page).toHaveURL(/#\/c\//);
  await page.goto(`${origin}${BLANK}`);
  await page.goto(url(origin, '&new'));
  await chat.loaded();
  await expect(page.getByRole('link', { name: 'First' })).toBeVisible();
  await expect(chat.log).toHaveCount(0);
  await expect(isTemporary).toHaveCount(0);
  expect(new URL(page.url()).searchParams.has('new')).toBe(false);
  expect(await chats()).toContain('nibble-chat');
  expect(warnings).toEqual([]);
});

test('a model’s file that the system opens with it is looked at', async ({ product, profile }) => {
  const { page } = await profile.open();
  await page.addInitScript(() => {
    const getFile = async () => new File([new Uint8Array(64)], 'model.gguf');
    const setConsumer = (consumer: (launch: object) => void) => consumer({ files: [{ kind: 'file', getFile }] });
    Object.defineProperty(window, 'launchQueue', { value: { setConsumer } });
  });
  await page.goto(url(product.site.origin));
  const dialog = page.getByRole('dialog', { name: 'Models' });
  // it is none: the dialog says so
  await expect(dialog.getByRole('alert')).toContainText('GGUF');
});

test('an answer that comes unseen is marked on its icon until somebody looks', async ({ product, profile }) => {
  const { page } = await profile.open();
  await page.addInitScript(() => {
    const badges: (number | null)[] = [];
    Object.assign(window, { badges });
    Object.assign(Navigator.prototype, {
      setAppBadge: async (count: number) => void badges.push(count),
      clearAppBadge: async () => void badges.push(null),
    });
    let hidden = false;
    Object.defineProperty(document, 'hidden', { get: () => hidden });
    Object.assign(window, {
      hide: (value: boolean) => {
        hidden = value;
        document.dispatchEvent(new Event('visibilitychange'));
      },
    });
  });
  await page.goto(url(product.site.origin));
  const chat = new Chat(page);
  await chat.loadModel();
  type Hiding = { hide(value: boolean): void; badges: unknown[] };
  const hide = (value: boolean) => page.evaluate((value) => (window as unknown as Hiding).hide(value), value);
  await chat.ask('Hello');
  await hide(true);
  await chat.ask('Hello');
  const badges = () => page.evaluate(() => (window as unknown as Hiding).badges);
  await expect.poll(badges).toEqual([1]);
  await hide(false);
  await expect.poll(badges).toEqual([1, null]);
});

test('that all of it is here is said, and the browser is asked to install it at a click', async ({
  product,
  profile,
}) => {
  const { page } = await profile.open();
  await page.goto(url(product.site.origin));
  await controlled(page);
  await page.evaluate(() => {
    const event = Object.assign(new Event('beforeinstallprompt', { cancelable: true }), {
      prompt: async () => {
        document.title = 'asked';
        return { outcome: 'accepted' };
      },
    });
    dispatchEvent(event);
    if (!event.defaultPrevented) throw new Error('the browser would show its own bar');
  });
  const chat = new Chat(page);
  await chat.loadModel();
  await chat.ask('Hello');
  const notice = page.getByRole('status').filter({ hasText: 'Offline ready' });
  await expect(notice).toBeVisible();
  await pictures(page, 'app-notice-*');
  await page.setViewportSize({ width: 390, height: 780 });
  await pictures(page, 'app-notice-phone-*');
  await notice.getByRole('button', { name: 'Install' }).click();
  await expect(page).toHaveTitle('asked');
  await notice.getByRole('button', { name: 'Close' }).click();
  await expect(notice).toHaveCount(0);
  await page.reload();
  await chat.ask('Hello');
  await expect(notice).toHaveCount(0);
});

test('Safari says when it deletes, and how the page is kept from it', async ({ product, profile }) => {
  const { page, context } = await profile.open({ width: 390, height: 780 });
  await useFakeEngine(context);
  await page.addInitScript(() => {
    const safari =
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/27.2 Safari/605.1.15';
    Object.defineProperty(navigator, 'userAgent', { value: safari });
  });
  await page.goto(url(product.site.origin));
  const chat = new Chat(page);
  await chat.loaded();
  const notice = page.getByRole('status').filter({ hasText: 'Safari deletes what a site keeps after seven days' });
  // nobody is disturbed before there is something to keep
  await expect(notice).toHaveCount(0);
  await chat.ask('Hello');
  await expect(notice).toContainText('“Add to Home Screen”');
  await pictures(page, 'app-notice-safari-*');
});

test('a new version is found while the page stays open', async ({ product, profile }) => {
  const { page } = await profile.open();
  await page.clock.install();
  await page.goto(url(product.site.origin));
  await controlled(page);
  const asked = () => product.site.requests.filter((line) => line.includes('/sw.js')).length;
  const before = asked();
  await page.clock.fastForward('01:00:01');
  await expect.poll(asked).toBeGreaterThan(before);
});
