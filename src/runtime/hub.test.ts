/**
 * Whole loads from a server that behaves as the Hub does, and from one that does not. It is long because each fault of
 * a server is a test of its own.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type FakeHub, type Fault, serveFakeHub } from '../../scripts/testing/fake-hub';
import { type NewTensor, parseHeader, type RawTensor, writeSafetensors } from '../formats/safetensors';
import { createRandomSource } from '../node/random-source';
import type { EngineOptions } from '../protocol';
import { createHubSource } from '../sources/hub-source';
import type { SourceDescription } from '../sources/source';
import { CHUNK_BYTES, chunkKey, createMemoryStore, type ModelStore, partsKey } from '../store/chunk-store';
import { createSession } from './session';
import { smallLlama } from './test/small-llama';
import { load as loadTiny } from './test/tiny';

// every load hashes its files; what does it, is tested beside it
vi.mock('../platform/sha256-in-pieces', () => import('../platform/test/native-sha256'));

const CONFIG = smallLlama(8);
const WEIGHTS = 'model.safetensors';
const KEY = 'org/model@main';
const SCATTERED = 'org/scattered@main';

let files: Map<string, Uint8Array>;
let weights: Uint8Array;
/** the same tensors in the order of the model, so that what a header needs lies all over the file */
let scattered: Uint8Array;
let hub: FakeHub;
beforeAll(async () => {
  const random = createRandomSource(CONFIG);
  const whole = async (path: string) => random.read(path, 0, (await random.size(path))!);
  scattered = await whole(WEIGHTS);
  const tensors = [...parseHeader(scattered, scattered.length, WEIGHTS)].map(
    ([name, { dtype, shape, start, end }]) => ({
      name,
      dtype: dtype as NewTensor['dtype'],
      shape,
      data: scattered.subarray(start, end),
    }),
  );
  weights = new Uint8Array(Buffer.concat(writeSafetensors(tensors)));
  const config: [string, Uint8Array] = ['config.json', await whole('config.json')];
  files = new Map([config, [WEIGHTS, weights]]);
  const other = { files: new Map([config, [WEIGHTS, scattered]]) };
  hub = await serveFakeHub({ repos: { 'org/model': { files }, 'org/scattered': other } });
});
afterAll(() => hub.close());
beforeEach(() => {
  hub.options.fault = undefined;
  hub.mend();
  hub.reset();
});

/** A session whose downloads are counted as they arrive, and whose waits take no time. */
function sessionOn(store: ModelStore | null, more: Partial<Extract<SourceDescription, { kind: 'hub' }>> = {}) {
  const counted = { received: 0, slept: [] as number[] };
  const description = { kind: 'hub', id: 'org/model', hub: hub.origin, ...more } as const;
  const session = createSession({
    gpu: null,
    openStore: async () => ({ store, reason: '' }),
    openSource: (_, onBytes) =>
      createHubSource(description, {
        sleep: async (ms) => void counted.slept.push(ms),
        onBytes(path, bytes) {
          onBytes(path, bytes);
          if (path === WEIGHTS) counted.received += bytes;
        },
      }),
  });
  return { counted, session, load: (options: EngineOptions = {}) => loadTiny(session, options) };
}

async function expectStored(store: ModelStore, key = KEY, bytes = weights) {
  expect((await store.ledger.get(key))?.complete).toBe(true);
  for (let i = 0; i * CHUNK_BYTES < bytes.length; i++) {
    const chunk = await store.chunks.get(chunkKey(key, WEIGHTS, i));
    expect(Buffer.from(chunk!.bytes).equals(bytes.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES))).toBe(true);
  }
  expect((await store.chunks.keys('')).filter((key) => key.endsWith('~'))).toEqual([]);
}

