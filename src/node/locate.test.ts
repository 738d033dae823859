import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { cacheFolder } from './cache-folder';
import { locate } from './locate';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nibble locate ä '));
  await writeFile(join(folder, 'some model.gguf'), '');
  await writeFile(join(folder, 'text.txt'), '');
});
afterAll(() => rm(folder, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

describe('a name is', () => {
  it('a folder or a .gguf on disk, also by its address', () => {
    const file = join(folder, 'some model.gguf');
    for (const path of [folder, `${folder}/`, file]) {
      expect(locate(path)).toEqual({ kind: 'files', name: path, files: [], path });
      expect(locate(pathToFileURL(path).href)).toMatchObject({ path });
    }
    // what looks like a Hub id may lie here
    expect(locate('src/node')).toMatchObject({ kind: 'files', path: 'src/node' });
  });

  it('an address of a folder or of a .gguf', () => {
    expect(locate('https://a.b/m?x=1#y')).toEqual({ kind: 'http', base: 'https://a.b/m/?x=1' });
    expect(locate('HTTP://a.b/m/')).toEqual({ kind: 'http', base: 'http://a.b/m/' });
    expect(locate('http://a.b/c.gguf')).toEqual({ kind: 'http', base: 'http://a.b/c.gguf' });
  });

  it('a Hub id, with the environment’s endpoint and token, which goes to no other hub', () => {
    vi.stubEnv('HF_TOKEN', 'hf_x');
    vi.stubEnv('HF_ENDPOINT', 'https://mirror.example');
    const id = { kind: 'hub', id: 'org/name' };
    expect(locate('org/name')).toEqual({ ...id, token: 'hf_x', hub: 'https://mirror.example' });
    expect(locate('org/name/a/b.gguf', { revision: 'v1', token: 'mine' })).toMatchObject({
      ...id,
      file: 'a/b.gguf',
      revision: 'v1',
      token: 'mine',
    });
    expect(locate('org/name', { hub: 'https://other.example' })).toEqual({ ...id, hub: 'https://other.example' });
  });

  it.each([
    ['./nowhere', /no folder or file \.\/nowhere\.$/],
    ['../no/where', /no folder or file/],
    ['/no/where', /no folder or file/],
    ['file:///no/where', /no folder or file/],
    ['file://host/a%2Fb', /names no file of this machine/],
    ['one', /no Hub id .* and no address/],
    ['a/b/c', /no Hub id/],
    ['ftp://a/b', /no address/],
    ['http://', /no address/],
    ['', /no folder or file/],
    ['package.json', /neither a folder nor a \.gguf/],
  ])('"%s" is refused', (name, words) => {
    expect(() => locate(name)).toThrow(
      expect.objectContaining({ code: 'invalid-option', message: expect.stringMatching(words) }),
    );
  });

  it('hub options without a Hub id are refused', () => {
    expect(() => locate(folder, { revision: 'main' })).toThrow(/are for models of the Hub/);
  });
});

describe('the cache folder', () => {
  it('is where the environment or the system has it', () => {
    const home = (env: NodeJS.ProcessEnv, platform: string) => cacheFolder(env, platform);
    expect(home({ NIBBLE_CACHE: '/a/b', XDG_CACHE_HOME: '/x' }, 'linux')).toBe('/a/b');
    expect(home({ XDG_CACHE_HOME: '/x' }, 'linux')).toBe('/x/nibble');
    expect(home({}, 'linux')).toMatch(/\.cache\/nibble$/);
    expect(home({}, 'darwin')).toMatch(/Library\/Caches\/nibble$/);
    expect(home({ LOCALAPPDATA: '/l' }, 'win32')).toBe('/l/nibble');
  });
});
