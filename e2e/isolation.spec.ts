/**
 * Cross-origin isolation, which shared memory needs: the page has it where its server, or its service worker, sends
 * the headers, answers without them, and takes nothing from pages and frames that are somebody else's.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { Page } from '@playwright/test';
import { PAGE_CSP } from '../scripts/bundling/policy';
import { serveFakeHub } from '../scripts/testing/fake-hub';
import { type ServerOptions, type StaticServer, serve } from '../scripts/testing/server';
import { PAGE_HEADERS } from '../src/pwa/isolation';
import { Chat, expect, MODELS, modelWorker, TINY, test } from './product';

const FOLDER = 'reference/fixtures/tiny-llama-128/nf4';
const FILES = new Map(readdirSync(FOLDER).map((name) => [name, new Uint8Array(readFileSync(`${FOLDER}/${name}`))]));
const QUERY = `?model=${TINY}&max-new-tokens=8`;

const servers: StaticServer[] = [];
const start = async (options: ServerOptions) => {
  const server = await serve(options);
  servers.push(server);
  return server;
};
test.afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

/** A page of somebody's, under a path of its own. */
const html = (body: string, headers: Record<string, string> = {}): NonNullable<ServerOptions['intercept']> => {
  return (_, response, path) => {
    if (path !== '/page') return false;
    response.writeHead(200, { 'Content-Type': 'text/html', ...headers }).end(`<!doctype html>${body}`);
    return true;
  };
};

/** Whether the page is isolated, the worker that the model is in, and what the engine says of that. */
async function isolation(chat: Chat) {
  const isolated = () => crossOriginIsolated;
  const worker = modelWorker(chat.page);
  return [await chat.page.evaluate(isolated), await worker.evaluate(isolated), (await chat.state()).info!.coi];
}
const ALL = [true, true, true];
const NONE = [false, false, false];

const controlled = (page: Page) => page.waitForFunction(() => navigator.serviceWorker.controller !== null);

test('the page and its worker are isolated, also when the server is gone', async ({ product, profile }) => {
  const online = await profile.open({ own: true });
  const chat = new Chat(online.page);
  const { origin } = product.site;
  await online.page.goto(origin + QUERY);
  await chat.loadModel();
  expect(await isolation(chat)).toEqual(ALL);
  expect(await chat.ask('Hello')).not.toBe('');
  await controlled(online.page);
  await online.close();
  await product.close();

  const offline = await profile.open({ own: true });
  const again = new Chat(offline.page);
  await offline.page.goto(origin + QUERY);
  await again.loaded();
  expect(await isolation(again)).toEqual(ALL);
  expect(await again.ask('Hello')).not.toBe('');
  expect([...online.complaints, ...offline.complaints]).toEqual([]);
});

test('an isolated page loads from a Hub on another origin', async ({ profile }) => {
  const hub = await serveFakeHub({ repos: { 'org/tiny': { files: FILES } } });
  const csp = `${PAGE_CSP} ${hub.origin} ${hub.cdn}`;
  const site = await start({
    csp,
    isolated: true,
    mounts: [['/', 'dist/site']],
    intercept(_, response, path) {
      if (path !== '/') return false;
      const page = readFileSync('dist/site/index.html', 'utf8').replace(
        /<meta http-equiv="Content-Security-Policy"[^>]*>/,
        `<meta name="nibble-hub" content="${hub.origin}" />`,
      );
      response.writeHead(200, { 'Content-Type': 'text/html', 'Content-Security-Policy': csp }).end(page);
      return true;
    },
  });
  const { page, complaints } = await profile.open();
  const chat = new Chat(page);
  await page.goto(`${site.origin}/?model=org/tiny&max-new-tokens=8`);
  await page.getByRole('button', { name: 'Models' }).click();
  await page.getByLabel('Hugging Face id').fill('org/tiny');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').getByRole('button', { name: /^Load/ }).click();
  await chat.loaded();
  expect(await isolation(chat)).toEqual(ALL);
  expect((await chat.state()).info!.name).toBe('org/tiny');
  expect(await chat.ask('Hello')).not.toBe('');
  expect(hub.requests.some((line) => line.startsWith('cdn model.safetensors'))).toBe(true);
  expect([...complaints, ...hub.complaints]).toEqual([]);
  await hub.close();
});