it('is loaded whole, each byte once, with what the Hub would allow', async () => {
  const store = createMemoryStore();
  const { load, counted, session } = sessionOn(store);
  const { info, progress } = await load();
  expect(weights.length).toBeGreaterThan(3 * CHUNK_BYTES);
  expect(info).toMatchObject({ name: 'org/model', revision: expect.stringMatching(/^\w{40}$/) });
  expect(counted.received).toBe(weights.length);
  expect(progress.at(-1)).toMatchObject({ phase: 'ready', networkBytes: weights.length });
  expect(hub.complaints).toEqual([]);
  await expectStored(store);
  const [kept] = await session.storedModels();
  expect(kept).toMatchObject({ key: KEY, complete: true, revision: info.revision });
  expect(kept.storedBytes).toBe(weights.length + files.get('config.json')!.length);

  hub.reset();
  const again = sessionOn(store);
  await again.load();
  expect([hub.requests, again.counted.received]).toEqual([[], 0]);
});

it('is cut at a random byte a hundred times, and no byte that arrived is fetched again', async () => {
  let seed = 20261123;
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  const store = createMemoryStore();
  let received = 0;
  let inFlight = 0;
  for (let cut = 0; cut < 100; cut++) {
    const { load, counted } = sessionOn(store);
    const before = hub.bytes();
    hub.mend();
    hub.cutAfter(1 + Math.floor((random() * 1.9 * (weights.length - received)) / (101 - cut)));
    await expect(load()).rejects.toMatchObject({ code: 'network', details: { status: expect.any(Number) } });
    received += counted.received;
    inFlight += hub.bytes() - before - counted.received;
    expect((await store.ledger.get(KEY))!.complete).toBe(false);
  }
  hub.mend();
  const last = sessionOn(store);
  await last.load();
  received += last.counted.received;
  expect(received).toBe(weights.length);
  expect(hub.bytes()).toBeLessThanOrEqual(weights.length + inFlight + files.get('config.json')!.length);
  expect(hub.complaints).toEqual([]);
  await expectStored(store);
});

it('goes on at the very byte where the person stopped it', async () => {
  const store = createMemoryStore();
  const first = sessionOn(store);
  hub.options.bytesPerSecond = 40e6;
  const loading = first.session.load(
    { id: 4711, source: { kind: 'hub', id: 'org/model' }, options: {} },
    { postMessage: ({ networkBytes }) => void (networkBytes > 5e6 && first.session.cancel(4711)) },
  );
  await expect(loading).rejects.toMatchObject({ code: 'aborted' });
  hub.options.bytesPerSecond = undefined;
  const second = sessionOn(store);
  await second.load();
  expect(first.counted.received).toBeGreaterThan(5e6);
  expect(first.counted.received + second.counted.received).toBe(weights.length);
  await expectStored(store);
});

describe('a byte that arrives altered', () => {
  it.each([
    ['in the header', 20],
    ['in the first chunk', 3_000_000],
    ['in the middle', 10_000_000],
    ['at the end', -1],
  ])('%s is caught and fetched again', async (_, place) => {
    const at = place < 0 ? weights.length + place : place;
    let flips = 1;
    hub.options.fault = ({ path, start, end }) =>
      path === WEIGHTS && start <= at && at < end && flips-- > 0 ? { kind: 'flip', at } : null;
    const store = createMemoryStore();
    const { load } = sessionOn(store);
    await load();
    expect(flips).toBeLessThan(1);
    await expectStored(store);
  });

  it('each time ends in an error with both digests, keeps nothing of the file, and is mended later', async () => {
    const at = 10_000_000;
    hub.options.fault = ({ path, start, end }) =>
      path === WEIGHTS && start <= at && at < end ? { kind: 'flip', at } : null;
    const store = createMemoryStore();
    await expect(sessionOn(store).load()).rejects.toMatchObject({
      code: 'integrity-mismatch',
      details: { path: WEIGHTS, bytes: weights.length, expected: expect.any(String), actual: expect.any(String) },
    });
    expect((await store.chunks.keys('')).filter((key) => key.includes(WEIGHTS))).toEqual([]);
    hub.options.fault = undefined;
    await sessionOn(store).load();
    await expectStored(store);
  });

  it('is caught without a store, too', async () => {
    hub.options.fault = ({ path }) => (path === WEIGHTS ? { kind: 'flip', at: 10_000_000 } : null);
    await expect(sessionOn(null).load()).rejects.toMatchObject({ code: 'integrity-mismatch' });
  });

  it('in a small file is fetched again at once', async () => {
    let flips = 1;
    hub.options.fault = ({ path }) => (path === 'config.json' && flips-- > 0 ? { kind: 'flip', at: 5 } : null);
    await sessionOn(createMemoryStore()).load();
    expect(flips).toBe(-1);
  });
});

