/**
 * Where the library's worker comes from: by itself, under policies of every kind, from other origins, and when it
 * cannot.
 */
import type { Page } from '@playwright/test';
import { type ServerOptions, type StaticServer, serve } from '../scripts/testing/server';
import { expect, test } from './product';

const MODEL = '/models/tiny/';
const mounts: ServerOptions['mounts'] = [
  [MODEL, 'reference/fixtures/families/llama/nf4'],
  ['/lib/', 'dist'],
  ['/', 'e2e/blank.html'],
];
/** of reference/fixtures/families/llama/nf4, after 1, 2, 3 */
const IDS = [26, 34, 5, 53];

interface Said {
  ids?: number[];
  message?: string;
  workers: string[];
}

/** Loads the library from an address, and asks it for four ids. */
const answer = async (page: Page, lib: string, model: string, workerUrl?: string): Promise<Said> => {
  const workers: string[] = [];
  page.on('worker', (worker) => workers.push(worker.url().replace(/^blob:.*/, 'blob:')));
  const said = await page.evaluate(
    async ({ lib, model, workerUrl }) => {
      const { load } = (await import(`${lib}index.js`)) as typeof import('../src/index');
      try {
        const engine = await load(model, { backend: 'cpu', storage: 'none', workerUrl });
        const options = { maxNewTokens: 4, temperature: 0, ignoreEos: true };
        const { ids } = await engine.generate([1, 2, 3], options).result;
        engine.dispose();
        return { ids };
      } catch (error) {
        return { message: (error as Error).message };
      }
    },
    { lib, model, workerUrl },
  );
  return { ...said, workers };
};

const servers: StaticServer[] = [];
const start = async (options: Partial<ServerOptions> = {}) => {
  const server = await serve({ mounts, ...options });
  servers.push(server);
  return server;
};
test.afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

test('is text that nothing fetches before load(), and load() once', async ({ profile }) => {
  const { page } = await profile.open();
  const site = await start();
  await page.goto(site.origin);
  await page.evaluate(() => import('/lib/index.js' as string));
  expect(site.requests.filter((line) => line.includes('worker'))).toEqual([]);
  expect(await answer(page, '/lib/', MODEL)).toEqual({ ids: IDS, workers: ['blob:'] });
  expect(await answer(page, '/lib/', MODEL)).toMatchObject({ ids: IDS });
  expect(site.requests.filter((line) => line.includes('worker'))).toEqual(['GET /lib/worker-text.js']);
});

test('starts from a library on another origin', async ({ profile }) => {
  const { page } = await profile.open();
  const [site, other] = [await start(), await start({ cors: true })];
  await page.goto(site.origin);
  expect(await answer(page, `${other.origin}/lib/`, MODEL)).toEqual({ ids: IDS, workers: ['blob:'] });
});

test('is the file beside the library where the policy forbids blob:', async ({ profile }) => {
  const { page } = await profile.open();
  const site = await start({ csp: "default-src 'self'" });
  await page.goto(site.origin);
  const { ids, workers } = await answer(page, '/lib/', MODEL);
  expect(ids).toEqual(IDS);
  expect(workers.at(-1)).toBe(`${site.origin}/lib/worker.js`);
});

test.describe('workerUrl', () => {
  test('names the file', async ({ profile }) => {
    const { page } = await profile.open();
    const site = await start({ csp: "default-src 'self'" });
    await page.goto(site.origin);
    const said = await answer(page, '/lib/', MODEL, './lib/worker.js');
    expect(said).toEqual({ ids: IDS, workers: [`${site.origin}/lib/worker.js`] });
    expect(site.requests).not.toContain('GET /lib/worker-text.js');
  });

  test('may be of another origin', async ({ profile }) => {
    const { page } = await profile.open();
    const [site, other] = [await start(), await start({ cors: true })];
    await page.goto(site.origin);
    const said = await answer(page, '/lib/', MODEL, `${other.origin}/lib/worker.js`);
    expect(said).toEqual({ ids: IDS, workers: ['blob:'] });
  });

  test('that leads nowhere is said', async ({ profile }) => {
    const { page } = await profile.open();
    await page.goto((await start()).origin);
    const { message } = await answer(page, '/lib/', MODEL, './nowhere.js');
    expect(message).toContain('did not load');
    expect(message).toContain('workerUrl');
  });
});

test('where no way is open, a sentence tells which to open', async ({ profile }) => {
  const { page } = await profile.open();
  const other = await start({ cors: true });
  const csp = `script-src ${other.origin} 'unsafe-eval'; worker-src 'self'; connect-src *`;
  const site = await start({ csp });
  await page.goto(site.origin);
  const { message } = await answer(page, `${other.origin}/lib/`, site.origin + MODEL);
  for (const part of ["worker-src 'self' blob:", 'nibble-llm/worker', 'workerUrl', 'createWorker']) {
    expect(message).toContain(part);
  }
});
