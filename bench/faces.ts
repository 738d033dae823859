/**
 * One question through every face of the engine: the library, the chat page and the widget in a browser, and the
 * command line. The buffers that their workers make are counted by a wrapper around createBuffer and destroy in front
 * of the worker's script (e2e/counted.ts); the command line's process starts with the same wrapper.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { COUNT, type Counted } from '../e2e/counted';
import { findChromium, vulkanEnvironment } from '../scripts/testing/chromium';
import type { PipedPage } from '../scripts/testing/devtools-pipe';
import { type StaticServer, serve } from '../scripts/testing/server';

/** In the order in which they are asked. */
export const FACES = ['library', 'page', 'widget', 'CLI'] as const;
export type Face = (typeof FACES)[number];

export interface Question {
  text: string;
  maxNewTokens: number;
  kvCapacity: number;
  memoryBudget: number;
  /** the kernels' shapes: a name, or off */
  tune: string;
}

/** In bytes. */
export interface Sizes {
  total: number;
  peak: number;
}

export interface Answered {
  /** absent for the command line, whose answer includes the load */
  loadMs?: number;
  answerMs: number;
  promptTokens: number;
  ids: number[];
  /** by the ledger, after the answer */
  memory: Sizes;
  /** the library's own, of this question */
  plan?: Sizes;
  /** after the answer */
  counted: Pick<Counted, 'live' | 'peak'>;
}

/** Tells the page who asks on the channel; a page has one worker. */
const COUNT_AND_TELL = `${COUNT}{
  const channel = new BroadcastChannel('counted');
  channel.onmessage = ({ data }) => data === 'how many?' && channel.postMessage(self.counted);
}
`;
const COUNTED = `new Promise((resolve) => {
  const channel = new BroadcastChannel('counted');
  channel.onmessage = ({ data }) => data !== 'how many?' && (channel.close(), resolve(data));
  channel.postMessage('how many?');
})`;
/** The worker of library and widget is a blob: the wrapper goes in front of it as the blob is made. */
const IN_BLOBS = `window.Blob = class extends Blob {
  constructor(parts = [], options) {
    super(/javascript/.test(options?.type ?? '') ? [${JSON.stringify(COUNT_AND_TELL)}, ...parts] : parts, options);
  }
};`;

const backend = 'webgpu';

/** The widget's attributes, and the page's query. */
const optionsOf = ({ kvCapacity, memoryBudget, tune }: Question) =>
  Object.entries({ model: '/model/', backend, tune, 'kv-capacity': kvCapacity, 'memory-budget': memoryBudget });

function widgetPage(question: Question): string {
  const options = [...optionsOf(question), ['max-new-tokens', question.maxNewTokens]];
  const attributes = options.map(([name, value]) => `${name}="${value}"`).join(' ');
  return `<!doctype html><script>${IN_BLOBS}</script><script type="module" src="/embed/nibble-chat.js"></script><nibble-chat ${attributes}></nibble-chat>`;
}

/** A site with the model at /model/, the built library, page and widget, and /blank.html. */
export function serveFaces(folder: string, question: Question): Promise<StaticServer> {
  return serve({
    mounts: [
      ['/model/', folder],
      ['/lib/', 'dist'],
      ['/embed/', 'dist/embed'],
      ['/blank.html', 'e2e/blank.html'],
      ['/', 'dist/site'],
    ],
    intercept(_, response, path) {
      if (path === '/widget.html') {
        response.writeHead(200, { 'Content-Type': 'text/html' }).end(widgetPage(question));
        return true;
      }
      if (!/\/assets\/worker-.*\.js$/.test(path)) return false;
      const script = readFileSync(path.startsWith('/lib/') ? `dist/${path.slice(5)}` : `dist/site${path}`, 'utf8');
      response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(COUNT_AND_TELL + script);
      return true;
    },
  });
}

/** An expression for a page of the site: loads with the library, with some options otherwise. */
const LOAD = ({ kvCapacity, memoryBudget, tune }: Question, more: object = {}) =>
  `(await import('/lib/index.js')).load('/model/', ${JSON.stringify({ backend, tune, kvCapacity, memoryBudget, ...more })})`;

const inLibrary = (question: Question) => `(async () => {
  ${IN_BLOBS}
  const question = ${JSON.stringify(question)};
  let started = performance.now();
  const engine = await ${LOAD(question)};
  const loadMs = performance.now() - started;
  started = performance.now();
  const { maxNewTokens } = question;
  const answer = engine.chat([{ role: 'user', content: question.text }], { maxNewTokens });
  const { ids, stats, memory } = await answer.result;
  const answerMs = performance.now() - started;
  const { promptTokens } = stats;
  const plan = await engine.plan({ promptTokens, maxNewTokens });
  const counted = await ${COUNTED};
  engine.dispose();
  return { loadMs, answerMs, promptTokens, ids, memory, plan, counted };
})()`;

