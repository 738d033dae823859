/**
 * What every end-to-end test starts from: the built product on two ports, and a browser that has not been there. Tests
 * share a browser process, in which each has a context of its own, with its own storage in memory; a test that asks for
 * a process of its own gets a profile on disk, and may close it, kill it and open it again.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Browser,
  type BrowserContext,
  test as base,
  chromium,
  expect,
  type Locator,
  type Page,
  type Worker,
} from '@playwright/test';
import { COMPILE_FLAG, findChromium, QUIET_FLAGS, WEBGPU_FLAGS, WEBGPU_IGNORED } from '../scripts/testing/chromium';
import { type ServerOptions, serveProduct } from '../scripts/testing/server';
import type { ChatMessage, GenerateResult, MemoryInfo, ModelInfo } from '../src/protocol';

export { expect };

const TINY_FOLDER = 'reference/fixtures/tiny-llama-128/nf4';
export const TINY = '/models/tiny/';
/** a .gguf, without a tokenizer */
export const TINY_GGUF = '/models/tiny-gguf/model.gguf';
export const DEFAULT = '/models/smollm2-135m-instruct-nf4/';

/** What transformers answers with the tiny model, and how sure it was of each token. */
export interface ExpectedChat {
  messages: ChatMessage[];
  greedy: number[];
  margins: number[];
  logitScale: number;
  text: string;
}
export const expectedChats = (): ExpectedChat[] => JSON.parse(readFileSync(join(TINY_FOLDER, 'chat.json'), 'utf8'));

export interface BrowserOptions {
  /** a browser process of the test's own, with its profile on disk: what is to be closed and opened again, or killed */
  own?: boolean;
  webgpu?: boolean;
  width?: number;
  height?: number;
  colorScheme?: 'light' | 'dark';
  /** more of Chromium's own; with `own` only */
  flags?: string[];
}

export interface Visit {
  page: Page;
  context: BrowserContext;
  /** every request that any page or worker of this browser made */
  requests: string[];
  /** what broke a Content-Security-Policy, and errors that nobody caught */
  complaints: string[];
  /** What a context in the shared process stored is gone then. */
  close(): Promise<void>;
  /** SIGKILL to the browser's own process, as a crash or a power cut would */
  kill(): Promise<void>;
  /** SIGKILL to its GPU process, as a driver that fails would */
  killGpu(): void;
  /** resident memory of its pages' processes, bytes */
  resident(): number;
}

export interface Profile {
  open(options?: BrowserOptions): Promise<Visit>;
}

/** a page of the product's origin that does nothing by itself */
export const BLANK = '/blank.html';

/** served beside the default model */
export const MODELS: ServerOptions['mounts'] = [
  [BLANK, 'e2e/blank.html'],
  [TINY, TINY_FOLDER],
  [TINY_GGUF, 'reference/fixtures/tiny-gguf/qwen2/model.gguf'],
];

type Product = Awaited<ReturnType<typeof serveProduct>>;

interface Shared {
  /** a context in the process that this worker's tests share, of those with WebGPU or of those without */
  context(options: BrowserOptions): Promise<BrowserContext>;
}

interface Fixtures {
  serverOptions: NonNullable<Parameters<typeof serveProduct>[1]>;
  product: Product;
  profile: Profile;
}

/** The browser's main process: the one of this profile that is nobody's child in its command line. */
function browserProcess(folder: string): number {
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const file = `/proc/${name}/cmdline`;
    const command = existsSync(file) ? readFileSync(file, 'utf8') : '';
    const main = command.includes(`--user-data-dir=${folder}\0`) && !command.includes('\0--type=');
    if (main && !command.startsWith('/bin/')) return Number(name);
  }
  throw new Error(`No browser runs with the profile ${folder}.`);
}

/** A browser's processes of one type, `gpu-process` or `renderer`: descendants of its main process. */
function childProcesses(browser: number, type: string): number[] {
  const read = (pid: number, entry: string) => {
    try {
      return readFileSync(`/proc/${pid}/${entry}`, 'utf8');
    } catch {
      return ''; // it has just ended
    }
  };
  // "pid (name) state parent …"
  const parent = (pid: number) => Number(read(pid, 'stat').split(') ').at(-1)!.split(' ')[1] ?? 0);
  const descends = (pid: number): boolean => pid === browser || (pid > 1 && descends(parent(pid)));
  const all = readdirSync('/proc').map(Number).filter(Boolean);
  const found = all.filter((pid) => read(pid, 'cmdline').includes(`--type=${type}`) && descends(pid));
  if (found.length === 0) throw new Error(`The browser ${browser} has no ${type}.`);
  return found;
}

/** How Chromium is started. */
const launchOptions = async ({ webgpu, flags = [] }: BrowserOptions) => ({
  executablePath: (await findChromium()) ?? undefined,
  args: [...QUIET_FLAGS, ...(webgpu ? [...WEBGPU_FLAGS, COMPILE_FLAG] : []), ...flags],
  ignoreDefaultArgs: webgpu ? WEBGPU_IGNORED : [],
});

const contextOptions = ({ width = 1280, height = 800, colorScheme = 'light' }: BrowserOptions) => ({
  viewport: { width, height },
  colorScheme,
});

