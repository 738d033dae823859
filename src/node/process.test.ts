/** The command as a process: what it reads, how it ends, what it keeps. */
import { copyFile, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { serveFakeHub } from '../../scripts/testing/fake-hub';
import { createFileStore } from './file-store';
import { application, FIXTURES, type Run, type Running, start } from './test/built';
import { type FileServer, serveFiles } from './test/file-server';

const NF4 = join(FIXTURES, 'tiny-llama-128/nf4');
const PATH = '/tiny-llama-128/nf4/';
const WEIGHTS = `${PATH}model.safetensors`;
const LONG = ['--ids', '1,2,3', '--max-new-tokens', '100000', '--overflow', 'shift', '--ignore-eos'];

let app = '';
let server: FileServer;
let url = '';
beforeAll(async () => {
  [app, server] = await Promise.all([application(['cli']), serveFiles(FIXTURES)]);
  url = server.origin + PATH;
});
afterAll(async () => {
  await server.close();
  await rm(app, { recursive: true });
});
beforeEach(() => {
  server.holdAt('', null);
  server.requests.length = 0;
});

interface More {
  input?: string | Buffer;
  cache?: string;
  env?: NodeJS.ProcessEnv;
}
function begin(argv: readonly string[], { input, cache = 'cache', env = {} }: More = {}): Running {
  const bin = join(app, 'node_modules/nibble-llm/bin/nibble.js');
  return start([bin, ...argv], { cwd: app, input, env: { NIBBLE_CACHE: join(app, cache), ...env } });
}
const nibble = (argv: readonly string[], more?: More): Promise<Run> => begin(argv, more).done;
async function json<T>(argv: readonly string[], more?: More): Promise<T> {
  const { status, out, err } = await nibble([...argv, '--json'], more);
  expect({ status, err }).toEqual({ status: 0, err: '' });
  return JSON.parse(out) as T;
}
const CPU = ['--backend', 'cpu'];

describe('says what it is', () => {
  it('its version, and how it is called outside of a checkout', async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8'));
    expect(await nibble(['--version'])).toEqual({ status: 0, out: `${version}\n`, err: '' });
    const { status, out, err } = await nibble(['generate', NF4]);
    expect([status, out]).toEqual([1, '']);
    expect(err).toBe('npx nibble-llm generate needs exactly one of --prompt, --chat and --ids.\n');
  });
});

describe('- is standard input', () => {
  it('for texts of several bytes a character, without the line end of echo', async () => {
    const text = 'Zürich 🏔 '.repeat(3000);
    const { ids } = await json<{ ids: number[] }>(['tokenize', NF4, '--text', '-'], { input: `${text}\n` });
    expect((await json<{ ids: number[] }>(['tokenize', NF4, '--text', text.slice(0, 9)])).ids).toEqual(
      (await json<{ ids: number[] }>(['tokenize', NF4, '--text', '-'], { input: text.slice(0, 9) })).ids,
    );
    const back = await json<{ text: string }>(['detokenize', NF4, '--ids', '-'], { input: ids.join(',') });
    expect(back.text).toBe(text);
  });

  it('for questions, prompts and files', async () => {
    const few = ['--max-new-tokens', '3', ...CPU];
    for (const option of ['--prompt', '--chat']) {
      const typed = await json<{ ids: number[] }>(['generate', NF4, option, 'hello there', ...few]);
      const piped = await json<{ ids: number[] }>(['generate', NF4, option, '-', ...few], { input: 'hello there\n' });
      expect(piped.ids).toEqual(typed.ids);
    }
    const file = 'package.json';
    const ask = ['perplexity', NF4, '--window', '16', '--windows', '2', ...CPU];
    const text = await readFile(join(app, file));
    expect(await json([...ask, '--file', '-'], { input: text })).toEqual(await json([...ask, '--file', file]));
  });

  it('is read once', async () => {
    const { status, out } = await nibble(['generate', NF4, '--ids', '-', '--chat', '-', '--json'], { input: '1' });
    expect([status, JSON.parse(out).error.code]).toEqual([1, 'invalid-option']);
  });
});

