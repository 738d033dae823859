/**
 * What may be wrong with a model, a request or an option: each is refused with its code and its numbers, nothing of it
 * stays, and the next attempt works. Parsers have tables of their own (formats/, model/); this is the whole way,
 * through a session as the worker has it and through the command line. It is long because it is one list of faults.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { NibbleError } from '../errors';
import type { EngineOptions, GenerateRequest } from '../protocol';
import { createSession, type Session } from '../runtime/session';
import { ask, host, load } from '../runtime/test/tiny';
import { createMemoryStore } from '../store/chunk-store';
import { main } from './cli';

type Files = Map<string, Uint8Array>;

const FIXTURES = 'reference/fixtures/';
const NF4 = 'tiny-llama-128/nf4';
const SHARDED = 'tiny-llama/sharded';
const GGUF = 'tiny-llama/gguf';
const WEIGHTS = 'model.safetensors';
const SHARD = 'model-00002-of-00003.safetensors';
const GGUF_FILE = 'tiny-llama.gguf';

const folder = (path: string): Files =>
  new Map(readdirSync(FIXTURES + path).map((name) => [name, new Uint8Array(readFileSync(join(FIXTURES, path, name)))]));

const without =
  (...paths: string[]) =>
  (files: Files) => {
    for (const path of paths) files.delete(path);
  };
const change = (path: string, how: (bytes: Uint8Array) => Uint8Array) => (files: Files) =>
  void files.set(path, how(files.get(path)!.slice()));
const cut = (path: string, length: number) => change(path, (bytes) => bytes.slice(0, length));
const set = (path: string, at: number, byte: number) => change(path, (bytes) => bytes.fill(byte, at, at + 1));
const flip = (path: string, at: number) => change(path, (bytes) => bytes.fill(bytes[at] ^ 1, at, at + 1));
/** Alters text, keeping the length of the file: what is longer is taken from what is blank. */
const swap = (path: string, from: string, to: string) =>
  change(path, (bytes) => {
    const text = Buffer.from(bytes).toString('latin1');
    const at = text.indexOf(from);
    if (at < 0 || from.length !== to.length) throw new Error(`${path} cannot have ${from} altered`);
    return bytes
      .fill(0, at, at + to.length)
      .map((byte, i) => (i >= at && i < at + to.length ? to.charCodeAt(i - at) : byte));
  });
const config = (more: object) =>
  change('config.json', (bytes) =>
    Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(bytes).toString()), ...more })),
  );
/** A scale that is infinity: the last four bytes of `tensor`. */
const infinite = (tensor: string) =>
  change(WEIGHTS, (bytes) => {
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    const header = JSON.parse(Buffer.from(bytes.subarray(8, 8 + length)).toString());
    new DataView(bytes.buffer).setFloat32(
      8 + length + header[tensor].data_offsets[1] - 4,
      Number.POSITIVE_INFINITY,
      true,
    );
    return bytes;
  });
const ABSMAX = 'model.layers.0.mlp.down_proj.weight.absmax';
const noManifest = without('manifest.json');
const all =
  (...changes: ((files: Files) => void)[]) =>
  (files: Files) => {
    for (const apply of changes) apply(files);
  };

interface Wrong {
  what: string;
  base: string;
  spoil: (files: Files) => void;
  code: string;
  details?: object;
}

