import { afterEach, describe, expect, it } from 'vitest';
import { type FakeHubOptions, type FakeRepo, serveFakeHub } from '../../scripts/testing/fake-hub';
import { createHubSource } from './hub-source';
import type { SourceDescription } from './source';

const text = (value: string) => new TextEncoder().encode(value);
const weights = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7 + (i >> 8)) & 255);
const files = new Map([
  ['config.json', text('{"model_type":"llama"}')],
  ['sub/model.safetensors', weights],
]);
const commits = ['1'.repeat(40), '2'.repeat(40)];
const TOKEN = 'hf_secret';

const running: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const server of running.splice(0)) await server.close();
});

async function hubWith(repo: Partial<FakeRepo> = {}, options: Partial<FakeHubOptions> = {}) {
  const hub = await serveFakeHub({ repos: { 'org/model': { files, ...repo } }, ...options });
  running.push(hub);
  const slept: number[] = [];
  const sleep = async (ms: number) => void slept.push(ms);
  type Hub = Extract<SourceDescription, { kind: 'hub' }>;
  const open = (more: Partial<Hub> = {}) =>
    createHubSource({ kind: 'hub', id: 'org/model', hub: hub.origin, ...more }, { sleep, random: () => 1 });
  return { hub, open, slept };
}

describe('a repository', () => {
  it('is asked once for its commit, sizes and digests, and read at that commit though its branch moves', async () => {
    const revisions = { main: commits[0] };
    const { hub, open } = await hubWith({ revisions });
    const source = open();
    expect([source.name, source.revision]).toEqual(['org/model', 'main']);
    const listing = await source.list!();
    expect(listing.revision).toBe(commits[0]);
    expect(listing.files['config.json'].digest).toHaveLength(40);
    expect(listing.files['sub/model.safetensors']).toEqual({
      bytes: 300_000,
      digest: expect.stringMatching(/^\w{64}$/),
    });
    revisions.main = commits[1];
    expect(await source.size('sub/model.safetensors')).toBe(300_000);
    expect(await source.size('tokenizer.json')).toBeNull();
    hub.options.repos['org/model'].revisions = { old: commits[0], main: commits[1] };
    expect(await source.read('sub/model.safetensors', 5, 50_000)).toEqual(weights.slice(5, 50_000));
    expect(hub.requests).toEqual([
      'api org/model main',
      `resolve ${commits[0]} sub/model.safetensors 5-49999`,
      'cdn sub/model.safetensors 5-49999',
    ]);
    expect(hub.complaints).toEqual([]);
  });

  it('is read at a tag, a branch with a slash, or a commit', async () => {
    const { hub, open } = await hubWith({ revisions: { main: commits[0], 'refs/pr/7': commits[1] } });
    for (const revision of ['refs/pr/7', commits[1]]) {
      expect((await open({ revision }).list!()).revision).toBe(commits[1]);
    }
    await expect(open({ revision: 'v9' }).list!()).rejects.toMatchObject({
      code: 'network',
      message: /no branch, tag or commit v9/,
      details: { status: 404, reason: 'RevisionNotFound' },
    });
    expect(hub.complaints).toEqual([]);
  });

  it('has every range signed anew, also one that ran out', async () => {
    const { hub, open, slept } = await hubWith();
    const source = open();
    let expired = 1;
    hub.options.fault = ({ at }) => (at === 'cdn' && expired-- > 0 ? { kind: 'status', status: 403 } : null);
    const parts = [0, 1, 2].map((i) => source.read('sub/model.safetensors', i * 100_000, (i + 1) * 100_000));
    expect(Buffer.concat(await Promise.all(parts)).equals(weights)).toBe(true);
    expect(slept).toEqual([500]);
    expect(hub.requests.filter((line) => line.startsWith('resolve'))).toHaveLength(4);
    expect(hub.complaints).toEqual([]);
  });

  it('sends the token to the Hub only', async () => {
    const { hub, open } = await hubWith({ token: TOKEN, private: true });
    const source = open({ token: TOKEN });
    expect(await source.read('sub/model.safetensors', 0, 9)).toEqual(weights.slice(0, 9));
    expect(await source.read('config.json', 0, 3)).toEqual(files.get('config.json')!.slice(0, 3));
    expect(hub.complaints).toEqual([]);
  });
});

describe('what is refused says what to do', () => {
  it.each<[string, Partial<FakeRepo>, Parameters<Awaited<ReturnType<typeof hubWith>>['open']>[0], RegExp, number]>([
    [
      'gated, without a token',
      { token: TOKEN },
      {},
      /gated.*Accept the model’s licence at \S+org\/model and pass/,
      401,
    ],
    ['gated, with another’s token', { token: TOKEN }, { token: 'hf_other' }, /gated.*token given may not read/, 403],
    ['private, without a token', { token: TOKEN, private: true }, {}, /shows no model org\/model.*private.*token/, 401],
    ['missing', {}, { id: 'org/none' }, /shows no model org\/none/, 401],
    ['a file that is not there', {}, { file: 'x.gguf' }, /has no file x\.gguf/, 404],
  ])('%s', async (_, repo, description, message, status) => {
    const { hub, open } = await hubWith(repo);
    const source = open(description);
    const error = { code: 'network', message, details: { status } };
    await expect(source.read('config.json', 0, 3)).rejects.toMatchObject(error);
    expect(hub.complaints).toEqual([]);
  });

  it('a repository of .gguf files only, with one to name', async () => {
    const { open } = await hubWith({ files: new Map([['model-Q4_K.gguf', weights]]) });
    await expect(open().list!()).rejects.toThrow(/has no config\.json.*org\/model\/model-Q4_K\.gguf/);
    const source = open({ file: 'model-Q4_K.gguf' });
    expect([source.name, source.gguf]).toEqual(['org/model/model-Q4_K.gguf', 'model-Q4_K.gguf']);
    expect(await source.size('model-Q4_K.gguf')).toBe(300_000);
  });

  it('an address that is no Hub', async () => {
    const { open } = await hubWith({}, { fault: () => ({ kind: 'html' }) });
    await expect(open().list!()).rejects.toMatchObject({ code: 'network', message: /web page/ });
    const answers = ['[]', '{"sha":"x","siblings":[]}', `{"sha":"${commits[0]}","siblings":[{"rfilename":"a"}]}`, '{'];
    for (const answer of answers) {
      const odd = createHubSource({ kind: 'hub', id: 'a/b' }, { fetch: async () => new Response(answer) });
      await expect(odd.list!()).rejects.toMatchObject({ code: 'network', message: /not the Hub’s/ });
    }
  });
});
