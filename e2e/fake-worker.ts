/**
 * The worker of a fake engine (fake-engine.ts): it speaks the protocol, loads nothing, and says what the test tells it
 * to. A word with the space before it is a token.
 */
import { expose, transferHandlers } from 'comlink';
import { NibbleError } from '../src/errors';
import {
  type GenerateRequest,
  type MessageInput,
  type ModelInfo,
  type Progress,
  passErrors,
  type SavedCache,
  type WorkerApi,
} from '../src/protocol';
import { INFO, MEMORY } from '../src/ui/test/fake-engine';
import { COST, KEPT, PLAN } from '../src/ui/test/fake-library';
import type { FakeAnswer, FakeConfig } from './fake-engine';

passErrors(transferHandlers);

/** Asks the test. */
async function test<T>(question: object): Promise<T> {
  const response = await fetch(`${self.origin}/nibble-fake-engine`, { method: 'POST', body: JSON.stringify(question) });
  return response.json();
}

const stopped = new Set<number>();
const saved = new Map<string, SavedCache>();
/** what each conversation's cache holds */
const caches = new Map<number, number[]>();
const vocabulary: string[] = [];
let info: ModelInfo = INFO;

const wordsOf = (text: string) => text.match(/\s*\S+|\s+$/g) ?? [];
function idOf(word: string): number {
  const known = vocabulary.indexOf(word);
  return known < 0 ? vocabulary.push(word) - 1 : known;
}
const idsOf = (text: string) => wordsOf(text).map(idOf);
const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Timers of a few ms are not exact: what is late is not waited for. */
function steadily(ms: number): () => Promise<void> {
  let due = performance.now();
  return async () => {
    due += ms;
    const left = due - performance.now();
    if (left > 0) await wait(left);
  };
}

function promptOf(messages: readonly MessageInput[]): string {
  const text = (content: MessageInput['content']) =>
    typeof content === 'string' ? content : (content ?? []).map((part) => part.text).join('\n');
  return messages.map(({ role, content }) => `${role}: ${text(content)}\n`).join('');
}

async function generate(request: GenerateRequest, port: MessagePort) {
  const { id, input, options, made = [], conversation = 0 } = request;
  const messages = 'messages' in input ? input.messages : [{ role: 'user' as const, content: JSON.stringify(input) }];
  const { answer, reasoning, finish, note, error, config } = await test<FakeAnswer & { config: FakeConfig }>({
    what: 'answer',
    messages,
    options,
  });
  const prompt = idsOf(promptOf(messages));
  const before = caches.get(conversation) ?? [];
  const differs = prompt.findIndex((word, index) => before[index] !== word);
  const reused = Math.min(differs < 0 ? prompt.length : differs, Math.max(0, prompt.length - 1));
  const began = performance.now();
  const total = prompt.length - reused;
  const read = steadily(config.readPace ?? 0);
  for (let done = 0; done <= total; done++) {
    if (done > 0) await read();
    if (done % 16 === 0 || done === total) port.postMessage({ text: '', ids: [], prefill: { done, total } });
    if (stopped.has(id)) break;
  }
  const thoughtWords = wordsOf(reasoning ?? '');
  const words = [...thoughtWords, ...wordsOf(answer)];
  const most = options.maxNewTokens ?? 256;
  const ids: number[] = [];
  const readMs = performance.now() - began;
  let firstMs = 0;
  let [text, thought] = ['', ''];
  const tick = steadily(config.pace ?? 0);
  while (ids.length < words.length && ids.length < most && !stopped.has(id)) {
    if (ids.length >= made.length) await tick();
    const word = words[ids.length];
    const isThought = ids.length < thoughtWords.length;
    if (isThought) thought += word;
    else text += word;
    ids.push(idOf(word));
    firstMs ||= performance.now() - began;
    port.postMessage({ text: word, ids: ids.slice(-1), ...(isThought && { type: 'reasoning' }) });
    if (error && ids.length === 2) throw new NibbleError(error.code, error.message);
  }
  caches.set(conversation, [...prompt, ...ids]);
  const tellMs = performance.now() - began - readMs;
  const ended = stopped.has(id) ? 'aborted' : ids.length < words.length ? 'length' : (finish ?? 'stop');
  return {
    ids,
    text,
    reasoning: thought,
    toolCalls: [],
    raw: thought + text,
    finish: ended,
    stats: {
      promptTokens: prompt.length,
      reusedTokens: reused,
      droppedTokens: 0,
      newTokens: ids.length,
      ttftMs: firstMs,
      prefillTps: (1000 * total) / Math.max(1, readMs),
      decodeTps: (1000 * ids.length) / Math.max(1, tellMs),
    },
    memory: MEMORY,
    note: note ?? null,
    options: { temperature: 0, ...options },
  } as never;
}

