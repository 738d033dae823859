/**
 * A source whose bytes are kept. It is long because each way to interrupt, alter or fill a store is a test of its own.
 */
import { describe, expect, it } from 'vitest';
import { NibbleError } from '../errors';
import { sha256 } from '../platform/sha256';
import { xxh32 } from '../platform/xxh32';
import { createMemorySource } from '../sources/memory-source';
import type { Source } from '../sources/source';
import { CHUNK_BYTES, chunkKey, createMemoryStore, type ModelStore, partsKey, quotaExceeded } from './chunk-store';
import { deleteModel, listModels, verifyModel } from './stored-models';
import { openStored, type StoredSource } from './stored-source';

const LENGTH = 5 * CHUNK_BYTES + 12_345;
const model = new Uint8Array(LENGTH);
for (let i = 0; i < LENGTH; i += 61) model[i] = (i >> 9) & 255;
const config = new TextEncoder().encode('{"model_type":"llama"}');
const KEY = 'm@';

async function manifestFor(files: Record<string, Uint8Array<ArrayBuffer>>) {
  const entries = Object.entries(files).map(async ([path, bytes]) => {
    const chunks: string[] = [];
    for (let i = 0; i < bytes.length; i += CHUNK_BYTES) chunks.push((await sha256(bytes.slice(i, i + CHUNK_BYTES)))!);
    return { path, bytes: bytes.length, sha256: '', chunks };
  });
  const manifest = {
    format: 'nibble-manifest-1',
    revision: 'r1',
    chunkBytes: CHUNK_BYTES,
    files: await Promise.all(entries),
  };
  return new TextEncoder().encode(JSON.stringify(manifest));
}
const manifest = await manifestFor({ 'config.json': config, 'model.safetensors': model });

/** A server that counts what it sent; `spoil` may change or refuse an answer. */
function server(
  withManifest: boolean,
  spoil: (path: string, start: number, bytes: Uint8Array<ArrayBuffer>) => void = () => {},
) {
  const files = new Map<string, Uint8Array>([
    ['config.json', config],
    ['model.safetensors', model],
  ]);
  if (withManifest) files.set('manifest.json', manifest);
  const memory = createMemorySource('m', files);
  const counted = { sent: 0, requests: 0, now: 0, most: 0 };
  const source: Source = {
    ...memory,
    async size(path) {
      counted.requests++;
      return memory.size(path);
    },
    async read(path, start, end, signal) {
      counted.requests++;
      counted.most = Math.max(counted.most, ++counted.now);
      await new Promise((resolve) => setTimeout(resolve));
      const bytes = await memory.read(path, start, end, signal);
      counted.now--;
      spoil(path, start, bytes);
      counted.sent += bytes.length;
      return bytes;
    },
  };
  return { source, counted };
}

async function readAll(source: StoredSource, step = 3_000_001) {
  source.streaming = ['model.safetensors'];
  const size = (await source.size('model.safetensors'))!;
  const parts: Uint8Array[] = [];
  for (let at = 0; at < size; at += step)
    parts.push(await source.read('model.safetensors', at, Math.min(size, at + step)));
  return Buffer.concat(parts);
}

async function install(store: ModelStore, withManifest: boolean) {
  const { source } = server(withManifest);
  const stored = await openStored(source, store);
  await stored.read('config.json', 0, (await stored.size('config.json'))!);
  await stored.size('generation_config.json');
  await readAll(stored);
  await stored.markComplete();
}

