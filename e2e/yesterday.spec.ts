/**
 * Who came yesterday: what version 0.1.0 stored (scripts/tasks/yesterday.ts made the fixture) opens in this one, and
 * pages of both live beside each other on one origin.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { PAGE_CSP } from '../scripts/bundling/policy';
import { yesterdaysBuild } from '../scripts/tasks/yesterday/build';
import { putStored, type Stored } from '../scripts/tasks/yesterday/stored';
import {
  BARE,
  BLANK,
  blank,
  HALF,
  HALF_BYTES,
  MODEL,
  ORIGIN,
  originFlag,
  QUESTIONS,
  SAVED,
  STORED,
  TINY,
  visitMounts,
} from '../scripts/tasks/yesterday/visit';
import { etagOf, serve } from '../scripts/testing/server';
import { Chat, expect, type Profile, test } from './product';

/** ranges that were asked for, by path */
const ranges = new Map<string, string[]>();

/**
 * A connection that is cut after HALF_BYTES, when the machine sleeps. Where the worker hears of the sleep, its file is
 * not the one that the service worker keeps.
 */
const asleep = { hears: false, begin: null as (() => void) | null, end: () => {} };

test.use({
  serverOptions: {
    models: [...visitMounts(), ['/lib/', 'dist']],
    intercept(request, response, path) {
      if (blank(request, response, path)) return true;
      if (asleep.hears && path.startsWith('/assets/worker-')) {
        response.writeHead(200, { 'Content-Type': 'text/javascript' });
        response.end(SLEEPS + readFileSync(`dist/site${path}`, 'utf8'));
        return true;
      }
      if (!path.endsWith('.safetensors')) return false;
      const range = /bytes=(.*)/.exec(request.headers.range ?? '')?.[1] ?? '';
      ranges.set(path, [...(ranges.get(path) ?? []), range]);
      const { begin } = asleep;
      const [start, end] = range.split('-').map(Number);
      if (!begin || end - start < HALF_BYTES) return false;
      asleep.begin = null;
      asleep.end = () => response.destroy();
      const all = readFileSync(join(MODEL, 'model.safetensors'));
      response.writeHead(206, {
        ETag: etagOf(statSync(join(MODEL, 'model.safetensors'))),
        'Accept-Ranges': 'bytes',
        'Content-Length': end + 1 - start,
        'Content-Range': `bytes ${start}-${end}/${all.length}`,
      });
      response.write(all.subarray(start, HALF_BYTES), begin);
      return true;
    },
  },
});

/**
 * In page and worker: the channel `sleep` sets the clocks on, and every timer that would have run by then runs at once;
 * the channel `taken` tells how many bytes have been taken out of a response, as one that is cut loses the others.
 */
const SLEEPS = `{
  let slept = 0;
  const { now } = Date;
  Date.now = () => now.call(Date) + slept;
  const since = performance.now.bind(performance);
  performance.now = () => since() + slept;
  const waiting = new Map();
  const { setTimeout: set, clearTimeout: clear } = self;
  self.setTimeout = (run, ms = 0, ...args) => {
    const id = set(() => {
      waiting.delete(id);
      run(...args);
    }, ms);
    waiting.set(id, { run: () => run(...args), at: performance.now() + ms });
    return id;
  };
  self.clearTimeout = (id) => {
    waiting.delete(id);
    clear(id);
  };
  (self.sleeping = new BroadcastChannel('sleep')).onmessage = ({ data }) => {
    slept += data;
    for (const [id, { run, at }] of waiting) {
      if (at > performance.now()) continue;
      self.clearTimeout(id);
      run();
    }
  };
  const taken = new BroadcastChannel('taken');
  for (const { prototype } of [ReadableStreamBYOBReader, ReadableStreamDefaultReader]) {
    const { read } = prototype;
    prototype.read = async function (...args) {
      const result = await read.apply(this, args);
      this.taken = (this.taken ?? 0) + (result.value?.byteLength ?? 0);
      taken.postMessage(this.taken);
      return result;
    };
  }
}
`;

const stored = (): Stored => JSON.parse(readFileSync(STORED, 'utf8'));
const url = (model: string, folder = '/') => `${ORIGIN}${folder}?model=${model}&backend=cpu`;

/** A browser in which yesterday's visitor has been. */
async function comeBack(profile: Profile, port: number, change: (stored: Stored) => Stored = (same) => same) {
  const visit = await profile.open({ own: true, flags: [originFlag(port)] });
  await visit.page.goto(`${ORIGIN}${BLANK}`);
  await putStored(visit.page, MODEL, change(stored()));
  return visit;
}

