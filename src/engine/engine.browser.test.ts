/** The whole way in a real browser: worker, comlink, IndexedDB, Web Locks. The model is served by vitest itself. */
import { afterEach, describe, expect, it } from 'vitest';
import { createMemorySource } from '../sources/memory-source';
import { openModelStore } from '../store/chunk-store';
import { openStored } from '../store/stored-source';
import { deleteSavedCache, type Engine, isStored, load, savedCaches } from '.';
import type { Conversation } from './conversation';
import { startWorker } from './start-worker';

const MODEL = '/reference/fixtures/tiny-llama-128/nf4/';
const engines: Engine[] = [];
const createWorker = () => new Worker(new URL('../worker/worker.ts', import.meta.url), { type: 'module' });
afterEach(() => {
  for (const engine of engines.splice(0)) engine.dispose();
});

async function open(options: Parameters<typeof load>[1] = {}) {
  let networkBytes = 0;
  const onProgress = (progress: { networkBytes: number }) => {
    networkBytes = progress.networkBytes;
  };
  const engine = await load(MODEL, { backend: 'cpu', onProgress, ...options });
  engines.push(engine);
  return { engine, networkBytes };
}

const forget = () =>
  Promise.all(
    ['nibble-chunks', 'nibble-models', 'nibble-loading', 'nibble-saved'].map(
      (name) =>
        new Promise((resolve, reject) => {
          const request = indexedDB.deleteDatabase(name);
          request.onsuccess = resolve;
          request.onerror = reject;
        }),
    ),
  );

