/**
 * Everything can be stopped: a worker that hears nothing is ended, and the next question is answered by another. And
 * what must not be taken for a worker that died.
 *
 *   NIBBLE_CANCELS=200 npx playwright test e2e/stop.spec.ts     prints how long the next question waited at most
 */
import { readFileSync } from 'node:fs';
import { BLANK, Chat, expect, MODELS, TINY, test } from './product';

type Library = typeof import('../src/index');

/** Of loads and answers, a tenth of them in a worker that does not listen. */
const CANCELS = Number(process.env.NIBBLE_CANCELS ?? 40);
/** ms, from a question to the first token of its answer, the model's load included; a watchdog */
const WATCHDOG = 5000;

/** The page's worker asks here, as it is told to load or to answer, whether it is to hang. */
const work = { asked: 0, hang: false };
const ASKS = `addEventListener('message', ({ data }) => {
  if (!['load', 'generate'].includes(data?.path?.[0])) return;
  const question = new XMLHttpRequest();
  question.open('GET', '/hang', false);
  question.send();
  if (question.responseText === 'yes') for (;;);
});
`;

test.use({
  serverOptions: {
    models: [...MODELS, ['/lib/', 'dist']],
    intercept(_, response, path) {
      if (path === '/hang') {
        work.asked++;
        response.end(work.hang ? 'yes' : 'no');
        return true;
      }
      if (!/^\/assets\/worker-.*\.js$/.test(path)) return false;
      response.writeHead(200, { 'Content-Type': 'text/javascript' });
      response.end(ASKS + readFileSync(`dist/site${path}`, 'utf8'));
      return true;
    },
  },
});
test.beforeEach(() => Object.assign(work, { asked: 0, hang: false }));

test('in the chat page Stop ends a worker that hangs, a sentence says so, and the next question is answered', async ({
  product,
  profile,
}) => {
  const { page } = await profile.open();
  await page.goto(`${product.site.origin}/?model=${TINY}&backend=cpu&max-new-tokens=8`);
  const chat = new Chat(page);
  await chat.loadModel();
  const before = await chat.ask('Where is the sea?');
  // not by the debugger: Chromium ends no worker that is at its work, and this one may hold a lock
  Object.assign(work, { asked: 0, hang: true });
  await chat.question.fill('And?');
  await chat.question.press('Enter');
  await expect.poll(() => work.asked).toBe(1);
  work.hang = false;
  await chat.stop.click();
  await chat.answered();
  await expect(chat.stat('note')).toContainText('did not hear a stop');
  await expect(chat.view.locator('[data-cut=aborted]')).toBeVisible();
  await expect(chat.error).toHaveCount(0);
  expect(await chat.ask('And?')).not.toBe('');
  await expect(chat.stat('note')).toHaveCount(0);
  const { messages } = await chat.state();
  expect(messages.map(({ content }) => content)).toEqual(['Where is the sea?', before, 'And?', expect.anything()]);
});

test('in the chat page Stop ends a load that hangs, and the next one works', async ({ product, profile }) => {
  const { page } = await profile.open();
  await page.goto(`${product.site.origin}/?model=${TINY}&backend=cpu&max-new-tokens=8`);
  const chat = new Chat(page);
  work.hang = true;
  await chat.load.click();
  await expect.poll(() => work.asked).toBe(1);
  work.hang = false;
  await chat.stop.click();
  await expect(chat.load).toBeVisible();
  await chat.loadModel();
  expect(await chat.ask('Where is the sea?')).not.toBe('');
});

test('a page whose site data was cleared goes on, and loads again', async ({ product, profile }) => {
  const { page, context } = await profile.open();
  await page.goto(`${product.site.origin}${BLANK}`);
  const start = () =>
    page.evaluate(async (model) => {
      const { load } = (await import('/lib/index.js' as string)) as Library;
      const engine = await load(model, { backend: 'cpu' });
      Object.assign(globalThis, { engine });
    }, TINY);
  const ask = () =>
    page.evaluate(async () => {
      const { engine } = globalThis as unknown as { engine: Awaited<ReturnType<Library['load']>> };
      const { ids, stats } = await engine.generate([1, 2, 3], { maxNewTokens: 4, temperature: 0 }).result;
      return { ids, recoveries: stats.recoveries ?? 0 };
    });
  await start();
  const before = await ask();
  const cdp = await context.newCDPSession(page);
  await cdp.send('Storage.clearDataForOrigin', { origin: product.site.origin, storageTypes: 'all' });
  expect(await ask()).toEqual(before);
  for (let time = 0; time < 3; time++) {
    await start();
    expect(await ask()).toEqual(before);
  }
  expect(
    await page.evaluate(
      async () => (await ((await import('/lib/index.js' as string)) as Library).storedModels()).length,
    ),
  ).toBeLessThan(2);
});