const MODELS: Wrong[] = [
  {
    what: 'a missing shard',
    base: SHARDED,
    spoil: without(SHARD),
    code: 'corrupt-checkpoint',
    details: { path: SHARD, shards: 3 },
  },
  { what: 'a missing index', base: SHARDED, spoil: without(`${WEIGHTS}.index.json`), code: 'corrupt-checkpoint' },
  {
    what: 'a truncated shard',
    base: SHARDED,
    spoil: cut(SHARD, 4000),
    code: 'corrupt-checkpoint',
    details: { path: SHARD, fileSize: 4000 },
  },
  {
    what: 'an empty shard',
    base: SHARDED,
    spoil: cut(SHARD, 0),
    code: 'corrupt-checkpoint',
    details: { path: SHARD, fileSize: 0 },
  },
  {
    what: 'a truncated file with a manifest',
    base: NF4,
    spoil: cut(WEIGHTS, 9000),
    code: 'corrupt-checkpoint',
    details: { path: WEIGHTS, bytes: 9000 },
  },
  {
    what: 'a truncated file without',
    base: NF4,
    spoil: all(noManifest, cut(WEIGHTS, 90000)),
    code: 'corrupt-checkpoint',
    details: { path: WEIGHTS, fileSize: 90000 },
  },
  {
    what: 'an altered chunk with a manifest',
    base: NF4,
    spoil: flip(WEIGHTS, 90000),
    code: 'integrity-mismatch',
    details: { path: WEIGHTS, chunk: 0 },
  },
  {
    what: 'an altered header without',
    base: NF4,
    spoil: all(noManifest, set(WEIGHTS, 8, 91)),
    code: 'corrupt-checkpoint',
    details: { path: WEIGHTS },
  },
  { what: 'an altered scale without', base: NF4, spoil: all(noManifest, infinite(ABSMAX)), code: 'corrupt-checkpoint' },
  {
    what: 'an altered config.json without',
    base: NF4,
    spoil: all(noManifest, set('config.json', 0, 91)),
    code: 'corrupt-checkpoint',
    details: { path: 'config.json' },
  },
  {
    what: 'an altered tokenizer.json without',
    base: NF4,
    spoil: all(noManifest, swap('tokenizer.json', '"vocab"', '"vacob"')),
    code: 'corrupt-checkpoint',
    details: { path: 'tokenizer.json' },
  },
  {
    what: 'a header longer than the file',
    base: NF4,
    spoil: all(noManifest, set(WEIGHTS, 3, 9)),
    code: 'corrupt-checkpoint',
    details: { path: WEIGHTS },
  },
  {
    what: 'a header that lies about a shape',
    base: NF4,
    spoil: all(noManifest, swap(WEIGHTS, '"shape":[128]', '"shape":[129]')),
    code: 'corrupt-checkpoint',
  },
  {
    what: 'a header that lies about offsets',
    base: NF4,
    spoil: all(noManifest, swap(WEIGHTS, '"data_offsets":[0,', '"data_offsets":[9,')),
    code: 'corrupt-checkpoint',
  },
  {
    what: 'a number type that nobody has',
    base: NF4,
    spoil: all(noManifest, swap(WEIGHTS, '"dtype":"F32"', '"dtype":"F99"')),
    code: 'unsupported-quantization',
  },
  {
    what: 'an unknown architecture',
    base: NF4,
    spoil: all(noManifest, config({ model_type: 'mamba' })),
    code: 'unsupported-architecture',
  },
  {
    what: 'an unknown quantisation',
    base: NF4,
    spoil: all(noManifest, config({ quantization_config: { quant_method: 'gptq', bits: 4 } })),
    code: 'unsupported-quantization',
    details: { method: 'gptq' },
  },
  {
    what: 'a missing file that its manifest lists',
    base: NF4,
    spoil: without('config.json'),
    code: 'corrupt-checkpoint',
    details: { path: 'config.json' },
  },
];

/** The command's one object on stdout. */
async function nibble(...argv: string[]): Promise<{ status: number; object: Record<string, unknown> }> {
  let out = '';
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation(((text: string, done?: () => void) => {
    out += text;
    done?.();
    return true;
  }) as typeof process.stdout.write);
  const status = await main([...argv, '--json']);
  spy.mockRestore();
  return { status, object: JSON.parse(out) as Record<string, unknown> };
}

/** What the command says went wrong: a status of 1, one key, and a sentence. */
async function refusal(...argv: string[]) {
  const { status, object } = await nibble(...argv);
  expect({ status, keys: Object.keys(object) }).toEqual({ status: 1, keys: ['error'] });
  const { code, message, details, ...rest } = object.error as NibbleError;
  expect(rest).toEqual({});
  expect(message).toMatch(/^.{20,}\.$/s);
  return { code, details };
}

