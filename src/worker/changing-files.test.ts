/** Whole loads from a server that puts another version in the place of a model while it is downloaded. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NewTensor, parseHeader, writeSafetensors } from '../formats/safetensors';
import { createRandomSource } from '../node/random-source';
import type { EngineOptions, Progress } from '../protocol';
import { CHUNK_BYTES, chunkKey, createMemoryStore, type ModelStore } from '../weights/chunk-store';
import { createHttpSource } from '../weights/http-source';
import { createSession } from './session';
import { type ChangingServer, type Files, serveChanging, type Told } from './test/changing-server';
import { smallLlama } from './test/small-llama';

const CONFIG = smallLlama(3);
const SHARDS = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];

/** Another one each run; the seed is printed where a run fails. */
const seed = Number(process.env.SEED ?? Date.now()) >>> 0;
let state = seed;
function random(below: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}

let first: Files;
/** of each shard, where the codes of its weights lie */
const codes = new Map<string, { start: number; end: number }[]>();
let server: ChangingServer;

const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

beforeAll(async () => {
  const source = createRandomSource(CONFIG);
  const bytes = await source.read('model.safetensors', 0, (await source.size('model.safetensors'))!);
  const all = [...parseHeader(bytes, bytes.length, 'model.safetensors')].map(
    ([name, { dtype, shape, start, end }]): NewTensor => ({
      name,
      dtype: dtype as NewTensor['dtype'],
      shape,
      data: bytes.subarray(start, end),
    }),
  );
  const half = all.findIndex(({ data }) => data.byteOffset > CHUNK_BYTES + 500_000);
  const config = await source.read('config.json', 0, (await source.size('config.json'))!);
  const files = new Map<string, Uint8Array>([['config.json', config]]);
  const places: Record<string, string> = {};
  [all.slice(0, half), all.slice(half)].forEach((tensors, i) => {
    const file = new Uint8Array(Buffer.concat(writeSafetensors(tensors)));
    files.set(SHARDS[i], file);
    const header = [...parseHeader(file, file.length, SHARDS[i])];
    for (const [name] of header) places[name] = SHARDS[i];
    const weights = header.filter(([name, { dtype }]) => dtype === 'U8' && name.endsWith('.weight'));
    codes.set(
      SHARDS[i],
      weights.map(([, tensor]) => tensor),
    );
  });
  files.set('model.safetensors.index.json', encode({ weight_map: places }));
  first = files;
  server = await serveChanging();
}, 60_000);
afterAll(() => server.close());

/** As an upload that is quantised anew: the same headers, most codes changed. */
function requantised(by = 1): Files {
  const files = new Map(first);
  for (const [path, places] of codes) {
    const bytes = files.get(path)!.slice();
    for (const { start, end } of places) for (let at = start; at < end; at++) bytes[at] ^= by * 0x11;
    files.set(path, bytes);
  }
  return files;
}

/** One byte of one of the files has changed. */
function oneByteChanged(): Files {
  const files = new Map(first);
  const path = SHARDS[random(2)];
  const places = codes.get(path)!;
  const { start, end } = places[random(places.length)];
  const bytes = files.get(path)!.slice();
  bytes[start + random(end - start)] ^= 1 + random(255);
  return files.set(path, bytes);
}

function sessionOn(store: ModelStore | null) {
  const counted = { received: 0 };
  const session = createSession({
    gpu: null,
    openStore: async () => ({ store, reason: '' }),
    openSource: (_, onBytes) =>
      createHttpSource(server.base, {
        sleep: async () => {},
        onBytes(path, bytes) {
          onBytes(path, bytes);
          counted.received += bytes;
        },
      }),
  });
  const source = { kind: 'http', base: server.base } as const;
  let id = random(1e9);
  /** @param stop is told of the progress; true: the person stops the load there */
  async function load(options: EngineOptions = {}, stop: (progress: Progress) => boolean = () => false) {
    const progress: Progress[] = [];
    const mine = ++id;
    const port = {
      postMessage(message: Progress) {
        progress.push(message);
        if (stop(message)) void session.cancel(mine);
      },
    };
    const loading = session.load({ id: mine, source, options }, port);
    await loading.finally(() => expectOneWay(progress));
    return progress;
  }
  return { session, counted, load };
}

