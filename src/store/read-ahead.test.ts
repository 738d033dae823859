/** What is on its way while weights stream: which chunks, when they are asked for, and what waits to be written. */
import { expect, it } from 'vitest';
import { createMemorySource } from '../sources/memory-source';
import type { Source } from '../sources/source';
import { CHUNK_BYTES, createMemoryStore, quotaExceeded } from './chunk-store';
import { openStored } from './stored-source';

const FILE = 'model.safetensors';
const MIB = 1 << 20;

interface Request {
  chunk: number;
  /** bytes that had not come of the requests before this one, when it was made */
  missing: number;
  /** tells that so many bytes have come in all */
  come(bytes: number): void;
  end(): void;
  fail(): void;
}

/** A source whose answers come as the test says. */
function server(chunks: number) {
  const bytes = new Uint8Array(chunks * CHUNK_BYTES);
  for (let i = 0; i < chunks; i++) bytes[i * CHUNK_BYTES] = i + 1;
  const memory = createMemorySource('m', new Map([[FILE, bytes]]));
  const requests: Request[] = [];
  const missing = new Map<Request, number>();
  const read: Source['read'] = (path, start, end, signal, _, onPart) =>
    new Promise((resolve, reject) => {
      const over = () => missing.set(request, 0);
      const request: Request = {
        chunk: start / CHUNK_BYTES,
        missing: [...missing.values()].reduce((sum, left) => sum + left, 0),
        come(came) {
          missing.set(request, end - start - came);
          onPart!(came);
        },
        end() {
          over();
          void memory.read(path, start, end, signal).then(resolve, reject);
        },
        fail() {
          over();
          reject(new Error('cut'));
        },
      };
      missing.set(request, end - start);
      requests.push(request);
    });
  const asked = () => requests.map(({ chunk }) => chunk);
  /** the request for a chunk, once it is there */
  const request = async (chunk: number) => {
    await expect.poll(asked).toContain(chunk);
    return requests.findLast((one) => one.chunk === chunk)!;
  };
  return { source: { ...memory, read }, requests, request, asked };
}

async function streaming(chunks: number, store = createMemoryStore()) {
  const hub = server(chunks);
  const stored = await openStored(hub.source, store);
  await stored.size(FILE);
  stored.streaming = [FILE];
  const read = (chunk: number) => stored.read(FILE, chunk * CHUNK_BYTES, (chunk + 1) * CHUNK_BYTES);
  return { ...hub, stored, read };
}

/** Lets everything happen that waits for nothing. */
const quiet = () => new Promise((resolve) => setTimeout(resolve, 20));

it('the next chunk is asked for when half of one is missing, a second one only where the reader had to wait', async () => {
  const { requests, request, asked, read } = await streaming(6);
  const first = await request(0);
  first.come(MIB);
  const got = read(0);
  await quiet();
  expect(asked()).toEqual([0]);
  first.come(2 * MIB);
  const second = await request(1);
  first.end();
  expect((await got)[0]).toBe(1);
  second.come(3 * MIB);
  second.end();
  await quiet();
  // the reader is not there yet: memory for one chunk
  expect(asked()).toEqual([0, 1]);
  await read(1);
  const third = await request(2);
  third.come(MIB);
  const waiting = read(2);
  await quiet();
  expect(asked()).toEqual([0, 1, 2]);
  third.come(2 * MIB);
  const fourth = await request(3);
  third.end();
  await waiting;
  fourth.come(3 * MIB);
  const fifth = await request(4);
  fourth.end();
  fifth.come(4 * MIB);
  fifth.end();
  await quiet();
  expect(asked()).toEqual([0, 1, 2, 3, 4]);
  expect(requests.slice(1).every(({ missing }) => missing <= CHUNK_BYTES / 2)).toBe(true);
});

it('what failed ahead of the reader is asked for by the reader alone, and nothing is once the load is over', async () => {
  const { request, asked, read, stored } = await streaming(4);
  const first = await request(0);
  first.come(3 * MIB);
  (await request(1)).fail();
  first.come(3 * MIB + 1);
  const got = read(0);
  first.come(4 * MIB);
  first.end();
  await got;
  await quiet();
  expect(asked()).toEqual([0, 1]);
  const again = read(1);
  await expect.poll(asked).toEqual([0, 1, 1]);
  const second = await request(1);
  const closed = stored.close();
  await quiet();
  second.come(4 * MIB);
  second.end();
  await again.catch(() => {});
  await closed;
  await quiet();
  expect(asked()).toEqual([0, 1, 1]);
});

it('a chunk is read while it is written; the next one waits until that is done, and so does the end', async () => {
  const store = createMemoryStore();
  const { put } = store.chunks;
  const writes: (() => void)[] = [];
  store.chunks.put = async (key, chunk) => {
    await new Promise<void>((go) => writes.push(go));
    return put(key, chunk);
  };
  const { request, read, stored } = await streaming(2, store);
  const done: string[] = [];
  (await request(0)).end();
  await read(0);
  (await request(1)).end();
  const second = read(1).then(() => done.push('read'));
  await quiet();
  expect([writes.length, done]).toEqual([1, []]);
  writes[0]();
  await second;
  const complete = stored.markComplete().then(() => done.push('complete'));
  await expect.poll(() => writes.length).toBe(2);
  await quiet();
  expect(done).toEqual(['read']);
  writes[1]();
  await complete;
  expect((await store.chunks.keys('')).length).toBe(2);
});

it('that a write failed is told by the next read, or at the end', async () => {
  for (const refused of [0, 1]) {
    const store = createMemoryStore();
    const { put } = store.chunks;
    let writes = 0;
    store.chunks.put = async (key, chunk) => {
      if (writes++ === refused) throw quotaExceeded(chunk.bytes.length, null);
      return put(key, chunk);
    };
    const { request, read, stored } = await streaming(2, store);
    (await request(0)).end();
    await read(0);
    (await request(1)).end();
    const full = { code: 'quota-exceeded' };
    if (refused === 0) await expect(read(1)).rejects.toMatchObject(full);
    else await read(1);
    await expect(stored.markComplete()).rejects.toMatchObject(full);
    await stored.close();
  }
});
