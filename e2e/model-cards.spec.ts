/** The suggested models, on a Hub that lists them as the cards do. */
import { SELF_ONLY_CSP } from '../scripts/bundling/policy';
import { cardRepos } from '../scripts/testing/card-repos';
import { type FakeHub, serveFakeHub } from '../scripts/testing/fake-hub';
import { serveProduct } from '../scripts/testing/server';
import { hello, json, scriptedServer, stream } from '../src/remote/test/scripted-server';
import { CARDS } from '../src/ui/models/cards';
import { pictures } from './picture';
import { Chat, expect, MODELS, TINY, test } from './product';

/** The page of a site that has this Hub. */
async function serveSite(hub: FakeHub, more = '') {
  const meta = '<meta name="color-scheme"';
  return serveProduct('.', {
    models: MODELS,
    csp: `${SELF_ONLY_CSP} ${hub.origin} ${hub.cdn} ${more}`,
    replace: {
      [meta]: `<meta name="nibble-hub" content="${hub.origin}" />${meta}`,
      // what the built page says of itself has to name the mirror, too
      'https://*.hf.co"': `https://*.hf.co ${hub.origin} ${hub.cdn} ${more}"`,
    },
  });
}

test('the cards: what they say, which one is chosen, and what is asked of the Hub for it', async ({ profile }) => {
  const hub = await serveFakeHub({ repos: cardRepos() });
  const product = await serveSite(hub);
  const { page, complaints } = await profile.open({ width: 1280, height: 800 });
  await page.goto(`${product.site.origin}/?model=${TINY}&max-new-tokens=12`);
  const chat = new Chat(page);
  await chat.loadModel();
  await expect(page.locator('nibble-top-bar')).toContainText(/tiny\s*CPU · \d/);
  await page.getByRole('button', { name: 'Models' }).first().click();
  const dialog = page.getByRole('dialog', { name: 'Models' });
  await expect(dialog.getByRole('article')).toHaveCount(1 + CARDS.length);
  const card = dialog.getByRole('article', { name: 'Llama 3.2 1B', exact: true });
  await expect(card).toContainText(/808 MB.*8 languages.*Llama 3.2 Community/s);
  await expect(card.locator('.fit')).toContainText(/this device|slow/i);
  expect(hub.requests).toEqual([]);
  await pictures(page, 'cards-desktop-*');
  await card.locator('summary').click();
  await expect(card).toContainText('067b946cf014b7c697f3654f621d577a3e3afd1c');
  await expect(card).toContainText('807,694,464');
  // by keyboard, and at the revision that was verified
  await card.getByRole('button', { name: 'Choose Llama 3.2 1B' }).focus();
  await page.keyboard.press('Enter');
  await expect(dialog.locator('[data-cost=download]')).toHaveText('808 MB, once');
  const asked = 'api bartowski/Llama-3.2-1B-Instruct-GGUF 067b946cf014b7c697f3654f621d577a3e3afd1c';
  expect(hub.requests[0]).toBe(asked);
  expect(hub.complaints).toEqual([]);
  await dialog.getByRole('button', { name: 'Back' }).click();

  // a gated one says what to do, and sends the token that it is given
  await dialog.getByRole('button', { name: /^More models/ }).click();
  const gated = dialog.getByRole('article', { name: 'Gemma 3 1B QAT' });
  await expect(gated).toContainText('accept the terms');
  await gated.getByRole('button', { name: /^Choose/ }).click();
  await expect(dialog.getByRole('alert')).toContainText('gated');
  await gated.getByLabel('Access token').fill('hf_agreed');
  await gated.getByRole('button', { name: /^Choose/ }).click();
  await expect(dialog.locator('[data-cost=download]')).toHaveText('1.0 GB, once');
  await dialog.getByRole('button', { name: 'Back' }).click();
  // a search: not while typing, and what it finds is looked at, chosen and shown with its size
  const before = hub.requests.length;
  const words = dialog.getByLabel('Name of a model');
  await expect(dialog).toContainText('when you press Search, and not before');
  await words.pressSequentially('Qwen3-0.6');
  expect(hub.requests.length).toBe(before);
  await page.keyboard.press('Enter');
  await dialog.getByRole('button', { name: /^unsloth\/Qwen3-0.6B-GGUF/ }).click();
  await expect(dialog.getByRole('button', { name: 'Q8_0 · 635 MB' })).toBeVisible();
  expect(hub.requests.slice(before)).toEqual(['search Qwen3-0.6', 'api unsloth/Qwen3-0.6B-GGUF main']);
  await words.scrollIntoViewIfNeeded();
  await pictures(page, 'hub-search-*');
  await dialog.getByRole('button', { name: 'Q4_K_M · 397 MB' }).click();
  await expect(dialog.locator('[data-cost=download]')).toHaveText('397 MB, once');
  await dialog.getByRole('button', { name: 'Back' }).click();
  await expect(words).toHaveValue('Qwen3-0.6');
  await page.setViewportSize({ width: 390, height: 780 });
  await pictures(page, 'cards-phone-*');
  expect(complaints).toEqual([]);
  await Promise.all([hub.close(), product.close()]);
});

