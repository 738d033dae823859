/**
 * The built page, or the widget, on an engine that loads nothing and says what the test tells it to: the worker's
 * script is answered by a small one (fake-worker.ts) that asks the test for every answer.
 */
import type { BrowserContext, Page } from '@playwright/test';
import { build } from 'vite';
import type { ErrorCode } from '../src/errors';
import type { FinishReason, MessageInput, ModelInfo, SamplingOptions } from '../src/protocol';

/** How the fake engine behaves; the fields may be changed at any time, and count from the next answer or load. */
export interface FakeConfig {
  /** ms for each token of an answer. Default: 0 */
  pace?: number;
  /** ms for each token of a prompt that is not in the cache. Default: 0 */
  readPace?: number;
  /** of the model; `name` is what answers are signed with */
  info?: Omit<Partial<ModelInfo>, 'options'> & { options?: Partial<ModelInfo['options']> };
  /** whether the model is kept in this browser: the page loads it by itself then. Default: true */
  here?: boolean;
  /** how long a load takes, ms. Default: 0 */
  loadMs?: number;
}

export interface FakeAnswer {
  answer: string;
  /** what is thought before it */
  reasoning?: string;
  finish?: FinishReason;
  note?: string;
  /** thrown after the second word */
  error?: { code: ErrorCode; message: string };
}

export interface FakeOptions extends FakeConfig {
  /** What is answered; by default, the last message is said again. */
  answer?: (messages: MessageInput[], options: SamplingOptions) => string | FakeAnswer;
}

export interface FakeEngine extends FakeOptions {
  /** what was asked so far */
  asked: { messages: MessageInput[]; options: SamplingOptions }[];
  /** how many models were loaded */
  loads: number;
}

let script: Promise<string> | undefined;

async function bundle(): Promise<string> {
  const made = await build({
    configFile: false,
    logLevel: 'silent',
    build: {
      write: false,
      minify: false,
      lib: { entry: 'e2e/fake-worker.ts', formats: ['iife'], name: 'fakeWorker' },
    },
  });
  const [{ output }] = made as { output: { code: string }[] }[];
  return output[0].code;
}

/** Isolated pages take workers with these only. */
const HEADERS = {
  'Content-Type': 'text/javascript',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'cross-origin',
  'Access-Control-Allow-Origin': '*',
};

/**
 * All workers of this context (or page) are fake ones from now on. Its pages get no service worker: that would answer
 * with the real one.
 * @returns what may be changed while the test runs, and what was asked
 */
export async function useFakeEngine(context: BrowserContext | Page, options: FakeOptions = {}): Promise<FakeEngine> {
  const engine: FakeEngine = { here: true, asked: [], loads: 0, ...options };
  script ??= bundle();
  const code = await script;
  const config = (): FakeConfig => {
    const { pace, readPace, info, here, loadMs } = engine;
    return { pace, readPace, info, here, loadMs };
  };
  await context.addInitScript(() => {
    delete (Navigator.prototype as { serviceWorker?: unknown }).serviceWorker;
  });
  await context.route('**/assets/worker-*.js', (route) => route.fulfill({ headers: HEADERS, body: code }));
  await context.route('**/worker-text*.js', (route) =>
    route.fulfill({ headers: HEADERS, body: `export default ${JSON.stringify(code)};` }),
  );
  await context.route('**/nibble-fake-engine', async (route) => {
    const question = route.request().postDataJSON();
    if (question.what === 'load') engine.loads++;
    if (question.what !== 'answer') return route.fulfill({ json: config() });
    const { messages, options } = question as { messages: MessageInput[]; options: SamplingOptions };
    engine.asked.push({ messages, options });
    const answer = engine.answer?.(messages, options) ?? String(messages.at(-1)?.content ?? '');
    return route.fulfill({ json: { ...(typeof answer === 'string' ? { answer } : answer), config: config() } });
  });
  return engine;
}
