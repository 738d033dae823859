/** What stays in the browser: the model in IndexedDB, the page in the service worker's cache. */
import { readFileSync, statSync } from 'node:fs';
import type { Page } from '@playwright/test';
import { serveProduct } from '../scripts/testing/server';
import type { ChatMessage, GenerateResult, SavedCache } from '../src/protocol';
import { Chat, DEFAULT, expect, MODELS, TINY, test } from './product';

const MIB = 1 << 20;

/** Asks without what was said before. */
async function askAnew(chat: Chat, question: string): Promise<string> {
  await chat.page.getByRole('button', { name: 'New chat' }).click();
  return chat.ask(question);
}

test('the second visit loads at once, and fetches nothing of the model', async ({ product, profile }) => {
  const { site } = product;
  const first = await profile.open({ own: true });
  const chat = new Chat(first.page);
  await first.page.goto(`${site.origin}/?model=${TINY}&max-new-tokens=8`);
  await chat.loadModel();
  const answer = await chat.ask('Hello');
  expect(site.bytes(TINY)).toBeGreaterThan(250_000);

  site.reset();
  await first.page.reload();
  await chat.loaded();
  expect(await askAnew(chat, 'Hello')).toBe(answer);
  expect(site.requests.filter((line) => line.includes(TINY))).toEqual([]);

  await first.close();
  const second = await profile.open({ own: true });
  const again = new Chat(second.page);
  await second.page.goto(`${site.origin}/?model=${TINY}&max-new-tokens=8`);
  await again.loaded();
  expect(await askAnew(again, 'Hello')).toBe(answer);
  expect(site.requests.filter((line) => line.includes(TINY))).toEqual([]);
});

test('answers with the server stopped and the browser restarted', async ({ product, profile }) => {
  const { origin } = product.site;
  const online = await profile.open({ own: true });
  const chat = new Chat(online.page);
  await online.page.goto(`${origin}/?model=${TINY}&max-new-tokens=8`);
  await chat.loadModel();
  const answer = await chat.ask('Hello');
  await online.page.waitForFunction(() => navigator.serviceWorker.controller !== null);
  await online.close();
  await product.close();

  const offline = await profile.open({ own: true });
  const again = new Chat(offline.page);
  await offline.page.goto(`${origin}/?model=${TINY}&max-new-tokens=8`);
  await again.loaded();
  expect(await askAnew(again, 'Hello')).toBe(answer);
  expect(offline.complaints).toEqual([]);
});

test('the page can be installed: manifest and icons', async ({ product, profile }) => {
  const { page } = await profile.open();
  await page.goto(product.site.origin);
  const manifest = await page.evaluate(async () => {
    const link = document.querySelector<HTMLLinkElement>('link[rel=manifest]')!;
    const json = await (await fetch(link.href)).json();
    const sizes = await Promise.all(
      json.icons.map(async ({ src }: { src: string }) => {
        const image = new Image();
        image.src = new URL(src, link.href).href;
        await image.decode();
        return image.naturalWidth;
      }),
    );
    return { ...json, sizes };
  });
  expect(manifest).toMatchObject({ name: 'Nibble', display: 'standalone', start_url: './' });
  expect(manifest.sizes.slice(1)).toEqual([192, 512, 512]);
  expect(manifest.icons.some(({ purpose }: { purpose?: string }) => purpose === 'maskable')).toBe(true);
});

test.describe('a browser that is killed in the middle of the download', () => {
  test.use({ serverOptions: { bytesPerSecond: 12e6 } });

  test('goes on where it stopped', async ({ product, profile }) => {
    const { site } = product;
    const manifest = await fetch(`${site.origin}${DEFAULT}manifest.json`);
    const { totalBytes } = await manifest.json();
    site.reset();
    // CI kills three times; NIBBLE_KILLS=10 is the whole of it
    const kills = Number(process.env.NIBBLE_KILLS ?? 3);
    // Each time a share of the model comes, most of it in all: without resuming, that would be sent twice.
    for (let kill = 1; kill <= kills; kill++) {
      const { page, kill: end } = await profile.open({ own: true });
      await page.goto(site.origin);
      await new Chat(page).load.click();
      const before = site.bytes(DEFAULT);
      await expect
        .poll(() => site.bytes(DEFAULT) - before, { intervals: [50] })
        .toBeGreaterThan(((0.8 + 0.16 * Math.random()) / kills) * totalBytes);
      await end();
    }
    // nothing half-installed: the next visit offers to load, and then has all of it
    const { page } = await profile.open({ own: true });
    const chat = new Chat(page);
    await page.goto(site.origin);
    await chat.loadModel();
    const sent = site.bytes(DEFAULT);
    // each time the manifest is read for the offer, for what the model would take, and to load it; for the second,
    // config.json too
    const small = (name: string) => statSync(`public${DEFAULT}${name}`).size;
    const manifests = (kills + 1) * (3 * small('manifest.json') + small('config.json'));
    // at a kill, three chunks of 4 MiB may be on their way
    test.info().annotations.push({ type: 'sent twice', description: `${sent - totalBytes} bytes` });
    expect(sent - totalBytes).toBeLessThanOrEqual(kills * 3 * 4 * MIB + manifests);
    expect(sent).toBeGreaterThan(0.95 * totalBytes);
  });
});

