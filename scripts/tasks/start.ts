/**
 * `npm start`: builds, shows that it works by answering one question with the default model, then serves the chat page
 * and, from a second port, a page with the widget in it.
 *
 *   npm start -- [--port N] [--host NAME] [--no-demo] [--no-build] [--self-only] [--ask "A question"]
 *
 * `--host` (several times) is a name besides localhost, 127.0.0.1 and [::1] under which the server may be asked, as by
 * a proxy. With `--self-only` the page may ask no other origin for anything, the Hub included.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BrowserContext, chromium, type Page } from '@playwright/test';
import { DEFAULT_MODEL, STARTERS } from '../../src/chat/starters.ts';
import type { GenerateResult, MemoryInfo, ModelInfo } from '../../src/protocol.ts';
import { SELF_ONLY_CSP } from '../bundling/policy.ts';
import { findChromium, QUIET_FLAGS } from '../testing/chromium.ts';
import { serveProduct } from '../testing/server.ts';
import { buildAll } from './build.ts';

const DEFAULT_PORT = 4460;
const MODEL_FOLDER = join('public', DEFAULT_MODEL);

interface Arguments {
  port: number | null;
  ask: string | null;
  demo: boolean;
  build: boolean;
  selfOnly: boolean;
  hosts: string[];
}

function parse(args: string[]): Arguments {
  const parsed: Arguments = { port: null, ask: null, demo: true, build: true, selfOnly: false, hosts: [] };
  const port = (text: string | undefined) => {
    const number = Number(text);
    if (!Number.isInteger(number) || number < 1 || number > 65_534)
      throw new Error(`"${text}" is no port: give 1 to 65534.`);
    return number;
  };
  if (process.env.PORT) parsed.port = port(process.env.PORT);
  for (let i = 0; i < args.length; i++) {
    const [name, inline] = args[i].split(/=(.*)/s);
    const value = () => inline ?? args[++i];
    if (name === '--port') parsed.port = port(value());
    else if (name === '--host') parsed.hosts.push((value() ?? '').toLowerCase());
    else if (name === '--ask') parsed.ask = value() ?? '';
    else if (name === '--no-demo') parsed.demo = false;
    else if (name === '--no-build') parsed.build = false;
    else if (name === '--self-only') parsed.selfOnly = true;
    else {
      const known = '--port N, --host NAME, --ask TEXT, --no-demo, --no-build, --self-only';
      throw new Error(`There is no option ${args[i]}. There are: ${known}.`);
    }
  }
  if (parsed.ask?.trim() === '') throw new Error('--ask needs a question.');
  return parsed;
}

const mb = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

interface State {
  phase: string;
  messages: { role: string; content: string }[];
  info: ModelInfo | null;
  memory: MemoryInfo | null;
  result: GenerateResult | null;
  error: { message: string; code: string } | null;
}

/** What the page's session holds. */
const stateOf = (page: Page): Promise<State> =>
  page.locator('nibble-view').evaluate((view) => {
    const { phase, messages, info, memory, result, error } = (view as unknown as { session: State }).session;
    return { phase, messages, info, memory, result, error: error && { message: error.message, code: error.code } };
  });

/** Waits until the page's session is as wished. @throws with the page's own sentence when it shows an error */
async function until(
  page: Page,
  wished: (state: State) => boolean,
  look: (state: State) => void = () => {},
): Promise<State> {
  for (;;) {
    const state = await stateOf(page);
    look(state);
    if (state.error) throw new Error(`${state.error.message} (${state.error.code})`);
    if (wished(state)) return state;
    await sleep(40);
  }
}

/** Opens the page, loads the model, asks, and calls `say` with each new piece of the answer. */
export async function askPage(
  context: BrowserContext,
  address: string,
  question: string,
  say: (piece: string) => void,
) {
  const page = await context.newPage();
  await page.goto(address);
  const view = page.locator('nibble-view');
  const load = view.getByRole('button', { name: /^Load/ });
  const input = view.getByLabel('Your question');
  await input.waitFor();
  // a model that is kept here loads by itself; of another one the size is shown first, with a button
  for (let at = await stateOf(page); at.phase === 'idle' && !at.error; at = await stateOf(page)) {
    if (await load.isVisible()) await load.click({ timeout: 1000 }).catch(() => {});
    await sleep(40);
  }
  await until(page, ({ phase }) => phase === 'ready');
  await input.fill(question);
  await input.press('Enter');
  let said = 0;
  const look = ({ messages }: State) => {
    const answer = messages.at(-1);
    if (answer?.role !== 'assistant' || answer.content.length === said) return;
    say(answer.content.slice(said));
    said = answer.content.length;
  };
  return { page, answered: () => until(page, ({ phase, result }) => phase === 'ready' && result !== null, look) };
}

interface Browser {
  context: BrowserContext;
  close(): Promise<void>;
}

/**
 * A headless Chromium with a profile of its own, or null where there is none. No WebGPU flags: what is here is here.
 */
export async function openBrowser(): Promise<Browser | null> {
  const executablePath = await findChromium();
  if (executablePath === null) return null;
  const profile = await mkdtemp(join(tmpdir(), 'nibble-start-'));
  const remove = () => rm(profile, { recursive: true, force: true, maxRetries: 5 });
  try {
    const context = await chromium.launchPersistentContext(profile, { executablePath, args: QUIET_FLAGS });
    return { context, close: () => context.close().then(remove) };
  } catch (error) {
    await remove();
    console.log(`${executablePath} does not start: ${(error as Error).message.split('\n')[0]}`);
    return null;
  }
}

