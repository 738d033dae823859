/** WebKitGTK, through WebDriver: its own driver starts a small browser, under a display that nobody sees. */
import { asExpression, type Browser, type Engine, fromPage, type Tab } from './browser.ts';
import { onPath, start } from './process.ts';

const SCRIPT_MS = 600_000; // for a page that hangs

/** A command of WebDriver. @throws Error with what the driver says */
// biome-ignore lint/suspicious/noExplicitAny: what comes back is the command's own
async function command(address: string, path: string, body?: object, method = body ? 'POST' : 'GET'): Promise<any> {
  const response = await fetch(address + path, { method, body: body && JSON.stringify(body) });
  const { value } = await response.json();
  if (!response.ok) throw new Error(`${path}: ${value?.error}: ${value?.message}`);
  return value;
}

/** There is one window in front: commands for several tabs go one after another, each after a switch. */
const tab = (session: string, handle: string, inTurn: <T>(work: () => Promise<T>) => Promise<T>): Tab => {
  const here = <T>(work: () => Promise<T>) =>
    inTurn(async () => {
      await command(session, '/window', { handle });
      return work();
    });
  return {
    goto: (url) => here(() => command(session, '/url', { url })),
    reload: () => here(() => command(session, '/refresh', {})),
    run: async (body) =>
      fromPage(
        await here(() =>
          command(session, '/execute/async', {
            script: `const done = arguments[0]; ${asExpression(body)}.then(done);`,
            args: [],
          }),
        ),
      ),
  };
};

export const webkit: Engine = {
  name: 'WebKitGTK',
  // a session under the driver keeps nothing on disk
  lasts: false,
  missing() {
    const lacking = [
      ['WebKitWebDriver', 'webkit2gtk-driver'],
      ['xvfb-run', 'xvfb'],
    ].filter(([program]) => !onPath(program));
    const names = lacking.map(([, name]) => name).join(' ');
    return names ? `${names} not installed (apt-get install ${names})` : null;
  },
  async open(): Promise<Browser> {
    const port = 20_000 + Math.floor(Math.random() * 20_000);
    const driver = ['xvfb-run', '-a', 'sh', '-c', `WebKitWebDriver --port=${port} & echo started; wait`];
    const { running } = await start(driver, /started/, { LIBGL_ALWAYS_SOFTWARE: '1' });
    try {
      const address = `http://127.0.0.1:${port}`;
      const { sessionId, capabilities } = await ready(() => command(address, '/session', { capabilities: {} }));
      const session = `${address}/session/${sessionId}`;
      await command(session, '/timeouts', { script: SCRIPT_MS, pageLoad: SCRIPT_MS });
      let last: Promise<unknown> = Promise.resolve();
      const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
        const mine = last.then(work);
        last = mine.catch(() => {});
        return mine;
      };
      let first: string | null = await command(session, '/window');
      return {
        name: `WebKitGTK ${capabilities.browserVersion}`,
        async newTab() {
          const handle = first ?? (await inTurn(() => command(session, '/window/new', { type: 'tab' }))).handle;
          first = null;
          return tab(session, handle, inTurn);
        },
        async close() {
          await command(session, '', undefined, 'DELETE').catch(() => {});
          await running.end();
        },
      };
    } catch (error) {
      await running.end();
      throw error;
    }
  },
};

/** Asks until the driver listens, which it does not tell. */
async function ready<T>(ask: () => Promise<T>): Promise<T> {
  const until = Date.now() + 60_000;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const refused = (error as { cause?: { code?: string } }).cause?.code === 'ECONNREFUSED';
      if (!refused || Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
