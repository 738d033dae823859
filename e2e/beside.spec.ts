/** Applications that live beside others: two on one origin, names that others add, a widget that its page handles. */
import { readFileSync } from 'node:fs';
import type { Page } from '@playwright/test';
import { PAGE_CSP } from '../scripts/bundling/policy';
import { type StaticServer, serve } from '../scripts/testing/server';
import { Chat, expect, type Profile, TINY, test } from './product';

const TINY_FOLDER = 'reference/fixtures/tiny-llama-128/nf4';

/** The chat page in these folders of one origin. */
const servePages = (folders: string[], workers: Record<string, string> = {}): Promise<StaticServer> =>
  serve({
    csp: PAGE_CSP,
    mounts: [[TINY, TINY_FOLDER], ...folders.map((folder): [string, string] => [folder, 'dist/site'])],
    intercept: (_, response, path) => {
      if (!(path in workers)) return false;
      response.writeHead(200, { 'Content-Type': 'text/javascript', 'Cache-Control': 'no-cache' }).end(workers[path]);
      return true;
    },
  });

/** Opens a page, and waits until its service worker has been activated. */
async function install(page: Page, url: string) {
  await page.goto(url);
  await page.evaluate(async () => {
    const { active } = await navigator.serviceWorker.ready;
    if (active!.state === 'activated') return;
    await new Promise<void>((resolve) => {
      active!.onstatechange = () => active!.state === 'activated' && resolve();
    });
  });
}

const cacheNames = (page: Page) => page.evaluate(async () => (await caches.keys()).sort());

