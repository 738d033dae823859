/**
 * A device or a worker that is lost while a real browser loads, reads the question or answers: killed GPU processes
 * (one kill a fresh browser), ended workers, and the person's own Stop in each of these moments.
 */
import { readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { etagOf, type ServerOptions } from '../scripts/testing/server';
import { CHUNK_BYTES } from '../src/store/chunk-store';
import { inStore } from './in-store';
import { nodeLibrary } from './node-library';
import { Chat, expect, keepNothing, MODELS, TINY, test, type Visit } from './product';
import { next, type Seen, slowWorker } from './slow-worker';
import { writeWideModel } from './wide-model';

/** The tiny model says 40 tokens to it, of 17 kinds, before its end-of-turn would come. */
const QUESTION = 'Where is the sea?';

const WEIGHTS = 'model.safetensors';
/** The tiny model in six chunks, the last of which is half a one. */
const WIDE = '/models/wide/';
const WIDE_FOLDER = join(tmpdir(), `nibble-wide-${process.pid}`);
const WIDE_BYTES = 5.5 * CHUNK_BYTES;
const HEADER_BYTES = 64 << 10;

/** The next request for this chunk of the wide model's weights gets most of an answer, and then silence. */
let stallAt: number | null = null;
/** the chunks of weights that were asked for */
let asked: number[] = [];
/** the executor's code does not arrive: the load stands still where it is about to allocate */
let held = false;
const serverOptions: Partial<ServerOptions> & { models: ServerOptions['mounts'] } = {
  models: [...MODELS!, [WIDE, WIDE_FOLDER]],
  intercept(request, response, path) {
    if (slowWorker(request, response, path)) return true;
    if (held && path.startsWith('/assets/on-cpu-')) return true;
    if (path !== WIDE + WEIGHTS || request.method !== 'GET') return false;
    const [from, last] = /bytes=(\d+)-(\d+)/.exec(request.headers.range!)!.slice(1).map(Number);
    // the header alone is read by who asks what the model takes
    if (last < HEADER_BYTES) return false;
    asked.push(Math.floor(from / CHUNK_BYTES));
    if (asked.at(-1) !== stallAt) return false;
    stallAt = null;
    const file = join(WIDE_FOLDER, WEIGHTS);
    const bytes = readFileSync(file);
    response.writeHead(206, {
      'Content-Range': `bytes ${from}-${last}/${bytes.length}`,
      'Content-Length': last + 1 - from,
      // of the same version as the other answers
      ETag: etagOf(statSync(file)),
    });
    response.write(bytes.subarray(from, from + Math.floor(0.75 * (last - from))));
    return true;
  },
};

test.use({ serverOptions });
test.beforeEach(() => {
  [stallAt, asked, held] = [null, [], false];
  next.holdAt = Number.POSITIVE_INFINITY;
});

const url = (origin: string, query = '&backend=webgpu&tune=small&kv=f32&chunk=8&max-context=80', model = TINY) =>
  `${origin}/?model=${model}${query}`;

const seen = ({ page }: Chat) =>
  page
    .workers()
    .at(-1)!
    .evaluate(() => ({ ...(self as unknown as { seen: Seen }).seen }));

/** Asks, and has the worker stand still after so many submits. */
async function begin(chat: Chat, submits: number) {
  const worker = chat.page.workers().at(-1)!;
  await worker.evaluate((submits) => {
    const { seen } = self as unknown as { seen: Seen };
    Object.assign(seen, { holdAt: seen.submits + submits, atCancel: null });
  }, submits);
  await chat.question.fill(QUESTION);
  await chat.question.press('Enter');
}
const release = (chat: Chat) =>
  chat.page
    .workers()
    .at(-1)!
    .evaluate(() => (self as unknown as { release(): void }).release());
const said = async (chat: Chat) => (await chat.state()).messages.at(-1)?.content ?? '';

/** Which chunks of the weights are kept. */
async function kept(chat: Chat): Promise<number[]> {
  const keys = ((await inStore(chat.page, 'nibble-chunks', 'getAllKeys')) ?? []) as string[];
  return keys.flatMap((key) => /safetensors#(\d+)$/.exec(key)?.slice(1).map(Number) ?? []).sort();
}

/** Submits after which the question is read and some of the 40 tokens are said. */
const ENOUGH = 16;

/** Waits for a moment of the load or the answer, in which the worker stands still. */
const MOMENTS = {
  /** Some chunks are kept and on the GPU, one is on its way, and one was never asked for. */
  async download(chat: Chat) {
    await chat.load.click();
    await expect.poll(() => kept(chat)).toEqual([0, 1, 3, 4]);
    expect(asked).not.toContain(5);
    await expect.poll(async () => (await seen(chat)).written).toBeGreaterThan(CHUNK_BYTES);
  },
  async prefill(chat: Chat) {
    await begin(chat, 2);
    await expect.poll(async () => (({ submits, holdAt }) => submits >= holdAt)(await seen(chat))).toBe(true);
    expect(await said(chat)).toBe('');
  },
  async decode(chat: Chat) {
    await begin(chat, ENOUGH);
    await expect.poll(async () => (await said(chat)).length).toBeGreaterThan(2);
  },
};
type Moment = keyof typeof MOMENTS;

/** What nobody disturbed, as the CPU computes it. */
let whole: { ids: number[]; text: string };
test.beforeAll(async () => {
  const folder = 'reference/fixtures/tiny-llama-128/nf4';
  writeWideModel(folder, WIDE_FOLDER, WIDE_BYTES);
  const { load } = await nodeLibrary();
  const engine = await load(resolve(folder), { backend: 'cpu', kv: 'f32', maxContext: 80 });
  // the page gives an answer half of the context
  whole = await engine.chat([{ role: 'user', content: QUESTION }], { maxNewTokens: 40 }).result;
  engine.dispose();
  expect(whole.ids.length).toBe(40);
});
test.afterAll(() => rmSync(WIDE_FOLDER, { recursive: true, force: true }));

/** Brings the page to the moment, with a model that is loaded where the moment needs one. */
async function reach({ page }: Visit, origin: string, moment: Moment, query?: string): Promise<Chat> {
  const chat = new Chat(page);
  if (moment === 'download') stallAt = 2;
  await page.goto(url(origin, query, moment === 'download' ? WIDE : TINY));
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
    const visit = await profile.open({ own: true, webgpu: true });
    const chat = await reach(visit, product.site.origin, moment);
    const before = asked.length;
    visit.killGpu();
    if (moment === 'download') {
      await chat.loaded();
      // what was kept is not asked for again
      expect(asked.slice(before).sort()).toEqual([2, 5]);
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
  const visit = await profile.open({ own: true, webgpu: true });
  const chat = await reach(visit, product.site.origin, 'decode');
  // the worker that comes next loads as this one did, and reads what was said, too
  next.holdAt = (await seen(chat)).submits + ENOUGH / 2;
  const first = chat.page.workers().at(-1);
  visit.killGpu();
  // words that come from here on are the next worker's
  await expect.poll(() => chat.page.workers().at(-1) !== first && chat.page.workers().length).toBe(1);
  const before = await said(chat);
  await expect.poll(async () => (await said(chat)).length).toBeGreaterThan(before.length);
  visit.killGpu();
  await expect(chat.error).toContainText('Reload the page to go on.');
  await expect(chat.error).toHaveAttribute('data-code', 'device-lost');
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
    await expect.poll(async () => (await seen(chat)).atCancel).not.toBeNull();
    await release(chat);
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
  await expect(chat.error).toHaveAttribute('data-code', 'worker-failed');
  expect(whole.text.startsWith(await said(chat))).toBe(true);
  await expect(chat.log).toContainText(QUESTION);
});

/** The mark of a load under way; null where none is. */
const mark = (chat: Chat): Promise<{ id: string; bytes: number } | null> =>
  inStore(chat.page, 'nibble-loading', 'get', 'loading') as never;

/** Puts one there for the model that is kept. */
async function putMark(chat: Chat) {
  const [key] = (await inStore(chat.page, 'nibble-models', 'getAllKeys')) as string[];
  await inStore(chat.page, 'nibble-loading', 'put', { id: 'dead', key, bytes: 123e6, at: 0 }, 'loading');
}

test('a browser that dies while it loads is recognised at the next start; a person who leaves is not', async ({
  product,
  profile,
}) => {
  const cpu = url(product.site.origin, '&backend=cpu');
  const note = /ended without a word.*it was to take \d+ MB.*smaller/;
  let visit = await profile.open({ own: true });
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

  visit = await profile.open({ own: true });
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
  await chat.loaded();
  await putMark(chat);
  await chat.page.reload();
  await expect(chat.view.getByText('it was to take 123 MB')).toBeVisible();
  await expect(chat.stat('backend')).toHaveCount(0);
  await chat.loadModel();
  await chat.page.reload();
  await chat.loaded();
});