describe.each([true, false])('with a manifest: %s', (withManifest) => {
  it('reads what the server has, each byte once, at most three requests at a time', async () => {
    const { source, counted } = server(withManifest);
    const stored = await openStored(source, createMemoryStore());
    expect((await readAll(stored)).equals(model)).toBe(true);
    expect(counted.sent).toBe(LENGTH + (withManifest ? manifest.length : 0));
    expect(counted.most).toBeGreaterThan(1);
    expect(counted.most).toBeLessThanOrEqual(3);
  });

  it('makes no request once it is complete', async () => {
    const store = createMemoryStore();
    await install(store, withManifest);
    const { source, counted } = server(withManifest);
    const stored = await openStored(source, store);
    expect(stored.complete).toBe(true);
    expect(await stored.size('generation_config.json')).toBeNull();
    expect(await stored.size('config.json')).toBe(config.length);
    expect(await stored.read('config.json', 0, config.length)).toEqual(new Uint8Array(config));
    expect((await readAll(stored)).equals(model)).toBe(true);
    expect(counted.requests).toBe(0);
  });

  it('goes on after a cut at any chunk: no chunk is sent twice', async () => {
    for (let cut = 0; cut < 6; cut++) {
      const store = createMemoryStore();
      const killed = server(withManifest, (path, start) => {
        if (path === 'model.safetensors' && start >= cut * CHUNK_BYTES) throw new Error('killed');
      });
      await expect(readAll(await openStored(killed.source, store))).rejects.toThrow('killed');
      expect((await store.ledger.get(KEY))?.complete).toBe(false);
      const again = server(withManifest);
      expect((await readAll(await openStored(again.source, store))).equals(model)).toBe(true);
      expect(killed.counted.sent + again.counted.sent).toBe(LENGTH + (withManifest ? 2 * manifest.length : 0));
    }
  });

  it('drops a chunk that was altered in the store, and fetches only that', async () => {
    const store = createMemoryStore();
    await install(store, withManifest);
    const name = chunkKey(KEY, 'model.safetensors', 2);
    const chunk = (await store.chunks.get(name))!;
    chunk.bytes[77] ^= 1;
    await store.chunks.put(name, chunk);
    const { source, counted } = server(withManifest);
    expect((await readAll(await openStored(source, store))).equals(model)).toBe(true);
    expect(counted.sent).toBe(CHUNK_BYTES);
    expect((await store.chunks.get(name))!.bytes[77]).toBe(model[2 * CHUNK_BYTES + 77]);
  });

  it('checks one that an earlier version stored, without a checksum', async () => {
    for (const altered of [false, true]) {
      const store = createMemoryStore();
      await install(store, withManifest);
      const name = chunkKey(KEY, 'model.safetensors', 2);
      const { bytes, xxh32: checksum, ...rest } = (await store.chunks.get(name))!;
      expect(checksum).toBe(xxh32(bytes));
      if (altered) bytes[77] ^= 1;
      await store.chunks.put(name, { ...rest, bytes });
      const { source, counted } = server(withManifest);
      expect((await readAll(await openStored(source, store))).equals(model)).toBe(true);
      expect(counted.sent).toBe(altered ? CHUNK_BYTES : 0);
    }
  });

  it('fetches an altered chunk once more, and then refuses it', async () => {
    let lies = 1;
    const spoil = (path: string, start: number, bytes: Uint8Array) => {
      if (path === 'model.safetensors' && start === CHUNK_BYTES && lies-- > 0) bytes[5] ^= 1;
    };
    const store = createMemoryStore();
    await install(store, withManifest); // so that the digests are known without a manifest, too
    await store.chunks.delete(chunkKey(KEY, 'model.safetensors', 1));
    expect((await readAll(await openStored(server(withManifest, spoil).source, store))).equals(model)).toBe(true);

    lies = 9;
    await store.chunks.delete(chunkKey(KEY, 'model.safetensors', 1));
    const refused = readAll(await openStored(server(withManifest, spoil).source, store));
    await expect(refused).rejects.toMatchObject({
      code: 'integrity-mismatch',
      details: { path: 'model.safetensors', chunk: 1 },
    });
    expect(lies).toBe(7);
    expect(await store.chunks.get(chunkKey(KEY, 'model.safetensors', 1))).toBeUndefined();
  });
});