const PHASES = ['header', 'download', 'upload', 'compile', 'ready'];

/** Phases go one way; a load that begins anew says why. */
function expectOneWay(progress: readonly Progress[]) {
  progress.forEach(({ phase, note }, i) => {
    const back = i > 0 && PHASES.indexOf(phase) < PHASES.indexOf(progress[i - 1].phase);
    if (back) expect([phase, note]).toEqual(['header', expect.stringMatching(/the load begins anew/)]);
  });
}

const KEY = () => `${server.base}@`;
const total = () => [...first.values()].reduce((sum, { length }) => sum + length, 0);
const weightBytes = () => SHARDS.reduce((sum, path) => sum + first.get(path)!.length, 0);

/** What is kept and is not of this version. */
async function foreignChunks(store: ModelStore, files: Files): Promise<string[]> {
  const foreign: string[] = [];
  for (const [path, bytes] of files) {
    for (let i = 0; i * CHUNK_BYTES < bytes.length; i++) {
      const chunk = await store.chunks.get(chunkKey(KEY(), path, i));
      const right = bytes.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES);
      if (!chunk || !Buffer.from(chunk.bytes).equals(right)) foreign.push(`${path} ${i}`);
    }
  }
  return foreign;
}

/** All that is kept is of one of these versions: the server may change once more when all has been compared. */
async function expectKept(store: ModelStore, ...versions: Files[]): Promise<void> {
  expect((await store.ledger.get(KEY()))?.complete).toBe(true);
  const foreign = await Promise.all(versions.map((files) => foreignChunks(store, files)));
  expect(foreign).toContainEqual([]);
  expect((await store.chunks.keys('')).filter((name) => /~$|samples$/.test(name))).toEqual([]);
}

const TOLD: [string, Told][] = [
  ['an ETag', { etag: true }],
  ['Last-Modified', { modified: true }],
  ['both', { etag: true, modified: true }],
  ['neither', {}],
];

describe.each(TOLD)('a server that tells %s', (_, told) => {
  it('and puts another version in the place of the first 25 times never leads to a mixed model', async () => {
    const requantisedFiles = requantised();
    for (let run = 0; run < 25; run++) {
      const second = told.etag || told.modified ? oneByteChanged() : requantisedFiles;
      const store = createMemoryStore();
      server.told = told;
      server.begin([first, second], [random(1.1 * total())]);
      const stopAt = random(2) ? random(weightBytes()) : Number.POSITIVE_INFINITY;
      const context = `seed ${seed}, run ${run}, stopped at ${stopAt}`;
      const stopped = await sessionOn(store)
        .load({}, ({ networkBytes }) => networkBytes > stopAt)
        .then(
          () => false,
          (error) => {
            expect(error, context).toMatchObject({ code: 'aborted' });
            return true;
          },
        );
      if (stopped) await sessionOn(store).load();
      await expectKept(store, first, second).catch(async (error) => {
        console.log(
          await foreignChunks(store, first),
          await foreignChunks(store, second),
          server.requests,
          server.sent,
        );
        throw new Error(`${context}: ${error.message}`);
      });
    }
  }, 240_000);

  it('is asked for little more than the model where nothing changes', async () => {
    server.told = told;
    server.begin([first]);
    const store = createMemoryStore();
    const one = sessionOn(store);
    await expect(one.load({}, ({ networkBytes }) => networkBytes > 5e6)).rejects.toMatchObject({ code: 'aborted' });
    const two = sessionOn(store);
    await two.load();
    await expectKept(store, first);
    // of each file its samples where nothing tells versions, at the resumption and at the end
    const samples = told.etag || told.modified ? 0 : 2 * 3 * (64 << 10) * first.size;
    expect(one.counted.received + two.counted.received).toBeLessThanOrEqual(total() + samples);
    server.begin([first]);
    await sessionOn(store).load();
    expect(server.requests).toEqual([]);
  });
});
