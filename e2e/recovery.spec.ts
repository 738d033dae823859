/**
 * A device or a worker that is lost while a real browser loads, reads the question or answers: killed GPU processes (one
 * kill a fresh browser), ended workers, suspended pages, and the person's own Stop in each of these moments.
 */
import { readFileSync } from 'node:fs';
import type { ServerOptions } from '../scripts/server';
import { Chat, expect, TINY, test, type Visit } from './product';

/** The tiny model says 40 tokens to it, of 17 kinds, before its end-of-turn would come. */
const QUESTION = 'Where is the sea?';

/**
 * Runs in the worker before anything of ours: slows the tiny model down to something that can be interrupted, and counts
 * submits, those before the page's last `cancel` apart.
 */
const SLOW = `if (self.GPUQueue) {
  const seen = (self.seen = { submits: 0, atCancel: null });
  const slow = (type, name, ms) => {
    const original = type.prototype[name];
    type.prototype[name] = async function (...args) {
      await original.apply(this, args);
      await new Promise((resolve) => setTimeout(resolve, ms));
    };
  };
  slow(GPUQueue, 'onSubmittedWorkDone', 40);
  slow(GPUBuffer, 'mapAsync', 40);
  const { submit } = GPUQueue.prototype;
  GPUQueue.prototype.submit = function (...args) {
    seen.submits++;
    return submit.apply(this, args);
  };
  addEventListener('message', ({ data }) => {
    if (data?.path?.[0] === 'cancel') seen.atCancel = seen.submits;
  });
}
`;

/** The first so many requests for weights get half an answer, and then silence. */
let stalled = 0;
let asked = 0;
/** the executor's code does not arrive: the load stands still where it is about to allocate */
let held = false;
const serverOptions: Partial<ServerOptions> = {
  intercept(request, response, path) {
    if (path.startsWith('/assets/worker-') && path.endsWith('.js')) {
      response.writeHead(200, { 'Content-Type': 'text/javascript' });
      response.end(SLOW + readFileSync(`dist/site${path}`, 'utf8'));
      return true;
    }
    if (held && path.startsWith('/assets/on-cpu-')) return true;
    if (path !== `${TINY}model.safetensors` || request.method !== 'GET') return false;
    if (++asked > stalled) return false;
    const bytes = readFileSync('reference/fixtures/tiny-llama-128/nf4/model.safetensors');
    const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '')!.map(Number);
    response.writeHead(206, {
      'Content-Range': `bytes ${from}-${to}/${bytes.length}`,
      'Content-Length': to + 1 - from,
    });
    response.write(bytes.subarray(from, from + ((to - from) >> 1)));
    return true;
  },
};

test.use({ serverOptions });
test.beforeEach(() => {
  [stalled, asked, held] = [0, 0, false];
});

const url = (origin: string, query = '&backend=webgpu&kv=f32&chunk=8&max-context=80') =>
  `${origin}/?model=${TINY}${query}`;

interface Seen {
  submits: number;
  atCancel: number | null;
}
const seen = ({ page }: Chat) =>
  page
    .workers()
    .at(-1)!
    .evaluate(() => ({ ...(self as unknown as { seen: Seen }).seen }));

async function begin(chat: Chat) {
  await chat.question.fill(QUESTION);
  await chat.question.press('Enter');
}
const said = async (chat: Chat) => (await chat.state()).messages.at(-1)?.content ?? '';

/** Waits for a moment of the load or the answer. */
const MOMENTS = {
  async download(chat: Chat) {
    await chat.load.click();
    await expect.poll(() => asked).toBeGreaterThan(0);
    // so that the half that was sent has arrived: nothing in the page tells of a piece of a chunk
    await chat.page.waitForTimeout(200);
  },
  async prefill(chat: Chat) {
    const { submits } = await seen(chat);
    await begin(chat);
    await expect.poll(async () => (await seen(chat)).submits, { intervals: [20] }).toBeGreaterThan(submits + 2);
    expect(await said(chat)).toBe('');
  },
  async decode(chat: Chat) {
    await begin(chat);
    await expect.poll(async () => (await said(chat)).length, { intervals: [20] }).toBeGreaterThan(2);
  },
};
type Moment = keyof typeof MOMENTS;