let scratch = '';
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'nibble-bad-'));
});
afterAll(() => rmSync(scratch, { recursive: true }));

describe('a model with', () => {
  it.each(MODELS)('$what, in a session', async ({ base, spoil, code, details = {} }) => {
    const good = folder(base);
    const files = folder(base);
    spoil(files);
    const store = createMemoryStore();
    const session = createSession(host({ files, store }));
    const failure = await load(session, { backend: 'cpu' }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(NibbleError);
    expect(failure).toMatchObject({ code, details });
    expect(Object.keys((failure as NibbleError).details)).not.toEqual([]);
    expect((await session.stored({ kind: 'http', base: '' }))?.complete ?? false).toBe(false);
    await expect(session.memory()).rejects.toMatchObject({ code: 'invalid-option' });
    files.clear();
    for (const [path, bytes] of good) files.set(path, bytes);
    if (base === NF4 && !spoilsManifest(spoil)) files.delete('manifest.json');
    await load(session, { backend: 'cpu' });
    expect(await session.stored({ kind: 'http', base: '' })).toMatchObject({ complete: true });
    expect(await firstIds(session)).toEqual(expectedIds(base));
  });

  it.each(MODELS)('$what, from the command line', async ({ base, spoil, code }) => {
    const files = folder(base);
    spoil(files);
    const path = mkdtempSync(join(scratch, 'model-'));
    for (const [name, bytes] of files) if (name !== 'manifest.json') writeFileSync(join(path, name), bytes);
    const ask = ['generate', path, '--ids', '5,6,7', '--max-new-tokens', '1', '--backend', 'cpu'];
    // nobody compares files on the reader's own disk with a manifest
    if (code === 'integrity-mismatch') expect((await nibble(...ask)).status).toBe(0);
    else expect((await refusal(...ask)).code).toBe(code);
    cpSync(FIXTURES + base, path, { recursive: true });
    expect((await nibble(...ask)).status).toBe(0);
  });

  it.each([
    ['cut short', (bytes: Uint8Array) => bytes.slice(0, 100_000), 'corrupt-checkpoint'],
    ['another magic', (bytes: Uint8Array) => bytes.fill(0, 0, 1), 'corrupt-checkpoint'],
    ['a count of tensors that is a lie', (bytes: Uint8Array) => bytes.fill(255, 8, 16), 'corrupt-checkpoint'],
    ['a version of the future', (bytes: Uint8Array) => bytes.fill(9, 4, 5), 'corrupt-checkpoint'],
  ])('a GGUF: %s', async (_, spoil, code) => {
    const path = join(scratch, `${Math.random()}.gguf`);
    const good = readFileSync(join(FIXTURES, GGUF, GGUF_FILE));
    writeFileSync(path, spoil(new Uint8Array(good)));
    const ask = ['generate', path, '--ids', '5,6,7', '--max-new-tokens', '1', '--backend', 'cpu'];
    expect((await refusal(...ask)).code).toBe(code);
    writeFileSync(path, good);
    expect((await nibble(...ask)).status).toBe(0);
  });
});

/** A manifest on the first visit is there on the second. */
function spoilsManifest(spoil: (files: Files) => void): boolean {
  const probe = folder(NF4);
  spoil(probe);
  return probe.has('manifest.json');
}

const firstIds = async (session: Session) =>
  (await ask(session, { ids: [5, 6, 7] }, { maxNewTokens: 3, temperature: 0, ignoreEos: true })).result.ids;

const known = new Map<string, number[]>();
function expectedIds(base: string): number[] {
  return known.get(base)!;
}
beforeAll(async () => {
  for (const base of [NF4, SHARDED]) {
    const session = createSession(host({ files: folder(base) }));
    await load(session, { backend: 'cpu' });
    known.set(base, await firstIds(session));
  }
});

describe('a request with', () => {
  let session: Session;
  beforeAll(async () => {
    session = createSession(host());
    await load(session, { backend: 'cpu', maxContext: 64 });
  });

  it.each<[string, GenerateRequest['input'], GenerateRequest['options'], string, object]>([
    ['an id beyond the vocabulary', { ids: [1, 9999] }, {}, 'invalid-option', { id: 9999, place: 1 }],
    ['a negative id', { ids: [-1] }, {}, 'invalid-option', { id: -1, place: 0 }],
    ['a fraction of an id', { ids: [0.5] }, {}, 'invalid-option', { id: 0.5 }],
    ['no ids', { ids: [] }, {}, 'invalid-option', { tokens: 0 }],
    ['an empty prompt', { prompt: '' }, {}, 'invalid-option', { tokens: 0 }],
    ['no messages', { messages: [] }, {}, 'invalid-option', { tokens: 0 }],
    ['a prompt longer than the context', { ids: Array(65).fill(9) }, {}, 'context-overflow', { capacity: 64 }],
    [
      'a prompt that leaves too little',
      { ids: Array(60).fill(9) },
      { maxNewTokens: 6 },
      'context-overflow',
      { need: 65 },
    ],
    [
      'temperature out of range',
      { ids: [1] },
      { temperature: -1 },
      'invalid-option',
      { option: 'temperature', value: -1 },
    ],
    ['top-k out of range', { ids: [1] }, { topK: -3 }, 'invalid-option', { option: 'topK', value: -3 }],
    ['top-p out of range', { ids: [1] }, { topP: 1.5 }, 'invalid-option', { option: 'topP', value: 1.5 }],
    ['seed out of range', { ids: [1] }, { seed: 0.5 }, 'invalid-option', { option: 'seed', value: 0.5 }],
    ['no new tokens', { ids: [1] }, { maxNewTokens: 0 }, 'invalid-option', { option: 'maxNewTokens', value: 0 }],
    ['a misspelt option', { ids: [1] }, { temprature: 1 } as object, 'invalid-option', { option: 'temprature' }],
  ])('%s is refused, and changes nothing', async (_, input, options, code, details) => {
    const before = await session.memory();
    await expect(ask(session, input, options)).rejects.toMatchObject({ code, details });
    expect(await session.memory()).toEqual(before);
    expect((await ask(session, { ids: [5, 6, 7] }, { maxNewTokens: 2 })).result.ids).toHaveLength(2);
  });
});

describe('an option', () => {
  it.each<[EngineOptions | object, string, object]>([
    [{ chunk: 0 }, 'invalid-option', { option: 'chunk', value: 0 }],
    [{ maxContext: -5 }, 'invalid-option', { option: 'maxContext', value: -5 }],
    [{ kvCapacity: 0 }, 'invalid-option', { option: 'kvCapacity', value: 0 }],
    [{ kv: 'int4' }, 'invalid-option', { option: 'kv', value: 'int4' }],
    [{ weights: 'q2' }, 'invalid-option', { option: 'weights', value: 'q2' }],
    [{ tune: 'warp9' }, 'invalid-option', { option: 'tune', value: 'warp9' }],
    [{ memoryBudget: 4096 }, 'out-of-memory', { weights: expect.any(Number), peak: expect.any(Number) }],
    [{ colour: 'red' }, 'invalid-option', { option: 'colour' }],
    [{ backend: 'webgpu' }, 'webgpu-unavailable', {}],
  ])('%j is refused, and the next attempt works', async (options, code, details) => {
    const store = createMemoryStore();
    const session = createSession(host({ store, gpu: null }));
    await expect(load(session, options)).rejects.toMatchObject({ code, details });
    expect((await session.stored({ kind: 'http', base: '' }))?.complete ?? false).toBe(false);
    expect((await load(session)).info.backend).toBe('cpu');
    expect(await firstIds(session)).toEqual(expectedIds(NF4));
  });

  it('beyond what the model has is cut to that, and says so', async () => {
    const session = createSession(host());
    const { info } = await load(session, { maxContext: 1e6, kvCapacity: 1e6 });
    expect(info.options).toMatchObject({ maxContext: 512, kvCapacity: 512 });
  });

  it.each<[string[], string, object]>([
    [['--chunk', '0'], 'invalid-option', { option: 'chunk' }],
    [['--chunk', 'many'], 'invalid-option', { option: 'chunk', value: 'many' }],
    [['--max-context', '1.5'], 'invalid-option', { option: 'maxContext', value: '1.5' }],
    [['--top-k=-1'], 'invalid-option', { option: 'topK' }],
    [['--kv-capacity', 'most'], 'invalid-option', { option: 'kv-capacity', value: 'most' }],
    [['--backend', 'tpu'], 'invalid-option', { option: 'backend', value: 'tpu' }],
    [['--limits', 'none'], 'invalid-option', { option: 'limits', value: 'none' }],
    [['--features', 'some'], 'invalid-option', { option: 'features', value: 'some' }],
    [['--tune', 'warp9'], 'invalid-option', { option: 'tune', value: 'warp9' }],
    [['--seed', '-1'], 'invalid-option', {}],
    [['--stop', ''], 'invalid-option', { option: 'stop' }],
    [['--colour', 'red'], 'invalid-option', { option: '--colour' }],
    [['--ids', '1,9999'], 'invalid-option', { id: 9999, place: 1 }],
    [['--max-new-tokens', '600'], 'context-overflow', { capacity: 512 }],
  ])('%j is refused by the command', async (argv, code, details) => {
    const model = FIXTURES + NF4;
    const backend = argv[0] === '--backend' ? [] : ['--backend', 'cpu'];
    const ids = argv[0] === '--ids' ? [] : ['--ids', '5'];
    expect(await refusal('generate', model, ...ids, ...argv, ...backend)).toMatchObject({ code, details });
  });
});

describe('the command', () => {
  const model = FIXTURES + NF4;
  it.each<[string[], object]>([
    [[], { option: 'command' }],
    [['detokenize', model, '--ids', '1,9999'], { id: 9999, place: 1, vocab: 300 }],
    [['tokenize', model, '--text', 'x', '--backend', 'tpu'], { option: 'backend', value: 'tpu' }],
    [['inspect', model, '--kv', 'f8'], { option: 'kv', value: 'f8' }],
    [['bench', '--random', 'nowhere.json', '--backend', 'cpu'], { path: 'nowhere.json' }],
    [['bench', model, '--ids', '', '--backend', 'cpu'], { tokens: 0 }],
    [['bench', model, '--ids', '1', '--prompt-tokens', '3'], { option: 'prompt-tokens' }],
    [['chat', model], { option: 'json' }],
    [['inspect', model, '--hub', 'https://hub.example'], { option: 'model', value: model }],
  ])('%j is refused', async (argv, details) => {
    expect(await refusal(...argv)).toMatchObject({ code: 'invalid-option', details });
  });
});

describe('a browser', () => {
  it('without storage, as in private mode, loads and says that nothing is kept', async () => {
    const session = createSession(host({ store: null }));
    const { info } = await load(session, { storage: 'indexeddb' });
    expect(info.options.storage).toBe('none');
    expect(info.storageReason).toMatch(/nothing is kept/);
    expect((await session.stored({ kind: 'http', base: '' }))?.complete ?? false).toBe(false);
    await session.forget({ kind: 'http', base: '' });
    expect(await firstIds(session)).toEqual(expectedIds(NF4));
  });

  it('whose storage is full says so with the numbers, and the next attempt works', async () => {
    const store = createMemoryStore();
    const { put } = store.chunks;
    store.chunks.put = async () => {
      throw new NibbleError('quota-exceeded', 'There is no room.');
    };
    const session = createSession(host({ store }));
    await expect(load(session)).rejects.toMatchObject({
      code: 'quota-exceeded',
      message: expect.stringMatching(/MB more are needed/),
      details: { neededBytes: expect.any(Number), freeBytes: expect.any(Number) },
    });
    expect((await session.stored({ kind: 'http', base: '' }))?.complete ?? false).toBe(false);
    store.chunks.put = put;
    await load(session);
    expect(await session.stored({ kind: 'http', base: '' })).toMatchObject({ complete: true });
  });
});