describe('a server that fails in the middle', () => {
  it.each<[string, Fault, 'resolve' | 'cdn', string, object, number]>([
    ['a web page', { kind: 'html' }, 'resolve', 'network', {}, 0],
    ['401', { kind: 'status', status: 401 }, 'resolve', 'network', { status: 401 }, 0],
    ['404', { kind: 'status', status: 404 }, 'resolve', 'network', { status: 404 }, 0],
    ['404 of the CDN', { kind: 'status', status: 404 }, 'cdn', 'network', { status: 404 }, 0],
    ['416', { kind: 'status', status: 416 }, 'cdn', 'corrupt-checkpoint', { status: 416, path: WEIGHTS }, 0],
    ['429', { kind: 'status', status: 429, headers: { 'Retry-After': '9' } }, 'resolve', 'network', { status: 429 }, 4],
    ['503', { kind: 'status', status: 503 }, 'cdn', 'network', { status: 503 }, 4],
    ['a redirect loop', { kind: 'redirect-loop' }, 'resolve', 'network', { status: 0 }, 4],
    ['another range', { kind: 'content-range', value: 'bytes 0-99/100' }, 'cdn', 'network', { status: 206 }, 0],
    ['a longer file', { kind: 'content-range', value: 'pages 1-2' }, 'cdn', 'network', { status: 206 }, 0],
    ['nothing', { kind: 'refuse' }, 'resolve', 'network', { status: 0 }, 4],
  ])('with %s: an error with the numbers, and the next attempt goes on', async (_, fault, at, code, details, waits) => {
    const store = createMemoryStore();
    hub.options.fault = (request) =>
      request.at === at && request.path === WEIGHTS && request.start >= 2 * CHUNK_BYTES ? fault : null;
    const { load, counted } = sessionOn(store);
    await expect(load()).rejects.toMatchObject({ code, details });
    // the chunk in use and three ahead of it
    expect(counted.slept.length).toBeLessThanOrEqual(4 * waits);
    if (fault.kind === 'status' && fault.status === 429) expect(new Set(counted.slept)).toEqual(new Set([9000]));
    expect(counted.received).toBeGreaterThanOrEqual(2 * CHUNK_BYTES);
    hub.options.fault = undefined;
    const next = sessionOn(store);
    await next.load();
    expect(counted.received + next.counted.received).toBe(weights.length);
    await expectStored(store);
    expect(hub.complaints).toEqual([]);
  });

  it('for a while: 429 and 503 are waited out', async () => {
    const failed = new Set<string>();
    hub.options.fault = ({ at, path, start }) => {
      const range = `${at} ${path} ${start}`;
      if (failed.has(range)) return null;
      failed.add(range);
      return { kind: 'status', status: failed.size % 2 ? 429 : 503 };
    };
    const { load, counted } = sessionOn(createMemoryStore());
    await load();
    expect(counted.slept).toHaveLength(failed.size);
    expect(failed.size).toBeGreaterThan(8);
    expect(counted.received).toBe(weights.length);
  });

  it('that knows no ranges sends the file once', async () => {
    hub.options.fault = ({ at }) => (at === 'cdn' ? { kind: 'no-range' } : null);
    const store = createMemoryStore();
    const { load, counted } = sessionOn(store);
    await load();
    await expectStored(store);
    expect(counted.received).toBeLessThan(1.2 * weights.length);
  });
});

