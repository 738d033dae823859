import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createFileLocks, releaseLocksOf } from './file-locks';
import { fileNameOf } from './file-names';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nibble-locks-'));
});
afterEach(() => rm(folder, { recursive: true }));

const files = () => readdir(join(folder, 'locks'));
const NOW = { ifAvailable: true } as const;
const SHARED = { mode: 'shared' } as const;

it('one alone, or many who share', async () => {
  const [a, b] = [createFileLocks(folder), createFileLocks(folder)];
  const alone = await a('x', {});
  expect(await b('x', NOW)).toBeNull();
  expect(await b('x', { ...NOW, ...SHARED })).toBeNull();
  const other = await b('y', NOW);
  expect(other).not.toBeNull();
  alone!();
  other!();
  const [one, two] = [await a('x', SHARED), await b('x', SHARED)];
  expect(await a('x', NOW)).toBeNull();
  one!();
  expect(await a('x', NOW)).toBeNull();
  two!();
  (await a('x', {}))!();
});

it('who waits is next', async () => {
  const [a, b] = [createFileLocks(folder), createFileLocks(folder)];
  const first = await a('x', SHARED);
  let has = false;
  const second = b('x', {}).then((release) => {
    has = true;
    return release!;
  });
  // its own file is there, so that it is next, and it has looked for others' more than once
  await expect.poll(files).toHaveLength(2);
  for (let looks = 0; looks < 20; looks++) expect(await a('x', NOW)).toBeNull();
  expect(has).toBe(false);
  first!();
  const release = await second;
  expect(await a('x', NOW)).toBeNull();
  release();
  await expect.poll(files).toEqual([]);
});

it('a release counts once, and is of its own holding', async () => {
  const [a, b] = [createFileLocks(folder), createFileLocks(folder)];
  const first = (await a('x', {}))!;
  first();
  await expect.poll(files).toEqual([]);
  const second = (await b('x', NOW))!;
  first();
  // what a release does is done when the folder has been looked at
  for (let looks = 0; looks < 20; looks++) expect(await a('x', NOW)).toBeNull();
  second();
  await expect.poll(files).toEqual([]);
});

it('who asks for what it holds is refused, and holds it still at the end of its thread', async () => {
  const [a, b] = [createFileLocks(folder), createFileLocks(folder)];
  const release = (await a('x', {}))!;
  expect(await a('x', NOW)).toBeNull();
  expect(await files()).toHaveLength(1);
  const { threadId } = await import('node:worker_threads');
  releaseLocksOf(threadId, folder);
  const next = (await b('x', NOW))!;
  release();
  for (let looks = 0; looks < 20; looks++) expect(await a('x', NOW)).toBeNull();
  next();
});

it('who was taken for ended leaves the next one’s file alone', async () => {
  const [a, b] = [createFileLocks(folder), createFileLocks(folder)];
  const asleep = (await a('x', {}))!;
  const path = join(folder, 'locks', (await files())[0]);
  await utimes(path, new Date(0), new Date(0));
  const next = (await b('x', NOW))!;
  asleep();
  for (let looks = 0; looks < 20; looks++) expect(await a('x', NOW)).toBeNull();
  next();
  await expect.poll(files).toEqual([]);
});

it('a file that is not readable as a holder keeps no other from being released', async () => {
  const locks = createFileLocks(folder);
  await locks('b', {});
  const { threadId } = await import('node:worker_threads');
  await writeFile(join(folder, 'locks', 'a.x'), '{');
  await mkdir(join(folder, 'locks', 'a-folder'));
  releaseLocksOf(threadId, folder);
  expect((await files()).sort()).toEqual(['a-folder', 'a.x']);
});

it('who waits can stop, and leaves nothing', async () => {
  const [a, b] = [createFileLocks(folder), createFileLocks(folder)];
  const release = await a('x', SHARED);
  const stop = new AbortController();
  const waiting = b('x', { signal: stop.signal });
  stop.abort();
  await expect(waiting).rejects.toMatchObject({ code: 'aborted' });
  expect(await files()).toHaveLength(1);
  release!();
});

it('what a process left that has ended is nobody’s', async () => {
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  const left = async (text: string, end = 'x') => {
    const path = join(folder, 'locks', `${fileNameOf('x')}.${end}`);
    await writeFile(path, text);
    return path;
  };
  const locks = createFileLocks(folder);
  (await locks('other', {}))!();
  await left(JSON.stringify({ host: hostname(), pid, thread: 0 }));
  await left(JSON.stringify({ host: hostname(), pid, thread: 0 }), 's.old');
  const release = await locks('x', NOW);
  expect(release).not.toBeNull();
  release!();
  // on another machine nobody can ask: it counts as long as it is touched
  const path = await left(JSON.stringify({ host: 'elsewhere', pid: 1, thread: 0 }));
  expect(await locks('x', NOW)).toBeNull();
  await utimes(path, new Date(0), new Date(0));
  expect(await locks('x', NOW)).not.toBeNull();
});

it('a thread’s are released by the process that outlives it', async () => {
  const [a, b] = [createFileLocks(folder), createFileLocks(folder)];
  await a('x', {});
  releaseLocksOf(12345, folder);
  expect(await b('x', NOW)).toBeNull();
  const { threadId } = await import('node:worker_threads');
  releaseLocksOf(threadId, folder);
  expect(await b('x', NOW)).not.toBeNull();
});

it('where nothing can be written nothing is waited for', async () => {
  const path = join(folder, 'file');
  await writeFile(path, '');
  const locks = createFileLocks(path);
  expect(await locks('x', {})).not.toBeNull();
  expect(await locks('x', NOW)).not.toBeNull();
});