interface Said {
  text: string;
  stats: { promptTokens: number; reusedTokens: number };
}

/** Goes on with a saved conversation, through the library that is served at /lib/. */
const goOn = (page: Page) =>
  page.evaluate(`(async () => {
    const { load } = await import('/lib/index.js');
    const engine = await load('${TINY}', { backend: 'cpu' });
    const { text, stats } = await engine.conversation({ saved: '${SAVED}' })
      .chat([{ role: 'user', content: 'cat' }], { maxNewTokens: 8 }).result;
    await engine.dispose();
    return { text, stats };
  })()`) as Promise<Said>;

test('models, the page’s chat and a saved conversation open without a byte fetched', async ({ product, profile }) => {
  const { site } = product;
  const { page, complaints } = await comeBack(profile, site.port);
  const chat = new Chat(page);
  await page.goto(url(TINY));
  await chat.loaded();
  const { messages } = await chat.state();
  expect(messages.filter(({ role }) => role === 'user').map(({ content }) => content)).toEqual(QUESTIONS);
  await chat.ask('no');
  const { stats } = (await chat.state()).result!;
  // of two turns all but the end of an answer, which its text may be cut into other tokens
  expect(stats.reusedTokens).toBeGreaterThan(stats.promptTokens / 2);

  await page.goto(url(BARE));
  await chat.loaded();
  await chat.ask('cat');
  const { text, stats: saved } = await goOn(page);
  expect(text).not.toBe('');
  expect(saved.reusedTokens).toBe(saved.promptTokens - 1);
  expect(site.requests.filter((line) => line.includes('/models/'))).toEqual([]);
  // the old page's files go with it
  const names = () => page.evaluate(() => caches.keys());
  await expect.poll(names).toEqual([expect.stringMatching(/^nibble-page \/ /)]);
  expect(complaints).toEqual([]);
});

test('half a download goes on where it stopped', async ({ product, profile }) => {
  const { site } = product;
  const { page } = await comeBack(profile, site.port);
  const chat = new Chat(page);
  const { length } = readFileSync(join(MODEL, 'model.safetensors'));
  for (const folder of HALF) {
    await page.goto(url(folder));
    site.reset();
    ranges.clear();
    await chat.loadModel();
    const asked = (ranges.get(`${folder}model.safetensors`) ?? []).map((range) => range.split('-').map(Number));
    // what yesterday's version noted of a file without a manifest tells no version of it: samples of it are compared
    const samples = asked.filter(([start]) => start < HALF_BYTES);
    expect(asked.filter(([start]) => start >= HALF_BYTES)).toEqual([[HALF_BYTES, length - 1]]);
    expect(samples.length > 0).toBe(folder === HALF[1]);
    for (const [start, end] of samples) expect(end - start).toBeLessThan(1 << 16);
    await chat.ask('cat');
  }
});

test('a machine that slept for an hour in mid-download goes on where it was', async ({ product, profile }) => {
  const { site } = product;
  const { page } = await comeBack(profile, site.port, (same) => ({ ...same, databases: {} }));
  await page.addInitScript(SLEEPS);
  asleep.hears = true;
  const chat = new Chat(page);
  await page.goto(url(BARE));
  await chat.load.waitFor();
  const half = new Promise<void>((resolve) => {
    asleep.begin = resolve;
  });
  await page.evaluate(() => {
    const heard = { taken: 0 };
    new BroadcastChannel('taken').onmessage = ({ data }) => {
      heard.taken = Math.max(heard.taken, data);
    };
    Object.assign(window, { heard });
  });
  await chat.load.click();
  await half;
  const taken = () => page.evaluate(() => (window as unknown as { heard: { taken: number } }).heard.taken);
  await expect.poll(taken).toBe(HALF_BYTES);
  // an hour later, all at once: the clock, every timer that was running, and the connection, which is gone
  await page.evaluate(() => new BroadcastChannel('sleep').postMessage(3_600_000));
  await expect.poll(() => page.evaluate(() => Date.now() - performance.timeOrigin)).toBeGreaterThan(3_500_000);
  asleep.end();
  await chat.loaded();
  await chat.ask('cat');
  const { length } = readFileSync(join(MODEL, 'model.safetensors'));
  const asked = (ranges.get(`${BARE}model.safetensors`) ?? []).map((range) => range.split('-').map(Number));
  asleep.hears = false;
  // once from the beginning, once from where it was cut
  expect(asked.filter(([start, end]) => end - start >= 1 << 16)).toEqual([
    [0, length - 1],
    [HALF_BYTES, length - 1],
  ]);
});

