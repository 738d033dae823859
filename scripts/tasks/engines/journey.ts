/**
 * What a visitor does, step by step, in any engine: loads a model, asks, comes back, opens a second tab, goes offline,
 * and meets the widget on somebody's page. On the CPU, with the tiny model, whose answers every engine must agree on.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ServerOptions, serve, serveProduct } from '../../testing/server.ts';
import type { Browser, Engine, Tab } from './browser.ts';

const TINY = '/models/tiny/';
const MODELS: ServerOptions['mounts'] = [[TINY, 'reference/fixtures/tiny-llama-128/nf4']];
const QUERY = `?model=${TINY}&backend=cpu`;

export interface Step {
  name: string;
  /** null: it is right */
  problem: string | null;
  ms: number;
}

/** In every page: what is seen of the chat. */
const CHAT = `
  const find = (root, name) => {
    for (const element of root.querySelectorAll('*')) {
      const found = element.localName === name ? element : element.shadowRoot && find(element.shadowRoot, name);
      if (found) return found;
    }
  };
  // each look is of the page as it is: a message may come in between, but no clock is asked what the page says
  const until = async (what, look) => {
    const end = Date.now() + 40000;
    for (;;) {
      const { error } = session() ?? {};
      if (error) throw new Error(error.code + ': ' + error.message);
      const found = look();
      if (found) return found;
      if (Date.now() > end) {
        const { phase, progress } = session() ?? {};
        throw new Error('no end of: ' + what + '; the page is ' + phase + ' ' + JSON.stringify(progress));
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const view = () => find(document, 'nibble-view');
  const session = () => view()?.session;
  const button = (text) => [...(view()?.shadowRoot.querySelectorAll('button') ?? [])]
    .find((each) => each.textContent.trim().startsWith(text));
  const ready = () => until('loading', () => session()?.phase === 'ready' && session());
  const state = () => {
    const { messages, result } = session();
    return { messages: messages.map(({ content }) => content), ids: result?.ids ?? null, reused: result?.stats.reusedTokens ?? null };
  };`;

interface Said {
  messages: string[];
  ids: number[] | null;
  reused: number | null;
}

const shown = (tab: Tab) => tab.run<Said>(`${CHAT} await ready(); return state();`);

/** Takes the offer, as a click does. */
const load = (tab: Tab) =>
  tab.run<Said>(`${CHAT} (await until('the offer', () => button('Load'))).click(); await ready(); return state();`);

/** Types a question and sends it. */
const ask = (tab: Tab, question: string) =>
  tab.run<Said>(`${CHAT}
    await ready();
    const page = document.querySelector('nibble-page');
    if (page) await until('what the page keeps, or will', () => page.kept || page.keep);
    const before = session().messages.length;
    const composer = await until('the composer', () => find(view().shadowRoot, 'nibble-composer')?.shadowRoot.querySelector('textarea'));
    composer.value = ${JSON.stringify(question)};
    composer.dispatchEvent(new InputEvent('input', { bubbles: true, composed: true }));
    composer.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, composed: true, cancelable: true }));
    await until('the answer', () => session().phase === 'ready' && session().messages.length > before);
    return state();`);

/** The page and its worker may share memory. */
const isolated = async (tab: Tab) =>
  equal('isolated', await tab.run(`${CHAT} return [crossOriginIsolated, session().info.coi];`), [true, true]);

/** Waits until the cache of all that was said is in the browser's storage. */
const saved = (tab: Tab) =>
  tab.run(`${CHAT}
    const { promptTokens, newTokens } = session().result.stats;
    const done = (request) => new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const tokens = async () => {
      if (!(await indexedDB.databases()).some(({ name }) => name === 'nibble-saved')) return 0;
      const database = await done(indexedDB.open('nibble-saved'));
      const all = await done(database.transaction('keyval').objectStore('keyval').getAll());
      database.close();
      return all[0]?.tokens;
    };
    const end = Date.now() + 60000;
    while ((await tokens()) !== promptTokens + newTokens - 1) if (Date.now() > end) throw new Error('the cache is not saved: ' + (await tokens()) + ' ' + JSON.stringify(find(document, 'nibble-page').kept));`);

const widgetStart = (tab: Tab, model: string) =>
  tab.run(`${CHAT}
    const widget = document.querySelector('nibble-chat');
    widget.setAttribute('model', ${JSON.stringify(model)});
    widget.setAttribute('backend', 'cpu');
    const start = await until('the widget', () => [...(widget.shadowRoot?.querySelectorAll('button') ?? [])].find((each) => /Start/.test(each.textContent)));
    start.click();
    await until('the chat of the widget', () => view());`);