/** What nobody disturbed. */
let whole: { ids: number[]; text: string };
test.beforeEach(async ({ product, profile }) => {
  if (whole) return;
  const { page, close } = await profile.open({ webgpu: true });
  const chat = new Chat(page);
  // each test starts with an empty store
  await page.goto(`${url(product.site.origin)}&storage=none`);
  await chat.loadModel();
  const text = await chat.ask(QUESTION);
  whole = { ids: (await chat.state()).result!.ids, text };
  expect(whole.ids.length).toBe(40);
  await close();
});

/** Brings the page to the moment, with a model that is loaded where the moment needs one. */
async function reach({ page }: Visit, origin: string, moment: Moment, query?: string): Promise<Chat> {
  const chat = new Chat(page);
  if (moment === 'download') stalled = 1;
  await page.goto(url(origin, query));
  if (moment !== 'download') await chat.loadModel();
  await MOMENTS[moment](chat);
  return chat;
}

/** Of a page that keeps no conversation every submit is the answer's, and every worker the model's. */
const keepNothing = ({ page }: Visit) => page.addInitScript(() => localStorage.setItem('nibble-chat-off', ''));

async function expectWhole(chat: Chat) {
  const { result, messages } = await chat.state();
  expect(result!.ids).toEqual(whole.ids);
  expect(result!.text).toBe(whole.text);
  expect(messages.at(-1)!.content).toBe(whole.text);
  return result!;
}

for (const moment of ['download', 'prefill', 'decode'] as const) {
  test(`the GPU process dies in the ${moment}: the answer is complete and equal`, async ({ product, profile }) => {
    const visit = await profile.open({ webgpu: true });
    const chat = await reach(visit, product.site.origin, moment);
    visit.killGpu();
    if (moment === 'download') {
      await expect(chat.question).toBeVisible();
      await chat.ask(QUESTION);
    } else {
      await expect(chat.view.getByText('The graphics device was lost: the model is being loaded again.')).toBeVisible();
      await chat.answered();
    }
    const { stats } = await expectWhole(chat);
    expect(stats.recoveries).toBe(moment === 'download' ? undefined : 1);
    await expect(chat.stat('backend')).toContainText('WebGPU');
  });
}

test('a second loss within a minute ends in the sentence that asks to reload, and what was said stays', async ({
  product,
  profile,
}) => {
  const visit = await profile.open({ webgpu: true });
  const chat = await reach(visit, product.site.origin, 'decode');
  visit.killGpu();
  const before = await said(chat);
  await expect.poll(async () => (await said(chat)).length, { intervals: [20] }).toBeGreaterThan(before.length);
  visit.killGpu();
  await expect(chat.error).toContainText('Reload the page to go on.');
  await expect(chat.error).toContainText('device-lost');
  const kept = await said(chat);
  expect(kept.length).toBeGreaterThan(before.length);
  expect(whole.text.startsWith(kept)).toBe(true);
  await expect(chat.log).toContainText(QUESTION);
});

test('Stop in each moment takes at most one submit, and the next answer is a fresh one’s', async ({
  product,
  profile,
}) => {
  const visit = await profile.open({ webgpu: true });
  await keepNothing(visit);
  const chat = await reach(visit, product.site.origin, 'download');
  await chat.stop.click();
  await expect(chat.load).toBeVisible();
  // the one that tells what the model takes stays for as long as it is asked
  await expect.poll(() => chat.page.workers().length).toBeLessThanOrEqual(1);
  await chat.loadModel();
  for (const moment of ['prefill', 'decode'] as const) {
    await MOMENTS[moment](chat);
    await chat.stop.click();
    await chat.answered();
    const { submits, atCancel } = await seen(chat);
    expect(submits - atCancel!, moment).toBeLessThanOrEqual(1);
    const kept = await said(chat);
    if (moment === 'prefill') expect(kept).toBe(QUESTION);
    else expect(kept !== '' && kept !== whole.text && whole.text.startsWith(kept)).toBe(true);
    await chat.page.getByRole('button', { name: 'New chat' }).click();
  }
  await chat.ask(QUESTION);
  await expectWhole(chat);
});

