/**
 * The library in a browser, from a server that behaves as the Hub does: CORS, signed ranges, tabs, cuts, little room.
 */
import { resolve } from 'node:path';
import type { BrowserContext, Page } from '@playwright/test';
import { type FakeHub, type FakeHubOptions, type FakeRepo, serveFakeHub } from '../scripts/testing/fake-hub';
import { type StaticServer, serve } from '../scripts/testing/server';
import type { Engine, load, NibbleError } from '../src/index';
import { createRandomSource } from '../src/node/random-source';
import { smallLlama } from '../src/runtime/test/small-llama';
import { test as base, expect } from './product';

const MIB = 1 << 20;

/** A random model's files, by how many layers it has: made once. */
const made = new Map<number, Promise<Map<string, Uint8Array>>>();
async function make(layers: number): Promise<Map<string, Uint8Array>> {
  const random = createRandomSource(smallLlama(layers));
  const files = new Map<string, Uint8Array>();
  for (const path of ['config.json', 'model.safetensors']) {
    files.set(path, await random.read(path, 0, (await random.size(path))!));
  }
  return files;
}

type Options = Omit<NonNullable<Parameters<typeof load>[1]>, 'lora' | 'remote'>;
interface Outcome {
  ids?: number[];
  error?: Pick<NibbleError, 'code' | 'message' | 'details'>;
  storageReason?: string;
  persist?: boolean;
  networkBytes: number;
}

interface Fixtures {
  /** of the model: four are three chunks */
  layers: number;
  repo: FakeRepo;
  hub: FakeHub;
  site: StaticServer;
  size: number;
}

const test = base.extend<Fixtures>({
  layers: [4, { option: true }],
  repo: async ({ layers }, use) => {
    if (!made.has(layers)) made.set(layers, make(layers));
    await use({ files: await made.get(layers)! });
  },
  size: async ({ repo }, use) => {
    await use([...repo.files.values()].reduce((sum, { length }) => sum + length, 0));
  },
  hub: async ({ repo }, use) => {
    const options: FakeHubOptions = { repos: { 'org/model': repo } };
    const hub = await serveFakeHub(options);
    await use(hub);
    expect(hub.complaints).toEqual([]);
    await hub.close();
  },
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the parameter's pattern
  site: async ({}, use) => {
    const site = await serve({
      mounts: [
        ['/lib/', 'dist'],
        ['/', 'e2e/blank.html'],
      ],
    });
    await use(site);
    await site.close();
  },
});

interface Held {
  engine?: Engine;
  dropped?: Promise<unknown>;
}

/** Loads the model in a page, keeps it in `window.engine`, and asks it for four ids. */
function loadIn(page: Page, hub: FakeHub, options: Options = {}): Promise<Outcome> {
  return page.evaluate(
    async ({ options, hub }) => {
      const path = '/lib/index.js';
      const { load } = (await import(path)) as typeof import('../src/index');
      let networkBytes = 0;
      try {
        const engine = await load('org/model', {
          backend: 'cpu',
          hub,
          ...options,
          onProgress: (progress) => {
            networkBytes = progress.networkBytes;
          },
        });
        (window as Held).engine = engine;
        const { ids } = await engine.generate([5, 6, 7], { maxNewTokens: 4, ignoreEos: true }).result;
        const { storageReason, options: effective } = await engine.info();
        return { ids, storageReason, persist: effective.persist, networkBytes };
      } catch (thrown) {
        const { code, message, details } = thrown as NibbleError;
        return { error: { code, message, details }, networkBytes };
      }
    },
    { options, hub: hub.origin },
  );
}

type Asked = 'storedModels' | 'verifyStored' | 'deleteStored';
/** Calls one of the library's functions on what is stored. */
function ask(page: Page, what: Asked, key?: string): Promise<unknown> {
  return page.evaluate(
    async ({ what, key }) => {
      const path = '/lib/index.js';
      const library = (await import(path)) as Record<string, (input?: unknown) => Promise<unknown>>;
      return library[what](key ? { key } : undefined).catch((error) => ({ code: error.code, message: error.message }));
    },
    { what, key },
  );
}