test.describe('the widget on another origin', () => {
  const widget = (site: string) =>
    `<script type="module" src="${site}/embed/nibble-chat.js"></script>
     <nibble-chat model="${site}${TINY}" backend="cpu" max-new-tokens="8"></nibble-chat>`;

  /** Opens the chat on a page, and asks. */
  async function ask(page: Page): Promise<Chat> {
    await page.getByRole('button', { name: 'Start a chat' }).click();
    const chat = new Chat(page);
    await chat.loadModel();
    expect(await chat.ask('Hello')).not.toBe('');
    return chat;
  }

  test('answers on the demo page, which is not isolated', async ({ product, profile }) => {
    const { page, complaints } = await profile.open();
    await page.goto(product.host.origin);
    await page
      .locator('nibble-chat')
      .evaluate((element, model) => element.setAttribute('model', model), product.site.origin + TINY);
    expect(await isolation(await ask(page))).toEqual(NONE);
    expect(complaints).toEqual([]);
  });

  test('is isolated where that page is', async ({ product, profile }) => {
    const { page, complaints } = await profile.open();
    const host = await start({ mounts: [], intercept: html(widget(product.site.origin), PAGE_HEADERS) });
    await page.goto(`${host.origin}/page`);
    expect(await isolation(await ask(page))).toEqual(ALL);
    expect(complaints).toEqual([]);
  });

  test('a script without CORS may come from there, too', async ({ product, profile }) => {
    const { page } = await profile.open();
    const script = `<script src="${product.site.origin}/old-browsers.js" onload="document.title = 'it came'"></script>`;
    const host = await start({ mounts: [], intercept: html(script, PAGE_HEADERS) });
    await page.goto(`${host.origin}/page`);
    await expect(page).toHaveTitle('it came');
  });

  for (const [what, headers, frame, comes] of [
    ['without headers', {}, '<iframe', true],
    ['with COEP, which refuses frames that say nothing', PAGE_HEADERS, '<iframe', false],
    ['with COEP, in a frame without credentials', PAGE_HEADERS, '<iframe credentialless', true],
  ] as const) {
    test(`changes nothing for a frame from elsewhere on a page ${what}`, async ({ product, profile }) => {
      const { page } = await profile.open();
      const elsewhere = await start({ mounts: [], intercept: html('<title>elsewhere</title><p>from elsewhere</p>') });
      const framed = `${frame} src="${elsewhere.origin}/page"></iframe>`;
      const text = page.frameLocator('iframe').getByText('from elsewhere');
      for (const body of [framed, framed + widget(product.site.origin)]) {
        const host = await start({ mounts: [], intercept: html(body, headers) });
        await page.goto(`${host.origin}/page`);
        await expect(text).toHaveCount(comes ? 1 : 0);
      }
      expect(await isolation(await ask(page))).toEqual(Object.keys(headers).length > 0 ? ALL : NONE);
      await expect(text).toHaveCount(comes ? 1 : 0);
    });
  }
});

test.describe('where the server sends no headers', () => {
  /** The built page in a folder of an origin, as a host of static files has it; `meta` is what its owner writes in. */
  const staticHost = (meta = '', intercept?: ServerOptions['intercept']) =>
    start({
      mounts: [...MODELS, ['/app/', 'dist/site']],
      replace: { '<meta charset="utf-8" />': `<meta charset="utf-8" />${meta}` },
      intercept,
    });
  const OPT_IN = '<meta name="nibble-isolate" />';
  /** What isolation() says at the first visit, and at the next one, which has the service worker. */
  const twice = async (chat: Chat, origin: string) => {
    await chat.page.goto(`${origin}/app/${QUERY}`);
    await chat.loadModel();
    const first = await isolation(chat);
    await controlled(chat.page);
    await chat.page.reload();
    await chat.loaded();
    return [first, await isolation(chat)];
  };

  test('the page answers, and is not isolated at any visit', async ({ profile }) => {
    const site = await staticHost();
    const { page, complaints } = await profile.open();
    const chat = new Chat(page);
    expect(await twice(chat, site.origin)).toEqual([NONE, NONE]);
    expect(await chat.ask('Hello')).not.toBe('');
    expect(complaints).toEqual([]);
  });

  test('the service worker isolates the page where its owner says so, and nothing else of the origin', async ({
    profile,
  }) => {
    const elsewhere = await start({ mounts: [], intercept: html('<p>from elsewhere</p>') });
    const framing = `<iframe id="a" src="/app/${QUERY}"></iframe><iframe id="b" src="${elsewhere.origin}/page"></iframe>`;
    const site = await staticHost(OPT_IN, html(framing));
    const { page, complaints } = await profile.open();
    const chat = new Chat(page);
    /** of the chat page as a document, each time */
    const policies: (string | undefined)[] = [];
    page.on('response', (response) => {
      if (response.request().isNavigationRequest() && response.url().includes('/app/'))
        policies.push(response.headers()['cross-origin-embedder-policy']);
    });
    expect(await twice(chat, site.origin)).toEqual([NONE, ALL]);
    expect(await chat.ask('Hello')).not.toBe('');

    // what the worker answers with, and what it leaves alone
    const said = await page.evaluate(async () => {
      const look = async (path: string) => (await fetch(path)).headers.get('cross-origin-embedder-policy');
      return [await look('/app/icon.svg'), await look('/blank.html'), await look('/page')];
    });
    expect(said).toEqual([null, null, null]);
    await page.goto(`${site.origin}/page`);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
    await expect(page.frameLocator('#b').getByText('from elsewhere')).toBeVisible();
    // the chat in a frame of somebody's page is as it would be without
    const framed = page.frameLocator('#a');
    await expect(framed.getByLabel('Your question')).toBeVisible();
    const child = page.frames().find((frame) => frame.url().includes('/app/'))!;
    expect(await child.evaluate(() => crossOriginIsolated)).toBe(false);
    const inFrame = new Chat(page, framed.locator('nibble-view'));
    expect(await inFrame.ask('Hello')).not.toBe('');
    expect(policies).toEqual([undefined, 'require-corp', undefined]);

    await site.close();
    await page.goto(`${site.origin}/app/${QUERY}`);
    await chat.loaded();
    expect(await isolation(chat)).toEqual(ALL);
    expect(complaints).toEqual([]);
  });

  test('an isolated page gets its worker isolated, also where the cache was emptied', async ({ profile }) => {
    const site = await staticHost(OPT_IN);
    const { page } = await profile.open();
    const chat = new Chat(page);
    await page.goto(`${site.origin}/app/${QUERY}&storage=none`);
    await controlled(page);
    await page.reload();
    await expect(chat.load).toBeVisible();
    await page.evaluate(async () => {
      for (const name of await caches.keys()) await caches.delete(name);
    });
    await chat.loadModel();
    expect(await isolation(chat)).toEqual(ALL);
    expect(await chat.ask('Hello')).not.toBe('');
  });
});
