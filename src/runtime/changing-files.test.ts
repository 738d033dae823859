/**
 * Whole loads from a server that puts another version in the place of a model while it is downloaded. It is long
 * because a change may come at any step of a load, and each step is a test.
 */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NewTensor, parseHeader, writeSafetensors } from '../formats/safetensors';
import { createRandomSource } from '../node/random-source';
import type { EngineOptions, Progress } from '../protocol';
import { createHttpSource } from '../sources/http-source';
import { CHUNK_BYTES, chunkKey, createMemoryStore, type ModelRecord, type ModelStore } from '../store/chunk-store';
import { createSession } from './session';
import { type ChangingServer, type Files, serveChanging, type Told } from './test/changing-server';
import { smallLlama } from './test/small-llama';
import { ask } from './test/tiny';

const CONFIG = smallLlama(3);
const SHARDS = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];

/** Another one each run; the seed is printed where a run fails. */
const seed = Date.now() >>> 0;
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
});
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

function sessionOn(store: ModelStore | null, file = '') {
  const counted = { received: 0 };
  const session = createSession({
    gpu: null,
    openStore: async () => ({ store, reason: '' }),
    openSource: (_, onBytes) =>
      createHttpSource(server.base + file, {
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

/** A load that gets no answer about any file of the model, but the one that there is no manifest: it ends there. */
async function endBeforeAnyAnswer(store: ModelStore, offline: boolean): Promise<void> {
  const { session } = sessionOn(store);
  const id = random(1e9);
  server.intercept = (_request, response, path) => {
    if (path === 'manifest.json') return false;
    if (!offline) void session.cancel(id);
    response.destroy();
    return true;
  };
  const source = { kind: 'http', base: server.base } as const;
  const loading = session.load({ id, source, options: {} }, { postMessage() {} });
  await expect(loading).rejects.toMatchObject({ code: offline ? 'network' : 'aborted' });
  server.intercept = null;
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
      if (stopped && random(2)) await endBeforeAnyAnswer(store, random(2) === 1);
      if (stopped) await sessionOn(store).load();
      await expectKept(store, first, second).catch((error) => {
        throw new Error(`${context}: ${error.message}`);
      });
    }
  });

  it.each([true, false])(
    'and changes around a load that ends before the first answer (offline: %s)',
    async (offline) => {
      for (const next of [requantised(), first]) {
        server.told = told;
        server.begin([first]);
        const store = createMemoryStore();
        const one = sessionOn(store);
        await expect(one.load({}, ({ networkBytes }) => networkBytes > 5e6)).rejects.toMatchObject({ code: 'aborted' });
        await endBeforeAnyAnswer(store, offline);
        server.replace(next);
        const two = sessionOn(store);
        await two.load();
        await expectKept(store, next);
        if (next === first) expect(one.counted.received + two.counted.received).toBeLessThan(1.2 * total());
      }
    },
  );

  it('and brings back a model whose record is lost: nothing of unknown version is taken', async () => {
    server.told = told;
    server.begin([first]);
    const store = createMemoryStore();
    await expect(sessionOn(store).load({}, ({ networkBytes }) => networkBytes > 5e6)).rejects.toMatchObject({
      code: 'aborted',
    });
    await store.ledger.put({ ...(await store.ledger.get(KEY()))!, files: {} });
    server.replace(requantised());
    await sessionOn(store).load();
    await expectKept(store, requantised());
  });

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

describe('a server whose files change', () => {
  const without = (record: ModelRecord): ModelRecord => ({
    ...record,
    files: Object.fromEntries(Object.entries(record.files).map(([path, { version: _, ...file }]) => [path, file])),
  });

  it('with every download is an error that says so, and nothing of it is kept as a model', async () => {
    server.told = {};
    server.begin([first]);
    server.intercept = (_request, response) => {
      response.setHeader('ETag', `"${Math.floor(server.requests.length / 6)}"`);
      return false;
    };
    const store = createMemoryStore();
    await expect(sessionOn(store).load()).rejects.toMatchObject({
      code: 'integrity-mismatch',
      message: expect.stringMatching(/keeps changing on the server.*4 times.*Load the model again/),
      details: { reason: 'changed', times: 4 },
    });
    expect((await store.ledger.get(KEY()))?.complete).toBe(false);
    server.intercept = null;
    await sessionOn(store).load();
    await expectKept(store, first);
  });

  it('between two files is noticed without a store, too', async () => {
    for (const told of [{ etag: true }, {}]) {
      server.told = told;
      server.begin([first, requantised()], [first.get(SHARDS[0])!.length + 500_000]);
      const { session, load } = sessionOn(null);
      const progress = await load();
      expect(progress.some(({ note }) => note?.includes('changed on the server'))).toBe(true);
      const { ids } = (await ask(session, { ids: [5, 9, 300] }, { maxNewTokens: 5, ignoreEos: true })).result;
      server.begin([requantised()]);
      const other = sessionOn(null);
      await other.load();
      expect((await ask(other.session, { ids: [5, 9, 300] }, { maxNewTokens: 5, ignoreEos: true })).result.ids).toEqual(
        ids,
      );
    }
  });

  it.each(TOLD)('is met by a record of yesterday: %s', async (_, told) => {
    server.told = told;
    server.begin([first]);
    const store = createMemoryStore();
    await sessionOn(store).load();
    await store.ledger.put(without((await store.ledger.get(KEY()))!));
    server.begin([requantised()]);
    await sessionOn(store).load();
    expect(server.requests).toEqual([]);

    // one that was cut goes on where nothing has changed, and begins anew where it has
    for (const now of [first, requantised()]) {
      const cut = createMemoryStore();
      server.begin([first]);
      const one = sessionOn(cut);
      await expect(one.load({}, ({ networkBytes }) => networkBytes > 5e6)).rejects.toMatchObject({ code: 'aborted' });
      await cut.ledger.put(without((await cut.ledger.get(KEY()))!));
      for (const name of await cut.chunks.keys('')) if (name.endsWith('samples')) await cut.chunks.delete(name);
      server.begin([now]);
      const two = sessionOn(cut);
      await two.load();
      await expectKept(cut, now);
      const both = one.counted.received + two.counted.received;
      if (now === first) expect(both).toBeLessThan(1.2 * total());
      else expect(two.counted.received).toBeGreaterThan(weightBytes());
      expect(two.counted.received).toBeLessThan(1.2 * total());
    }
  });

  it.each(TOLD)('in a small one between two visits: it is read afresh, the weights are not (%s)', async (_, told) => {
    server.told = told;
    server.begin([first]);
    const store = createMemoryStore();
    const one = sessionOn(store);
    await expect(one.load({}, ({ networkBytes }) => networkBytes > 5e6)).rejects.toMatchObject({ code: 'aborted' });
    const config = encode({ ...CONFIG, rms_norm_eps: 2e-5 });
    const next = new Map([...first, ['config.json', config] as const]);
    server.begin([next]);
    const two = sessionOn(store);
    server.intercept = (_request, response, path) => {
      // the weights are still those of the first upload
      if (told.etag && path !== 'config.json') response.setHeader('ETag', '"version-0"');
      else if (told.etag) response.setHeader('ETag', '"version-1"');
      if (told.modified && path === 'config.json') response.setHeader('Last-Modified', new Date(2e12).toUTCString());
      else if (told.modified) response.setHeader('Last-Modified', new Date(Date.UTC(2026, 0, 1)).toUTCString());
      return false;
    };
    server.told = {};
    await two.load();
    await expectKept(store, next);
    expect(one.counted.received + two.counted.received).toBeLessThan(1.2 * total());
  });

  it('begins anew with the manifest that stands there now', async () => {
    const withManifest = async (files: Files): Promise<Files> => {
      const entries = [...files].map(([path, bytes]) => {
        const chunks: string[] = [];
        for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
          chunks.push(
            createHash('sha256')
              .update(bytes.subarray(at, at + CHUNK_BYTES))
              .digest('hex'),
          );
        }
        return { path, bytes: bytes.length, chunks };
      });
      const manifest = { format: 'nibble-manifest-1', revision: 'r', chunkBytes: CHUNK_BYTES, files: entries };
      return new Map([...files, ['manifest.json', encode(manifest)] as const]);
    };
    server.told = {};
    const next = await withManifest(requantised());
    server.begin([await withManifest(first), next], [3e6]);
    const store = createMemoryStore();
    await sessionOn(store).load();
    expect(await foreignChunks(store, requantised())).toEqual([]);
  });

  it('and that knows no ranges', async () => {
    for (const told of [{ etag: true }, {}]) {
      server.told = told;
      server.begin([first, requantised()], [3e6]);
      server.noRanges = true;
      const store = createMemoryStore();
      await sessionOn(store).load();
      await expectKept(store, requantised());
    }
  });
});

describe('what is not there', () => {
  const refused = (status: number, type: string, text: string, paths: RegExp) => {
    server.told = {};
    server.begin([first]);
    server.intercept = (_request, response, path) => {
      if (!paths.test(path)) return false;
      response.writeHead(status, { 'Content-Type': type }).end(text);
      return true;
    };
  };

  it.each<[string, number, string, RegExp, string, RegExp]>([
    ['a missing config.json', 404, 'text/plain', /./, 'config.json', /no such file.*Check the address/],
    ['a config.json that is forbidden', 403, 'application/xml', /./, 'config.json', /refuses access.*token/],
    ['a folder that is locked', 401, 'text/plain', /./, 'manifest.json', /refuses access.*token/],
    ['an application’s start page', 200, 'text/html; charset=utf-8', /./, 'config.json', /web page.*start page/],
    ['weights that are gone', 410, 'text/html', /safetensors/, 'model.safetensors', /answered 410/],
    ['a shard that is missing', 404, 'text/html', /00002-of/, SHARDS[1], /no such file/],
    ['a page where a shard should be', 200, 'text/html', /00002-of/, SHARDS[1], /web page/],
  ])('is told of as it is: %s', async (_, status, contentType, paths, path, message) => {
    refused(status, contentType, '<!doctype html>', paths);
    for (const store of [createMemoryStore(), null]) {
      const url = server.base + path;
      const error = await sessionOn(store)
        .load()
        .catch((thrown) => thrown);
      expect(error).toMatchObject({ code: 'network', details: { url, status, contentType } });
      expect(error.message).toMatch(message);
      expect(error.message).toContain(`(${url}: ${status}, ${contentType})`);
    }
  });

  it.each<[number, string]>([
    [404, 'text/plain'],
    [403, 'application/xml'],
    [200, 'text/html'],
  ])('a .gguf that is answered with %i and %s', async (status, contentType) => {
    refused(status, contentType, 'no model', /gguf/);
    const url = `${server.base}model.gguf`;
    const error = await sessionOn(createMemoryStore(), 'model.gguf?sig=secret')
      .load()
      .catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'network', details: { url, status, contentType } });
    expect(error.message).toContain(`(${url}: ${status}, ${contentType})`);
  });
});