function equal(what: string, is: unknown, right: unknown): void {
  const [a, b] = [JSON.stringify(is), JSON.stringify(right)];
  if (a !== b) throw new Error(`${what}: ${a} in the place of ${b}`);
}

/**
 * @param right ids of the answers, from another engine; what this one says is put there where nothing is yet
 * @returns each step, to the first that failed and with it
 */
export async function journey(
  engine: Engine,
  right: Map<string, number[] | null>,
  told: (step: Step) => void,
): Promise<{ name: string; steps: Step[] }> {
  const profile = await mkdtemp(join(tmpdir(), 'nibble-engine-'));
  const product = await serveProduct('.', { models: MODELS });
  // a host of static files, whose owner has asked the page to isolate itself
  const bare = await serve({
    mounts: [...MODELS, ['/', 'dist/site']],
    replace: { '<head>': '<head><meta name="nibble-isolate" />' },
  });
  let browser: Browser | null = null;
  const steps: Step[] = [];
  const fetched = () => product.site.bytes(TINY);
  const step = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const started = performance.now();
    let problem: string | null = null;
    try {
      return await work();
    } catch (error) {
      problem = (error as Error).message;
      throw error;
    } finally {
      steps.push({ name, problem, ms: performance.now() - started });
      told(steps.at(-1)!);
    }
  };
  /** Every engine says the same, to the last token. */
  const agrees = (name: string, { ids }: Said) => {
    if (!right.has(name)) right.set(name, ids);
    equal(`the answer (${name})`, ids, right.get(name));
  };
  let name = engine.name;
  try {
    browser = await step('opens', () => engine.open(profile));
    name = browser.name;
    const { site, host } = product;
    let tab = await browser.newTab();
    await step('load', async () => {
      await tab.goto(`${site.origin}/${QUERY}`);
      await load(tab);
      if (fetched() === 0) throw new Error('nothing was fetched');
      await isolated(tab);
    });
    let said = await step('answer', () => ask(tab, 'cat'));
    agrees('first', said);
    product.site.reset();
    await step('reload without a byte', async () => {
      await saved(tab);
      await tab.reload();
      await shown(tab);
      equal('bytes of the model', fetched(), 0);
    });
    await step('the conversation goes on', async () => {
      equal('what was said', (await shown(tab)).messages, said.messages);
      said = await ask(tab, 'yes');
      agrees('second', said);
      if (!said.reused) throw new Error('nothing of the saved cache was used');
    });
    await step('two tabs', async () => {
      const other = await browser!.newTab();
      await other.goto(`${site.origin}/${QUERY}`);
      await shown(other);
      equal('what the second tab shows', (await shown(other)).messages, []);
      agrees('first', await ask(other, 'cat'));
      said = await ask(tab, 'no');
      agrees('third', said);
      equal('bytes of the model', fetched(), 0);
      await other.goto('about:blank');
    });
    await step('the widget', async () => {
      const page = await browser!.newTab();
      await page.goto(host.origin);
      await widgetStart(page, site.origin + TINY);
      await load(page);
      agrees('widget', await ask(page, 'cat'));
      await page.goto('about:blank');
    });
    await step('isolated by its service worker', async () => {
      const page = await browser!.newTab();
      await page.goto(`${bare.origin}/${QUERY}`);
      await load(page);
      await page.run(`${CHAT} await until('the service worker', () => navigator.serviceWorker.controller);`);
      await page.reload();
      await shown(page);
      await isolated(page);
      agrees('first', await ask(page, 'cat'));
      await page.goto('about:blank');
    });
    await step('offline', async () => {
      await saved(tab);
      // it takes the page over a moment after it is ready
      await tab.run(`${CHAT} await until('the service worker', () => navigator.serviceWorker.controller);`);
      if (engine.lasts) {
        await browser!.close();
        browser = null;
      }
      await product.close();
      if (engine.lasts) {
        browser = await engine.open(profile);
        tab = await browser.newTab();
      }
      await tab.goto(`${site.origin}/${QUERY}`);
      equal('what was said', (await shown(tab)).messages, said.messages);
      await isolated(tab);
      agrees('fourth', await ask(tab, 'no'));
    });
  } catch {
    // the step says it
  } finally {
    await browser?.close().catch(() => {});
    await product.close().catch(() => {});
    await bare.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
  return { name, steps };
}
