/** The library as a program in Node has it: built, in node_modules, imported by its name. */
import { readFileSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as page from '../index';
import { application, FIXTURES, start } from './test/built';
import { type FileServer, serveFiles } from './test/file-server';

const NF4 = 'tiny-llama-128/nf4';

let app = '';
let server: FileServer;
beforeAll(async () => {
  [app, server] = await Promise.all([application(['index', 'worker']), serveFiles(FIXTURES)]);
});
afterAll(async () => {
  await server.close();
  await rm(app, { recursive: true });
});

/** Runs a program in the application's folder; it prints one JSON value. */
async function program<T>(code: string, { cwd = app, env = {} as NodeJS.ProcessEnv, options = [] as string[] } = {}) {
  const file = join(app, `program-${programs++}.mjs`);
  await writeFile(file, `import * as nibble from 'nibble-llm';\nconst { load, NibbleError } = nibble;\n${code}`);
  const { status, out, err } = await start([...options, file], {
    cwd,
    env: { NIBBLE_CACHE: join(app, 'cache'), ...env },
  }).done;
  expect({ status, err }).toEqual({ status: 0, err: '' });
  return JSON.parse(out) as T;
}
let programs = 0;

const ANSWER = `
const tell = (value) => console.log(JSON.stringify(value));
const ids = async (engine) => (await engine.generate([1, 2, 3], { maxNewTokens: 4, ignoreEos: true }).result).ids;
const refusal = (work) => work.then(() => 'was not refused', (e) => [e instanceof NibbleError, e.code, e.message]);
`;

it('reads texts for vectors, rankings and likelihoods, in its thread', async () => {
  const folder = (name: string) => JSON.stringify(join(FIXTURES, 'embeddings', name));
  const facts = (name: string) => JSON.parse(readFileSync(join(FIXTURES, 'embeddings', name, 'expected.json'), 'utf8'));
  const [, query] = facts('qwen3-embedding').cases;
  const { rerank, score } = facts('qwen3-reranker');
  const made = await program<{ vectors: number[][]; scores: number[]; logs: number[] }>(`${ANSWER}
    const exact = { backend: 'cpu', weights: 'f32', kv: 'f32' };
    const embedder = await load(${folder('qwen3-embedding')}, exact);
    const { embeddings } = await embedder.embed(${JSON.stringify(query.texts)}, { prompt: 'query' });
    embedder.dispose();
    const reranker = await load(${folder('qwen3-reranker')}, exact);
    const { scores } = await reranker.rerank(${JSON.stringify(rerank[0].query)}, ${JSON.stringify(rerank[0].documents)});
    const [{ logProbs }] = await reranker.score([${JSON.stringify(score.texts[0])}]);
    reranker.dispose();
    tell({ vectors: embeddings.map((vector) => [...vector]), scores, logs: [...logProbs] });`);
  const close = (values: number[]) => values.map((value) => expect.closeTo(value, 4));
  expect(made).toEqual({
    vectors: query.vectors.map(close),
    scores: close(rerank[0].scores),
    logs: close(score.logProbs[0]),
  });
});

it('has the names that a page has, and importing it touches no global', async () => {
  const file = join(app, 'globals.mjs');
  await writeFile(
    file,
    `const names = () => Reflect.ownKeys(globalThis).map(String);
     const before = names();
     const exported = Object.keys(await import('nibble-llm'));
     console.log(JSON.stringify({ exported, more: names().filter((name) => !before.includes(name)) }));`,
  );
  const { out } = await start([file], { cwd: app }).done;
  expect(JSON.parse(out)).toEqual({ exported: Object.keys(page).sort(), more: [] });
});

it('answers from a folder, a file, a file: address and given bytes, and a program without dispose() ends by itself', async () => {
  const gguf = join(FIXTURES, 'tiny-llama/gguf/tiny-llama.gguf');
  const result = await program<Record<string, number[]>>(
    `${ANSWER}
    import { readFile } from 'node:fs/promises';
    const bytes = new File([await readFile(${JSON.stringify(gguf)})], 'tiny-llama.gguf');
    const all = {};
    for (const [name, model] of Object.entries({
      folder: ${JSON.stringify(NF4)},
      dotted: ${JSON.stringify(`./${NF4}/`)},
      absolute: ${JSON.stringify(join(FIXTURES, NF4))},
      address: ${JSON.stringify(pathToFileURL(join(FIXTURES, NF4)).href)},
      gguf: 'tiny-llama/gguf/tiny-llama.gguf',
      bytes: [bytes],
    })) all[name] = await ids(await load(model, { backend: 'cpu' }));
    tell(all);`,
    { cwd: FIXTURES },
  );
  expect(result.folder).toHaveLength(4);
  for (const same of ['dotted', 'absolute', 'address']) expect(result[same]).toEqual(result.folder);
  expect(result.bytes).toEqual(result.gguf);
  // files that are here are not copied
  await expect(readdir(join(app, 'cache'))).rejects.toMatchObject({ code: 'ENOENT' });
});

it('answers in a program that was started with options that no thread takes', async () => {
  const options = ['--max-old-space-size=512', '--title=program', '--expose-gc'];
  const code = `${ANSWER} tell(await ids(await load(${JSON.stringify(join(FIXTURES, NF4))}, { backend: 'cpu' })));`;
  expect(await program<number[]>(code, { options })).toHaveLength(4);
});

it('keeps what it fetches, looks after it, and the program goes on while it computes', async () => {
  const url = `${server.origin}/${NF4}/`;
  const first = await program<{ ids: number[]; turns: number; stored: { name: string; complete: boolean }[] }>(
    `${ANSWER}
    const engine = await load(${JSON.stringify(url)}, { backend: 'cpu' });
    let turns = 0;
    const again = () => { turns++; turn = setImmediate(again); };
    let turn = setImmediate(again);
    const made = await ids(engine);
    clearImmediate(turn);
    tell({ ids: made, turns, stored: await nibble.storedModels() });
    engine.dispose();`,
  );
  expect(first.turns).toBeGreaterThan(4);
  expect(first.stored).toEqual([expect.objectContaining({ name: url, complete: true })]);
  server.requests.length = 0;
  const second = await program<{ ids: number[]; use: unknown[]; verified: object; left: unknown[] }>(
    `${ANSWER}
    const url = ${JSON.stringify(url)};
    const engine = await load(new URL(url).href, { backend: 'cpu' });
    const made = await ids(engine);
    const use = await refusal(nibble.deleteStored(url));
    engine.dispose();
    // the thread lets go of the model when it has ended
    const [found] = await nibble.storedModels();
    const verified = await nibble.verifyStored(found);
    for (;;) {
      const said = await refusal(nibble.deleteStored(url));
      if (said === 'was not refused') break;
    }
    tell({ ids: made, use, verified, left: await nibble.storedModels() });`,
  );
  expect(server.requests).toEqual([]);
  expect(second.ids).toEqual(first.ids);
  expect(second.use).toEqual([
    true,
    'storage-unavailable',
    expect.stringMatching(/loaded here or in another tab or program/),
  ]);
  expect(second.verified).toMatchObject({ alteredChunks: 0, missingChunks: 0 });
  expect(second.left).toEqual([]);
  expect(await readdir(join(app, 'cache/locks'))).toEqual([]);
});

it('saves a conversation in the cache folder, for another program', async () => {
  const talk = `
    const engine = await load(${JSON.stringify(join(FIXTURES, NF4))}, { backend: 'cpu' });
    const talk = engine.conversation({ saved: 'one', maxNewTokens: 3 });`;
  expect(await program(`${ANSWER}${talk} await talk.ask('hello').result; tell((await talk.save()).tokens > 0);`)).toBe(
    true,
  );
  expect(await program(`${ANSWER}${talk} tell((await talk.restore()) > 0);`)).toBe(true);
});

it('ends a thread that does not hear a stop, in a load and under an answer, and the next one answers', async () => {
  const [worker, flag, hangs] = ['deaf.mjs', 'hang', 'hangs'].map((name) => join(app, name));
  await writeFile(
    worker,
    `import './node_modules/nibble-llm/dist/node/worker.js';
     import { existsSync, readFileSync, writeFileSync } from 'node:fs';
     import { parentPort } from 'node:worker_threads';
     const flag = ${JSON.stringify(flag)};
     parentPort.on('message', ({ path }) => {
       if (!existsSync(flag) || readFileSync(flag, 'utf8') !== path?.[0]) return;
       writeFileSync(${JSON.stringify(hangs)}, '');
       for (;;);
     });`,
  );
  const said = await program<{ load: string[]; finish: string; note: string; ids: number[]; notes: string[] }>(
    `${ANSWER}
    import { existsSync, rmSync, writeFileSync } from 'node:fs';
    const hang = (path) => writeFileSync(${JSON.stringify(flag)}, path);
    const hear = () => rmSync(${JSON.stringify(flag)});
    const notes = [];
    const options = {
      backend: 'cpu',
      workerUrl: ${JSON.stringify(pathToFileURL(worker).href)},
      onProgress: ({ note }) => note && notes.push(note),
    };
    const folder = ${JSON.stringify(join(FIXTURES, NF4))};
    hang('load');
    const stop = new AbortController();
    const loading = refusal(load(folder, { ...options, signal: stop.signal }));
    while (!existsSync(${JSON.stringify(hangs)})) await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    const refused = await loading;
    hear();
    const engine = await load(folder, options);
    hang('generate');
    const answer = engine.generate([1, 2, 3]);
    answer.stop();
    const { finish, note } = await answer.result;
    hear();
    tell({ load: refused, finish, note, ids: await ids(engine), notes });`,
  );
  expect(said.load).toEqual([true, 'aborted', expect.any(String)]);
  expect(said).toMatchObject({ finish: 'aborted', note: expect.stringMatching(/did not hear a stop/) });
  expect(said.ids).toHaveLength(4);
  expect(said.notes[0]).toMatch(/did not hear a stop .*: the model is being loaded again/);
});

it('says what is wrong, in its own class', async () => {
  const refused = await program<[boolean, string, string][]>(
    `${ANSWER}
    const cpu = { backend: 'cpu' };
    tell(await Promise.all([
      load('./nowhere', cpu), load('nowhere', cpu), load('file:///no/such', cpu), load('ftp://x/y', cpu),
      load('./program-0.mjs', cpu), load('.', { ...cpu, revision: 'main' }),
      load(${JSON.stringify(join(FIXTURES, NF4))}, { workerUrl: 'file:///no/worker.js' }),
      nibble.modelFromDrop({}),
    ].map(refusal)));`,
  );
  expect(refused.map(([ours, code]) => [ours, code])).toEqual([
    ...Array.from({ length: 6 }, () => [true, 'invalid-option']),
    [true, 'worker-failed'],
    [true, 'invalid-option'],
  ]);
  for (const [i, words] of [
    /no folder or file \.\/nowhere/,
    /no Hub id/,
    /no folder or file/,
    /no address/,
  ].entries()) {
    expect(refused[i][2]).toMatch(words);
  }
  expect(refused[6][2]).toMatch(/leave it out \(external\)/);
});

it('refuses WebGPU where Dawn is not installed, and says how to', async () => {
  const [ours, code, message] = await program<[boolean, string, string]>(
    `${ANSWER} tell(await refusal(load(${JSON.stringify(join(FIXTURES, NF4))}, { backend: 'webgpu' })));`,
  );
  expect([ours, code]).toEqual([true, 'webgpu-unavailable']);
  expect(message).toMatch(/npm install webgpu, or load with backend: 'cpu'/);
});
