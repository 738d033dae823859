import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../platform/sha256';
import type { Progress } from '../protocol';
import { createSession } from '../runtime/session';
import { begunKey, chunkKey, createMemoryStore, filePrefix, type ModelRecord, partsKey } from '../store/chunk-store';
import { fileNameOf } from './file-names';
import { createFileStore, openFileStore } from './file-store';
import { nodeHost, openAnySource } from './host';
import { FIXTURES } from './test/built';
import { serveFiles } from './test/file-server';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nibble-store-'));
});
afterEach(() => rm(folder, { recursive: true }));

const chunk = async (...values: number[]) => {
  const bytes = Uint8Array.from(values);
  return { sha256: (await sha256(bytes))!, bytes };
};
const record = (key: string): ModelRecord => ({
  key,
  name: key,
  revision: null,
  files: { 'config.json': { bytes: 3, chunks: [] } },
  manifest: false,
  closed: false,
  complete: true,
  kept: 1,
  lastUsed: 1,
});

describe('a store in a folder', () => {
  it('does what one in memory does, for keys of any kind', async () => {
    const stores = [createMemoryStore(), createFileStore(folder)];
    const models = ['https://a.b/m/@', 'Org/Model@main', 'org/model@main', `${'long/'.repeat(100)}@`, 'ä#ö@x'];
    const keys = models.flatMap((model) => [
      chunkKey(model, 'a.bin', 0),
      chunkKey(model, 'a.bin', 12),
      begunKey(model, 'a.bin', 13),
      partsKey(model, 'a.bin'),
      chunkKey(model, 'deep/A.bin', 0),
    ]);
    keys.push('@saved/one/gen#0', '@saved/two/gen#0');
    const asked = [
      ...models.map((model) => filePrefix(model, 'a.bin')),
      '@saved/',
      '@saved/one/gen#',
      '',
      'none',
      keys[1],
    ];
    for (const store of stores) {
      for (const [i, key] of keys.entries()) await store.chunks.put(key, await chunk(i, 1, 2));
      for (const model of models) await store.ledger.put(record(model));
      await store.saved.put('name', { a: [1, null] });
      await store.chunks.delete(keys[0]);
      await store.chunks.delete('nobody@/a#3');
      await store.ledger.delete(models[0]);
    }
    const seen = await Promise.all(
      stores.map(async ({ chunks, ledger, saved }) => ({
        keys: await Promise.all(asked.map(async (prefix) => (await chunks.keys(prefix)).sort())),
        chunks: await Promise.all(keys.map((key) => chunks.get(key))),
        models: await Promise.all(models.map((model) => ledger.get(model))),
        known: (await ledger.keys()).sort(),
        saved: [await saved.get('name'), await saved.get('other'), await saved.keys()],
      })),
    );
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[0].keys[models.length]).toHaveLength(2);
  });

  it('is read by another one, and what is not finished is not there', async () => {
    const [one, two] = [createFileStore(folder), createFileStore(folder)];
    const key = chunkKey('m@', 'a', 0);
    await one.chunks.put(key, await chunk(1));
    const within = join(folder, 'chunks', fileNameOf(filePrefix('m@', 'a')));
    await writeFile(join(within, '1.abcdef.tmp'), 'half');
    expect(await two.chunks.keys(filePrefix('m@', 'a'))).toEqual([key]);
    await two.chunks.put(key, await chunk(2));
    expect((await one.chunks.get(key))!.bytes).toEqual(Uint8Array.of(2));
  });

  it('has whole chunks and records, whoever writes at once', async () => {
    const stores = Array.from({ length: 4 }, () => createFileStore(folder));
    const key = chunkKey('m@', 'a', 0);
    const chunks = await Promise.all(stores.map((_, i) => chunk(...new Array<number>(50_000).fill(i))));
    await Promise.all(
      Array.from({ length: 60 }, async (_, i) => {
        const store = stores[i % 4];
        if (i % 5 === 4) await store.chunks.delete(key);
        else await store.chunks.put(key, chunks[i % 4]);
        await store.ledger.put(record('m@'));
        const found = await store.chunks.get(key);
        if (found) expect(await sha256(found.bytes)).toBe(found.sha256);
        expect(await store.ledger.get('m@')).toEqual(record('m@'));
      }),
    );
  });

  it('takes a damaged file for one that is not there, or that its digest refutes', async () => {
    const store = createFileStore(folder);
    await store.ledger.put(record('m@'));
    await writeFile(join(folder, 'models', `${fileNameOf('m@')}.json`), '{"key":');
    expect([await store.ledger.get('m@'), await store.ledger.keys()]).toEqual([undefined, []]);
    const key = chunkKey('m@', 'a', 0);
    await store.chunks.put(key, await chunk(1, 2, 3));
    const path = join(folder, 'chunks', fileNameOf(filePrefix('m@', 'a')), '0');
    await writeFile(path, (await readFile(path)).subarray(0, 10));
    const found = (await store.chunks.get(key))!;
    expect(found.sha256).not.toBe(await sha256(found.bytes));
  });

  it('leaves no folder behind, and counts its bytes', async () => {
    const store = createFileStore(folder);
    const key = chunkKey('m@', 'a', 0);
    await store.chunks.put(key, await chunk(1, 2, 3));
    const room = (await store.room())!;
    expect(room.usage).toBeGreaterThan(35);
    expect(room.quota).toBeGreaterThan(room.usage);
    await store.chunks.delete(key);
    expect(await readdir(join(folder, 'chunks'))).toEqual([]);
  });

  it('clears away what a process left unfinished long ago, and never what another one writes now', async () => {
    const store = createFileStore(folder);
    const within = join(folder, 'chunks', fileNameOf(filePrefix('m@', 'a')));
    await store.chunks.put(chunkKey('m@', 'a', 0), await chunk(1));
    for (const name of ['1.old.tmp', '2.new.tmp']) await writeFile(join(within, name), 'half');
    await utimes(join(within, '1.old.tmp'), new Date(0), new Date(0));
    await store.chunks.delete(chunkKey('m@', 'a', 0));
    expect((await readdir(within)).sort()).toEqual(['2.new.tmp', 'key']);
    await utimes(join(within, '2.new.tmp'), new Date(0), new Date(0));
    await createFileStore(folder).chunks.put(chunkKey('m@', 'a', 3), await chunk(1));
    expect((await readdir(within)).sort()).toEqual(['3', 'key']);
    await rm(join(within, 'key'));
    await store.chunks.put(chunkKey('m@', 'a', 4), await chunk(1));
    expect((await store.chunks.keys('')).length).toBe(2);
    for (const index of [3, 4]) await store.chunks.delete(chunkKey('m@', 'a', index));
    expect(await readdir(join(folder, 'chunks'))).toEqual([]);
  });

  it('that cannot be is told of, with what to set', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    const { store, reason } = await openFileStore(join(file, 'cache'));
    expect(store).toBeNull();
    expect(reason).toMatch(/cannot be written .* Set NIBBLE_CACHE/);
    const put = createFileStore(file).chunks.put('m@/a#0', await chunk(1));
    await expect(put).rejects.toMatchObject({
      code: 'storage-unavailable',
      message: expect.stringMatching(/NIBBLE_CACHE/),
    });
  });
});

