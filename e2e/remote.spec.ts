/** A server beside the model: what a page sends to it, counted at the browser, and what CORS and policy say. */
import type { Page } from '@playwright/test';
import { serve } from '../scripts/testing/server';
import type { LoadOptions, load, NibbleError } from '../src/index';
import { hello, json, type ScriptedServer, scriptedServer, stream } from '../src/remote/test/scripted-server';
import { test as base, expect, TINY } from './product';

interface Fixtures {
  /** allows pages of other origins */
  open: ScriptedServer;
  /** allows none */
  closed: ScriptedServer;
}

const test = base.extend<Fixtures>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the parameter's pattern
  open: async ({}, use) => {
    const server = await scriptedServer(true);
    await use(server);
    await server.close();
  },
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the parameter's pattern
  closed: async ({}, use) => {
    const server = await scriptedServer();
    await use(server);
    await server.close();
  },
});

interface Asked {
  model: string;
  url: string;
  where: LoadOptions['where'];
  questions: number;
}
interface Outcome {
  texts: string[];
  sources: unknown[];
  info?: { source: string; sourceReason: string };
  error?: Pick<NibbleError, 'code' | 'message' | 'details'>;
}

/** Loads the model in a page and asks it some questions. */
function askIn(page: Page, asked: Asked): Promise<Outcome> {
  return page.evaluate(async ({ model, url, where, questions }) => {
    const path = '/lib/index.js';
    const library = (await import(path)) as { load: typeof load };
    const outcome: Outcome = { texts: [], sources: [] };
    try {
      const remote = { url, model: 'm', key: 'secret' };
      const engine = await library.load(model, { backend: 'cpu', storage: 'none', remote, where });
      for (let i = 0; i < questions; i++) {
        const answer = engine.chat([{ role: 'user', content: 'Hi?' }], { maxNewTokens: 4, temperature: 0 });
        const { text } = await answer.result;
        outcome.texts.push(text);
        outcome.sources.push(answer.source);
      }
      const { source, sourceReason } = await engine.info();
      return { ...outcome, info: { source, sourceReason } };
    } catch (thrown) {
      const { code, message, details } = thrown as NibbleError;
      return { ...outcome, error: { code, message, details } };
    }
  }, asked);
}

/** The library's files and the tiny model, with a policy or without. */
const siteOf = (csp?: string) =>
  serve({
    mounts: [
      ['/lib/', 'dist'],
      [TINY, 'reference/fixtures/tiny-llama-128/nf4'],
      ['/', 'e2e/blank.html'],
    ],
    ...(csp && { csp }),
  });

test('device: not one request leaves for the server, and none at all for answers', async ({ profile, open }) => {
  open.say(stream(hello));
  const site = await siteOf();
  const { page, requests, complaints } = await profile.open();
  await page.goto(site.origin);
  const asked = { model: site.origin + TINY, url: open.url, where: undefined, questions: 1 };
  const first = await askIn(page, asked);
  const before = requests.length;
  expect(first).toMatchObject({ sources: ['device'], info: { source: 'device' } });
  // what a second load asks for again is the model, and files of the library
  const second = await askIn(page, { ...asked, where: 'device', questions: 3 });
  expect(second.sources).toEqual(['device', 'device', 'device']);
  expect(requests.filter((url) => !url.startsWith(site.origin) && /^https?:/.test(url))).toEqual([]);
  expect(
    requests.slice(before).filter((url) => !url.includes(TINY) && !/\/lib\//.test(url) && /^https?:/.test(url)),
  ).toEqual([]);
  expect(requests.filter((url) => /\/(modes|remote)/.test(url))).toEqual([]);
  expect([open.seen, complaints]).toEqual([[], []]);
  await site.close();
});

test('server: it alone is asked, and a policy that names it is enough', async ({ profile, open }) => {
  open.say(stream(hello));
  const origin = new URL(open.url).origin;
  const site = await siteOf(`default-src 'self'; worker-src blob:; connect-src 'self' ${origin}`);
  const { page, requests, complaints } = await profile.open();
  await page.goto(site.origin);
  const outcome = await askIn(page, { model: site.origin + TINY, url: open.url, where: 'server', questions: 2 });
  expect([outcome.texts, outcome.sources, outcome.error]).toEqual([
    ['Hello, wörld 🌍', 'Hello, wörld 🌍'],
    ['server', 'server'],
    undefined,
  ]);
  expect(open.seen.map(({ path, headers }) => [path, headers.authorization])).toEqual([
    ['/v1/chat/completions', 'Bearer secret'],
    ['/v1/chat/completions', 'Bearer secret'],
    ['/v1/models', 'Bearer secret'],
  ]);
  expect(requests.some((url) => url.includes(TINY) || url.startsWith('blob:'))).toBe(false);
  expect(complaints).toEqual([]);
  await site.close();
});

test('a server that allows no other origin, one that the policy does not name, and one that is busy say what to do', async ({
  profile,
  open,
  closed,
}) => {
  closed.say(stream(hello));
  const site = await siteOf();
  const strict = await siteOf("default-src 'self'; worker-src blob:; connect-src 'self'");
  const { page } = await profile.open();
  await page.goto(site.origin);
  const asked = { model: site.origin + TINY, url: closed.url, where: 'server' as const, questions: 1 };
  const { error } = await askIn(page, asked);
  expect(error).toMatchObject({ code: 'network', details: { status: 0, reason: 'unreached' } });
  expect(error?.message).toContain(`allows pages of ${site.origin} (CORS`);
  open.say(json({ error: { message: 'later' } }, 429, { 'retry-after': '3' }));
  const busy = await askIn(page, { ...asked, url: open.url });
  expect(busy.error).toMatchObject({ code: 'network', details: { status: 429, retryAfterSeconds: 3 } });
  const first = await askIn(page, { ...asked, where: 'server-first' });
  expect([first.sources, first.info?.sourceReason]).toEqual([['device'], expect.stringContaining('(CORS')]);
  await page.goto(strict.origin);
  open.say(stream(hello));
  const forbidden = await askIn(page, { ...asked, model: strict.origin + TINY, url: open.url });
  expect(forbidden.error?.message).toMatch(
    /Content-Security-Policy of this page forbids[\s\S]*add http:\/\/127\.0\.0\.1:\d+ to its connect-src/,
  );
  expect(open.seen).toEqual([]);
  await site.close();
  await strict.close();
});