describe('in a browser', () => {
  it('downloads once, also for two tabs at a time, and answers the same from IndexedDB', async () => {
    await forget();
    const both = await Promise.all([open(), open()]);
    const weights = (await (await fetch(`${MODEL}model.safetensors`)).arrayBuffer()).byteLength;
    expect(both.map(({ networkBytes }) => networkBytes).sort((a, b) => a - b)).toEqual([0, weights]);
    expect((await both[0].engine.info()).options.storage).toBe('indexeddb');
    const third = await open();
    expect(third.networkBytes).toBe(0);
    const [chat] = await (await fetch(`${MODEL}chat.json`)).json();
    for (const { engine } of [...both, third]) {
      const { ids } = await engine.chat(chat.messages, { maxNewTokens: 4 }).result;
      expect(ids).toEqual(chat.greedy.slice(0, 4));
    }
  });

  it('replaces a worker that is ended without a word, in the middle of an answer', async () => {
    const workers: Worker[] = [];
    const create = () => {
      const worker = createWorker();
      workers.push(worker);
      return worker;
    };
    const { engine } = await open({ createWorker: create, kv: 'f32' });
    const options = { maxNewTokens: 64, ignoreEos: true };
    const whole = await engine.generate('Hello there', options).result;
    await engine.generate('x', { maxNewTokens: 1 }).result;
    const answer = engine.generate('Hello there', options);
    let text = '';
    for await (const piece of answer) {
      text += piece;
      if (workers.length === 1) workers[0].terminate();
    }
    const { ids, stats } = await answer.result;
    expect([ids, text]).toEqual([whole.ids, whole.text]);
    expect([stats.recoveries, workers.length]).toEqual([1, 2]);
  });

  it('takes adapters by address', async () => {
    const { prompts } = await (await fetch('/reference/fixtures/lora/expected/nf4.dora.json')).json();
    const [{ ids, greedy }] = prompts;
    const engine = await load('/reference/fixtures/tiny-llama/nf4/', { backend: 'cpu', kv: 'f32', storage: 'none' });
    engines.push(engine);
    await engine.setLora(['/reference/fixtures/lora/dora/']);
    expect((await engine.generate(ids, { maxNewTokens: 5 }).result).ids).toEqual(greedy.slice(0, 5));
  });

  it('keeps nothing when storage is off, and says so', async () => {
    await forget();
    expect((await open({ storage: 'none' })).networkBytes).toBeGreaterThan(0);
    const { engine, networkBytes } = await open({ storage: 'none' });
    expect(networkBytes).toBeGreaterThan(0);
    const { options, storageReason } = await engine.info();
    expect(options.storage).toBe('none');
    expect(storageReason).toMatch(/storage is off/);
  });

  it('a conversation goes on after a reload from what it saved', async () => {
    await forget();
    const first = (await open()).engine;
    const talk = first.conversation({ system: 'Be short.', saved: 'talk' });
    const { ids } = await talk.ask('Hello', { maxNewTokens: 20, ignoreEos: true, temperature: 0 }).result;
    expect(await savedCaches()).toEqual([]);
    const saved = await talk.save();
    expect(saved.tokens).toBeGreaterThan(ids.length);
    expect(await savedCaches()).toEqual([saved]);
    const { messages } = structuredClone({ messages: talk.messages.slice(1) });
    const ask = async (of: Conversation) => of.ask('More', { maxNewTokens: 8, ignoreEos: true, temperature: 0 }).result;
    const right = await ask(talk);
    first.dispose();

    const second = (await open()).engine;
    const continued = second.conversation({ system: 'Be short.', messages, saved: 'talk' });
    const got = await ask(continued);
    expect(got.note).toBeNull();
    expect([got.ids, got.stats.reusedTokens]).toEqual([right.ids, right.stats.reusedTokens]);
    expect(got.stats.reusedTokens).toBeGreaterThan(ids.length);
    await expect(second.conversation().save()).rejects.toMatchObject({ code: 'invalid-option' });

    // a byte of it changes where it lies
    const { store } = await openModelStore();
    const [key] = await store!.chunks.keys('@saved/');
    const chunk = (await store!.chunks.get(key))!;
    await store!.chunks.put(key, { ...chunk, bytes: chunk.bytes.with(7, chunk.bytes[7] ^ 1) });
    const spoilt = second.conversation({ system: 'Be short.', messages, saved: 'talk' });
    await expect(spoilt.restore()).rejects.toMatchObject({ code: 'integrity-mismatch', details: { piece: 0 } });
    const computed = await ask(spoilt);
    expect(computed.note).toMatch(/“talk”.*altered.*computed again/);
    expect([computed.ids, computed.stats.reusedTokens]).toEqual([right.ids, 0]);

    await continued.save();
    expect(await spoilt.restore()).toBe(right.stats.promptTokens + 7);
    await deleteSavedCache('talk');
    expect(await savedCaches()).toEqual([]);
    expect(await store!.chunks.keys('@saved/')).toEqual([]);
  });

  // from here on the page itself has the databases open, and they can no longer be deleted
  it('tells the mark of a dead tab’s load from that of one that lives', async () => {
    const { engine } = await open();
    const { store } = await openModelStore();
    const [key] = await store!.ledger.keys();
    await store!.loading.put({ id: 'x', key, bytes: 5e6, at: 1 });
    expect((await isStored(MODEL, { createWorker }))!.lastAttempt).toBeNull();
    engine.dispose();
    await expect.poll(async () => (await isStored(MODEL, { createWorker }))!.lastAttempt?.bytes).toBe(5e6);
    const notes = new Set<string | undefined>();
    await open({ onProgress: ({ note }) => void notes.add(note) });
    expect([...notes].join()).toContain('it was to take 5 MB');
    expect(await store!.loading.get()).toBeUndefined();
  });

  it('goes on in IndexedDB where it stopped', async () => {
    const { store } = await openModelStore({}, 'test-resume');
    const bytes = crypto.getRandomValues(new Uint8Array(60_000));
    const files = new Map([['a.bin', bytes]]);
    const first = await openStored(createMemorySource('m', files), store);
    expect(await first.read('a.bin', 5, 9)).toEqual(bytes.slice(5, 9));
    const gone = { ...createMemorySource('m', files), read: () => Promise.reject(new Error('no network')) };
    const second = await openStored(gone, store);
    expect(await second.read('a.bin', 0, 60_000)).toEqual(bytes);
    expect((await store!.ledger.get('m@'))!.complete).toBe(false);
  });

  it('is an error when the worker’s script is missing or broken', async () => {
    const missing = () => new Worker('/no/such/worker.js', { type: 'module' });
    await expect(startWorker([missing])).rejects.toMatchObject({ code: 'worker-failed' });
    const broken = URL.createObjectURL(new Blob(['throw new Error("broken")'], { type: 'text/javascript' }));
    const failing = startWorker([() => new Worker(broken, { type: 'module' })]);
    await expect(failing).rejects.toMatchObject({ code: 'worker-failed', message: /broken/ });
  });
});

it('a browser without storage is told of, not failed on', async () => {
  const frame = document.createElement('iframe');
  frame.setAttribute('sandbox', 'allow-scripts');
  const answer = new Promise((resolve) =>
    addEventListener('message', ({ data }) => data.opaque && resolve(data.opaque)),
  );
  frame.srcdoc = `<script>let m; try { indexedDB.open('x'); m = 'opened' } catch (e) { m = e.name } parent.postMessage({ opaque: m }, '*')</script>`;
  document.body.append(frame);
  // this is what openModelStore() meets there, and here by a stand-in
  expect(await answer).toBe('SecurityError');
  frame.remove();
  const { indexedDB: real } = globalThis;
  const open = () => {
    throw new DOMException('denied', 'SecurityError');
  };
  Object.defineProperty(globalThis, 'indexedDB', { value: { open }, configurable: true });
  try {
    const { store, reason } = await openModelStore();
    expect(store).toBeNull();
    expect(reason).toMatch(/denied.*not kept/);
  } finally {
    Object.defineProperty(globalThis, 'indexedDB', { value: real, configurable: true });
  }
});
