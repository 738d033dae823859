/** The widget as a page uses it: in a corner, on a phone, kept, with hooks, in a frame; on a fake engine. */
import { readFileSync } from 'node:fs';
import { type StaticServer, serve } from '../scripts/testing/server';
import type { NibbleChatElement } from '../src/widget/element';
import { useFakeEngine } from './fake-engine';
import { inStore } from './in-store';
import { pictures } from './picture';
import { expect, TINY, test } from './product';

const servers: StaticServer[] = [];
test.afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

/** Somebody's page, on an origin of its own. */
async function hostPage(body: string, files: Record<string, string> = {}): Promise<StaticServer> {
  const page = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
    <title>A shop</title><link rel="icon" href="data:,"><style>html { color-scheme: light dark; font-family: sans-serif }</style>
    <main><h1>Alpine boots</h1><p>Ask which ones suit you.</p>${body}</main></html>`;
  const server = await serve({
    mounts: [],
    intercept(_, response, path) {
      const text = path === '/' ? page : files[path];
      if (text === undefined) return false;
      response.writeHead(200, { 'Content-Type': path.endsWith('.js') ? 'text/javascript' : 'text/html' });
      response.end(text);
      return true;
    },
  });
  servers.push(server);
  return server;
}

const script = (site: string) => `<script type="module" src="${site}/embed/nibble-chat.js"></script>`;

test('in a corner: by keyboard, with a badge, a greeting and starters, on a desktop and on a phone', async ({
  product,
  profile,
}) => {
  const { page, context, complaints } = await profile.open();
  const engine = await useFakeEngine(context, { answer: () => 'Boots with a **stiff sole** suit you best.' });
  const { origin } = product.site;
  const host = await hostPage(
    `<style>* { margin: 0; padding: 0; border: 0; font-size: 9px } button { background: lime; width: 90% }
      dialog, main > * { transform: rotate(0deg); overflow: hidden }</style>
    <nibble-chat launcher="bottom-right" model="${origin}${TINY}" heading="Boots" greeting="Hello! What do you climb?"
      starters="Which boots for ice?\nHow do I care for leather?"></nibble-chat>${script(origin)}`,
  );
  await page.goto(host.origin);
  const launcher = page.getByRole('button', { name: 'Open the chat' });
  await expect(launcher).toBeVisible();
  await pictures(page, 'widget-corner-*-closed');
  await launcher.focus();
  await page.keyboard.press('Enter');
  const panel = page.getByRole('dialog', { name: 'Boots' });
  await expect(panel).toBeVisible();
  await expect(panel).toContainText('What do you climb?');
  await expect(panel.getByRole('button', { name: 'Which boots for ice?' })).toBeVisible();
  // the field has the focus: nothing is to be looked for
  await expect(panel.getByLabel('Your question')).toBeFocused();
  await pictures(page, 'widget-corner-*-open');
  await page.keyboard.type('Which boots?');
  await page.keyboard.press('Enter');
  await expect(panel.getByRole('log')).toContainText('stiff sole');
  await pictures(page, 'widget-corner-*-answer');
  await page.keyboard.press('Escape');
  await expect(panel).toBeHidden();
  await expect(launcher).toBeFocused();

  engine.pace = 30;
  const answer = page.locator('nibble-chat').evaluate(async (chat: NibbleChatElement) => {
    const said = chat.ask('And for ice?');
    await new Promise((done) => chat.addEventListener('nibble-token', done, { once: true }));
    chat.close();
    return (await said).content;
  });
  expect(await answer).toContain('stiff sole');
  await expect(page.getByRole('button', { name: 'Open the chat: 1 new answer' })).toBeVisible();
  await pictures(page, 'widget-corner-*-unread');

  await page.setViewportSize({ width: 390, height: 780 });
  await page.getByRole('button', { name: /Open the chat/ }).click();
  await expect(panel).toBeVisible();
  expect(await panel.boundingBox()).toEqual({ x: 0, y: 0, width: 390, height: 780 });
  await pictures(page, 'widget-phone-*-answer');
  await panel.getByRole('button', { name: 'New chat' }).click();
  await expect(panel).toContainText('What do you climb?');
  await page.setViewportSize({ width: 1280, height: 800 });
  await expect.poll(async () => (await panel.boundingBox())?.width).toBe(400);
  await page.keyboard.press('Escape');
  await expect(panel).toBeHidden();
  expect(complaints).toEqual([]);
});

test('right to left, in the words of the page, in dark whatever the page is', async ({ product, profile }) => {
  const { page, context } = await profile.open();
  await useFakeEngine(context);
  const { origin } = product.site;
  const host = await hostPage(
    `<nibble-chat launcher="bottom-left" model="${origin}${TINY}" lang="ar" color-scheme="dark" greeting="مرحبا!"></nibble-chat>
    ${script(origin)}<script>document.querySelector('nibble-chat').strings = { widgetHeading: 'دردشة' };</script>`,
  );
  await page.goto(host.origin);
  await page.locator('nibble-chat').evaluate((chat: NibbleChatElement) => chat.open());
  const panel = page.getByRole('dialog', { name: 'دردشة' });
  await expect(panel).toBeVisible();
  await expect.poll(() => panel.evaluate((node) => getComputedStyle(node).direction)).toBe('rtl');
  expect(await panel.evaluate((node) => getComputedStyle(node).colorScheme)).toBe('dark');
  await pictures(page, 'widget-arabic-*-open');
});

test('a conversation that is kept is there on the next page; hooks of the page are used', async ({
  product,
  profile,
}) => {
  const { page, context } = await profile.open();
  const engine = await useFakeEngine(context, { answer: (messages) => `You said: ${messages.at(-1)!.content}` });
  const { origin } = product.site;
  const host = await hostPage(
    `<nibble-chat keep="shop" model="${origin}${TINY}"></nibble-chat>${script(origin)}
    <script>
      const chat = document.querySelector('nibble-chat');
      chat.beforeSend = ({ text }) => (text.includes('card') ? { refuse: 'No card numbers, please.' } : { context: 'Stock: 3.' });
    </script>`,
  );
  await page.goto(host.origin);
  await page.getByRole('button', { name: 'Start a chat' }).click();
  const question = page.getByLabel('Your question');
  await question.fill('How many?');
  await question.press('Enter');
  await expect(page.getByRole('log')).toContainText('You said');
  expect(engine.asked[0].messages.at(-1)!.content).toBe('Stock: 3.\n\nHow many?');
  await question.fill('My card is 1234');
  await question.press('Enter');
  await expect(page.getByRole('alert')).toContainText('No card numbers, please.');
  expect(engine.asked).toHaveLength(1);
  await expect.poll(async () => JSON.stringify(await inStore(page, 'nibble-widget', 'getAll'))).toContain('You said');
  await page.reload();
  await page.getByRole('button', { name: 'Start a chat' }).click();
  await expect(page.getByRole('log')).toContainText('You said');
});

test('in a frame: a page that its file lists may use it, and another one is not heard', async ({
  product,
  profile,
}) => {
  const { page, context, complaints } = await profile.open();
  await useFakeEngine(context, { answer: () => 'From the frame.' });
  const { origin } = product.site;
  // the folder dist/embed/ on an origin of its own, with the host's in its list
  let parents = '';
  const frame = readFileSync('dist/embed/nibble-frame.html', 'utf8');
  const chats = await serve({
    mounts: [['/embed/', 'dist/embed']],
    intercept(_, response, path) {
      if (path !== '/embed/nibble-frame.html') return false;
      response.writeHead(200, { 'Content-Type': 'text/html' });
      response.end(frame.replace('content=""', `content="${parents}"`));
      return true;
    },
    cors: true,
  });
  servers.push(chats);
  const body = `<iframe title="Chat" width="400" height="600" src="${chats.origin}/embed/nibble-frame.html"></iframe>
    <script type="module">
      import { connectFrame } from '${chats.origin}/embed/nibble-frame-host.js';
      const chat = connectFrame(document.querySelector('iframe'), { model: '${origin}${TINY}', heading: 'Framed', onclick: 'alert(1)' });
      const told = (window.told = []);
      for (const type of ['nibble-open', 'nibble-ready', 'nibble-message']) chat.addEventListener(type, () => told.push(type));
      chat.ask('Hi').then(({ content }) => (window.answer = content), (error) => (window.answer = error));
    </script>`;
  const [friend, stranger] = [await hostPage(body), await hostPage(body)];
  parents = friend.origin;
  await page.goto(friend.origin);
  await expect.poll(() => page.evaluate(() => (window as { answer?: string }).answer)).toBe('From the frame.');
  expect(await page.evaluate(() => (window as unknown as { told: string[] }).told)).toEqual(
    expect.arrayContaining(['nibble-open', 'nibble-ready', 'nibble-message']),
  );
  const chat = page.frameLocator('iframe').locator('nibble-chat');
  expect(await chat.evaluate((element) => [element.getAttribute('heading'), element.hasAttribute('onclick')])).toEqual([
    'Framed',
    false,
  ]);
  expect(await chat.evaluate((element: NibbleChatElement) => element.messages.length)).toBe(2);

  await page.goto(stranger.origin);
  await expect(chat.getByRole('button', { name: 'Start a chat' })).toBeVisible();
  // nothing is to come, which no event tells: the friend's answer takes less
  await page.waitForTimeout(500);
  expect(await page.evaluate(() => (window as { answer?: string }).answer)).toBeUndefined();
  expect(await chat.evaluate((element) => element.hasAttribute('heading'))).toBe(false);
  expect(complaints).toEqual([]);
});