/** The question answered by the built page, and what it took. */
async function answerInPage(
  { context, close }: Browser,
  origin: string,
  question: string,
  built: number,
): Promise<void> {
  try {
    let first = '';
    console.log(`> ${question}\n`);
    const talk = await askPage(context, origin, question, (piece) => {
      first ||= seconds(built);
      process.stdout.write(piece);
    });
    const { info, result } = await talk.answered();
    const { stats, memory } = result!;
    const where =
      info!.backend === 'webgpu' ? `WebGPU (${info!.adapter?.description || info!.adapter?.vendor})` : 'the CPU';
    console.log(
      `\n\nAnswered by ${where}, in the built page in a headless Chromium. ${info!.backend === 'cpu' ? info!.backendReason : ''}`,
    );
    console.log(
      `${stats.decodeTps.toFixed(1)} tok/s; first token ${first} after the build, ${(stats.ttftMs / 1000).toFixed(1)} s after the question.`,
    );
    console.log(`Memory of this chat: ${mb(memory.total)}, of which KV cache ${mb(memory.kv)}.`);
    await talk.page.close();
    await measureFullContext(context, origin, question, info!.contextLength);
  } finally {
    await close();
  }
}

/** The same question with a cache for the model's full context, stopped at the first word: measured, not computed. */
async function measureFullContext(
  context: BrowserContext,
  origin: string,
  question: string,
  tokens: number,
): Promise<void> {
  const { page } = await askPage(context, `${origin}/?kv-capacity=full`, question, () => {});
  await until(page, ({ messages, phase }) => phase === 'ready' || (messages.at(-1)?.content ?? '') !== '');
  const stop = page.locator('nibble-view').getByRole('button', { name: 'Stop' });
  // an answer that has ended by itself has taken the button with it
  if (await stop.isVisible()) await stop.click({ timeout: 2000 }).catch(() => {});
  const { memory } = await until(page, ({ phase, result }) => phase === 'ready' && result !== null);
  const length = tokens.toLocaleString('en');
  console.log(
    `With a cache for the full context of ${length} tokens: ${mb(memory!.total)}, of which KV cache ${mb(memory!.kv)}.`,
  );
}

/** The question answered by the command line on the CPU, where there is no browser. */
function answerInNode(question: string): Promise<void> {
  console.log(`No Chromium here: answering in Node.\n> ${question}\n`);
  const run = (args: string[], stdio: 'inherit' | 'pipe') =>
    new Promise<string>((done, fail) => {
      const child = spawn(
        process.execPath,
        ['bin/nibble.js', 'generate', MODEL_FOLDER, '--chat', question, '--backend', 'cpu', ...args],
        {
          stdio: ['ignore', stdio, 'inherit'],
        },
      );
      let out = '';
      child.stdout?.on('data', (piece) => {
        out += piece;
      });
      child.on('error', fail);
      child.on('exit', (code) =>
        code === 0 ? done(out) : fail(new Error(`nibble generate ended with status ${code}.`)),
      );
    });
  const measure = async (args: string[]) => JSON.parse(await run([...args, '--json'], 'pipe'));
  return (async () => {
    await run([], 'inherit');
    const { stats, memory } = await measure([]);
    const full = await measure(['--kv-capacity', 'full', '--max-new-tokens', '1']);
    console.log(
      `\nAnswered by the CPU, in Node. ${stats.decode_tps.toFixed(1)} tok/s; first token after ${(stats.ttft_ms / 1000).toFixed(1)} s.`,
    );
    console.log(`Memory of this chat: ${mb(memory.total)}, of which KV cache ${mb(memory.kv)}.`);
    console.log(
      `With a cache for the full context: ${mb(full.memory.total)}, of which KV cache ${mb(full.memory.kv)}.`,
    );
  })();
}

/** On the port that was asked for, else on the usual one, else on any. */
async function serveOn({ port, selfOnly, hosts }: Arguments) {
  const policy = { hosts, ...(selfOnly && { csp: SELF_ONLY_CSP }) };
  try {
    return await serveProduct('.', { port: port ?? DEFAULT_PORT, ...policy });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    if (port !== null) throw new Error(`Port ${port} or ${port + 1} is taken: give another with --port.`);
    return serveProduct('.', policy);
  }
}

export async function main(args: string[]): Promise<number> {
  const options = parse(args);
  const answers = options.ask !== null || options.demo;
  if (answers && !existsSync(join(MODEL_FOLDER, 'config.json')))
    throw new Error(`The default model is missing: ${MODEL_FOLDER}`);
  const opening = answers ? openBrowser() : null; // while the build runs
  let product: Awaited<ReturnType<typeof serveOn>> | null = null;
  try {
    if (options.build) {
      const started = performance.now();
      await buildAll();
      console.log(`Built dist/ in ${seconds(started)}.\n`);
    }
    const built = performance.now();
    product = await serveOn(options);
    if (opening !== null) {
      const question = options.ask ?? STARTERS[0];
      const browser = await opening;
      if (browser === null) await answerInNode(question);
      else await answerInPage(browser, product.site.origin, question, built);
    }
    if (options.ask !== null) return 0;
    console.log(`\nThe chat page:                      ${product.site.origin}/`);
    console.log(`Somebody’s page with the widget:    ${product.host.origin}/\n\nCtrl+C stops both.`);
    await new Promise<void>((done) => {
      process.once('SIGINT', done);
      process.once('SIGTERM', done);
    });
    return 0;
  } finally {
    await (await opening)?.close();
    await product?.close();
  }
}
