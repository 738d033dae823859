/** Tabs of one page share one loaded model: one of them has the worker, and another takes over when that goes. */
import type { BrowserContext, Page } from '@playwright/test';
import { type BrowserOptions, Chat, expect, type Profile, TINY, test } from './product';

/**
 * Stands before the worker's script, by a page's own Worker: what it does is counted where it happens, and it computes
 * as slowly as the channel `pace` says (ms each time that it looks at the clock, or waits for the GPU).
 */
const COUNT_AND_PACE = `
let pace = 0;
new BroadcastChannel('pace').onmessage = ({ data }) => (pace = data);
const { now } = performance;
let looks = 0;
performance.now = () => now.call(performance) + 1000 * (pace > 0 ? looks++ : looks);
const Channel = self.MessageChannel;
self.MessageChannel = class extends Channel {
  constructor() {
    super();
    const { postMessage } = this.port2;
    const send = (args) => postMessage.apply(this.port2, args);
    this.port2.postMessage = (...args) => void (pace > 0 ? setTimeout(send, pace, args) : send(args));
  }
};
const before = (type, name, told) => {
  const original = type.prototype[name];
  type.prototype[name] = function (...args) {
    console.debug('counted: ' + told(this, ...args));
    return original.apply(this, args);
  };
};
before(IDBObjectStore, 'get', (store, key) => store.transaction.db.name + ' ' + key);
if (self.GPUAdapter) {
  before(GPUAdapter, 'requestDevice', () => 'device');
  const { mapAsync } = GPUBuffer.prototype;
  GPUBuffer.prototype.mapAsync = async function (...args) {
    await mapAsync.apply(this, args);
    await new Promise((go) => (pace > 0 ? setTimeout(go, 20 * pace) : go()));
  };
}
`;

/** Runs in each page, before anything of ours. */
function wrapWorkers(before: string): void {
  self.Worker = class extends Worker {
    constructor(url: string | URL, options?: WorkerOptions) {
      const text = `${before}\nimport ${JSON.stringify(new URL(url, document.baseURI).href)};`;
      super(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })), options);
    }
  };
}

interface Tab {
  page: Page;
  chat: Chat;
  /** how often its workers read weights that are kept */
  reads: () => number;
  /** how many graphics devices they asked for */
  devices: () => number;
}

async function openTab(context: BrowserContext, address: string, page?: Page): Promise<Tab> {
  const tab = page ?? (await context.newPage());
  const counted: string[] = [];
  tab.on('console', (message) => message.text().startsWith('counted: ') && counted.push(message.text().slice(9)));
  await tab.goto(address);
  const count = (pattern: RegExp) => () => counted.filter((each) => pattern.test(each)).length;
  return { page: tab, chat: new Chat(tab), reads: count(/^nibble-chunks .*safetensors/), devices: count(/^device/) };
}

/** Those that hold a model; threads that compute beside one do not count. */
const workers = ({ page }: Tab) => page.workers().filter((worker) => !worker.url().endsWith('#compute')).length;
const pace = ({ page }: Tab, ms: number) => page.evaluate((ms) => new BroadcastChannel('pace').postMessage(ms), ms);
const said = async ({ chat }: Tab) => (await chat.state()).messages.at(-1)!.content;

async function begin(tab: Tab, question: string) {
  await tab.chat.question.fill(question);
  await tab.chat.question.press('Enter');
}

/** Waits for the model: questions can be typed before it is there. */
const ready = ({ chat }: Tab) =>
  expect
    .poll(() => chat.view.evaluate((view) => (view as unknown as { session: { phase: string } }).session.phase))
    .toBe('ready');

/** The first tab of a browser, with the model in it, and a service worker that can carry ports. */
async function first(profile: Profile, origin: string, query: string, options?: BrowserOptions) {
  const visit = await profile.open(options);
  await visit.context.addInitScript(wrapWorkers, COUNT_AND_PACE);
  const address = `${origin}/?model=${TINY}&ignore-eos&max-new-tokens=40${query}`;
  await visit.page.goto(address);
  const before = { chat: new Chat(visit.page) } as Tab;
  await before.chat.loadModel();
  await ready(before);
  // what the offer says is found out with a device, too: from now on nothing is offered
  const tab = await openTab(visit.context, address, visit.page);
  await ready(tab);
  await tab.page.waitForFunction(async () => (await navigator.serviceWorker.ready).active !== null);
  const weights = () => visit.requests.filter((url) => url.endsWith('.safetensors')).length;
  return { ...visit, tab, address, weights };
}

const QUESTION = 'Where is the sea?';

