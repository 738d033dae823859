/** What a first visit downloads of the page's own code: counted at the browser, and held against size.ts. */
import { basename } from 'node:path';
import { EXECUTORS } from '../scripts/bundling/lazy-modules';
import { pageScripts } from '../scripts/tasks/size';
import { Chat, type ChatState, expect, TINY, test } from './product';

for (const [backend, webgpu] of [
  ['webgpu', true],
  ['cpu', false],
] as const) {
  test(`a first visit on the ${backend} fetches what size.ts counts`, async ({ product, profile }) => {
    const { page, requests } = await profile.open({ webgpu });
    // the service worker, which fetches every file to keep it, is not the visitor
    await page.addInitScript(() => Object.defineProperty(Navigator.prototype, 'serviceWorker', { value: undefined }));
    const chat = new Chat(page);
    await page.goto(`${product.site.origin}/?model=${TINY}&backend=${backend}&max-new-tokens=8`);
    await chat.loadModel();
    await chat.view.evaluate((view) => {
      const { session } = view as unknown as { session: EventTarget & ChatState };
      // before anybody in the page hears of it
      session.dispatchEvent = (event) => {
        if (session.messages.at(1)?.content) performance.mark('begun');
        return EventTarget.prototype.dispatchEvent.call(session, event);
      };
    });
    await chat.ask('Hello');
    // what is kept of it is written then
    const { paint, answer, after: files } = pageScripts();
    const executor = backend === 'webgpu' ? 'on-gpu' : 'on-cpu';
    expect(EXECUTORS.map((path) => basename(path))).toContain(executor);
    // without a service worker nothing is shared with other tabs
    const counted = [...paint, ...answer[executor]]
      .map((file) => basename(file))
      .filter((name) => !name.startsWith('model-host-'))
      .sort();
    const after = files.map((file) => basename(file));
    const names = () => [...new Set(requests.map((url) => basename(new URL(url).pathname)))];
    const fetched = () =>
      names()
        .filter((name) => /\.js$/.test(name) && !after.includes(name))
        .sort();
    await expect.poll(fetched).toEqual(counted);
    const kept = after.filter((name) => /^(kept-conversations|sidebar)-/.test(name));
    await expect.poll(() => kept.filter((name) => !names().includes(name))).toEqual([]);
    // nothing of it before the answer had begun
    const early = await page.evaluate(() => {
      const [{ startTime: begun }] = performance.getEntriesByName('begun');
      const early = performance.getEntriesByType('resource').filter(({ startTime }) => startTime < begun);
      return early.map(({ name }) => name);
    });
    expect(after.filter((name) => early.some((url) => url.endsWith(`/${name}`)))).toEqual([]);
    expect(early.filter((url) => /\.js$/.test(url))).not.toEqual([]);
  });
}
