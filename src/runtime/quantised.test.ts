/** Checkpoints of 16 bits that run in NF4 or int8: what is kept of them is the result. */
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { type FakeHub, type FakeHubOptions, serveFakeHub } from '../../scripts/testing/fake-hub';
import { QUANTISED } from '../checkpoint/quantised';
import { toBf16 } from '../formats/half';
import { type NewTensor, writeSafetensors } from '../formats/safetensors';
import { tensorTable } from '../model/decoder';
import { parseSpec } from '../model/parse';
import type { EngineOptions } from '../protocol';
import { createHubSource } from '../sources/hub-source';
import { CHUNK_BYTES, chunkKey, createMemoryStore, type ModelStore } from '../store/chunk-store';
import { deleteModel } from '../store/stored-models';
import { createSession } from './session';
import { smallLlama } from './test/small-llama';
import { ask, load as loadTiny } from './test/tiny';

// every load hashes its files; what does it, is tested beside it
vi.mock('../platform/sha256-in-pieces', () => import('../platform/test/native-sha256'));

const CONFIG = smallLlama(4);
const WEIGHTS = 'model.safetensors';
const KEY = 'org/model@main';
const PROMPT = [5, 9, 300, 41];
/** bytes of bf16 that a chunk of NF4 is made of: 64 weights in 36 bytes */
const CHUNK_FROM = (CHUNK_BYTES * 128) / 36;

let weights: Uint8Array;
let hub: FakeHub;
beforeAll(async () => {
  let seed = 1;
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 31 - 1;
  };
  const tensors = tensorTable(parseSpec(CONFIG)).map(({ name, rows, cols, kind }): NewTensor => {
    const value = kind === 'vector' ? () => 1 : () => (random() * 2) / Math.sqrt(cols);
    const data = new Uint8Array(Uint16Array.from({ length: rows * cols }, () => toBf16(value())).buffer);
    return { name, dtype: 'BF16', shape: kind === 'vector' ? [cols] : [rows, cols], data };
  });
  weights = new Uint8Array(Buffer.concat(writeSafetensors(tensors)));
  const config = new TextEncoder().encode(JSON.stringify(CONFIG));
  const files = new Map<string, Uint8Array>([
    ['config.json', config],
    [WEIGHTS, weights],
  ]);
  hub = await serveFakeHub({ repos: { 'org/model': { files } } });
});
afterAll(() => hub.close());
beforeEach(() => {
  hub.options.fault = undefined;
  hub.reset();
});

/** Loads and answers. */
async function run(store: ModelStore | null, options: EngineOptions = {}) {
  const counted = { received: 0 };
  const session = createSession({
    gpu: null,
    openStore: async () => ({ store, reason: '' }),
    openSource: (_, onBytes) =>
      createHubSource(
        { kind: 'hub', id: 'org/model', hub: hub.origin },
        {
          sleep: async () => {},
          onBytes(path, bytes) {
            onBytes(path, bytes);
            if (path === WEIGHTS) counted.received += bytes;
          },
        },
      ),
  });
  const answer = async () => {
    const { progress } = await loadTiny(session, options);
    const { result } = await ask(session, { ids: PROMPT }, { maxNewTokens: 6 });
    return { ids: result.ids, progress };
  };
  return { session, counted, answer };
}

const madeKey = (index: number) => chunkKey(KEY, QUANTISED, index);

/** Refuses the rest of the file: enough has come for the first chunk of the result. */
const cutAt =
  (chunk: number): FakeHubOptions['fault'] =>
  ({ path, start }) =>
    path === WEIGHTS && start >= chunk * CHUNK_BYTES ? { kind: 'status', status: 404 } : null;

/** Compared by Buffer: expect() takes half a minute for a chunk. */
async function expectSameChunk(store: ModelStore, other: ModelStore, index: number) {
  const [a, b] = await Promise.all([store, other].map(({ chunks }) => chunks.get(madeKey(index))));
  expect(a?.sha256).toBe(b!.sha256);
  expect(Buffer.from(a!.bytes).equals(b!.bytes)).toBe(true);
}