describe('a download into it', () => {
  const path = '/tiny-llama-128/nf4/model.safetensors';

  it('that was cut goes on at the byte where it stopped', async () => {
    const server = await serveFiles(FIXTURES);
    try {
      const source = { kind: 'http', base: `${server.origin}/tiny-llama-128/nf4/` } as const;
      const session = (onBytes = (_: number) => {}) => {
        let came = 0;
        return createSession({
          ...nodeHost(null),
          openStore: () => openFileStore(folder),
          openSource: (description) =>
            openAnySource(description, (file, bytes) => {
              if (file !== 'model.safetensors') return;
              came += bytes;
              onBytes(came);
            }),
        });
      };
      const options = { backend: 'cpu' } as const;
      server.holdAt(path, 100_000);
      const first = session((came) => came >= 100_000 && void first.cancel(1));
      await expect(first.load({ id: 1, source, options }, { postMessage() {} })).rejects.toMatchObject({
        code: 'aborted',
      });
      const sent = server.requests.length;
      server.holdAt(path, null);
      const told: Progress[] = [];
      const second = session();
      await second.load({ id: 2, source, options }, { postMessage: (now) => void told.push(now) });
      const asked = server.requests.slice(sent).filter(({ end }) => end > 100_000);
      expect(asked).toEqual([expect.objectContaining({ path, start: 100_000 })]);
      expect(told.at(-1)).toMatchObject({ phase: 'ready' });
      await second.dispose();
    } finally {
      await server.close();
    }
  });
});