test.setTimeout(60_000);
test('two tabs have one worker; answers wait for each other; of a tab that is closed in mid-answer another goes on', async ({
  product,
  profile,
}) => {
  const {
    tab: host,
    context,
    address,
    weights,
    complaints,
  } = await first(profile, product.site.origin, '&backend=cpu');
  expect(host.reads()).toBeGreaterThan(0);
  await host.chat.ask('Hello');
  const right = (await host.chat.state()).result!;

  const guest = await openTab(context, address);
  await ready(guest);
  const fetched = weights();
  expect(await guest.chat.ask(QUESTION)).not.toBe('');
  const whole = (await guest.chat.state()).result!;
  expect(whole.ids).toHaveLength(40);
  await expect.poll(() => workers(guest)).toBe(0);
  expect(guest.reads()).toBe(0);
  // to the same question each tab has the same answer, and knows nothing of what the other was asked
  await guest.page.getByRole('button', { name: 'New chat' }).click();
  await guest.chat.ask('Hello');
  expect((await guest.chat.state()).result).toMatchObject({ ids: right.ids, text: right.text });
  await guest.page.getByRole('button', { name: 'New chat' }).click();

  await pace(host, 2);
  await begin(guest, QUESTION);
  await expect.poll(async () => (await said(guest)).length).toBeGreaterThan(2);
  await begin(host, 'And the mountains?');
  await expect(host.chat.view.getByText('Another tab is answering; yours is next.')).toBeVisible();
  await expect(guest.chat.view.locator('[data-ahead]')).toHaveCount(0);
  await host.page.screenshot({ path: 'test-results/screens/tabs-waiting.png' });
  expect((await said(guest)).length).toBeLessThan(whole.text.length);

  await host.page.close();
  await guest.chat.answered();
  const { result, messages } = await guest.chat.state();
  expect(result).toMatchObject({ ids: whole.ids, text: whole.text, stats: { recoveries: 1 } });
  expect(messages.at(-1)!.content).toBe(whole.text);
  // from what is kept here, and from nowhere else
  expect(guest.reads()).toBeGreaterThan(0);
  expect(weights()).toBe(fetched);
  await expect.poll(() => workers(guest)).toBe(1);

  // a saved conversation goes on from there in the tab that takes over; two moves in a minute are none too many
  const third = await openTab(context, address);
  await ready(third);
  await third.page.evaluate(() => {
    const { session } = document.querySelector('nibble-page') as unknown as { session: { saved?: string } };
    session.saved = 'the third';
  });
  await third.chat.ask('Hello');
  const { promptTokens } = (await third.chat.state()).result!.stats;
  await third.page.evaluate(async () => {
    const page = document.querySelector('nibble-page') as unknown as { session: { talk: { save(): Promise<void> } } };
    await page.session.talk.save();
  });
  expect(third.reads()).toBe(0);
  await guest.page.close();
  await expect.poll(() => workers(third)).toBe(1);
  await third.chat.ask(QUESTION);
  const { stats } = (await third.chat.state()).result!;
  // its conversation is a new one: what it was asked is not read again
  expect(stats.reusedTokens).toBeGreaterThan(promptTokens);
  await expect(third.chat.error).toHaveCount(0);
  expect(weights()).toBe(fetched);
  expect(complaints).toEqual([]);

  // the build is in the lock's name
  const names = await third.page.evaluate(async () => (await navigator.locks.query()).held!.map(({ name }) => name!));
  const [build] = JSON.parse(names.find((name) => name.startsWith('nibble-model:'))!.slice('nibble-model:'.length));
  expect(await (await third.page.request.get(build)).text()).toMatch(/\bworker-[\w-]+\.js/);
});

test('on WebGPU two tabs ask for one device; of the tab that has it and is closed in mid-answer the other goes on', async ({
  product,
  profile,
}) => {
  const query = '&backend=webgpu&tune=small&kv=f32';
  const { tab: host, context, address } = await first(profile, product.site.origin, query, { webgpu: true });
  const guest = await openTab(context, address);
  await ready(guest);
  await guest.chat.ask(QUESTION);
  const whole = (await guest.chat.state()).result!;
  expect([host.devices(), guest.devices(), guest.reads()]).toEqual([1, 0, 0]);

  await guest.page.getByRole('button', { name: 'New chat' }).click();
  await pace(host, 2);
  await begin(guest, QUESTION);
  await expect.poll(async () => (await said(guest)).length).toBeGreaterThan(2);
  await host.page.close();
  await guest.chat.answered();
  expect((await guest.chat.state()).result).toMatchObject({ ids: whole.ids, text: whole.text });
  expect(guest.devices()).toBe(1);
});
