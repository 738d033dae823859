import { describe, expect, it } from 'vitest';
import type { Source } from '../sources/source';
import { CHUNK_BYTES } from './chunk-store';
import { parseManifest, readManifest } from './manifest';

const DIGEST = 'a'.repeat(64);
const encoded = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const manifestOf = (files: unknown, more = {}) =>
  encoded({ format: 'nibble-manifest-1', chunkBytes: CHUNK_BYTES, files, ...more });
const file = (path: unknown, bytes: unknown = 1, chunks: unknown = [DIGEST]) => ({ path, bytes, chunks });

it('names the files of a folder, in folders too', () => {
  const files = [
    file('config.json'),
    file('a b/c-1.safetensors', CHUNK_BYTES + 1, [DIGEST, DIGEST]),
    file('empty', 0, []),
  ];
  expect(Object.entries(parseManifest(manifestOf(files, { revision: 'r' }))!.files)).toEqual([
    ['config.json', { bytes: 1, chunks: [DIGEST] }],
    ['a b/c-1.safetensors', { bytes: CHUNK_BYTES + 1, chunks: [DIGEST, DIGEST] }],
    ['empty', { bytes: 0, chunks: [] }],
  ]);
});

describe('is refused whole for', () => {
  const PATHS = [
    '../../x',
    'a/../x',
    './a',
    '/a',
    'a//b',
    'a/',
    '',
    '..',
    'https://evil.example/x',
    'C:x',
    'a\\b',
    'a\0',
  ];
  it.each([...PATHS, '__proto__', 'a/__proto__', null, 3, ['a'], 'x'.repeat(501)])('the path %j', (path) => {
    expect(parseManifest(manifestOf([file('config.json'), file(path)]))).toBeNull();
  });

  it.each([
    [-1, []],
    ['100', [DIGEST]],
    [0.5, [DIGEST]],
    [null, []],
    [2 ** 53, []],
    [1e300, []],
    [1, []],
    [1, [DIGEST, DIGEST]],
    [1, ['A'.repeat(64)]],
    [1, null],
    [1, { length: 1, every: 1 }],
  ])('%j bytes in the chunks %j', (bytes, chunks) => {
    expect(parseManifest(manifestOf([file('a', bytes, chunks)]))).toBeNull();
  });

  it('a path that stands twice, files that are no list, entries that are none, a revision that is no text', () => {
    expect(parseManifest(manifestOf([file('a'), file('a')]))).toBeNull();
    for (const files of [null, {}, 'files', [null], [1]]) expect(parseManifest(manifestOf(files))).toBeNull();
    expect(parseManifest(manifestOf([], { revision: { a: 1 } }))).toBeNull();
  });
});

it.each(['constructor', 'toString', 'then', 'length'])('has no file %s but by its own name', (name) => {
  expect(parseManifest(manifestOf([file('a')]))!.files[name]).toBeUndefined();
  expect(parseManifest(manifestOf([file(name)]))!.files[name]).toEqual({ bytes: 1, chunks: [DIGEST] });
});

it('of 8 GB is refused with a sentence, and no byte of it is read', async () => {
  let asked = 0;
  const source = { size: async () => 8e9, read: async () => asked++ } as unknown as Source;
  await expect(readManifest(source, null)).rejects.toMatchObject({
    code: 'corrupt-checkpoint',
    message: expect.stringMatching(/^manifest\.json has 8000000000 bytes, where 16000000 are the most/),
    details: { path: 'manifest.json', bytes: 8e9, limit: 16e6 },
  });
  expect(asked).toBe(0);
});