/** Tells how a download goes on. @throws aborted */
async function bring(id: number, port: MessagePort, config: FakeConfig) {
  const totalBytes = 98e6;
  const report = (progress: Partial<Progress>) =>
    port.postMessage({
      phase: 'download',
      loadedBytes: 0,
      totalBytes,
      networkBytes: 0,
      bytesPerSecond: 10e6,
      secondsLeft: 4,
      ...progress,
    });
  for (let step = 0; step < 10 && config.loadMs; step++) {
    report({ loadedBytes: (totalBytes * step) / 10 });
    await wait(config.loadMs / 10);
    if (stopped.has(id)) throw new NibbleError('aborted', 'The request was stopped.');
  }
  return () => report({ phase: 'ready', loadedBytes: totalBytes });
}

const session: WorkerApi = {
  hello: (life) =>
    new Promise((resolve) => {
      if (!navigator.locks) return resolve(false);
      navigator.locks.request(life, () => new Promise(() => resolve(true)));
    }),
  async load({ id, options }, port) {
    const config = await test<FakeConfig>({ what: 'load' });
    const ready = await bring(id, port, config);
    const { maxContext = INFO.options.maxContext, memoryBudget = null } = options;
    const given = { ...INFO.options, ...options, ...config.info?.options, maxContext, memoryBudget };
    info = { ...INFO, ...config.info, options: given as ModelInfo['options'] };
    ready();
    return info;
  },
  async download({ id }, port) {
    (await bring(id, port, await test<FakeConfig>({ what: 'download' })))();
  },
  inspect: async () => COST,
  generate,
  setLora: async () => info,
  async embed() {
    throw new NibbleError('invalid-option', 'A fake engine makes no vectors.');
  },
  async rerank() {
    throw new NibbleError('invalid-option', 'A fake engine ranks nothing.');
  },
  async score() {
    throw new NibbleError('invalid-option', 'A fake engine scores nothing.');
  },
  async saveCache(conversation, name) {
    const tokens = caches.get(conversation)?.length ?? 0;
    const cache = { name, model: 'fake', revision: null, tokens, bytes: 1e6, savedAt: Date.now() };
    saved.set(name, cache);
    return cache;
  },
  restoreCache: async () => null,
  savedCaches: async () => [...saved.values()],
  deleteSavedCache: async (name) => void saved.delete(name),
  cloneCache: async () => {},
  close: async (conversation) => void caches.delete(conversation),
  cancel: async (id) => void stopped.add(id),
  plan: async () => PLAN,
  prompt: async (messages) => ({ text: promptOf(messages), ids: idsOf(promptOf(messages)) }),
  info: async () => info,
  memory: async () => MEMORY,
  tokenize: async (text) => idsOf(text),
  detokenize: async (ids) => ids.map((id) => vocabulary[id]).join(''),
  stored: async () => {
    const { here } = await test<FakeConfig>({ what: 'stored' });
    return here ? KEPT : null;
  },
  storedModels: async () => ((await test<FakeConfig>({ what: 'stored' })).here ? [KEPT] : []),
  verify: async () => ({ checkedBytes: 86e6, alteredChunks: 0, missingChunks: 0 }),
  forget: async () => {},
  dispose: async () => {},
};

expose(session);