test('a server of one’s own: nothing is sent before the person agrees, and its answers carry its name', async ({
  profile,
}) => {
  const hub = await serveFakeHub({ repos: {} });
  const server = await scriptedServer(true);
  const { origin, host } = new URL(server.url);
  const product = await serveSite(hub, origin);
  const { page, complaints } = await profile.open({ width: 1280, height: 800 });
  await page.goto(`${product.site.origin}/?model=${TINY}&max-new-tokens=8`);
  const chat = new Chat(page);
  await chat.loadModel();
  await page.getByRole('button', { name: 'Models' }).click();
  const dialog = page.getByRole('dialog', { name: 'Models' });
  const address = dialog.getByLabel('Address', { exact: true });
  await address.fill(server.url);
  await expect(dialog).toContainText(`is sent to ${host}`);
  await page.keyboard.press('Enter');
  expect(server.seen).toEqual([]);
  server.say(json({ data: [{ id: 'big-one', owned_by: 'vllm' }] }));
  await dialog.getByRole('checkbox').check();
  await address.press('Enter');
  const model = dialog.getByRole('button', { name: 'big-one' });
  await expect(model).toBeVisible();
  expect(server.seen.map(({ method, path }) => `${method} ${path}`)).toEqual(['GET /v1/models']);
  await model.scrollIntoViewIfNeeded();
  await pictures(page, 'server-*');
  await model.click();
  await expect(dialog).toBeHidden();
  await expect(page.locator('nibble-top-bar')).toContainText(`big-one · ${host}`);
  server.say(stream(hello));
  await chat.ask('Hi?');
  await expect(chat.log).toContainText('Hello');
  await expect(chat.log).toContainText(host);
  const asked = server.seen.find(({ path }) => path === '/v1/chat/completions')!;
  expect(asked.body.messages).toEqual([{ role: 'user', content: 'Hi?' }]);

  // revoked: it is asked nothing more, and has to be agreed to again
  await page.getByRole('button', { name: 'Models' }).click();
  await dialog.getByRole('button', { name: /^Revoke/ }).click();
  await expect(dialog.getByRole('button', { name: /^Revoke/ })).toHaveCount(0);
  const count = server.seen.length;
  await page.keyboard.press('Escape');
  await page.reload();
  await expect(page.locator('nibble-top-bar')).not.toContainText('big-one');
  expect(server.seen.length).toBe(count);

  // in Arabic, from right to left
  await page.addInitScript(() => Object.defineProperty(navigator, 'languages', { get: () => ['ar'] }));
  await page.reload();
  await page.locator('nibble-top-bar button').click();
  await expect(page.getByRole('dialog').getByRole('article').first()).toBeVisible();
  await pictures(page, 'cards-rtl-*');
  expect(complaints).toEqual([]);
  await Promise.all([hub.close(), server.close(), product.close()]);
});
