/**
 * A page behind another tab, and one that the browser has frozen there, in mid-answer and in mid-load. Playwright keeps
 * every page in front, so the browser is spoken to over its own pipe.
 */
import { openPipedPage, type PipedPage } from '../scripts/testing/devtools-pipe';
import { callStore } from './in-store';
import { expect, TINY, test } from './product';
import { slowWorker } from './slow-worker';

const QUESTION = 'Where is the sea?';

/** the executor's code does not arrive: the load stands still where it is about to allocate */
let held = false;
test.use({
  serverOptions: {
    intercept: (request, response, path) =>
      slowWorker(request, response, path) || (held && path.startsWith('/assets/on-cpu-')),
  },
});

/** In every page: what it was told of its own state, and the element that shows the chat. */
const SEEN = `
  const told = (self.told ??= ['visibilitychange', 'freeze', 'resume'].reduce((told, name) => {
    document.addEventListener(name, () => told.push(name));
    return told;
  }, []));
  const find = (root) => {
    for (const element of root.querySelectorAll('*')) {
      const found = element.localName === 'nibble-view' ? element : element.shadowRoot && find(element.shadowRoot);
      if (found) return found;
    }
  };
  const view = find(document);
  const session = view?.session;`;

interface Seen {
  phase: string;
  /** of the last message */
  text: string;
  shown: string;
  ids: number[] | null;
  recoveries?: number;
  error: string | null;
  visibility: string;
  told: string[];
}

/** What the page shows and knows now; it answers when frozen, too. */
const look = (page: PipedPage) =>
  page.evaluate<Seen>(`(() => {${SEEN}
    const deep = (node) => [node.shadowRoot, ...node.childNodes].map((each) =>
      !each ? '' : each.nodeType === 3 ? each.data : /style/i.test(each.localName) ? '' : deep(each)).join('');
    const { phase, messages, result, error } = session;
    return { phase, text: messages.at(-1)?.content ?? '', shown: deep({ shadowRoot: view.shadowRoot, childNodes: [] }),
      ids: result?.ids ?? null, recoveries: result?.stats.recoveries, error: error?.code ?? null,
      visibility: document.visibilityState, told };
  })()`);

/** Opens the chat, and waits for the element that shows it. */
async function open(address: string): Promise<PipedPage> {
  const page = await openPipedPage(address);
  await shown(page);
  return page;
}
const shown = (page: PipedPage) =>
  expect.poll(() => page.evaluate(`(() => {${SEEN} return session !== undefined; })()`)).toBe(true);

const load = (page: PipedPage) =>
  page.evaluate(`(async () => {${SEEN} await session.load(true); if (session.error) throw session.error; })()`);
/** Asks, and does not wait for the answer. */
const ask = (page: PipedPage) => page.evaluate(`{${SEEN} void session.ask('${QUESTION}'); }`);

async function answered(page: PipedPage): Promise<Seen> {
  await expect.poll(async () => (await look(page)).phase).toBe('ready');
  return look(page);
}
const begun = (page: PipedPage) =>
  expect.poll(async () => (await look(page)).text.length, { intervals: [20] }).toBeGreaterThan(2);

/** What a page shows once it changes no longer: what its worker had sent may still arrive. */
async function atRest(page: PipedPage): Promise<Seen> {
  // far longer, in all, than a token takes
  const LOOKS = 300;
  let seen = await look(page);
  for (let same = 0; same < LOOKS && seen.phase === 'answering'; same++) {
    const now = await look(page);
    if (now.text !== seen.text) [seen, same] = [now, 0];
  }
  return seen;
}

const url = (origin: string, backend: string) =>
  `${origin}/?model=${TINY}&backend=${backend}&tune=small&kv=f32&chunk=8&max-context=80`;