it('lends chunks without a copy: they are whole until they are given back, and then empty', async () => {
  // of Node 22 and browsers, in Node 20 too
  const transfer = {
    configurable: true,
    value(this: ArrayBuffer) {
      return structuredClone(this, { transfer: [this] });
    },
  };
  const before = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, 'transfer');
  Object.defineProperty(ArrayBuffer.prototype, 'transfer', before ?? transfer);
  try {
    const store = createMemoryStore();
    await install(store, true);
    const stored = await openStored(server(true).source, store);
    stored.streaming = ['model.safetensors'];
    const step = 1_000_003;
    const starts = Array.from({ length: Math.ceil(LENGTH / step) }, (_, i) => i * step);
    const ask = (start: number) => stored.lend!('model.safetensors', start, Math.min(LENGTH, start + step));
    const first = await ask(0);
    const seen: Uint8Array[] = [first.bytes];
    for (let i = 1, lent = starts.slice(1, 4).map(ask); lent.length > 0; i++) {
      const { bytes, giveBack } = await lent.shift()!;
      expect([i, Buffer.from(bytes).equals(model.subarray(starts[i], starts[i] + step))]).toEqual([i, true]);
      seen.push(bytes);
      giveBack();
      if (starts[i + 3] !== undefined) lent.push(ask(starts[i + 3]));
    }
    // its chunk has long made room for others
    expect(Buffer.from(first.bytes).equals(model.subarray(0, step))).toBe(true);
    expect(seen[1].buffer).toBe(first.bytes.buffer);
    first.giveBack();
    await stored.close();
    expect(seen.map(({ length }) => length)).toEqual(seen.map(() => 0));
  } finally {
    if (!before) Reflect.deleteProperty(ArrayBuffer.prototype, 'transfer');
  }
});

it('without a store reads headers as they are asked and weights in shared chunks, still verified', async () => {
  const { source, counted } = server(true);
  const stored = await openStored(source, null);
  await stored.read('model.safetensors', 0, 8);
  expect(counted.sent).toBe(manifest.length + 8);
  expect((await readAll(stored)).equals(model)).toBe(true);
  expect(counted.sent).toBe(manifest.length + 8 + LENGTH);
  const liar = server(true, (path, start, bytes) => {
    if (path === 'model.safetensors' && start === 0) bytes[9] ^= 1;
  });
  await expect(readAll(await openStored(liar.source, null))).rejects.toMatchObject({ code: 'integrity-mismatch' });
});

it('forgets chunks of a file that has another size now', async () => {
  const store = createMemoryStore();
  await readAll(await openStored(server(false).source, store));
  const other = new Uint8Array(2 * CHUNK_BYTES).fill(9);
  const changed = await openStored(createMemorySource('m', new Map([['model.safetensors', other]])), store);
  expect((await readAll(changed)).equals(other)).toBe(true);
});

it('fetches ahead past the end of a file, and counts what is stored once', async () => {
  const files = new Map([...'abc'].map((name) => [name, model.slice(0, CHUNK_BYTES + 5)]));
  const asked: string[] = [];
  let fromStore = 0;
  const memory = createMemorySource('m', files);
  const read: Source['read'] = (path, start, end, signal) => {
    asked.push(`${path}${start / CHUNK_BYTES}`);
    return memory.read(path, start, end, signal);
  };
  const store = createMemoryStore();
  const stored = await openStored({ ...memory, read }, store, { onStored: (_, bytes) => (fromStore += bytes) });
  for (const path of files.keys()) expect(await stored.size(path)).toBe(CHUNK_BYTES + 5);
  stored.streaming = ['a', 'b'];
  await stored.read('a', 0, CHUNK_BYTES);
  expect(asked).toEqual(['a0', 'a1']);
  // two are fetched ahead once the reader has had to wait
  await expect.poll(() => store.chunks.keys('')).toContain(chunkKey(KEY, 'a', 1));
  await stored.read('a', CHUNK_BYTES - (64 << 10), CHUNK_BYTES + 5);
  await expect.poll(() => asked).toEqual(['a0', 'a1', 'b0']);
  await stored.read('b', 0, CHUNK_BYTES + 5);
  expect(asked).toEqual(['a0', 'a1', 'b0', 'b1']);
  expect(fromStore).toBe(0);
  await stored.close();
  const again = await openStored({ ...memory, read }, store, { onStored: (_, bytes) => (fromStore += bytes) });
  for (let i = 0; i < 3; i++) {
    for (const path of 'ab') await again.size(path).then((size) => again.read(path, 0, size!));
  }
  expect([fromStore, asked.length]).toEqual([2 * (CHUNK_BYTES + 5), 4]);
});

