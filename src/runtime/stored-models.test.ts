/** What is kept: listed, checked, deleted, and what happens when there is no room for it. */
import { describe, expect, it } from 'vitest';
import { NibbleError } from '../errors';
import { createMemorySource } from '../sources/memory-source';
import { CHUNK_BYTES, chunkKey, createMemoryStore, type ModelStore } from '../store/chunk-store';
import { deleteModel, describeStored, listModels, verifyModel } from '../store/stored-models';
import { openStored } from '../store/stored-source';
import { createSession } from './session';
import { ask, chats, host, load } from './test/tiny';

const FILE = 'model.safetensors';
const bytes = new Uint8Array(3 * CHUNK_BYTES + 999);
for (let i = 0; i < bytes.length; i += 41) bytes[i] = i >> 7;

async function install(store: ModelStore, name = 'm') {
  const opened = await openStored(createMemorySource(name, new Map([[FILE, bytes]])), store);
  opened.streaming = [FILE];
  const size = (await opened.size(FILE))!;
  for (let at = 0; at < size; at += CHUNK_BYTES) await opened.read(FILE, at, Math.min(size, at + CHUNK_BYTES));
  await opened.markComplete();
  await opened.close();
}

describe('what is kept', () => {
  it('is listed by last use, with its sizes', async () => {
    const store = createMemoryStore();
    await install(store, 'a');
    await install(store, 'b');
    const partial = await openStored(createMemorySource('c', new Map([[FILE, bytes]])), store);
    await partial.read(FILE, 0, 5);
    await partial.close();
    await store.ledger.put({ ...(await store.ledger.get('a@'))!, lastUsed: Date.now() + 1000 });
    const models = await listModels(store);
    expect(models.map(({ key }) => key)[0]).toBe('a@');
    expect(models.map(({ name, complete }) => [name, complete]).sort()).toEqual([
      ['a', true],
      ['b', true],
      ['c', false],
    ]);
    expect(models[0].storedBytes).toBe(bytes.length);
    expect((await describeStored(store, 'c@'))!.storedBytes).toBe(CHUNK_BYTES);
    expect(await describeStored(store, 'x@')).toBeNull();
  });

  it('is checked: an altered and a missing chunk are found, and the next load fetches just these', async () => {
    const store = createMemoryStore();
    await install(store);
    expect(await verifyModel(store, 'm@')).toEqual({
      checkedBytes: bytes.length,
      alteredChunks: 0,
      missingChunks: 0,
    });
    expect((await store.ledger.get('m@'))!.complete).toBe(true);
    const name = chunkKey('m@', FILE, 1);
    const chunk = (await store.chunks.get(name))!;
    chunk.bytes[12_345] ^= 4;
    await store.chunks.put(name, chunk);
    await store.chunks.delete(chunkKey('m@', FILE, 2));
    expect(await verifyModel(store, 'm@')).toEqual({
      checkedBytes: bytes.length - CHUNK_BYTES,
      alteredChunks: 1,
      missingChunks: 1,
    });
    expect(await describeStored(store, 'm@')).toMatchObject({
      complete: false,
      storedBytes: bytes.length - 2 * CHUNK_BYTES,
    });
    await install(store);
    expect(await verifyModel(store, 'm@')).toMatchObject({ alteredChunks: 0, missingChunks: 0 });
    expect(await verifyModel(store, 'x@')).toBeNull();
  });

  it('is deleted, and nothing of another model', async () => {
    const store = createMemoryStore();
    await install(store, 'm');
    await install(store, 'm2');
    await deleteModel(store, 'm@');
    expect((await store.chunks.keys('')).every((key) => key.startsWith('m2@/'))).toBe(true);
    expect(await verifyModel(store, 'm2@')).toMatchObject({ alteredChunks: 0, missingChunks: 0 });
  });
});

/** A store that takes so many chunks and then is full. */
function tight(room: number) {
  const store = createMemoryStore();
  const { put } = store.chunks;
  const full = () => new NibbleError('quota-exceeded', 'full', { neededBytes: 1, usageBytes: 2, quotaBytes: 3 });
  store.chunks.put = async (key, chunk) => {
    if (room-- <= 0) throw full();
    return put(key, chunk);
  };
  return store;
}

describe('without room', () => {
  it.each([0, 1, 3])('after %i chunks: an error, and what is kept is good for the next attempt', async (room) => {
    const store = tight(room);
    const error = await load(createSession(host({ store }))).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'quota-exceeded', details: { usageBytes: 2, quotaBytes: 3, freeBytes: 1 } });
    // not the one write that was refused, but all that is missing
    expect(error.details.neededBytes).toBeGreaterThan(250_000);
    expect(await verifyModel(store, 'tiny@')).toMatchObject({ alteredChunks: 0, missingChunks: 0 });
    const larger = { ...store, chunks: { ...store.chunks, put: createMemoryStore().chunks.put } };
    expect((await load(createSession(host({ store: larger })))).info.name).toBe('tiny');
  });

  it.each([0, 2])('after %i chunks, if-room: loads on without keeping the rest, and says so', async (room) => {
    const store = tight(room);
    const session = createSession(host({ store }));
    const { info } = await load(session, { storage: 'if-room' });
    expect(info).toMatchObject({ options: { storage: 'if-room' }, storageReason: expect.stringMatching(/no room/) });
    expect((await ask(session, { ids: chats[0].ids }, { maxNewTokens: 3 })).result.ids).toEqual(
      chats[0].greedy.slice(0, 3),
    );
    expect((await store.ledger.get('tiny@'))!.complete).toBe(false);
    expect(await store.chunks.keys('')).toHaveLength(room);
  });

  it('even for a note of its use, a kept model is read', async () => {
    const store = createMemoryStore();
    await load(createSession(host({ store })));
    store.ledger.put = async () => {
      throw new NibbleError('quota-exceeded', 'full');
    };
    const { progress } = await load(createSession(host({ store, files: new Map() })));
    expect(progress.at(-1)).toMatchObject({ phase: 'ready', networkBytes: 0 });
  });
});
