/** The dialog of models: from the web and from this device, what is kept, and what happens when it goes wrong. */
import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Locator, Page } from '@playwright/test';
import { SELF_ONLY_CSP } from '../scripts/bundling/policy';
import { type FakeRepo, serveFakeHub } from '../scripts/testing/fake-hub';
import { serveProduct } from '../scripts/testing/server';
import { inStore } from './in-store';
import { Chat, expect, MODELS, type Profile, TINY, TINY_GGUF, test } from './product';

const FOLDER = resolve('reference/fixtures/tiny-llama-128/nf4');
const WEIGHTS = `${TINY}model.safetensors`;

/** The steps that a person takes in the dialog. */
class Models {
  readonly dialog: Locator;
  constructor(readonly page: Page) {
    this.dialog = page.getByRole('dialog', { name: 'Models' });
  }

  get load() {
    return this.dialog.getByRole('button', { name: /^Load( \(|$)/ });
  }
  get error() {
    return this.dialog.getByRole('alert');
  }
  cost(name: string) {
    return this.dialog.locator(`[data-cost=${name}]`);
  }
  async open() {
    await this.page.getByRole('button', { name: 'Models' }).click();
    await expect(this.dialog).toBeVisible();
  }
  async look(text: string) {
    await this.dialog.getByLabel('Hugging Face id').fill(text);
    await this.page.keyboard.press('Enter');
  }
  /** Takes what is on offer, and waits until questions can be asked. */
  async take() {
    await this.load.click();
    await expect(this.dialog).toBeHidden();
    await new Chat(this.page).loaded();
  }
}

async function visit(profile: Profile, url: string) {
  const opened = await profile.open();
  // an answer need not be long
  await opened.page.goto(`${url}${url.includes('?') ? '&' : '/?'}max-new-tokens=8`);
  return { ...opened, chat: new Chat(opened.page), models: new Models(opened.page) };
}

/** The chat page of a site that lets it reach `hub` and that names it as its Hub. */
function serveWithHub(hub: string, connect: string) {
  const meta = '<meta name="color-scheme"';
  return serveProduct('.', {
    models: MODELS,
    csp: `${SELF_ONLY_CSP} ${connect}`,
    replace: { [meta]: `<meta name="nibble-hub" content="${hub}" />${meta}` },
  });
}

const repo = (): FakeRepo => ({
  files: new Map(readdirSync(FOLDER).map((name) => [name, new Uint8Array(readFileSync(`${FOLDER}/${name}`))])),
});

test('a GGUF by its address: what it takes is shown first', async ({ product, profile }) => {
  const { chat, models, complaints } = await visit(profile, product.site.origin);
  await models.open();
  await models.look(TINY_GGUF);
  await expect(models.cost('download')).toHaveText('72 KB, once');
  await expect(models.cost('memory')).toHaveText(/^\s*0\.\d MiB for a chat of\s*190 words \(256 tokens\)\s*$/);
  await expect(models.cost('model')).toContainText('qwen2');
  await expect(models.load).toBeFocused();
  await models.take();
  const { info } = await chat.state();
  expect(info).toMatchObject({ name: product.site.origin + TINY_GGUF, family: 'qwen2' });
  // this one was made without a tokenizer: the page says so and stays
  await chat.question.fill('Hello');
  await chat.question.press('Enter');
  await expect(chat.error).toContainText('tokenizer');
  expect(complaints).toEqual([]);
});

test('a folder from this device, and then another model without a reload', async ({ product, profile }) => {
  const { page, chat, models } = await visit(profile, product.site.origin);
  // Chromium's own picker of folders cannot be driven
  await page.evaluate(() => Reflect.deleteProperty(window, 'showDirectoryPicker'));
  await models.open();
  const chooser = page.waitForEvent('filechooser');
  await models.dialog.getByRole('button', { name: 'Open a folder' }).click();
  await (await chooser).setFiles(FOLDER);
  await expect(models.cost('download')).toHaveText('nothing: it is on this device');
  await models.take();
  const first = await chat.ask('Hello');
  expect((await chat.state()).info).toMatchObject({ name: 'nf4', options: { storage: 'none' } });

  await models.open();
  await models.look(TINY);
  await expect(models.dialog).toContainText('nf4 makes room for it');
  await models.take();
  expect((await chat.state()).info!.name).toBe(product.site.origin + TINY);
  // the conversation stayed, and goes on
  await chat.ask('And you?');
  const { messages } = await chat.state();
  expect(messages.map(({ content }) => content)).toEqual(['Hello', first, 'And you?', expect.any(String)]);
});

test('files, one by one, that are no model', async ({ product, profile }) => {
  const { page, models } = await visit(profile, product.site.origin);
  await models.open();
  const chooser = page.waitForEvent('filechooser');
  await models.dialog.getByRole('button', { name: 'Open files' }).click();
  await (await chooser).setFiles(`${FOLDER}/tokenizer.json`);
  await expect(models.error).toContainText('no config.json and no .gguf');
  await expect(models.dialog.getByLabel('Hugging Face id')).toBeVisible();
});

test('a folder dropped anywhere on the page', async ({ product, profile }) => {
  const { page, context, chat, models } = await visit(profile, product.site.origin);
  await expect(chat.load).toBeVisible();
  const cdp = await context.newCDPSession(page);
  const data = { items: [], files: [FOLDER], dragOperationsMask: 1 };
  const drag = (type: 'dragEnter' | 'dragOver' | 'drop') =>
    cdp.send('Input.dispatchDragEvent', { type, x: 300, y: 300, data });
  await drag('dragEnter');
  await drag('dragOver');
  await expect(page.getByText('Drop a model here')).toBeVisible();
  await drag('drop');
  await expect(page.getByText('Drop a model here')).toBeHidden();
  await expect(models.load).toBeVisible();
  // above the open dialog, too
  await drag('dragEnter');
  await drag('dragOver');
  await expect(page.getByText('Drop a model here')).toBeVisible();
  const overlay = page.locator('nibble-drop');
  expect(await overlay.evaluate(({ shadowRoot }) => shadowRoot!.querySelector(':popover-open') !== null)).toBe(true);
  await drag('drop');
  await models.take();
  expect(await chat.ask('Hello')).not.toBe('');
  expect((await chat.state()).info!.name).toBe('nf4');
});

test('what is kept: listed, checked, mended, deleted', async ({ product, profile }) => {
  const { site } = product;
  const { page, chat, models } = await visit(profile, `${site.origin}/?model=${TINY}`);
  await chat.loadModel();
  await models.open();
  const kept = models.dialog.getByRole('listitem');
  await expect(kept).toHaveCount(1);
  await expect(kept).toContainText(/tiny.*loaded.*0\.3 MB · used today/s);
  await expect(models.dialog).toContainText(/0\.3 MB in all.*room for about/s);
  // in use: nothing to delete
  await expect(kept.getByRole('button')).toHaveCount(0);
  await models.look(TINY_GGUF);
  await models.take();

  await models.open();
  await expect(kept).toHaveCount(2);
  const check = models.dialog.getByRole('button', { name: 'Check tiny' });
  await check.click();
  await expect(models.dialog).toContainText('all as they were stored');
  await page.evaluate(damageOneChunk, WEIGHTS);
  await check.click();
  await expect(models.dialog).toContainText('1 piece is damaged or missing');
  await expect(kept.filter({ hasText: 'tiny/' })).toContainText('not all of it');

  site.reset();
  await models.dialog.getByRole('button', { name: 'Load tiny' }).click();
  await models.take();
  expect(await chat.ask('Hello')).not.toBe('');
  expect(site.requests).toContain(`GET ${WEIGHTS}`);

  await models.open();
  await models.dialog.getByRole('button', { name: 'Delete model.gguf' }).click();
  const keep = models.dialog.getByRole('button', { name: 'Keep model.gguf' });
  await expect(keep).toBeFocused();
  await keep.press('Enter');
  await expect(models.dialog.getByRole('button', { name: 'Delete model.gguf' })).toBeFocused();
  await page.keyboard.press('Enter');
  await models.dialog.getByRole('button', { name: 'Yes, delete model.gguf' }).click();
  await expect(models.dialog).toContainText('model.gguf is deleted.');
  await expect(kept).toHaveCount(1);

  // kept for later and not loaded: the model that answers is the one before, and the network is needed no more
  await models.look(TINY_GGUF);
  await models.dialog.getByRole('button', { name: 'Use offline' }).click();
  await expect(models.dialog).toContainText('model.gguf is on this device now, and works offline.');
  await expect(kept).toHaveCount(2);
  expect((await chat.state()).info?.family).toBe('llama');
  site.reset();
  await page.context().setOffline(true);
  await models.dialog.getByRole('button', { name: 'Load model.gguf' }).click();
  await expect(models.cost('download')).toHaveText('nothing: it is on this device');
  await models.take();
  expect((await chat.state()).info?.family).toBe('qwen2');
  expect(site.requests.filter((request) => request.includes('.gguf'))).toEqual([]);
});

/** Changes one byte of what the browser keeps of a file. */
async function damageOneChunk(path: string) {
  const done = <T>(request: IDBRequest<T>) =>
    new Promise<T>((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  const database = await done(indexedDB.open('nibble-chunks'));
  const store = database.transaction('keyval', 'readwrite').objectStore('keyval');
  const key = (await done(store.getAllKeys())).find((name) => String(name).includes(path.split('/').at(-1)!))!;
  const chunk: { bytes: Uint8Array } = await done(store.get(key));
  chunk.bytes[1000] ^= 1;
  await done(store.put(chunk, key));
  database.close();
}

test('a gated model of the Hub: nothing but its description before Load, its token nowhere but there', async ({
  profile,
}) => {
  const gated = { ...repo(), token: 'hf_secret' };
  const hub = await serveFakeHub({ repos: { 'org/model': gated } });
  const product = await serveWithHub(hub.origin, `${hub.origin} ${hub.cdn}`);
  try {
    const { page, chat, models, complaints } = await visit(profile, product.site.origin);
    await expect(chat.load).toBeVisible();
    expect(hub.requests).toEqual([]);
    await models.open();
    await models.look('org/model');
    await expect(models.error).toContainText('Accept the model’s licence');
    await models.dialog.getByText('Revision and access token').click();
    await models.dialog.getByLabel('Access token').fill('hf_secret');
    await models.look('org/model');
    await expect(models.cost('download')).toHaveText('0.3 MB, once');
    expect([...hub.sent.keys()]).toEqual(['config.json']);
    await models.take();
    expect(await chat.ask('Hello')).not.toBe('');
    expect((await chat.state()).info).toMatchObject({ name: 'org/model', options: { storage: 'indexeddb' } });
    expect(hub.complaints).toEqual([]);
    expect(complaints).toEqual([]);

    // kept: the next load needs neither the Hub nor the token, which the conversation that is kept does not have; that
    // would load the model by itself where the address names no other
    hub.reset();
    await expect.poll(() => inStore(page, 'nibble-chat', 'getAll')).not.toEqual([]);
    expect(JSON.stringify(await inStore(page, 'nibble-chat', 'getAll'))).not.toContain('hf_secret');
    await page.goto(`${product.site.origin}/?model=${TINY}&max-new-tokens=8`);
    await models.open();
    await expect(models.dialog.getByLabel('Access token')).toHaveValue('');
    await models.dialog.getByRole('button', { name: 'Load model' }).click();
    await expect(models.cost('download')).toHaveText('nothing: it is on this device');
    await models.take();
    expect(await chat.ask('Hello')).not.toBe('');
    expect(hub.requests).toEqual([]);
  } finally {
    await product.close();
    await hub.close();
  }
});

test.describe('with --self-only', () => {
  test.use({ serverOptions: { csp: SELF_ONLY_CSP } });
  test('the page’s own policy keeps it from other origins, and the page says what would have to change', async ({
    product,
    profile,
  }) => {
    const { chat, models, requests } = await visit(profile, product.site.origin);
    await models.open();
    await models.look('org/model');
    await expect(models.error).toContainText('Content-Security-Policy of this page forbids the connection');
    await expect(models.error).toContainText('add https://huggingface.co https://*.hf.co to its connect-src');
    await models.look(`${product.host.origin}/model.gguf`);
    await expect(models.error).toContainText(`add ${product.host.origin} to its connect-src`);
    expect(requests.filter((url) => url.startsWith(product.host.origin))).toEqual([]);
    await models.page.keyboard.press('Escape');
    await expect(models.dialog).toBeHidden();
    await expect(models.page.getByRole('button', { name: 'Models' })).toBeFocused();
    await expect(chat.load).toBeVisible();
  });
});

test('a Hub that cannot be reached is a sentence', async ({ profile }) => {
  const hub = await serveFakeHub({ repos: {} });
  await hub.close();
  const product = await serveWithHub(hub.origin, hub.origin);
  try {
    const { models } = await visit(profile, product.site.origin);
    await models.open();
    await models.look('org/model');
    await expect(models.error).toContainText('The server could not be reached');
    await expect(models.error).toContainText(
      `Check the connection, that server’s CORS headers, and that this page’s connect-src names ${hub.origin}`,
    );
    await models.look('no such thing');
    await expect(models.error).toContainText('names no model');
  } finally {
    await product.close();
  }
});

test('when another model fails, the one before is offered again, and the conversation is still there', async ({
  product,
  profile,
}) => {
  const { page, chat, models } = await visit(profile, `${product.site.origin}/?model=${TINY}`);
  await chat.loadModel();
  const answer = await chat.ask('Hello');
  await models.open();
  await models.look(TINY_GGUF);
  await expect(models.load).toBeVisible();
  await page.context().route(`**${TINY_GGUF}`, (route) => route.fulfill({ status: 404 }));
  await models.load.click();
  await expect(chat.error).toHaveAttribute('data-code', 'network');
  await expect(chat.view).toContainText('tiny made room for it and is no longer loaded.');
  await expect(chat.stat('backend')).toHaveCount(0);
  const back = chat.view.getByRole('button', { name: 'Back to tiny' });
  await expect(back).toBeVisible();

  // stopped is no error, and there is a way on, too
  await page.context().unrouteAll();
  await page.context().route(`**${TINY_GGUF}`, () => {});
  await chat.view.getByRole('button', { name: 'Try again' }).click();
  await chat.stop.click();
  await expect(chat.load).toBeVisible();
  await expect(chat.error).toHaveCount(0);
  await back.click();
  await chat.loaded();
  await expect(back).toHaveCount(0);
  await chat.ask('Again');
  const { messages, info } = await chat.state();
  expect(messages.map(({ content }) => content)).toEqual(['Hello', answer, 'Again', expect.any(String)]);
  expect(info!.name).toBe(product.site.origin + TINY);
});

test('a model that the browser has no room for is loaded without keeping it, if the person likes', async ({
  product,
  profile,
}) => {
  const { page, context, chat, models } = await visit(profile, product.site.origin);
  const cdp = await context.newCDPSession(page);
  await cdp.send('Storage.overrideQuotaForOrigin', { origin: product.site.origin, quotaSize: 100_000 });
  await models.open();
  await models.look(TINY);
  await models.load.click();
  await expect(chat.error).toHaveAttribute('data-code', 'quota-exceeded');
  await chat.view.getByRole('button', { name: 'Load without keeping it' }).click();
  await chat.loaded();
  await expect(chat.stat('storage')).toContainText('no room');
  expect(await chat.ask('Hello')).not.toBe('');
});
