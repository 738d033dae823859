/**
 * Threads of the CPU in a page that is isolated from other origins, what answers where there are none, and that
 * conversations leave no memory behind.
 */
import type { Page } from '@playwright/test';
import { serve } from '../scripts/testing/server';
import { expect, modelWorker, TINY, test } from './product';

const MODEL = '/models/llama/';
const mounts: [string, string][] = [
  [MODEL, 'reference/fixtures/families/llama/nf4'],
  [TINY, 'reference/fixtures/tiny-llama-128/nf4'],
  ['/lib/', 'dist'],
  ['/', 'e2e/blank.html'],
];
/** of reference/fixtures/families/llama/nf4, after 1, 2, 3 */
const IDS = [26, 34, 5, 53];
const ISOLATED = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

/** Serves the library with headers. */
const start = (headers: Record<string, string>, csp?: string) =>
  serve({
    mounts,
    csp,
    intercept: (_, response) => {
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
      return false;
    },
  });

/** Four ids, and what info() says of the way it computes, when the threads have had time to start. */
const answer = (page: Page, workerUrl?: string) =>
  page.evaluate(
    async ({ model, workerUrl }) => {
      const { load } = (await import('/lib/index.js' as string)) as typeof import('../src/index');
      const engine = await load(model, { backend: 'cpu', storage: 'none', workerUrl });
      const options = { maxNewTokens: 4, temperature: 0, ignoreEos: true };
      const { ids } = await engine.generate([1, 2, 3], options).result;
      const way = async () => (await engine.info()).variants.cpu;
      for (let turn = 0; turn < 100 && (await way()).endsWith('more are starting'); turn++)
        await new Promise((resolve) => setTimeout(resolve, 50));
      const said = { ids, way: await way(), threads: (await engine.info()).options.threads };
      engine.dispose();
      return { ...said, processors: navigator.hardwareConcurrency };
    },
    { model: MODEL, workerUrl },
  );

test('a page that is cross-origin isolated has as many as processors', async ({ profile }) => {
  const site = await start(ISOLATED);
  const { page, complaints } = await profile.open();
  await page.goto(site.origin);
  const { ids, way, threads, processors } = await answer(page);
  expect(processors).toBeGreaterThan(1);
  expect(threads).toBe(Math.min(processors, 4));
  expect(way).toBe(`webassembly-simd, ${threads} threads`);
  expect(ids).toEqual(IDS);
  expect(complaints).toEqual([]);
  await site.close();
});

test('a page that is not answers in one, and info() says why', async ({ profile }) => {
  const site = await start({});
  const { page } = await profile.open();
  await page.goto(site.origin);
  const { ids, way, threads } = await answer(page);
  expect(threads).toBe(1);
  expect(way).toBe('webassembly-simd, 1 thread: the page is not cross-origin isolated');
  expect(ids).toEqual(IDS);
  await site.close();
});

test('a policy that allows no further workers leaves one thread, and info() says so', async ({ profile }) => {
  const site = await start(ISOLATED, "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'");
  const { page } = await profile.open();
  await page.goto(site.origin);
  const { ids, way } = await answer(page, '/lib/worker.js');
  expect(way).toMatch(/^webassembly-simd, 1 thread of \d: .*/);
  expect(ids).toEqual(IDS);
  await site.close();
});

test('a hundred conversations leave the renderer within 16 MiB of its start', async ({ profile }) => {
  const site = await start(ISOLATED);
  // a process of its own, whose memory is measured, and which collects what it no longer needs when it is told
  const visit = await profile.open({ own: true, flags: ['--js-flags=--expose-gc'] });
  await visit.page.goto(site.origin);
  /** Opens, asks and closes so many. @returns bytes of the keys and values that one has written */
  const talk = (count: number) =>
    visit.page.evaluate(
      async ({ model, count }) => {
        const { load } = (await import('/lib/index.js' as string)) as typeof import('../src/index');
        const own = window as unknown as { engine?: ReturnType<typeof load>; gc(): void };
        own.engine ??= load(model, { backend: 'cpu', storage: 'none', kv: 'f32', kvCapacity: 'full' });
        const engine = await own.engine;
        let kv = 0;
        for (let i = 0; i < count; i++) {
          const conversation = engine.conversation();
          const { stats } = await conversation.ask('a '.repeat(400), { maxNewTokens: 4, temperature: 0 }).result;
          // what nothing was written to takes no memory
          kv = ((await engine.memory()).kv * stats.promptTokens) / 512;
          await conversation.close();
        }
        return kv;
      },
      { model: TINY, count },
    );
  const collect = async () => {
    await modelWorker(visit.page).evaluate(() => (globalThis as unknown as { gc(): void }).gc());
    await visit.page.evaluate(() => (window as unknown as { gc(): void }).gc());
    return visit.resident();
  };
  // until nothing new is compiled
  await talk(30);
  const before = await collect();
  const kv = await talk(100);
  // had they stayed, it would show
  expect(100 * kv).toBeGreaterThan(32 << 20);
  const after = await collect();
  console.log(`${(before / 2 ** 20).toFixed(1)} MiB before, ${(after / 2 ** 20).toFixed(1)} after`);
  expect(after - before).toBeLessThan(16 << 20);
  await site.close();
});