test('a page hidden in mid-answer goes on; one frozen keeps what it had, and goes on when it is let', async ({
  product,
}) => {
  const page = await open(url(product.site.origin, 'webgpu'));
  try {
    await load(page);
    await ask(page);
    const whole = await answered(page);
    expect(whole.ids!.length).toBe(40);
    await page.evaluate(`{${SEEN} session.newChat(); }`);

    const pace = (ms: number) => page.evaluate(`{ new BroadcastChannel('pace').postMessage(${ms}); }`);
    await pace(300);
    await ask(page);
    await begun(page);
    await page.hide(true);
    await expect.poll(async () => (await look(page)).visibility).toBe('hidden');
    // before it was frozen it had time to go on: what a tab is not stopped from, it does
    const before = await look(page);
    await expect.poll(async () => (await look(page)).text.length).toBeGreaterThan(before.text.length);
    await page.freeze(true);
    const frozen = await atRest(page);
    expect(frozen.told).toEqual(['visibilitychange', 'freeze']);
    expect(frozen.phase).toBe('answering');
    expect(whole.text.startsWith(frozen.text)).toBe(true);
    expect(frozen.text.length).toBeLessThan(whole.text.length);
    await page.freeze(false);
    await pace(0);
    await page.hide(false);
    const after = await answered(page);
    expect(after.told).toEqual(['visibilitychange', 'freeze', 'resume', 'visibilitychange']);
    expect(after).toMatchObject({ ids: whole.ids, text: whole.text, error: null, visibility: 'visible' });
    expect(after.recoveries).toBeUndefined();
    expect(after.shown).toContain(QUESTION);
    expect(after.shown).toContain('WebGPU');
  } finally {
    await page.close();
  }
});

/** The mark of a load under way, as IndexedDB has it: the id of its attempt. */
const attempt = async (page: PipedPage) => {
  const asked = JSON.stringify(['nibble-loading', 'get', ['loading']]);
  return (await page.evaluate<{ id: string } | null>(`(${callStore})(${asked})`))?.id ?? null;
};

test('a page hidden while it loads, and ended there by the system, is not taken for one that ran out of memory', async ({
  product,
}) => {
  held = true;
  const address = url(product.site.origin, 'cpu');
  const page = await open(address);
  let last: string | null = null;
  /** Has the page load up to where it stands still. @returns what it shows then */
  async function begin(): Promise<string> {
    await page.evaluate(`{${SEEN} void session.load(true); }`);
    await expect.poll(async () => [null, last].includes(await attempt(page))).toBe(false);
    last = await attempt(page);
    return (await look(page)).shown;
  }
  const ENDED = 'ended without a word';
  try {
    expect(await begin()).not.toContain(ENDED);
    await page.hide(true);
    await expect.poll(async () => (await look(page)).visibility).toBe('hidden');
    await page.end();
    await page.hide(false);
    await page.navigate(address);
    await shown(page);
    await expect.poll(async () => (await look(page)).visibility).toBe('visible');
    expect(await begin()).not.toContain(ENDED);
    await page.end();
    await page.navigate(address);
    await shown(page);
    await begin();
    await expect.poll(async () => (await look(page)).shown).toContain(ENDED);
  } finally {
    held = false;
    await page.close();
  }
});

test('back and forward bring the page again, with its model and its conversation, kept alive or not', async ({
  product,
}) => {
  const { site, host } = product;
  const page = await open(url(site.origin, 'cpu'));
  /** Null where one page takes the place of another meanwhile. */
  const soon = <T>(expression: string) => page.evaluate<T>(expression).catch(() => null);
  const state = () => soon<string>(`(() => {${SEEN} return session?.phase ?? ''; })()`);
  const isAt = (origin: string) => expect.poll(() => soon<string>('location.origin')).toBe(origin);
  const away = async () => {
    await page.evaluate("addEventListener('pageshow', ({ persisted }) => (self.restored = persisted))");
    await soon(`{ location.href = '${host.origin}/'; }`);
    await isAt(host.origin);
  };
  const go = async (by: number, origin: string) => {
    await soon(`{ history.go(${by}); }`);
    await isAt(origin);
  };
  try {
    // a page that holds no worker is kept alive, as it was
    await expect.poll(state).toBe('idle');
    await away();
    await go(-1, site.origin);
    await expect.poll(() => soon('self.restored')).toBe(true);
    await load(page);
    await ask(page);
    const { text } = await answered(page);
    expect(text).not.toBe('');
    site.reset();
    for (let turn = 0; turn < 3; turn++) {
      await away();
      await go(-1, site.origin);
      await expect.poll(state).toBe('ready');
      expect((await look(page)).text).toBe(text);
    }
    await go(1, host.origin);
    await go(-1, site.origin);
    await expect.poll(state).toBe('ready');
    await ask(page);
    const seen = await answered(page);
    expect([seen.error, seen.text === '']).toEqual([null, false]);
    expect(site.bytes(TINY)).toBe(0);
  } finally {
    await page.close();
  }
});