test.describe('two pages on one origin', () => {
  const ours = readFileSync('dist/site/sw.js', 'utf8');
  const other = ours.replace(/(version["'`]?:\s*["'`])[0-9a-f]{16}/, '$10123456789abcdef');

  test('open offline both, whichever came last and whatever its version', async ({ profile }) => {
    expect(other).not.toBe(ours);
    const server = await servePages(['/a/', '/b/', '/'], { '/b/sw.js': other });
    const { page } = await profile.open();
    for (const folder of ['/a/', '/b/', '/']) await install(page, server.origin + folder);
    expect(await cacheNames(page)).toEqual([
      expect.stringMatching(/^nibble-page \/ [0-9a-f]{16}$/),
      expect.stringMatching(/^nibble-page \/a\/ [0-9a-f]{16}$/),
      'nibble-page /b/ 0123456789abcdef',
    ]);
    await server.close();
    for (const folder of ['/a/', '/b/', '/']) {
      await page.goto(server.origin + folder);
      await expect(page.locator('nibble-view')).toBeVisible();
    }
  });

  test('what the version before left in caches that all shared goes with the page that it belongs to', async ({
    profile,
  }) => {
    const server = await servePages(['/a/', '/b/']);
    const { page } = await profile.open();
    await page.goto(`${server.origin}/a/icon.svg`);
    await page.evaluate(async () => {
      const files = async (name: string, paths: string[]) => {
        const cache = await caches.open(name);
        for (const path of paths) await cache.put(path, new Response(path));
      };
      await files('nibble-shell-1', ['/a/index.html', '/a/assets/x.js', '/b/index.html', '/b/assets/x.js']);
      await files('nibble-shell-2', ['/a/index.html']);
      await files('nibble-shell-3', ['/b/index.html']);
      await files('somebody-else', ['/a/index.html']);
    });
    await install(page, `${server.origin}/a/`);
    const old = async () => (await cacheNames(page)).filter((name) => !name.startsWith('nibble-page'));
    await expect.poll(old).toEqual(['nibble-shell-1', 'nibble-shell-3', 'somebody-else']);
    const left = await page.evaluate(async () =>
      (await (await caches.open('nibble-shell-1')).keys()).map(({ url }) => url),
    );
    expect(left).toEqual(['/b/index.html', '/b/assets/x.js'].map((path) => server.origin + path));
    await install(page, `${server.origin}/b/`);
    await expect.poll(old).toEqual(['somebody-else']);
    await server.close();
  });

  test('a new version takes the place of its own last one only', async ({ profile }) => {
    const workers: Record<string, string> = { '/a/sw.js': other };
    const server = await servePages(['/a/', '/b/'], workers);
    const { page } = await profile.open();
    await install(page, `${server.origin}/a/`);
    await install(page, `${server.origin}/b/`);
    delete workers['/a/sw.js'];
    await page.goto(`${server.origin}/a/`);
    await page.evaluate(async () => {
      const registration = await navigator.serviceWorker.ready;
      await registration.update();
    });
    await page.getByRole('button', { name: 'Reload' }).click();
    // the page may be on its way to its new self
    await expect(async () => {
      const names = await cacheNames(page);
      expect(names.join()).not.toContain('0123456789abcdef');
      expect(names.map((name) => name.replace(/[0-9a-f]{16}$/, ''))).toEqual(['nibble-page /a/ ', 'nibble-page /b/ ']);
    }).toPass({ timeout: 60_000 });
    await server.close();
  });

  test('keep a conversation each, with the same model', async ({ profile }) => {
    const server = await servePages(['/a/', '/b/']);
    const { page } = await profile.open();
    const chat = new Chat(page);
    await page.goto(`${server.origin}/a/?model=${TINY}&max-new-tokens=8`);
    await chat.loadModel();
    await chat.ask('Hello');
    await page.goto(`${server.origin}/b/?model=${TINY}`);
    await chat.loaded();
    await expect(chat.log).toHaveCount(0);
    await page.goto(`${server.origin}/a/?model=${TINY}&max-new-tokens=8`);
    await expect(chat.log).toContainText('Hello');
    await server.close();
  });
});

test('names in the address that others add are passed over, and said in the console', async ({ product, profile }) => {
  const { page } = await profile.open();
  const warnings: string[] = [];
  page.on('console', (message) => message.text().startsWith('Nibble knows') && warnings.push(message.text()));
  await page.goto(`${product.site.origin}/?model=${TINY}&utm_source=x&fbclid=1&fbclid=2&kv-capcity=full&kv=f32`);
  const chat = new Chat(page);
  await chat.loadModel();
  await expect(chat.error).toHaveCount(0);
  expect((await chat.state()).info!.options).toMatchObject({ kv: 'f32', kvCapacity: 'auto' });
  expect(warnings).toEqual([
    expect.stringContaining('no option "utm_source". It knows: backend'),
    expect.stringContaining('no option "fbclid". It knows: backend'),
    'Nibble knows no option "kv-capcity". Did you mean "kv-capacity"?',
  ]);
});

test.describe('a widget', () => {
  /** A page with elements of these attributes, under the widget's own origin. */
  async function host(profile: Profile, site: string, elements: string, script = '') {
    const visit = await profile.open();
    const { page } = visit;
    const warnings: string[] = [];
    page.on('console', (message) => message.text().startsWith('<nibble-chat>') && warnings.push(message.text()));
    await page.route(`${site}/host.html`, (route) =>
      route.fulfill({
        contentType: 'text/html',
        body: `<!doctype html><div id="a">${elements}</div><div id="b"></div>${script}
          <script type="module" src="/embed/nibble-chat.js"></script>`,
      }),
    );
    await page.goto(`${site}/host.html`);
    return { ...visit, warnings };
  }
  const widget = (attributes = '') =>
    `<nibble-chat model="${TINY}" backend="cpu" storage="none" max-new-tokens="3" ${attributes}></nibble-chat>`;
  const start = (page: Page, index = 0) => page.getByRole('button', { name: 'Start a chat' }).nth(index).click();

  test('passes over what frameworks put on it, and names what was mistyped', async ({ product, profile }) => {
    const attributes =
      '_ngcontent-ng-c2="" astro-cid-x="" x-on:click="f()" hx-boost="true" popover="manual" draggable="true" max-new-token="5" kolour="red"';
    const { page, warnings } = await host(profile, product.site.origin, widget(attributes) + widget('kolour="red"'));
    await page.evaluate(() => document.querySelector<HTMLElement>('nibble-chat')!.showPopover());
    await start(page);
    const notice = page.getByText('<nibble-chat> knows no attribute "max-new-token". Did you mean "max-new-tokens"?');
    await expect(notice).toBeVisible();
    await expect(page.getByRole('button', { name: /^Load/ })).toBeVisible();
    await page.evaluate(() => document.querySelector<HTMLElement>('nibble-chat')!.hidePopover());
    await expect(notice).toBeHidden();
    await start(page);
    await expect(page.getByRole('button', { name: /^Load/ })).toBeVisible();
    expect(warnings).toEqual([
      '<nibble-chat> knows no attribute "max-new-token". Did you mean "max-new-tokens"?',
      expect.stringContaining('knows no attribute "kolour". It knows: model,'),
    ]);
  });

  test('that is moved keeps model and conversation; taken out for good it ends its worker', async ({
    product,
    profile,
  }) => {
    const { page } = await host(profile, product.site.origin, widget());
    const chat = new Chat(page);
    await start(page);
    await chat.loadModel();
    await chat.ask('first');
    const moves = [
      () => document.getElementById('b')!.append(document.querySelector('nibble-chat')!),
      () => document.body.prepend(document.querySelector('nibble-chat')!),
      () => document.getElementById('b')!.append(...document.body.querySelectorAll('nibble-chat, #a')),
      () => document.body.append(document.getElementById('b')!),
      async () => {
        const moved = document.querySelector('nibble-chat')!;
        moved.remove();
        await null;
        document.body.append(moved);
      },
    ];
    for (const move of moves) {
      await page.evaluate(move);
      await chat.ask('again');
      await expect(chat.log).toContainText('first');
    }
    expect((await chat.state()).messages).toHaveLength(2 + 2 * moves.length);
    const [worker] = page.workers();
    const ended = worker.waitForEvent('close');
    await page.evaluate(() => document.querySelector('nibble-chat')!.remove());
    await ended;
    expect(page.workers()).toEqual([]);
  });

  test('shares its engine with the others that ask for the same, and has a conversation of its own', async ({
    product,
    profile,
  }) => {
    const { page } = await host(profile, product.site.origin, widget() + widget() + widget('kv="f32"'));
    const chats = [0, 1, 2].map((index) => new Chat(page, page.locator('nibble-view').nth(index)));
    await start(page);
    await chats[0].loadModel();
    await chats[0].ask('one');
    await start(page);
    await chats[1].loaded();
    expect(page.workers()).toHaveLength(1);
    await chats[1].ask('two');
    expect((await chats[1].state()).memory!.conversations).toBe(2);
    expect((await chats[0].state()).messages[0].content).toBe('one');
    await start(page);
    await chats[2].loadModel();
    expect(page.workers()).toHaveLength(2);
    await page.evaluate(() => document.querySelector('nibble-chat')!.remove());
    await chats[0].ask('three');
    expect((await chats[0].state()).memory!.conversations).toBe(1);
    const ended = page.workers()[0].waitForEvent('close');
    await page.evaluate(() => document.querySelector('nibble-chat')!.remove());
    await ended;
    expect(page.workers()).toHaveLength(1);
  });

  test('that a server has drawn comes to life, with what was set before its script was here', async ({
    product,
    profile,
  }) => {
    const drawn = `<nibble-chat model="/nowhere/" heading="Drawn" backend="cpu"><p>Loading…</p></nibble-chat>`;
    const script = `<script>document.querySelector('nibble-chat').model = '${TINY}'</script>`;
    const { page } = await host(profile, product.site.origin, drawn, script);
    await expect(page.getByRole('heading', { name: 'Drawn' })).toBeVisible();
    await expect(page.getByText('Loading…')).toBeHidden();
    await start(page);
    await expect(new Chat(page).size).toContainText('0.3 MB');
  });
});