describe('a file with small parts all over it', () => {
  const on = (store: ModelStore | null) => sessionOn(store, { id: 'org/scattered' });
  /** quant_maps and quant_states; each of a weight's lie side by side */
  let parts: RawTensor[];
  let partBytes: number;
  beforeAll(() => {
    const tensors = [...parseHeader(scattered, scattered.length, WEIGHTS)];
    parts = tensors.filter(([name]) => /\.quant_(map|state)/.test(name)).map(([, tensor]) => tensor);
    partBytes = parts.reduce((sum, { start, end }) => sum + end - start, 0);
  });
  const lastPart = () => parts.at(-1)!;

  it('is planned after the header and those parts; then each byte comes once', async () => {
    const store = createMemoryStore();
    const { load, counted } = on(store);
    await load();
    expect(parts.length).toBeGreaterThan(100);
    expect(partBytes).toBeLessThan(20_000);
    expect(counted.received).toBeGreaterThan(scattered.length);
    expect(counted.received).toBeLessThanOrEqual(scattered.length + partBytes);
    // the second chunk is asked for when memory has been planned
    const asked = hub.requests.flatMap((request) => {
      const range = /^cdn model\.safetensors (\d+)-(\d+)$/.exec(request);
      return range ? [{ start: Number(range[1]), bytes: Number(range[2]) + 1 - Number(range[1]) }] : [];
    });
    const planned = asked.slice(
      0,
      asked.findIndex(({ start, bytes }) => start === CHUNK_BYTES && bytes > 9999),
    );
    expect(planned.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(CHUNK_BYTES + partBytes);
    expect(planned.length).toBeGreaterThan(40);
    expect(hub.complaints).toEqual([]);
    await expectStored(store, SCATTERED, scattered);

    hub.reset();
    const read: string[] = [];
    const { get } = store.chunks;
    store.chunks.get = (key) => {
      read.push(key);
      return get(key);
    };
    await on(store).load();
    expect(hub.requests).toEqual([]);
    expect(read.filter((key) => key === partsKey(SCATTERED, WEIGHTS))).toHaveLength(1);
    for (let i = 0; i * CHUNK_BYTES < scattered.length; i++) {
      expect(read.filter((key) => key === chunkKey(SCATTERED, WEIGHTS, i))).toHaveLength(1);
    }
  });

  it('is read offline without the kept parts, too, and checked', async () => {
    const store = createMemoryStore();
    await on(store).load();
    const kept = (await store.chunks.get(partsKey(SCATTERED, WEIGHTS)))!;
    kept.bytes[kept.bytes.length - 1] ^= 1;
    await store.chunks.put(partsKey(SCATTERED, WEIGHTS), kept);
    hub.reset();
    await on(store).load();
    expect(hub.requests).toEqual([]);
    expect(await store.chunks.get(partsKey(SCATTERED, WEIGHTS))).toBeUndefined();
    const checked = await on(store).session.verify({ kind: 'stored', key: SCATTERED });
    expect(checked).toMatchObject({ alteredChunks: 0, missingChunks: 0 });
  });

  it.each([12, 200_000, 5_000_000, 12_000_000])('goes on after a cut at byte %i', async (cut) => {
    const store = createMemoryStore();
    hub.cutAfter(cut);
    const first = on(store);
    await expect(first.load()).rejects.toMatchObject({ code: 'network' });
    hub.mend();
    const second = on(store);
    await second.load();
    expect(first.counted.received + second.counted.received).toBeLessThanOrEqual(scattered.length + partBytes);
    await expectStored(store, SCATTERED, scattered);
  });

  it.each([true, false])('a byte of a part that arrives altered is noticed (with a store: %s)', async (kept) => {
    const { end, start: first } = lastPart();
    // a letter of a name that nothing needs: the header is read as before
    const at = first + Buffer.from(scattered.subarray(first, end)).indexOf('bfloat16') + 1;
    let flips = 1;
    hub.options.fault = (request) =>
      request.at === 'cdn' && request.start <= at && at < request.end && flips-- > 0 ? { kind: 'flip', at } : null;
    const store = kept ? createMemoryStore() : null;
    const { load, counted } = on(store);
    await load();
    expect(flips).toBeLessThan(0);
    if (!store) return;
    await expectStored(store, SCATTERED, scattered);
    // the chunk that said otherwise came again, and the parts
    expect(counted.received).toBeLessThanOrEqual(scattered.length + CHUNK_BYTES + 2 * partBytes);
  });

  it('that differ each time end in an error, and are mended later', async () => {
    const { start, end } = lastPart();
    const at = start + Buffer.from(scattered.subarray(start, end)).indexOf('bfloat16') + 1;
    hub.options.fault = (request) =>
      request.start <= at && at < request.end && request.end - request.start < 9999 ? { kind: 'flip', at } : null;
    const store = createMemoryStore();
    await expect(on(store).load()).rejects.toMatchObject({
      code: 'integrity-mismatch',
      details: { path: WEIGHTS, byte: at },
    });
    hub.options.fault = undefined;
    await on(store).load();
    await expectStored(store, SCATTERED, scattered);
  });

  it('of a server that knows no ranges come with the rest', async () => {
    hub.options.fault = ({ at }) => (at === 'cdn' ? { kind: 'no-range' } : null);
    const { load, counted } = on(createMemoryStore());
    await load();
    expect(counted.received).toBeLessThan(1.2 * scattered.length);
  });
});

it('follows a branch that moved between two attempts: only the files that changed are fetched again', async () => {
  const store = createMemoryStore();
  hub.options.fault = ({ path, start }) =>
    path === WEIGHTS && start >= 2 * CHUNK_BYTES ? { kind: 'status', status: 404 } : null;
  const first = sessionOn(store);
  await expect(first.load()).rejects.toMatchObject({ code: 'network' });
  hub.options.fault = undefined;
  const repo = hub.options.repos['org/model'];
  try {
    repo.files = new Map([...files, ['README.md', new Uint8Array(9)]]);
    const second = sessionOn(store);
    const { info } = await second.load();
    expect(first.counted.received + second.counted.received).toBe(weights.length);
    expect((await store.ledger.get(KEY))!.revision).toBe(info.revision);

    // of the same size, and yet another file
    await second.session.forget({ kind: 'stored', key: KEY });
    hub.options.fault = ({ path, start }) =>
      path === WEIGHTS && start >= 2 * CHUNK_BYTES ? { kind: 'status', status: 404 } : null;
    await expect(sessionOn(store).load()).rejects.toMatchObject({ code: 'network' });
    hub.options.fault = undefined;
    const other = weights.slice();
    other[10_000_001] ^= 255;
    repo.files = new Map([...files, [WEIGHTS, other]]);
    const third = sessionOn(store);
    await third.load();
    expect(third.counted.received).toBe(weights.length);
  } finally {
    repo.files = files;
  }
});

describe('a browser whose room is known to be too small', () => {
  const scarce = () => {
    const store = createMemoryStore();
    store.room = async () => ({ usage: 5e6, quota: 6e6 });
    return store;
  };

  it('is an error before the download, with the numbers', async () => {
    const store = scarce();
    const first = sessionOn(store);
    await expect(first.load()).rejects.toMatchObject({
      code: 'quota-exceeded',
      message: /15 MB more are needed, 5 MB are in use here.*if-room/,
      details: { neededBytes: weights.length + files.get('config.json')!.length, usageBytes: 5e6, quotaBytes: 6e6 },
    });
    expect(first.counted.received).toBe(0);
    store.room = async () => ({ usage: 5e6, quota: 9e9 });
    const second = sessionOn(store);
    await second.load();
    expect(second.counted.received).toBe(weights.length);
    await expectStored(store);
    // nothing more is needed now
    store.room = async () => ({ usage: 5e6, quota: 5e6 });
    await sessionOn(store).load();
  });

  it('is no hindrance with if-room: the rest is not kept', async () => {
    const store = scarce();
    const { info } = await sessionOn(store).load({ storage: 'if-room' });
    expect(info.storageReason).toMatch(/no room/);
    expect((await store.chunks.keys('')).length).toBe(1);
    expect((await store.ledger.get(KEY))!.complete).toBe(false);
  });
});