test.describe('beside yesterday’s version itself', () => {
  test.skip(
    !process.env.NIBBLE_YESTERDAY,
    'Yesterday’s version takes minutes to build: NIBBLE_YESTERDAY=1 builds it, or names its dist folder.',
  );

  /** Both on one origin: the old page in /old/, with its library in /oldlib/. */
  const serveBoth = (port = 0) => {
    const old = yesterdaysBuild();
    return serve({
      port,
      csp: PAGE_CSP,
      intercept: blank,
      mounts: [
        ...visitMounts(),
        ['/lib/', 'dist'],
        ['/oldlib/', old],
        ['/old/', join(old, 'site')],
        ['/', 'dist/site'],
      ],
    });
  };
  const library = <T>(page: Page, folder: 'lib' | 'oldlib', call: string) =>
    page.evaluate(`import('/${folder}/index.js').then((nibble) => nibble.${call})`) as Promise<T>;

  test('two tabs, one of each, load, answer and delete without harm to the other', async ({ profile }) => {
    const server = await serveBoth();
    try {
      const { page, context } = await profile.open({ own: true, flags: [originFlag(server.port)] });
      const other = await context.newPage();
      const [old, now] = [new Chat(page), new Chat(other)];
      await page.goto(url(TINY, '/old/'));
      await old.loadModel();
      await old.ask('cat');
      server.reset();
      await other.goto(url(TINY));
      await now.loaded();
      await now.ask('yes');
      expect(server.bytes('/models/')).toBe(0);
      // each with the other's model still here, and its own conversation
      await old.ask('no');
      await now.ask('no');
      expect((await old.state()).messages.map(({ content }) => content)).toEqual([
        'cat',
        expect.anything(),
        'no',
        expect.anything(),
      ]);
      for (const tab of [page, other]) await tab.reload();
      await old.loaded();
      await now.loaded();
      expect((await old.state()).messages).toHaveLength(4);
      expect((await now.state()).messages).toHaveLength(4);
      expect(server.bytes('/models/')).toBe(0);
      // neither deletes what the other has loaded
      const inUse = /is loaded here or in another tab/;
      await expect(library(other, 'lib', `deleteStored('${TINY}')`)).rejects.toThrow(inUse);
      await expect(library(page, 'oldlib', `deleteStored('${TINY}')`)).rejects.toThrow(inUse);
      // nor another model than it is asked to
      await other.goto(url(BARE));
      await now.loadModel();
      await now.ask('cat');
      await other.goto(`${ORIGIN}${BLANK}`);
      await library(page, 'oldlib', `deleteStored('${BARE}')`);
      await old.ask('yes');
      expect(await library<object[]>(other, 'lib', 'storedModels()')).toMatchObject([{ complete: true }]);
      await page.goto(`${ORIGIN}${BLANK}`);
      await library(other, 'lib', `deleteStored('${TINY}')`);
      expect(await library<object[]>(page, 'oldlib', 'storedModels()')).toEqual([]);
      // and the old one starts anew
      await page.goto(url(TINY, '/old/'));
      await old.loadModel();
      await old.ask('cat');
      expect(await other.evaluate(async () => (await caches.keys()).length)).toBe(2);
    } finally {
      await server.close();
    }
  });

  test('the new version in the place of the old one has what that kept', async ({ profile }) => {
    const old = yesterdaysBuild();
    const before = await serve({ csp: PAGE_CSP, mounts: [...visitMounts(), ['/', join(old, 'site')]] });
    const { page } = await profile.open({ own: true, flags: [originFlag(before.port)] });
    const chat = new Chat(page);
    await page.goto(url(TINY));
    await chat.loadModel();
    await chat.ask('cat');
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    const { messages } = await chat.state();
    await before.close();
    const after = await serve({ port: before.port, csp: PAGE_CSP, mounts: [...visitMounts(), ['/', 'dist/site']] });
    try {
      await page.reload();
      await page.getByRole('button', { name: 'Reload' }).click();
      await expect
        .poll(() => page.evaluate(() => caches.keys()).catch(() => []))
        .toEqual([expect.stringMatching(/^nibble-page/)]);
      await chat.loaded();
      expect((await chat.state()).messages).toEqual(messages);
      await chat.ask('yes');
      expect(after.bytes('/models/')).toBe(0);
    } finally {
      await after.close();
    }
  });
});