describe('what is read apart', () => {
  const FILE = 'model.safetensors';
  const at = [7, 2 * CHUNK_BYTES - 50, 2 * CHUNK_BYTES + 9000, 4 * CHUNK_BYTES + 1];
  const wanted = at.map((start) => model.slice(start, start + 100));
  const readParts = (source: StoredSource) =>
    Promise.all(at.map((start) => source.readPart!(FILE, start, start + 100)));

  it('is fetched alone, kept in one entry and not fetched again', async () => {
    const store = createMemoryStore();
    const { source, counted } = server(false);
    const stored = await openStored(source, store);
    await stored.read(FILE, 0, 100);
    expect(await readParts(stored)).toEqual(wanted);
    // the first one lies in a chunk that is here
    expect(counted.sent).toBe(CHUNK_BYTES + 300);
    await stored.close();
    expect(await store.chunks.keys('')).toEqual([chunkKey(KEY, FILE, 0), partsKey(KEY, FILE)]);

    const again = server(false);
    const resumed = await openStored(again.source, store);
    expect(await readParts(resumed)).toEqual(wanted);
    // in any part of what was read, too
    expect(await resumed.readPart!(FILE, at[2] + 3, at[2] + 9)).toEqual(wanted[2].slice(3, 9));
    expect(again.counted.sent).toBe(100);
    expect((await readAll(resumed)).equals(model)).toBe(true);
    expect(again.counted.sent).toBe(LENGTH - CHUNK_BYTES + 100);
  });

  it('goes by chunks where digests are known, where all is here, and where a place knows no ranges', async () => {
    const listed = server(true);
    const proven = await openStored(listed.source, createMemoryStore());
    expect(await readParts(proven)).toEqual(wanted);
    expect(listed.counted.sent).toBe(manifest.length + 4 * CHUNK_BYTES);

    const store = createMemoryStore();
    await install(store, false);
    const here = server(false);
    expect(await readParts(await openStored(here.source, store))).toEqual(wanted);
    expect(here.counted.requests).toBe(0);

    const ordered = server(false);
    const whole = await openStored({ ...ordered.source, inOrder: () => true }, createMemoryStore());
    expect(await readParts(whole)).toEqual(wanted);
    expect(ordered.counted.sent).toBe(4 * CHUNK_BYTES);
  });

  it.each([1, 2])('over the edge of two chunks, must be what chunk %i says', async (chunk) => {
    const store = createMemoryStore();
    const altered = chunk === 1 ? at[1] : at[1] + 99;
    const { source } = server(false, (_, start, bytes) => {
      if (start === at[1]) bytes[altered - start] ^= 16;
    });
    const stored = await openStored(source, store);
    await readParts(stored);
    const error = { code: 'integrity-mismatch', details: { path: FILE, chunk, byte: altered } };
    await expect(readAll(stored)).rejects.toMatchObject(error);
    expect(stored.dropped).toBe(true);
    await expect(stored.markComplete()).rejects.toMatchObject(error);
    await stored.close();
    expect(await store.chunks.get(chunkKey(KEY, FILE, chunk))).toBeUndefined();
    expect(await store.chunks.get(partsKey(KEY, FILE))).toBeUndefined();
    const next = await openStored(server(false).source, store);
    expect(await readParts(next)).toEqual(wanted);
    expect((await readAll(next)).equals(model)).toBe(true);
  });
});

it('refuses reads beyond a file and of no file', async () => {
  const stored = await openStored(server(true).source, createMemoryStore());
  await expect(stored.read('config.json', 0, 1000)).rejects.toMatchObject({
    code: 'corrupt-checkpoint',
    details: { bytes: config.length, expected: 1000 },
  });
  await expect(stored.read('none', 0, 1)).rejects.toMatchObject({
    code: 'corrupt-checkpoint',
    details: { bytes: null },
  });
});