test('a worker that is ended from elsewhere is replaced; one that breaks a moment later asks to reload', async ({
  product,
  profile,
}) => {
  const visit = await profile.open({ webgpu: true });
  await keepNothing(visit);
  await visit.page.addInitScript(() => {
    const made: Worker[] = Object.assign(self, { made: [] as Worker[] }).made;
    self.Worker = class extends Worker {
      constructor(...args: ConstructorParameters<typeof Worker>) {
        super(...args);
        made.push(this);
      }
    };
  });
  const chat = await reach(visit, product.site.origin, 'decode');
  await chat.page.evaluate(() => (self as unknown as { made: Worker[] }).made.at(-1)!.terminate());
  await expect(
    chat.view.getByText('The worker that runs the model died: the model is being loaded again.'),
  ).toBeVisible();
  await chat.answered();
  expect((await expectWhole(chat)).stats.recoveries).toBe(1);

  await chat.page.getByRole('button', { name: 'New chat' }).click();
  await MOMENTS.decode(chat);
  const worker = chat.page.workers().at(-1)!;
  await worker.evaluate(() => {
    setTimeout(() => {
      throw new Error('broken');
    });
  });
  await expect(chat.error).toContainText('Reload the page to go on.');
  await expect(chat.error).toContainText('worker-failed');
  expect(whole.text.startsWith(await said(chat))).toBe(true);
  await expect(chat.log).toContainText(QUESTION);
});

test('a page that the system suspends in mid-answer keeps what it had, and goes on', async ({ product, profile }) => {
  const visit = await profile.open({ webgpu: true });
  const chat = await reach(visit, product.site.origin, 'decode');
  const before = await said(chat);
  visit.suspend(true);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  visit.suspend(false);
  expect((await said(chat)).startsWith(before)).toBe(true);
  await chat.answered();
  expect((await expectWhole(chat)).stats.recoveries).toBeUndefined();
});

/** The mark of a load under way, as IndexedDB has it; with `put`, written there for the model that is kept. */
const mark = ({ page }: Chat, put = false) =>
  page.evaluate(async (put) => {
    const done = <T>(request: IDBRequest<T>) =>
      new Promise<T>((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const keyval = async (name: string) => {
      const known = await indexedDB.databases();
      if (!known.some((database) => database.name === name)) return null;
      return (await done(indexedDB.open(name))).transaction('keyval', 'readwrite').objectStore('keyval');
    };
    const loading = await keyval('nibble-loading');
    if (!put) return loading && ((await done(loading.get('loading'))) as { id: string; bytes: number } | undefined);
    const [key] = await done((await keyval('nibble-models'))!.getAllKeys());
    const dead = { id: 'dead', key, bytes: 123e6, at: 0 };
    await done((await keyval('nibble-loading'))!.put(dead, 'loading'));
    return dead;
  }, put);

test('a browser that dies while it loads is recognised at the next start; a person who leaves is not', async ({
  product,
  profile,
}) => {
  const cpu = url(product.site.origin, '&backend=cpu');
  const note = /ended without a word.*it was to take \d+ MB.*smaller/;
  let visit = await profile.open();
  let chat = new Chat(visit.page);
  const begun = async () => {
    await chat.load.click();
    await expect.poll(async () => (await mark(chat))?.bytes ?? 0).toBeGreaterThan(0);
  };
  held = true;
  await chat.page.goto(cpu);
  await begun();
  const dead = (await mark(chat))!.id;
  await visit.kill();

  visit = await profile.open();
  chat = new Chat(visit.page);
  await chat.page.goto(cpu);
  await chat.load.click();
  await expect(chat.view.getByText(note)).toBeVisible();
  await expect.poll(async () => (await mark(chat))!.id).not.toBe(dead);
  await chat.page.reload();
  expect(await mark(chat)).toBeTruthy();
  await begun();
  await expect(chat.view.getByText(note)).toHaveCount(0);
  held = false;
  await chat.page.reload();
  await chat.loadModel();
  expect(await mark(chat)).toBeFalsy();
  // kept whole, it is loaded by itself; not after such an end
  await chat.page.reload();
  await expect(chat.question).toBeVisible();
  await mark(chat, true);
  await chat.page.reload();
  await expect(chat.view.getByText('it was to take 123 MB')).toBeVisible();
  await expect(chat.question).toHaveCount(0);
  await chat.loadModel();
  await chat.page.reload();
  await expect(chat.question).toBeVisible();
});