/**
 * The quant_states and quant_maps of this model at most: they lie all over the file, and come and are kept apart too.
 */
const APART = 16 << 10;

function expectOnce(bytes: number, size: number): void {
  expect(bytes).toBeGreaterThanOrEqual(size);
  expect(bytes).toBeLessThanOrEqual(size + APART);
}

/** A tab's locks end with its worker, some time after the tab is said to be closed. */
async function untilUnused(page: Page): Promise<void> {
  const held = () =>
    page.evaluate(async () =>
      (await navigator.locks.query()).held!.filter(({ name }) => name!.startsWith('nibble-use:')),
    );
  await expect.poll(held, { intervals: [20] }).toEqual([]);
}

/** All of it is here, and as it was. */
async function expectSound(page: Page, key: string, size: number): Promise<void> {
  const found = (await ask(page, 'verifyStored', key)) as { checkedBytes: number };
  expect(found).toMatchObject({ alteredChunks: 0, missingChunks: 0 });
  expectOnce(found.checkedBytes, size);
}

async function blank(context: BrowserContext, site: StaticServer): Promise<Page> {
  const page = await context.newPage();
  await page.goto(site.origin);
  return page;
}

test('two tabs download once, and neither deletes the model under the other', async ({ profile, hub, site, size }) => {
  const { context } = await profile.open({ own: true });
  const pages = [await blank(context, site), await blank(context, site)];
  const outcomes = await Promise.all(pages.map((page) => loadIn(page, hub, { persist: true })));
  expect(outcomes.map(({ error }) => error)).toEqual([undefined, undefined]);
  expect(outcomes[0].ids).toEqual(outcomes[1].ids);
  expect(outcomes.map(({ persist }) => typeof persist)).toEqual(['boolean', 'boolean']);
  expectOnce(hub.bytes(), size);

  const [stored] = (await ask(pages[0], 'storedModels')) as { key: string; storedBytes: number }[];
  expect(stored).toMatchObject({ name: 'org/model', complete: true });
  expectOnce(stored.storedBytes, size);
  const refused = { code: 'storage-unavailable', message: expect.stringMatching(/another tab/) };
  expect(await ask(pages[0], 'deleteStored', stored.key)).toMatchObject(refused);
  await pages[0].evaluate(() => (window as Held).engine!.dispose());
  expect(await ask(pages[0], 'deleteStored', stored.key)).toMatchObject(refused);
  await pages[1].close();
  await untilUnused(pages[0]);
  await expectSound(pages[0], stored.key, size);
  await ask(pages[0], 'deleteStored', stored.key);
  expect(await ask(pages[0], 'storedModels')).toEqual([]);
});

test.describe('a model of many chunks', () => {
  test.use({ layers: 14 });
  test('connections that are cut lose nothing, tabs that are closed three chunks each', async ({
    profile,
    hub,
    site,
    size,
  }) => {
    const { context } = await profile.open({ own: true });
    let received = 0;
    for (let cut = 0; cut < 3; cut++) {
      const page = await blank(context, site);
      hub.mend();
      hub.cutAfter(1 + Math.floor(Math.random() * 0.2 * size));
      const { error, networkBytes } = await loadIn(page, hub);
      expect(error).toMatchObject({ code: 'network', details: { status: expect.any(Number) } });
      received += networkBytes;
      await page.close();
    }
    // what the server sent and the browser had not taken when the line was cut
    const lost = hub.bytes() - received;
    hub.mend();
    hub.options.bytesPerSecond = 10e6;
    for (let kill = 0; kill < 2; kill++) {
      const page = await blank(context, site);
      const before = hub.bytes();
      void loadIn(page, hub).catch(() => {});
      await expect.poll(() => hub.bytes() - before, { intervals: [20] }).toBeGreaterThan(0.1 * size);
      await page.close();
    }
    hub.options.bytesPerSecond = undefined;
    const page = await blank(context, site);
    expect((await loadIn(page, hub)).ids).toHaveLength(4);
    await page.evaluate(() => (window as Held).engine!.dispose());
    test.info().annotations.push({ type: 'sent twice', description: `${hub.bytes() - size} of ${size} bytes` });
    expect(hub.bytes()).toBeLessThanOrEqual(size + 6 * APART + lost + 2 * 3 * 4 * MIB);
    const [{ key }] = (await ask(page, 'storedModels')) as { key: string }[];
    await expectSound(page, key, size);
  });
});

