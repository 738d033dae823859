/**
 * A device or a worker that is lost while a real browser loads, reads the question or answers: killed GPU processes (one
 * kill a fresh browser), ended workers, frozen pages, and the person's own Stop in each of these moments.
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
const SLOW = `{
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
const serverOptions: Partial<ServerOptions> = {
  intercept(request, response, path) {
    if (path.startsWith('/assets/worker-') && path.endsWith('.js')) {
      response.writeHead(200, { 'Content-Type': 'text/javascript' });
      response.end(SLOW + readFileSync(`dist/site${path}`, 'utf8'));
      return true;
    }
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
  [stalled, asked] = [0, 0];
});

const url = (origin: string, query = '&backend=webgpu&kv=f32&chunk=8&max-context=80') => `${origin}/?model=${TINY}${query}`;

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

  test(`Stop in the ${moment} takes at most one submit, and the next answer is a fresh one’s`, async ({
    product,
    profile,
  }) => {
    const chat = await reach(await profile.open({ webgpu: true }), product.site.origin, moment);
    await chat.stop.click();
    await expect.poll(async () => chat.view.evaluate((view) => (view as unknown as { session: { phase: string } }).session.phase)).toMatch(/idle|ready/);
    if (moment === 'download') {
      expect(await chat.page.workers()).toHaveLength(0);
      await chat.loadModel();
    } else {
      await chat.page.waitForTimeout(300);
      const { submits, atCancel } = await seen(chat);
      expect(submits - atCancel!).toBeLessThanOrEqual(1);
      const kept = await said(chat);
      expect(moment === 'prefill' ? kept === QUESTION : kept !== '' && whole.text.startsWith(kept)).toBe(true);
      await chat.page.getByRole('button', { name: 'New chat' }).click();
    }
    await chat.ask(QUESTION);
    await expectWhole(chat);
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