/**
 * Opens the chat of page or widget, loads and asks. The page has no option for the length of an answer, which is half
 * the context at most: so its copy of the model's facts, not the worker's, is told of a shorter context.
 */
const onScreen = ({ text, maxNewTokens }: Question) => `(async () => {
  const deep = (root, name) => {
    for (const element of root.querySelectorAll('*')) {
      const found = element.localName === name ? element : element.shadowRoot && deep(element.shadowRoot, name);
      if (found) return found;
    }
  };
  const until = async (test) => {
    for (let value; ; await new Promise((resolve) => setTimeout(resolve, 500))) if ((value = test())) return value;
  };
  deep(document, 'nibble-chat')?.shadowRoot.querySelector('button').click();
  const { session } = await until(() => deep(document, 'nibble-view'));
  const failed = () => { if (session.error) throw session.error; };
  let started = performance.now();
  await until(() => (failed(), session.load(true), session.phase === 'ready'));
  const loadMs = performance.now() - started;
  session.info.options.maxContext = ${2 * maxNewTokens};
  started = performance.now();
  await session.ask(${JSON.stringify(text)});
  failed();
  const answerMs = performance.now() - started;
  const { ids, stats, memory } = session.result;
  const counted = await ${COUNTED};
  await session.dispose();
  return { loadMs, answerMs, promptTokens: stats.promptTokens, ids, memory, counted };
})()`;

/** Before the command line's own code: counts, and tells on stderr when the result is printed. */
const COUNTING = `data:text/javascript,${encodeURIComponent(`
import { globals } from ${JSON.stringify(pathToFileURL(resolve('node_modules/webgpu/index.js')).href)};
Object.assign(globalThis, globals, { self: globalThis });
${COUNT}
const { write } = process.stdout;
process.stdout.write = function (...args) {
  process.stderr.write(JSON.stringify(self.counted));
  return write.apply(this, args);
};`)}`;

async function commandLine<T>(question: Question, command: string, folder: string, args: (string | number)[]) {
  const { kvCapacity, memoryBudget, maxNewTokens, tune } = question;
  const options = { backend, tune, 'kv-capacity': kvCapacity, budget: memoryBudget, 'max-new-tokens': maxNewTokens };
  const all = [...args, ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]), '--json'];
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    ['--import', COUNTING, 'bin/nibble.js', command, folder, ...all.map(String)],
    { env: { ...process.env, ...vulkanEnvironment(await findChromium()) }, maxBuffer: 1 << 26 },
  );
  return { result: JSON.parse(stdout) as T, counted: JSON.parse(stderr) as Counted };
}

export interface CommandLinePlan extends Sizes {
  weights: number;
  kv: number;
  scratch: number;
  staging: number;
  kv_full_context: number;
}

/** What `nibble plan` says of the question. */
export async function planOf(question: Question, folder: string, promptTokens: number): Promise<CommandLinePlan> {
  const { result } = await commandLine<CommandLinePlan>(question, 'plan', folder, ['--prompt-tokens', promptTokens]);
  return result;
}

async function onCommandLine(question: Question, folder: string): Promise<Answered> {
  const started = performance.now();
  const { result, counted } = await commandLine<{ ids: number[]; memory: Sizes; stats: { prompt_tokens: number } }>(
    question,
    'generate',
    folder,
    ['--chat', question.text],
  );
  const { ids, memory, stats } = result;
  return { answerMs: performance.now() - started, promptTokens: stats.prompt_tokens, ids, memory, counted };
}

/** Where the browser must be for a face to be asked. */
export function placeOf(face: Face, question: Question): string {
  if (face === 'page')
    return `/?${new URLSearchParams(optionsOf(question).map(([name, value]) => [name, `${value}`]))}`;
  return face === 'widget' ? '/widget.html' : '/blank.html';
}

/** Asks through a face; the browser is at its place. @param folder the model's, for the command line */
export function ask(face: Face, page: PipedPage, question: Question, folder: string): Promise<Answered> {
  if (face === 'CLI') return onCommandLine(question, folder);
  return page.evaluate<Answered>(face === 'library' ? inLibrary(question) : onScreen(question));
}

/** The library's refusal to load with a cache for the full context. @throws where it was not refused for its memory */
export function refusal(page: PipedPage, question: Question): Promise<{ message: string; details: object }> {
  return page.evaluate(`(async () => {
    try {
      await ${LOAD(question, { storage: 'none', kvCapacity: 'full' })};
    } catch (error) {
      if (error.code === 'out-of-memory') return { message: error.message, details: error.details };
      throw error;
    }
    throw new Error('A cache for the full context was not refused.');
  })()`);
}