describe('Ctrl-C', () => {
  it('in the middle of an answer: what there is, and 130', async () => {
    const running = begin(['generate', NF4, ...LONG, ...CPU]);
    await running.says('out', /./);
    running.child.kill('SIGINT');
    const { status, out, err } = await running.done;
    expect([status, err.includes('Error')]).toEqual([130, false]);
    expect(out.length).toBeGreaterThan(0);
  });

  it('with --json: the one object, of an answer that was stopped', async () => {
    const running = begin(['generate', NF4, ...LONG, ...CPU, '--json', '--verbose']);
    await running.says('err', /The CPU answers/);
    running.child.kill('SIGINT');
    const { status, out } = await running.done;
    expect([status, JSON.parse(out).finish]).toEqual([130, 'aborted']);
  });

  it.each([
    ['generate', ['--ids', '1']],
    ['inspect', []],
    ['tokenize', ['--text', 'x']],
  ])('while %s waits for a server: nothing or one object, and 130; what had come is kept', async (command, more) => {
    const cache = `stopped-${command}`;
    const held =
      command === 'tokenize' ? `${PATH}tokenizer.json` : command === 'inspect' ? `${PATH}config.json` : WEIGHTS;
    server.holdAt(held, 100);
    const running = begin([command, url, ...more, ...CPU, '--json'], { cache });
    await Promise.race([server.held(), running.done]);
    running.child.kill('SIGINT');
    const { status, out, err } = await running.done;
    expect([status, err]).toEqual([130, '']);
    if (out) expect(JSON.parse(out).error.code).toBe('aborted');
    server.holdAt('', null);
    server.requests.length = 0;
    const whole = await json([command, url, ...more, ...CPU], { cache });
    expect(whole).toBeTypeOf('object');
    // of the file that was held the rest alone; the other commands end at once, in the middle of a chunk
    const asked = server.requests.filter(({ path, end, start }) => path === held && end - start > 1);
    if (command === 'generate') expect(asked.map(({ start }) => start)).toEqual([100]);
    expect(await readdir(join(app, cache, 'locks'))).toEqual([]);
  });
});

describe('chat', () => {
  it('answers lines until they end', async () => {
    const { status, out, err } = await nibble(['chat', NF4, '--max-new-tokens', '3', ...CPU], {
      input: 'hello\n\nbye\n',
    });
    expect({ status, err }).toEqual({ status: 0, err: '' });
    expect(out.match(/tokens, /g)).toHaveLength(2);
  });

  it('ends with 130 at Ctrl-C, in an answer too', async () => {
    const long = ['--max-new-tokens', '100000', '--overflow', 'shift', '--ignore-eos'];
    const running = begin(['chat', NF4, ...long, ...CPU], { input: 'hello\nand\n' });
    await running.says('out', /> ./);
    running.child.kill('SIGINT');
    const { status, out } = await running.done;
    expect([status, out.match(/tokens, /g)?.length]).toEqual([130, 1]);
  });
});

describe('a reader that goes', () => {
  it('ends it quietly', async () => {
    const running = begin(['generate', NF4, ...LONG, ...CPU]);
    await running.says('out', /./);
    running.child.stdout!.destroy();
    const { status, err } = await running.done;
    expect({ status, err }).toEqual({ status: 0, err: '' });
  });
});