async function openBrowser(folder: string, options: BrowserOptions, shared: Shared): Promise<Visit> {
  const { own, flags } = options;
  if (flags && !own) throw new Error('Flags are a browser’s of its own.');
  const context = own
    ? await chromium.launchPersistentContext(folder, { ...(await launchOptions(options)), ...contextOptions(options) })
    : await shared.context(options);
  const main = () => {
    if (!own) throw new Error('Other tests share this browser: open it with `own`.');
    return browserProcess(folder);
  };
  const requests: string[] = [];
  const complaints: string[] = [];
  context.on('request', (request) => requests.push(request.url()));
  context.on('weberror', (error) => complaints.push(String(error.error())));
  context.on('console', (message) => {
    if (message.text().includes('Content Security Policy')) complaints.push(message.text());
  });
  const page = context.pages()[0] ?? (await context.newPage());
  return {
    page,
    context,
    requests,
    complaints,
    close: () => context.close(),
    async kill() {
      process.kill(main(), 'SIGKILL');
      await context.close().catch(() => {});
    },
    killGpu() {
      for (const pid of childProcesses(main(), 'gpu-process')) process.kill(pid, 'SIGKILL');
    },
    resident() {
      const pages = childProcesses(main(), 'renderer');
      const kib = (pid: number) =>
        Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
      return pages.reduce((sum, pid) => sum + kib(pid) * 1024, 0);
    },
  };
}

/**
 * The page's newest worker that has a model. Threads that compute beside one (src/worker/compute-threads.ts) wait for
 * work, and hear nothing.
 */
export const modelWorker = (page: Page): Worker =>
  page
    .workers()
    .filter((worker) => !worker.url().endsWith('#compute'))
    .at(-1)!;

/** Of a page that keeps no conversation every submit is the answer's, and every worker the model's. */
export const keepNothing = ({ page }: Visit) => page.addInitScript(() => localStorage.setItem('nibble-chat-off', ''));

export const test = base.extend<Fixtures, { shared: Shared }>({
  shared: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the parameter's pattern
    async ({}, use) => {
      const browsers = new Map<boolean, Promise<Browser>>();
      const launch = async (options: BrowserOptions) => chromium.launch(await launchOptions(options));
      await use({
        async context(options) {
          const { webgpu = false } = options;
          const browser = browsers.get(webgpu) ?? launch({ webgpu });
          browsers.set(webgpu, browser);
          return (await browser).newContext(contextOptions(options));
        },
      });
      for (const browser of browsers.values()) await (await browser).close();
    },
    { scope: 'worker' },
  ],
  serverOptions: [{}, { option: true }],
  product: async ({ serverOptions }, use) => {
    if (!existsSync('dist/site/index.html')) throw new Error('There is no build: `npm run build` comes first.');
    const product = await serveProduct('.', { models: MODELS, ...serverOptions });
    await use(product);
    await product.close();
  },
  profile: async ({ shared }, use) => {
    const folder = await mkdtemp(join(tmpdir(), 'nibble-profile-'));
    const visits: Visit[] = [];
    await use({
      async open(options = {}) {
        const visit = await openBrowser(folder, options, shared);
        visits.push(visit);
        return visit;
      },
    });
    for (const { context } of visits) await context.close().catch(() => {});
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  },
});

export interface ChatState {
  messages: ChatMessage[];
  result: GenerateResult | null;
  memory: MemoryInfo | null;
  info: ModelInfo | null;
}

/** The same steps on the chat page and in the widget: both are a <nibble-view>. */
export class Chat {
  /** @param view which, where there are several */
  constructor(
    readonly page: Page,
    readonly view: Locator = page.locator('nibble-view'),
  ) {}

  get load() {
    return this.view.getByRole('button', { name: /^Load/ });
  }
  get size() {
    return this.view.locator('[data-size]');
  }
  get question() {
    return this.view.getByLabel('Your question');
  }
  get stop() {
    return this.view.getByRole('button', { name: 'Stop' });
  }
  get error() {
    return this.view.getByRole('alert');
  }
  get log() {
    return this.view.getByRole('log');
  }
  stat(name: string) {
    return this.view.locator(`[data-stat=${name}]`);
  }

  /** Waits for the offer, takes it, and waits until questions can be answered. */
  async loadModel() {
    await this.load.click();
    await this.loaded();
  }

  /** Waits for the model. */
  async loaded() {
    await expect(this.stat('backend')).toBeVisible();
  }

  /** @returns the whole answer, as the model wrote it */
  async ask(question: string): Promise<string> {
    await this.question.fill(question);
    await this.question.press('Enter');
    // what is shown is of the answer, and not of the time before it
    await this.view.evaluate(
      () =>
        new Promise<void>((done) => {
          requestAnimationFrame(() => requestAnimationFrame(() => done()));
          // a page that nobody sees draws nothing
          setTimeout(done, 500);
        }),
    );
    await this.answered();
    return (await this.state()).messages.at(-1)!.content;
  }

  async answered() {
    await expect(this.log).toHaveAttribute('aria-busy', 'false');
    await expect(this.stop).toHaveCount(0);
  }

  /** What the session knows, past what is on the screen. */
  state(): Promise<ChatState> {
    return this.view.evaluate((view) => {
      const { messages, result, memory, info } = (view as unknown as { session: ChatState }).session;
      return { messages, result, memory, info };
    });
  }
}

/** The expected ids that no rounding can change: those before the first close call. */
export function sureIds({ greedy, margins, logitScale }: ExpectedChat): number[] {
  const close = margins.findIndex((margin) => margin < 0.02 * logitScale);
  return greedy.slice(0, close === -1 ? greedy.length : close);
}