test('a gated model needs its token, which goes nowhere but to the Hub', async ({ profile, hub, site, repo }) => {
  repo.token = 'hf_secret';
  const { context } = await profile.open();
  const page = await blank(context, site);
  const { error } = await loadIn(page, hub);
  expect(error).toMatchObject({ code: 'network', details: { status: 401, reason: 'GatedRepo' } });
  expect(error!.message).toMatch(/Accept the model’s licence at .*org\/model/);
  expect((await loadIn(page, hub, { token: 'hf_other' })).error).toMatchObject({ details: { status: 403 } });
  expect((await loadIn(page, hub, { token: 'hf_secret' })).ids).toHaveLength(4);
});

test('a browser without room says so, keeps what is good, and can go on without keeping', async ({
  profile,
  hub,
  site,
  size,
}) => {
  const { context } = await profile.open({ own: true });
  const page = await blank(context, site);
  const cdp = await context.newCDPSession(page);
  const quota = (quotaSize?: number) => cdp.send('Storage.overrideQuotaForOrigin', { origin: site.origin, quotaSize });
  await quota(5 * MIB);
  // Chrome's estimate does not know of it: the write fails
  const { error, networkBytes } = await loadIn(page, hub);
  expect(error).toMatchObject({
    code: 'quota-exceeded',
    message: expect.stringMatching(/storage: 'if-room'/),
    details: { neededBytes: expect.any(Number), usageBytes: expect.any(Number), freeBytes: expect.any(Number) },
  });
  // all that is missing, and not one write
  expect(error!.details.neededBytes).toBeGreaterThan(size - 5 * MIB);
  expect(error!.details.neededBytes).toBeLessThanOrEqual(size);
  expect(networkBytes).toBeLessThan(size);

  const unkept = await loadIn(page, hub, { storage: 'if-room' });
  expect(unkept.ids).toHaveLength(4);
  expect(unkept.storageReason).toMatch(/no room/);
  await page.evaluate(() => (window as Held).engine!.dispose());

  await quota();
  hub.reset();
  expect((await loadIn(page, hub)).ids).toEqual(unkept.ids);
  expect(hub.bytes()).toBeLessThanOrEqual(size);
});

test('a folder dropped onto a page is a model', async ({ profile, site }) => {
  const { context } = await profile.open();
  const page = await blank(context, site);
  await page.evaluate(async () => {
    const path = '/lib/index.js';
    const { load, modelFromDrop } = (await import(path)) as typeof import('../src/index');
    document.addEventListener('dragover', (event) => event.preventDefault());
    document.addEventListener('drop', (event) => {
      event.preventDefault();
      const model = modelFromDrop(event.dataTransfer!);
      (window as Held).dropped = model
        .then((files) => load(files, { backend: 'cpu' }))
        .then(async (engine) => {
          const { name, hasTokenizer, storageReason } = await engine.info();
          return { name, hasTokenizer, storageReason };
        });
    });
  });
  const cdp = await context.newCDPSession(page);
  const data = { items: [], files: [resolve('reference/fixtures/tiny-llama-128/nf4')], dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
    await cdp.send('Input.dispatchDragEvent', { type, x: 50, y: 50, data });
  }
  expect(await page.evaluate(() => (window as Held).dropped)).toEqual({
    name: 'nf4',
    hasTokenizer: true,
    storageReason: 'Files on this device are read where they are.',
  });
});