it('passes on that the store is full, and serves the next attempt', async () => {
  const store = createMemoryStore();
  let room = 2;
  const { put } = store.chunks;
  store.chunks.put = async (key, chunk) => {
    if (room-- <= 0) throw Object.assign(new Error('full'), { code: 'quota-exceeded' });
    return put(key, chunk);
  };
  await expect(readAll(await openStored(server(true).source, store))).rejects.toMatchObject({ message: 'full' });
  room = 99;
  expect((await readAll(await openStored(server(true).source, store))).equals(model)).toBe(true);
});

it('goes on without keeping anything where nothing can be written, if it need not be kept', async () => {
  const store = createMemoryStore();
  const refuse = async () => {
    throw new NibbleError('storage-unavailable', 'The folder cannot be written.');
  };
  store.chunks.put = refuse;
  store.ledger.put = refuse;
  await expect(openStored(server(true).source, store)).rejects.toMatchObject({ code: 'storage-unavailable' });
  const stored = await openStored(server(true).source, store, { ifRoom: true });
  expect((await readAll(stored)).equals(model)).toBe(true);
  await stored.markComplete();
  expect([stored.full, stored.unwritable]).toEqual([true, 'The folder cannot be written.']);
  await stored.close();
});

it('leaves nothing of a deleted model', async () => {
  const store = createMemoryStore();
  await install(store, true);
  await deleteModel(store, KEY);
  expect(await store.ledger.keys()).toEqual([]);
  for (let i = 0; i < 6; i++) expect(await store.chunks.get(chunkKey(KEY, 'model.safetensors', i))).toBeUndefined();
  expect(await store.chunks.get(chunkKey(KEY, 'config.json', 0))).toBeUndefined();
});

it('stops when asked', async () => {
  const stop = new AbortController();
  const stored = await openStored(server(true, () => stop.abort()).source, createMemoryStore());
  await expect(stored.read('model.safetensors', 0, LENGTH, stop.signal)).rejects.toMatchObject({ code: 'aborted' });
});

describe('a store that has no more room', () => {
  /** Writes of chunks from the n-th on are refused, with the bytes of that write, as browsers tell them. */
  function fullAfter(writes: number, room: { usage: number; quota: number } | null = null) {
    const store = createMemoryStore();
    const { put } = store.chunks;
    store.chunks.put = async (key, chunk) => {
      if (--writes < 0) throw quotaExceeded(chunk.bytes.length, room);
      await put(key, chunk);
    };
    return store;
  }
  const failure = (store: ModelStore) =>
    openStored(server(true).source, store)
      .then(readAll)
      .catch((error) => error);

  it.each([0, 1, 3])('is told with all that is missing, after %i chunks', async (writes) => {
    const error = await failure(fullAfter(writes, { usage: 7e6, quota: 9e6 }));
    const needed = LENGTH + config.length - writes * CHUNK_BYTES;
    expect(error).toMatchObject({ code: 'quota-exceeded', details: { neededBytes: needed, freeBytes: 2e6 } });
    expect(error.message).toContain(
      `${Math.round(needed / 1e6)} MB more are needed, 7 MB are in use here and 2 MB are free`,
    );
  });

  it('is told of as it is where the browser names room enough', async () => {
    const error = await failure(fullAfter(1, { usage: 7e6, quota: 9e9 }));
    expect(error.message).toMatch(/nothing more can be written, though there should be room: the disk may be full/);
    expect((await failure(fullAfter(1))).message).toMatch(/0 MB are in use here\. Delete a model/);
  });

  it.each([0, 1, 2, 4])('after %i chunks, is no reason to fetch a chunk twice with if-room', async (writes) => {
    for (const withManifest of [true, false]) {
      const { source, counted } = server(withManifest);
      const stored = await openStored(source, fullAfter(writes), { ifRoom: true });
      await stored.size('model.safetensors');
      let header = 0;
      // as quant_states lie: all over the file
      for (let at = 0; at < LENGTH; at += CHUNK_BYTES) {
        await stored.readPart!('model.safetensors', at, at + 100);
        header += 100;
      }
      expect((await readAll(stored)).equals(model)).toBe(true);
      expect([stored.full, stored.unwritable]).toEqual([true, '']);
      // at most the chunk whose write was the first to be refused
      const most = LENGTH + header + CHUNK_BYTES + (withManifest ? manifest.length : 0);
      expect(counted.sent).toBeLessThanOrEqual(most);
    }
  });

  it.each([0, 3, 5])('of whose six shards the headers were read, after %i chunks, too', async (writes) => {
    const shard = model.subarray(0, 2 * CHUNK_BYTES);
    const paths = [1, 2, 3, 4, 5, 6].map((n) => `model-${n}.safetensors`);
    const memory = createMemorySource('m', new Map(paths.map((path) => [path, shard])));
    let sent = 0;
    const source: Source = {
      ...memory,
      async read(...all) {
        await new Promise((resolve) => setTimeout(resolve));
        sent += all[2] - all[1];
        return memory.read(...all);
      },
    };
    const stored = await openStored(source, fullAfter(writes), { ifRoom: true });
    await Promise.all(paths.map(async (path) => stored.size(path).then(() => stored.read(path, 0, 65536))));
    stored.streaming = paths;
    const step = 1_000_001;
    for (const path of paths) {
      for (let at = 0; at < shard.length; at += step) await stored.read(path, at, Math.min(shard.length, at + step));
    }
    await stored.close();
    // at most a header of each beside the chunks
    expect(sent).toBeLessThanOrEqual(6 * shard.length + 6 * 65536);
  });

  it('gives what it has, and nothing of that is fetched', async () => {
    const store = createMemoryStore();
    const first = await openStored(server(true).source, store);
    await first.read('model.safetensors', 0, 2 * CHUNK_BYTES);
    await first.close();
    store.chunks.put = async () => {
      throw quotaExceeded(1, null);
    };
    const { source, counted } = server(true);
    const stored = await openStored(source, store, { ifRoom: true });
    await stored.read('config.json', 0, config.length);
    expect(stored.full).toBe(true);
    await stored.read('model.safetensors', 10, 90);
    expect((await readAll(stored)).equals(model)).toBe(true);
    expect(counted.sent).toBe(manifest.length + config.length + LENGTH - 2 * CHUNK_BYTES);
  });
});

