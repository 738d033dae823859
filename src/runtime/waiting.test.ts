/** What a load waits for is told with its progress; what a server answers instead of files is told as it is. */
import { describe, expect, it } from 'vitest';
import { createHttpSource } from '../sources/http-source';
import { createMemoryStore } from '../store/chunk-store';
import { lockBy } from '../store/locks';
import type { Host } from './host';
import { createSession } from './session';
import { fixture, host, load } from './test/tiny';

const FILES = fixture();

function send(path: string, range: string | null): Response {
  const bytes = FILES.get(path);
  if (!bytes || path === 'manifest.json') return new Response('', { status: 404 });
  const [, start, last] = /(\d+)-(\d+)/.exec(range!)!.map(Number);
  const part = bytes.slice(start, last + 1);
  const headers = { 'content-range': `bytes ${start}-${start + part.length - 1}/${bytes.length}` };
  return new Response(part, { status: 206, headers });
}

/** @param instead what the server answers in the place of a file, where it does */
function sessionOn(instead: (path: string, count: number) => Response | null) {
  let count = 0;
  const answer: typeof fetch = async (url, init) => {
    const path = new URL(String(url)).pathname.slice(3);
    return instead(path, ++count) ?? send(path, new Headers(init?.headers).get('range'));
  };
  const place: Host = {
    gpu: null,
    openStore: async (onNote) => {
      onNote?.('The database x is held.');
      onNote?.('');
      return { store: null, reason: '' };
    },
    openSource: (_, onBytes, onNote) =>
      createHttpSource('https://host/m/', { fetch: answer, onBytes, onNote, sleep: async () => {} }),
  };
  return createSession(place);
}

it('a note comes with the progress of a load, and goes when it is no more', async () => {
  const busy = () => new Response('later', { status: 429, headers: { 'retry-after': '30' } });
  const session = sessionOn((path, count) => (path === 'config.json' && count < 4 ? busy() : null));
  const { progress } = await load(session, { backend: 'cpu' });
  const notes = progress.map(({ note }) => note ?? '');
  expect(notes).toContain('The database x is held.');
  expect(notes).toContain('The server asks to wait 30 s.');
  expect(notes.at(-1)).toBe('');
});

describe('a web page in the place of every file', () => {
  const page = () => new Response('<h1>Log in</h1>', { headers: { 'content-type': 'text/html' } });
  const expected = { code: 'network', details: { status: 200, reason: 'web-page', url: 'https://host/m/config.json' } };

  it('is what a load says', async () => {
    await expect(load(sessionOn(page), { backend: 'cpu' })).rejects.toMatchObject(expected);
  });

  it('is what an inspection says', async () => {
    const source = { kind: 'http', base: 'https://host/m/' } as const;
    await expect(sessionOn(page).inspect({ source, options: {} })).rejects.toMatchObject(expected);
  });
});

it('a web page in the place of what a folder may lack is no hindrance', async () => {
  const start = () => new Response('<!doctype html>', { headers: { 'content-type': 'text/html' } });
  const session = sessionOn((path) => (FILES.has(path) && path !== 'manifest.json' ? null : start()));
  expect((await load(session, { backend: 'cpu' })).info.family).toBe('llama');
});

it.each([
  ['checks or deletes the model', 'nibble-use:', 'Another tab or program checks or deletes'],
  ['downloads the model', 'nibble:', 'Another tab or program is downloading this model'],
])('another tab that %s is waited for, and only then it is told', async (_, lock, told) => {
  const asked: [string, LockOptions][] = [];
  lockBy(async (name, options) => {
    asked.push([name, options]);
    return name.startsWith(lock) && options.ifAvailable ? null : () => {};
  });
  const store = createMemoryStore();
  const { progress } = await load(createSession(host({ store })), { backend: 'cpu' });
  const notes = progress.map(({ note }) => note);
  expect(notes.filter((note) => note?.startsWith('Another tab or program'))).toEqual([expect.stringContaining(told)]);
  expect(notes.at(-1)).toBeUndefined();
  expect(asked.filter(([name]) => name.startsWith(lock)).map(([, { ifAvailable }]) => ifAvailable)).toEqual([
    true,
    undefined,
  ]);
});