describe('what is fetched', () => {
  const ask = (of: string) => ['generate', of, '--ids', '1,2', '--max-new-tokens', '3', ...CPU];

  it('is kept between runs, listed, checked and cleared', async () => {
    const first = await json<{ ids: number[] }>(ask(url));
    expect(server.requests.length).toBeGreaterThan(0);
    server.requests.length = 0;
    for (const again of [ask(url), ['tokenize', url, '--text', 'x'], ['plan', url, ...CPU], ['inspect', url]]) {
      const result = await json<{ ids: number[] }>(again);
      if (again[0] === 'generate') expect(result.ids).toEqual(first.ids);
    }
    expect(server.requests).toEqual([]);
    const { folder, models } = await json<{ folder: string; models: object[] }>(['models']);
    expect(folder).toBe(join(app, 'cache'));
    expect(models).toEqual([expect.objectContaining({ name: url, complete: true })]);
    const { verified } = await json<{ verified: object[] }>(['models', '--verify', 'all']);
    expect(verified).toEqual([expect.objectContaining({ altered_chunks: 0, missing_chunks: 0 })]);
    const { out, err } = await nibble(['models', '--delete', 'other', '--json']);
    expect([JSON.parse(out).error.message, err]).toEqual([expect.stringContaining(url), '']);
    const gone = await json<{ deleted: string[]; freed: number }>(['models', '--delete', 'all']);
    expect(gone).toEqual({ deleted: [`${url}@`], freed: expect.any(Number) });
    expect((await json<{ models: object[] }>(['models'])).models).toEqual([]);
    expect((await readdir(join(app, 'cache'), { recursive: true })).sort()).toEqual(['locks']);
  });

  it('is all that --delete all deletes, and what no model is known for', async () => {
    const cache = 'all';
    await json(ask(url), { cache });
    const store = createFileStore(join(app, cache));
    const chunk = { sha256: '00'.repeat(32), bytes: Uint8Array.of(1) };
    await store.saved.put('talk', { name: 'talk', generation: '1', model: 'another', contents: '{}' });
    await store.chunks.put('@saved/talk/1#0', chunk);
    await store.chunks.put('https://x/gone@/deep/model.safetensors#0', chunk);
    await json(['models', '--delete', 'all'], { cache });
    expect(await store.saved.keys()).toEqual(['talk']);
    expect(await store.chunks.keys('')).toEqual(['@saved/talk/1#0']);
    expect(await store.ledger.keys()).toEqual([]);
  });

  it('is not kept with --no-cache', async () => {
    const cache = 'none';
    await json([...ask(url), '--no-cache'], { cache });
    await json(['inspect', url, '--no-cache'], { cache });
    await expect(readdir(join(app, cache, 'models'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('by two processes at once is fetched once', async () => {
    server.holdAt(WEIGHTS, 50_000);
    const cache = 'shared';
    const first = begin([...ask(url), '--json'], { cache });
    await server.held();
    const second = begin([...ask(url), '--json', '--verbose'], { cache });
    await second.says('err', /header/);
    // whoever is first is killed without a word: the other goes on by itself
    server.holdAt('', null);
    server.requests.length = 0;
    first.child.kill('SIGKILL');
    await first.done;
    const third = begin([...ask(url), '--json'], { cache });
    const [a, b] = await Promise.all([second.done, third.done]);
    expect([a.status, b.status]).toEqual([0, 0]);
    expect(JSON.parse(a.out).ids).toEqual(JSON.parse(b.out).ids);
    const whole = server.requests.filter(({ path, end, start }) => path === WEIGHTS && end - start > 1000);
    expect(whole).toHaveLength(1);
  });

  it('by another process is waited for, which is said, and Ctrl-C ends it', async () => {
    server.holdAt(WEIGHTS, 50_000);
    const cache = 'waiting';
    const first = begin([...ask(url), '--json'], { cache });
    await server.held();
    const second = begin(['tokenize', url, '--text', 'x', '--json'], { cache });
    await second.says('err', /Another program downloads .*: waiting for it/);
    second.child.kill('SIGINT');
    expect((await second.done).status).toBe(130);
    first.child.kill('SIGINT');
    await first.done;
  });

  it('of the Hub, at a revision, with its token', async () => {
    const bf16 = join(FIXTURES, 'tiny-llama-128/nf4');
    const names = await readdir(bf16);
    const files = new Map(
      await Promise.all(names.map(async (name) => [name, new Uint8Array(await readFile(join(bf16, name)))] as const)),
    );
    const hub = await serveFakeHub({ repos: { 'org/model': { files, token: 'hf_secret' } } });
    try {
      const env = { HF_ENDPOINT: hub.origin, HF_TOKEN: 'hf_secret' };
      const first = await json<{ ids: number[] }>(ask('org/model'), { cache: 'hub', env });
      hub.reset();
      expect(await json<{ ids: number[] }>(ask('org/model'), { cache: 'hub', env })).toMatchObject({ ids: first.ids });
      expect(hub.requests).toEqual([]);
      const { out } = await nibble(['inspect', 'org/model', '--hub', hub.origin, '--revision', 'other', '--json'], {
        cache: 'hub',
      });
      expect(JSON.parse(out).error).toMatchObject({ code: 'network', message: expect.stringMatching(/other/) });
    } finally {
      await hub.close();
    }
  });

  it('quantize takes the tokenizer along, from an address too', async () => {
    const from = join(FIXTURES, 'tiny-llama/bf16');
    await mkdir(join(app, 'served'), { recursive: true });
    for (const name of ['config.json', 'model.safetensors'])
      await copyFile(join(from, name), join(app, 'served', name));
    for (const name of ['tokenizer.json', 'tokenizer_config.json'])
      await copyFile(join(NF4, name), join(app, 'served', name));
    const own = await serveFiles(app);
    try {
      const result = await json<Record<string, unknown>>(['quantize', `${own.origin}/served/`, 'made']);
      expect(Object.keys(result)).toContain('error_statistics');
      expect(Object.keys(result)).not.toContain('error');
      expect(await readFile(join(app, 'made/tokenizer.json'))).toEqual(await readFile(join(NF4, 'tokenizer.json')));
    } finally {
      await own.close();
    }
  });
});
