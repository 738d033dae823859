/** The widget on somebody else's page: another origin, a strict policy, one script tag. */
import type { Page } from '@playwright/test';
import { type StaticServer, serve } from '../scripts/testing/server';
import { Chat, expect, TINY, test } from './product';

test.describe('the widget', () => {
  test('fetches nothing before the click, shows the size, and answers', async ({ product, profile }) => {
    const { site, host } = product;
    const { page, requests, complaints } = await profile.open();
    const events: string[] = [];
    await page.exposeFunction('heard', (type: string) => events.push(type));
    await page.addInitScript(() => {
      for (const type of ['nibble-ready', 'nibble-progress', 'nibble-message', 'nibble-error']) {
        document.addEventListener(type, () => (window as unknown as { heard(type: string): void }).heard(type));
      }
    });
    await page.goto(host.origin);
    const start = page.getByRole('button', { name: 'Start a chat' });
    await expect(start).toBeVisible();
    expect(site.requests).toEqual(['GET /embed/nibble-chat.js']);

    // the demo page's own model is 85 MB; attributes are read at the click
    await page.locator('nibble-chat').evaluate((element, model) => {
      element.setAttribute('model', model);
      element.setAttribute('max-new-tokens', '8');
    }, `${site.origin}${TINY}`);
    await start.click();
    const chat = new Chat(page);
    await expect(chat.size).toContainText('0.3 MB');
    // the worker, once, when it is first needed
    const scripts = site.requests.filter((line) => line.includes('/embed/'));
    expect(scripts).toEqual(['GET /embed/nibble-chat.js', 'GET /embed/worker-text.js']);
    expect(site.requests.filter((line) => line.includes('safetensors'))).toEqual([]);
    await chat.loadModel();
    expect(await chat.ask('Hello')).not.toBe('');
    await expect(chat.stat('backend')).toHaveText('CPU');

    const origins = new Set(
      requests.filter((request) => request.startsWith('http')).map((request) => new URL(request).origin),
    );
    expect([...origins].sort()).toEqual([site.origin, host.origin].sort());
    expect(complaints).toEqual([]);
    expect([...new Set(events)].sort()).toEqual(['nibble-message', 'nibble-progress', 'nibble-ready']);
    expect(events.filter((type) => type === 'nibble-message')).toHaveLength(2);
  });

  /** A page of somebody else's, under a policy. */
  const inPage = async (page: Page, site: string, policy: string, head = '') => {
    const csp = `default-src 'none'; img-src data:; script-src ${site}; worker-src blob:; connect-src ${site}; ${policy}`;
    const host = await serve({
      mounts: [],
      intercept(_, response, path) {
        if (path !== '/') return false;
        response.writeHead(200, { 'Content-Type': 'text/html', ...(policy && { 'Content-Security-Policy': csp }) });
        response.end(
          `<!doctype html><title>h</title><link rel="icon" href="data:,">${head}<script type="module" src="${site}/embed/nibble-chat.js"></script><nibble-chat model="${site}${TINY}" max-new-tokens="8"></nibble-chat>`,
        );
        return true;
      },
    });
    hosts.push(host);
    await page.goto(host.origin);
  };
  const hosts: StaticServer[] = [];
  test.afterEach(async () => {
    for (const host of hosts.splice(0)) await host.close();
  });
  const TRUSTED = "require-trusted-types-for 'script'";

  for (const policy of [TRUSTED, `${TRUSTED}; trusted-types nibble lit-html`]) {
    test(`answers under ${policy}`, async ({ product, profile }) => {
      const { page, complaints } = await profile.open();
      await inPage(page, product.site.origin, policy);
      await page.getByRole('button', { name: 'Start a chat' }).click();
      const chat = new Chat(page);
      await chat.loadModel();
      expect(await chat.ask('Hello')).not.toBe('');
      expect(complaints).toEqual([]);
    });
  }

  test('says what Trusted Types lack', async ({ product, profile }) => {
    const { page } = await profile.open();
    const { site } = product;
    await inPage(page, site.origin, `${TRUSTED}; trusted-types 'none'`);
    await expect(page.locator('nibble-chat')).toContainText('allow `trusted-types nibble lit-html`');
    await inPage(page, site.origin, `${TRUSTED}; trusted-types lit-html`);
    await page.getByRole('button', { name: 'Start a chat' }).click();
    const chat = new Chat(page);
    await chat.load.click();
    await expect(chat.error).toContainText('trusted-types nibble lit-html');
  });

  test('takes neither options nor the look of its text from a careless page', async ({ product, profile }) => {
    const { page } = await profile.open();
    const careless = `<style>body { text-transform: uppercase; direction: rtl; white-space: pre; letter-spacing: 9px; text-indent: 9em; }</style>
      <script>Object.assign(Object.prototype, { memoryBudget: 1, weights: 'f32', storage: 'none', maxContext: 8, hub: 'https://evil.example', token: 'x' });
      Array.prototype.last = function () { return this[this.length - 1]; };
      Object.defineProperty(Navigator.prototype, 'locks', { value: undefined });</script>`;
    await inPage(page, product.site.origin, '', careless);
    const start = page.getByRole('button', { name: 'Start a chat' });
    const look = await start.evaluate((button) => {
      const { textTransform, direction, whiteSpace, letterSpacing, textIndent } = getComputedStyle(button);
      return [textTransform, direction, whiteSpace, letterSpacing, textIndent];
    });
    expect(look).toEqual(['none', 'ltr', 'normal', 'normal', '0px']);
    await start.click();
    const chat = new Chat(page);
    await chat.loadModel();
    expect(await chat.ask('Hello')).not.toBe('');
    expect((await chat.state()).info?.options).toMatchObject({ weights: 'keep', maxContext: expect.any(Number) });
    expect((await chat.state()).info?.options.maxContext).toBeGreaterThan(8);
  });

  test('names a value that an attribute cannot have in the console, and takes the default', async ({
    product,
    profile,
  }) => {
    const { page } = await profile.open();
    await page.goto(product.host.origin);
    const told = page.waitForEvent('console', (message) => message.text().includes('kv-capacity is "large"'));
    await page.locator('nibble-chat').evaluate((element, model) => {
      element.setAttribute('model', model);
      element.setAttribute('kv-capacity', 'large');
    }, `${product.site.origin}${TINY}`);
    await page.getByRole('button', { name: 'Start a chat' }).click();
    expect((await told).type()).toBe('warning');
    const chat = new Chat(page);
    await chat.loadModel();
    await expect.poll(async () => (await chat.state()).info?.options.kvCapacity).toBe('auto');
  });

  test('attributes reach the engine', async ({ product, profile }) => {
    const { page } = await profile.open();
    await page.goto(product.host.origin);
    await page.locator('nibble-chat').evaluate((element, model) => {
      element.setAttribute('model', model);
      element.setAttribute('max-context', '64');
      element.setAttribute('max-new-tokens', '3');
      element.setAttribute('temperature', '0.5');
      element.setAttribute('backend', 'cpu');
    }, `${product.site.origin}${TINY}`);
    await page.getByRole('button', { name: 'Start a chat' }).click();
    const chat = new Chat(page);
    await chat.loadModel();
    await chat.ask('a');
    const { info, result } = await chat.state();
    expect(info!.options.maxContext).toBe(64);
    expect(result!.ids).toHaveLength(3);
    expect(result!.options!.temperature).toBe(0.5);
  });

  test('goes on beyond the context on WebGPU, and says what is no longer seen', async ({ product, profile }) => {
    const { page, complaints } = await profile.open({ webgpu: true });
    await page.goto(product.host.origin);
    await page.locator('nibble-chat').evaluate((element, model) => {
      element.setAttribute('model', model);
      element.setAttribute('max-context', '96');
      element.setAttribute('max-new-tokens', '6');
      element.setAttribute('backend', 'webgpu');
      element.setAttribute('tune', 'small');
    }, `${product.site.origin}${TINY}`);
    await page.getByRole('button', { name: 'Start a chat' }).click();
    const chat = new Chat(page);
    await chat.loadModel();
    await chat.ask('one two three four five');
    await expect(chat.stat('note')).toHaveCount(0);
    const { stats } = (await chat.state()).result!;
    let dropped = 0;
    for (let seen = stats.promptTokens; seen < 3 * 96 && dropped < 96; ) {
      expect(await chat.ask('six seven eight nine ten')).not.toBe('');
      const { promptTokens, droppedTokens, reusedTokens } = (await chat.state()).result!.stats;
      // all but the question, with what stands around it, comes from the cache, which moved
      expect(reusedTokens + droppedTokens).toBeGreaterThanOrEqual(seen - 8);
      [seen, dropped] = [promptTokens, droppedTokens];
    }
    expect(dropped).toBeGreaterThanOrEqual(96);
    await expect(chat.stat('note')).toContainText(`oldest ${dropped}`);
    expect(complaints).toEqual([]);
  });

  test('shows the snippet that makes it', async ({ product, profile }) => {
    const { page } = await profile.open();
    await page.goto(product.host.origin);
    await expect(page.locator('pre')).toContainText(`src="${product.site.origin}/embed/nibble-chat.js"`);
  });
});