test('a new version of the page waits until the visitor asks for it', async ({ product, profile }) => {
  const { origin, port } = product.site;
  const { page } = await profile.open();
  await page.goto(`${origin}/?model=${TINY}&max-new-tokens=8`);
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
  await product.close();
  // the same page, one byte different in its worker
  const newer = await serveProduct('.', {
    port,
    intercept(_, response, path) {
      if (path !== '/sw.js') return false;
      import('node:fs').then(({ readFileSync }) => {
        const script = readFileSync('dist/site/sw.js', 'utf8').replace(
          /"version":"\w+"|version:`\w+`|version:"\w+"/,
          'version:"newer"',
        );
        response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(script);
      });
      return true;
    },
  });
  try {
    await page.reload();
    await page.getByRole('button', { name: 'Reload' }).click();
    await expect.poll(() => page.evaluate(() => caches.keys()).catch(() => [])).toEqual(['nibble-page / newer']);
  } finally {
    await newer.close();
  }
});

test('a log-in page in the place of a new version is not kept, and the version before stays', async ({
  product,
  profile,
}) => {
  const { origin, port } = product.site;
  const { page } = await profile.open();
  await page.goto(`${origin}/?model=${TINY}&max-new-tokens=8`);
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
  const before = await page.evaluate(() => caches.keys());
  await product.close();
  const script = readFileSync('dist/site/sw.js', 'utf8').replace(/"version":"\w+"/, '"version":"newer"');
  const portal = await serveProduct('.', {
    port,
    intercept(_, response, path) {
      const [type, body] = path === '/sw.js' ? ['text/javascript', script] : ['text/html', '<h1>Please log in</h1>'];
      response.writeHead(200, { 'Content-Type': type }).end(body);
      return true;
    },
  });
  try {
    const outcome = await page.evaluate(async () => {
      const registration = await navigator.serviceWorker.ready;
      await registration.update();
      const installing = registration.installing!;
      await new Promise<void>((resolve) => {
        installing.onstatechange = () => resolve();
      });
      return installing.state;
    });
    expect(outcome).toBe('redundant');
    expect(await page.evaluate(() => caches.keys())).toEqual(before);
    await page.reload();
    await expect(page.locator('nibble-view')).toBeVisible();
    // what is kept of the page is somebody else's, by whatever accident
    await page.evaluate(async () => {
      const [name] = await caches.keys();
      const cache = await caches.open(name);
      const index = (await cache.keys()).find(({ url }) => url.endsWith('/index.html'));
      await cache.put(index!, new Response('<h1>Not ours</h1>', { headers: { 'Content-Type': 'text/html' } }));
    });
    await page.reload();
    await expect(page.getByRole('heading', { name: 'Please log in' })).toBeVisible();
  } finally {
    await portal.close();
  }
});

test.describe('a conversation that the page has saved', () => {
  test.use({ serverOptions: { models: [...MODELS, ['/lib/', 'dist']] } });

  test('goes on after a reload and after the browser was killed, without computing it again', async ({
    product,
    profile,
  }) => {
    const { origin } = product.site;
    const model = origin + TINY;
    /** What a page does that keeps its messages: asks, saves the cache, and hands both on. */
    const ask = (page: Page, question: string, messages: ChatMessage[]) =>
      page.evaluate(
        async ({ model, question, messages }) => {
          // @ts-expect-error served from dist/
          const { load, savedCaches } = await import('/lib/index.js');
          const engine = await load(model, { backend: 'cpu' });
          const talk = engine.conversation({ messages, saved: 'talk' });
          const result: GenerateResult = await talk.ask(question, { maxNewTokens: 12, ignoreEos: true }).result;
          const saved: SavedCache = await talk.save();
          const fresh: GenerateResult = await engine.chat(talk.messages.slice(0, -1), {
            maxNewTokens: 12,
            ignoreEos: true,
          }).result;
          engine.dispose();
          return { result, saved, fresh, messages: talk.messages as ChatMessage[], kept: await savedCaches() };
        },
        { model, question, messages },
      );

    const first = await profile.open({ own: true });
    await first.page.goto(origin);
    const one = await ask(first.page, 'Hello', []);
    expect(one.result.stats.reusedTokens).toBe(0);
    await first.page.reload();
    const two = await ask(first.page, 'More', one.messages);
    await first.kill();
    const second = await profile.open({ own: true });
    await second.page.goto(origin);
    const three = await ask(second.page, 'And more', two.messages);
    for (const [before, after] of [
      [one, two],
      [two, three],
    ]) {
      expect(after.result.note).toBeNull();
      expect(after.result.stats.reusedTokens).toBeGreaterThanOrEqual(before.result.stats.promptTokens);
      expect(after.result.ids).toEqual(after.fresh.ids);
      expect(after.kept).toEqual([after.saved]);
      expect(after.saved.tokens).toBe(after.result.stats.promptTokens + 11);
    }
  });
});