test('a page without Web Locks loads, too', async ({ product, profile }) => {
  const { page } = await profile.open();
  await page.addInitScript(() => Object.defineProperty(navigator, 'locks', { value: undefined }));
  await page.goto(`${product.site.origin}/?model=${TINY}&backend=cpu&max-new-tokens=8`);
  const chat = new Chat(page);
  await chat.loadModel();
  expect(await chat.ask('Where is the sea?')).not.toBe('');
});

test(`after each of ${CANCELS} cancels at a random moment the next question is answered`, async ({
  product,
  profile,
}) => {
  const { page } = await profile.open();
  await page.goto(`${product.site.origin}${BLANK}`);
  const outcome = await page.evaluate(
    async ({ model, cancels }) => {
      const { load } = (await import('/lib/index.js' as string)) as Library;
      const deaf = "addEventListener('message', ({ data }) => { if (data === 'hang') for (;;); });";
      const code = [deaf, `importScripts(${JSON.stringify(new URL('/lib/worker.js', location.href).href)})`].join('\n');
      const url = URL.createObjectURL(new Blob([code], { type: 'text/javascript' }));
      const workers: Worker[] = [];
      const createWorker = () => {
        const worker = new Worker(url);
        workers.push(worker);
        return worker;
      };
      let loads = 0;
      const open = (signal?: AbortSignal) => {
        const onProgress = ({ phase }: { phase: string }) => void (phase === 'ready' && loads++);
        return load(model, { backend: 'cpu', storage: 'none', createWorker, signal, onProgress });
      };
      const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
      const timed = async (work: () => Promise<unknown>) => {
        const from = performance.now();
        await work();
        return performance.now() - from;
      };
      const question = { maxNewTokens: 30, temperature: 0, ignoreEos: true };
      const ids = Array.from({ length: 60 }, (_, i) => i + 1);
      let engine = await open();
      const answerMs = await timed(() => engine.generate(ids, question).result);
      const loadMs = await timed(async () => (await open()).dispose());
      const firsts: number[] = [];
      const ends: string[] = [];
      let [hung, slow, replaced] = [0, 0, 0];
      for (let i = 0; i < cancels; i++) {
        const isLoad = i % 2 === 0;
        const isDeaf = Math.floor(i / 2) % 10 === 0;
        const stop = new AbortController();
        const moment = Math.random() * (isLoad ? loadMs : answerMs);
        if (isLoad) engine.dispose();
        const before = { made: workers.length, loads };
        const running = isLoad
          ? open(stop.signal).then((loaded) => {
              engine = loaded;
              return 'whole';
            })
          : engine.generate(ids, { ...question, signal: stop.signal }).result.then(({ finish }) => finish);
        const ended = running.catch(({ code }: { code: string }) => code);
        await pause(moment);
        if (isDeaf) workers.at(-1)!.postMessage('hang');
        stop.abort();
        const asked = performance.now();
        const end = await ended;
        ends.push(end);
        if (isDeaf) hung++;
        else slow = Math.max(slow, performance.now() - asked);
        // it had come to its end before the worker hung: so the next question is what is stopped
        if (isDeaf && end !== 'aborted') {
          const late = engine.generate(ids, question);
          late.stop();
          ends.push((await late.result).finish);
        }
        const from = performance.now();
        if (isLoad && end !== 'whole') engine = await open();
        const next = engine.generate(ids, { ...question, maxNewTokens: 1 });
        for await (const _ of next.parts) break;
        await next.result;
        firsts.push(performance.now() - from);
        // an answer's worker is made again where it hung, and nowhere else
        if (!isLoad && !isDeaf && (workers.length !== before.made || loads !== before.loads)) replaced++;
      }
      engine.dispose();
      return { firsts, ends, hung, slow, replaced };
    },
    { model: TINY, cancels: CANCELS },
  );
  const { firsts, ends, hung, slow, replaced } = outcome;
  expect(ends).toContain('aborted');
  const ms = (value: number) => `${Math.round(value)} ms`;
  const sorted = firsts.toSorted((a, b) => a - b);
  const kinds = [...new Set(ends)].map((end) => `${ends.filter((other) => other === end).length} ${end}`).join(', ');
  console.log(
    `${CANCELS} cancels (${kinds}), ${hung} of them in a worker that does not listen. The next question's first token: ` +
      `${ms(sorted[sorted.length >> 1])} (median), ${ms(sorted.at(-1)!)} at most; a worker that listens ended within ${ms(slow)}.`,
  );
  expect(firsts).toHaveLength(CANCELS);
  expect(replaced).toBe(0);
  expect([...new Set(ends)].filter((end) => !['aborted', 'whole', 'length'].includes(end))).toEqual([]);
  expect(sorted.at(-1)).toBeLessThan(WATCHDOG);
});
