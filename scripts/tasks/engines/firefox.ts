/** Firefox, through WebDriver BiDi, which it speaks itself. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asExpression, type Browser, type Engine, fromPage, type Tab } from './browser.ts';
import { onPath, start } from './process.ts';

const NAMES = ['firefox-esr', 'firefox'];

/** One connection: commands by number, their answers in any order. */
class Bidi {
  #last = 0;
  readonly #waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  private constructor(readonly socket: WebSocket) {
    socket.addEventListener('message', ({ data }) => {
      const { id, result, error, message } = JSON.parse(data);
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) waiting?.reject(new Error(`${error}: ${message}`));
      else waiting?.resolve(result);
    });
    socket.addEventListener('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('Firefox has closed the connection.'));
    });
  }

  static connect(address: string): Promise<Bidi> {
    const socket = new WebSocket(address);
    return new Promise((resolve, reject) => {
      socket.addEventListener('open', () => resolve(new Bidi(socket)));
      socket.addEventListener('error', () => reject(new Error(`${address} cannot be reached.`)));
    });
  }

  // biome-ignore lint/suspicious/noExplicitAny: what comes back is the command's own
  send(method: string, params: object = {}): Promise<any> {
    const id = ++this.#last;
    this.socket.send(JSON.stringify({ id, method, params }));
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }
}

const tab = (bidi: Bidi, context: string): Tab => ({
  async goto(url) {
    await bidi.send('browsingContext.navigate', { context, url, wait: 'complete' });
  },
  async reload() {
    await bidi.send('browsingContext.reload', { context, wait: 'complete' });
  },
  async run(body) {
    const { result, exceptionDetails } = await bidi.send('script.evaluate', {
      expression: asExpression(body),
      target: { context },
      awaitPromise: true,
    });
    if (exceptionDetails) throw new Error(exceptionDetails.text);
    return fromPage(result.value);
  },
});

/** @param isPrivate every window of its profile is a private one, which keeps nothing beyond its end */
const engine = (isPrivate: boolean): Engine => ({
  name: isPrivate ? 'Firefox, private' : 'Firefox',
  lasts: !isPrivate,
  missing() {
    if (typeof WebSocket === 'undefined')
      return 'Node 20 needs --experimental-websocket: node --experimental-websocket scripts/run.mjs engines';
    return onPath(...NAMES) ? null : 'firefox-esr is not installed (apt-get install firefox-esr)';
  },
  async open(profile): Promise<Browser> {
    if (isPrivate) {
      await writeFile(join(profile, 'user.js'), 'user_pref("browser.privatebrowsing.autostart", true);\n');
    }
    const args = ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0', 'about:blank'];
    const { running, found } = await start([onPath(...NAMES)!, ...args], /WebDriver BiDi listening on (ws:\S+)/);
    try {
      const bidi = await Bidi.connect(`${found[1]}/session`);
      const { capabilities } = await bidi.send('session.new', { capabilities: {} });
      return {
        name: `Firefox ${capabilities.browserVersion}${isPrivate ? ', private' : ''}`,
        newTab: async () => tab(bidi, (await bidi.send('browsingContext.create', { type: 'tab' })).context),
        async close() {
          await bidi.send('browser.close').catch(() => {});
          await running.end();
        },
      };
    } catch (error) {
      await running.end();
      throw error;
    }
  },
});

export const firefox = engine(false);
export const privateFirefox = engine(true);
