/** A GGUF in several files is one model, wherever it lies and by whichever part it is named. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type FakeHub, serveFakeHub } from '../../scripts/testing/fake-hub';
import type { Files } from '../formats/test/files';
import { splitGguf } from '../formats/test/split-gguf';
import { createFolderSource } from '../node/folder-source';
import type { Source, SourceDescription } from '../sources/source';
import { createMemoryStore } from '../store/chunk-store';
import type { Host } from './host';
import { openSource } from './open-source';
import { createSession } from './session';

const WHOLE = 'reference/fixtures/tiny-gguf/qwen3/model.gguf';
const NAMES = [1, 2, 3].map((n) => `m-0000${n}-of-00003.gguf`);
const options = { backend: 'cpu', maxContext: 64 } as const;
const input = { ids: [5, 9, 33] };

let files: Files;
let hub: FakeHub;
let folder: string;
/** what the model says when it is one file */
let right: number[];
let id = 0;

function session(
  description: SourceDescription,
  { store = null, source }: { store?: ReturnType<typeof createMemoryStore> | null; source?: () => Source } = {},
) {
  const host: Host = {
    gpu: null,
    openSource: source ?? openSource,
    openStore: async () => ({ store, reason: '' }),
  };
  const one = createSession(host);
  const load = () => one.load({ id: ++id, source: description, options }, { postMessage: () => {} });
  const answer = async () => {
    const generate = { maxNewTokens: 6, temperature: 0, ignoreEos: true };
    return (await one.generate({ id: ++id, input, options: generate }, { postMessage: () => {} })).ids;
  };
  return { one, load, answer };
}

beforeAll(async () => {
  const whole = new Uint8Array(readFileSync(WHOLE));
  files = await splitGguf(whole, 'm', [0, 9, 16]);
  hub = await serveFakeHub({
    repos: { 'org/model': { files: new Map(Object.entries(files).map(([path, bytes]) => [`q/${path}`, bytes])) } },
  });
  folder = mkdtempSync(join(tmpdir(), 'nibble-split-'));
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes);
  const { load, answer } = session({
    kind: 'files',
    name: 'm.gguf',
    files: [{ path: 'm.gguf', file: new File([whole], 'm.gguf') }],
  });
  await load();
  right = await answer();
});
afterAll(async () => {
  await hub.close();
  rmSync(folder, { recursive: true });
});

it('of the Hub is kept, taken up where it was left, verified and deleted as one', async () => {
  const store = createMemoryStore();
  const named = (part: string) => ({ kind: 'hub', id: 'org/model', hub: hub.origin, file: `q/${part}` }) as const;
  const first = session(named(NAMES[2]), { store });
  const total = Object.values(files).reduce((sum, { length }) => sum + length, 0);
  expect(await first.one.inspect({ source: named(NAMES[1]), options })).toMatchObject({
    name: `org/model/q/${NAMES[0]}`,
    bytes: total,
    here: false,
  });
  expect(await first.load()).toMatchObject({ name: `org/model/q/${NAMES[0]}` });
  expect(await first.answer()).toEqual(right);
  await first.one.dispose();
  hub.reset();
  const again = session(named(NAMES[1]), { store });
  await again.load();
  expect(await again.answer()).toEqual(right);
  expect(hub.requests).toEqual([]);
  await again.one.dispose();
  const { one } = session(named(NAMES[0]), { store });
  expect(await one.storedModels()).toMatchObject([{ complete: true, storedBytes: total }]);
  expect(await one.verify(named(NAMES[2]))).toEqual({ checkedBytes: total, alteredChunks: 0, missingChunks: 0 });
  // one part is gone: only that one comes again
  const [lost] = (await store.chunks.keys('')).filter((key) => key.includes(NAMES[1]));
  await store.chunks.delete(lost);
  expect(await one.verify(named(NAMES[0]))).toMatchObject({ missingChunks: 1 });
  hub.reset();
  await session(named(NAMES[0]), { store }).load();
  expect([...hub.sent.keys()]).toEqual([`q/${NAMES[1]}`]);
  const { one: last } = session(named(NAMES[0]), { store });
  await expect(last.inspect({ source: named(NAMES[2]), options })).resolves.toMatchObject({ here: true });
});

it('of a URL is found by any part, with what stands behind the name', async () => {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url!, 'http://x');
    seen.push(url.search);
    const bytes = files[url.pathname.slice('/a%20b/'.length)];
    const range = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '');
    if (!bytes) return void response.writeHead(404).end();
    if (!range) return void response.writeHead(200, { 'Content-Length': bytes.length }).end(bytes);
    const end = Math.min(Number(range[2]) + 1, bytes.length);
    const headers = { 'Content-Range': `bytes ${range[1]}-${end - 1}/${bytes.length}` };
    response.writeHead(206, headers).end(bytes.subarray(Number(range[1]), end));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  try {
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a%20b/`;
    for (const part of NAMES) {
      const { load, answer } = session({ kind: 'http', base: `${base}${part}?download=true` });
      expect(await load()).toMatchObject({ name: `${base}${NAMES[0]}?download=true` });
      expect(await answer()).toEqual(right);
    }
    expect(new Set(seen)).toEqual(new Set(['?download=true']));
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

it('of chosen files, of a folder and of one part on disk', async () => {
  const chosen = Object.entries(files).map(([path, bytes]) => ({
    path,
    file: new File([new Uint8Array(bytes)], path),
  }));
  const description = { kind: 'files', name: 'm', files: chosen } as const;
  for (const source of [
    undefined,
    () => createFolderSource(folder),
    () => createFolderSource(join(folder, NAMES[1])),
  ]) {
    const { load, answer } = session(description, { source });
    await load();
    expect(await answer()).toEqual(right);
  }
  const { load } = session({ ...description, files: chosen.slice(1) });
  await expect(load()).rejects.toMatchObject({
    code: 'corrupt-checkpoint',
    message: expect.stringContaining(`${NAMES[0]} is missing (1 of 3)`),
  });
});