it.each<EngineOptions['weights']>(['keep', 'q8'])(
  'weights %s: the result is kept, and gives the same ids',
  async (as) => {
    const without = await (await run(null, { weights: as })).answer();
    const store = createMemoryStore();
    const first = await run(store, { weights: as });
    const { ids } = await first.answer();
    expect(ids).toEqual(without.ids);
    expect(first.counted.received).toBe(weights.length);
    const [kept] = await first.session.storedModels();
    expect(kept.complete).toBe(true);
    const share = as === 'keep' ? 36 / 128 : 0.51;
    // the chunk that the header is in is kept, too
    expect(kept.storedBytes).toBeLessThan(weights.length * share + CHUNK_BYTES + 50_000);
    expect(await store.chunks.keys(chunkKey(KEY, WEIGHTS, 0).slice(0, -1))).toEqual([chunkKey(KEY, WEIGHTS, 0)]);

    // a download that is not loaded keeps the same
    const downloaded = createMemoryStore();
    const source = { kind: 'hub', id: 'org/model', hub: hub.origin } as const;
    const { session } = await run(downloaded);
    await session.download({ id: 99, source, options: { weights: as } }, { postMessage: () => {} });
    await expectSameChunk(downloaded, store, 0);
    expect(await session.storedModels()).toMatchObject([{ complete: true, storedBytes: kept.storedBytes }]);

    hub.reset();
    const second = await run(store, { weights: as });
    // looking at it leaves it as it is
    expect((await second.session.inspect({ source, options: { backend: 'cpu' } })).here).toBe(true);
    const again = await second.answer();
    expect(again.ids).toEqual(ids);
    expect(hub.requests).toEqual([]);
    expect(again.progress.at(-1)).toMatchObject({ phase: 'ready', networkBytes: 0 });
    const verified = await second.session.verify({ kind: 'stored', key: KEY });
    expect(verified).toEqual({ checkedBytes: kept.storedBytes, alteredChunks: 0, missingChunks: 0 });
    await deleteModel(store, KEY);
    expect(await store.chunks.keys('')).toEqual([]);
  },
  60_000,
);

it('is cut in the middle, and goes on with what is not made yet', async () => {
  const store = createMemoryStore();
  const whole = createMemoryStore();
  const { ids } = await (await run(whole)).answer();
  hub.options.fault = cutAt(5);
  await expect((await run(store)).answer()).rejects.toMatchObject({ code: 'network' });
  await expectSameChunk(store, whole, 0);
  hub.options.fault = undefined;
  const second = await run(store);
  expect((await second.answer()).ids).toEqual(ids);
  expect(second.counted.received).toBeLessThan(weights.length - CHUNK_FROM + 2 * CHUNK_BYTES);
  await expectSameChunk(store, whole, 1);
});

it('makes again what was altered in the store, of what it was made of', async () => {
  const store = createMemoryStore();
  const { ids } = await (await run(store)).answer();
  const whole = createMemoryStore();
  const spoilt = (await store.chunks.get(madeKey(1)))!;
  await whole.chunks.put(madeKey(1), spoilt);
  spoilt.bytes[1000] ^= 1;
  await store.chunks.put(madeKey(1), spoilt);
  const second = await run(store);
  expect((await second.answer()).ids).toEqual(ids);
  expect(second.counted.received).toBeGreaterThan(0);
  expect(second.counted.received).toBeLessThan(weights.length - CHUNK_FROM + 2 * CHUNK_BYTES);
  await expectSameChunk(store, whole, 1);
});

it('is made anew for another choice, and says so; files that are kept whole serve any choice', async () => {
  const store = createMemoryStore();
  const { ids } = await (await run(store)).answer();
  const kept = await run(store, { keep: ['mlp'] });
  const { progress } = await kept.answer();
  expect(progress.some(({ note }) => note?.includes('another choice of weights'))).toBe(true);
  expect(kept.counted.received).toBeGreaterThan(weights.length - 2 * CHUNK_BYTES);

  const half = await run(store, { weights: 'f16' });
  await half.answer();
  expect(await store.chunks.keys(madeKey(0).slice(0, -1))).toEqual([]);
  const [{ storedBytes }] = await half.session.storedModels();
  expect(storedBytes).toBeGreaterThanOrEqual(weights.length);

  hub.reset();
  expect((await (await run(store)).answer()).ids).toEqual(ids);
  expect(hub.requests).toEqual([]);
});

it('never takes for one choice what a load that was cut had made for another', async () => {
  const store = createMemoryStore();
  hub.options.fault = cutAt(5);
  await expect((await run(store, { keep: ['self_attn'] })).answer()).rejects.toMatchObject({ code: 'network' });
  expect(await store.chunks.get(madeKey(0))).toBeDefined();
  // fails before it is known what is to be made
  hub.options.fault = ({ at }) => (at === 'cdn' || at === 'resolve' ? { kind: 'status', status: 404 } : null);
  await store.chunks.delete(chunkKey(KEY, WEIGHTS, 0));
  await expect((await run(store, { keep: ['self_attn'] })).answer()).rejects.toMatchObject({ code: 'network' });
  hub.options.fault = undefined;
  await (await run(store)).answer();
  const whole = createMemoryStore();
  await (await run(whole)).answer();
  for (const index of [0, 1]) await expectSameChunk(store, whole, index);
});

it('a byte that arrives altered is caught by the author’s digest, and what was made of it is made again', async () => {
  const whole = createMemoryStore();
  await (await run(whole)).answer();
  let flips = 1;
  const at = 12_000_000;
  hub.options.fault = (request) =>
    request.at === 'cdn' && request.start <= at && at < request.end && flips-- > 0 ? { kind: 'flip', at } : null;
  const store = createMemoryStore();
  await (await run(store)).answer();
  expect(flips).toBeLessThan(0);
  for (const index of [0, 1]) await expectSameChunk(store, whole, index);
});