describe('what a later version has stored', () => {
  /** All of a store, as text that shows each change. */
  async function contents({ ledger, chunks }: ModelStore) {
    const records = await Promise.all((await ledger.keys()).map((key) => ledger.get(key)));
    const kept = await Promise.all((await chunks.keys('')).map(async (key) => [key, (await chunks.get(key))!.sha256]));
    return JSON.stringify([records, kept]);
  }
  async function later() {
    const store = createMemoryStore();
    await install(store, true);
    const record = (await store.ledger.get(KEY))!;
    expect(record.format).toBe(1);
    await store.ledger.put({ ...record, format: 2, files: 'elsewhere' as never });
    return { store, before: await contents(store) };
  }

  it('is left as it is by a load, which keeps nothing and says so', async () => {
    const { store, before } = await later();
    const { source, counted } = server(true);
    const stored = await openStored(source, store);
    expect((await readAll(stored)).equals(model)).toBe(true);
    await stored.markComplete();
    await stored.dropUnproven();
    await stored.close();
    expect([stored.complete, stored.full, stored.unwritable]).toEqual([
      false,
      true,
      expect.stringMatching(/later version.*left as it is/),
    ]);
    expect(counted.sent).toBe(manifest.length + LENGTH);
    expect(await contents(store)).toBe(before);
  });

  it('is not listed, checked or deleted', async () => {
    const { store, before } = await later();
    await install(store, true).catch(() => {});
    expect(await listModels(store)).toEqual([]);
    expect(await verifyModel(store, KEY)).toBeNull();
    await deleteModel(store, KEY);
    expect(await contents(store)).toBe(before);
  });

  it('of version 0.1.0, which had no number, is read', async () => {
    const store = createMemoryStore();
    await install(store, true);
    const { format: _, ...record } = (await store.ledger.get(KEY))!;
    await store.ledger.put(record);
    const { source, counted } = server(true);
    const stored = await openStored(source, store);
    expect(stored.complete).toBe(true);
    expect((await readAll(stored)).equals(model)).toBe(true);
    expect(counted.requests).toBe(0);
  });
});
