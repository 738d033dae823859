/** Who answers, with the real session on the CPU on one side and a scripted server on the other. */
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../engine';
import { sessionWorkers } from '../engine/test/session-worker';
import { NibbleError } from '../errors';
import type { GenerateResult } from '../protocol';
import type { Session } from '../runtime/session';
import { createMemoryStore } from '../store/chunk-store';
import { type LoadOptions, load } from './load';
import {
  broken,
  chunk,
  hello,
  json,
  type ScriptedServer,
  scriptedServer,
  silent,
  stream,
} from './test/scripted-server';

const FOLDER = 'reference/fixtures/tiny-llama-128/nf4/';
const NAMES = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
const files = NAMES.map((name) => new File([readFileSync(FOLDER + name)], name));
const QUESTION = [{ role: 'user' as const, content: 'Hi?' }];
const SHORT = { maxNewTokens: 4, temperature: 0 };
const TEXT = 'Hello, wörld 🌍';

let server: ScriptedServer;
const engines: Engine[] = [];
beforeAll(async () => {
  server = await scriptedServer();
});
afterEach(() => {
  for (const engine of engines.splice(0)) engine.dispose();
});
afterAll(() => server.close());

/** How often workers were made. */
let workers = 0;
async function start(options: LoadOptions, change?: (session: Session) => Session): Promise<Engine> {
  workers = 0;
  const make = sessionWorkers(createMemoryStore(), change);
  const createWorker = () => {
    workers++;
    return make();
  };
  const remote = { url: server.url, model: 'm', key: 'hunter2' };
  const engine = await load(files, { createWorker, storage: 'none', remote, ...options });
  engines.push(engine);
  return engine;
}

const lost = () => new NibbleError('device-lost', 'The GPU went away.', { reason: 'unknown' });
/** A session whose device is lost under each answer, after so many pieces. */
const fragile =
  (pieces: number) =>
  (session: Session): Session => ({
    ...session,
    async generate(request, port) {
      let sent = 0;
      const postMessage: typeof port.postMessage = (message) => void (sent++ < pieces && port.postMessage(message));
      await session.generate(request, { postMessage });
      throw lost();
    },
  });

const failureOf = (work: Promise<unknown>): Promise<NibbleError> =>
  work.then(
    () => Promise.reject(new Error('It did not fail.')),
    (error) => error as NibbleError,
  );
const sourceOf = async (engine: Engine) => (await engine.chat(QUESTION, SHORT).result).source;
/** Asks until the device answers. */
const deviceOf = (engine: Engine) => expect.poll(() => sourceOf(engine)).toBe('device');

describe('device', () => {
  it.each([{}, { where: 'device' as const }, { remote: undefined }])('with %j sends nothing', async (options) => {
    server.say(stream(hello));
    const engine = await start(options);
    const answer = engine.chat(QUESTION, SHORT);
    const { source } = await answer.result;
    const info = await engine.info();
    expect([source, answer.source, info.source, info.sourceReason]).toEqual([
      'device',
      'device',
      'device',
      'The model is on this device.',
    ]);
    expect(server.seen).toEqual([]);
  });
});

describe('server', () => {
  it('answers alone: nothing is loaded', async () => {
    server.say(stream(hello));
    const engine = await start({ where: 'server' });
    const { text, source } = await engine.chat(QUESTION).result;
    expect([text, source, workers]).toEqual([TEXT, 'server', 0]);
  });
});

describe('device-first', () => {
  it('the server answers while the model is on its way, then the device; a conversation goes on', async () => {
    let arrive = () => {};
    const gate = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const late = (session: Session): Session => ({
      ...session,
      async load(...all) {
        await gate;
        return session.load(...all);
      },
    });
    server.say(stream(hello));
    const engine = await start({ where: 'device-first' }, late);
    const talk = engine.conversation({ ...SHORT, system: 'Be brief.' });
    const first = talk.ask('Hi?');
    expect(first.source).toBe(null);
    for await (const _ of first) expect(first.source).toBe('server');
    expect((await first.result).source).toBe('server');
    server.say(json({ data: [] }));
    expect(await engine.info()).toMatchObject({
      source: 'server',
      sourceReason: 'The model is on its way to this device.',
    });
    expect(await failureOf(engine.plan({ promptTokens: 1, maxNewTokens: 1 }))).toMatchObject({
      code: 'unsupported-remote',
      message: expect.stringContaining('on its way to this device'),
    });
    arrive();
    server.say(stream(hello));
    await deviceOf(engine);
    server.say(stream(hello));
    const second = await talk.ask('And?').result;
    expect([second.source, talk.messages.length, server.seen.length]).toEqual(['device', 5, 0]);
    expect((await talk.ask('And?').result).stats.reusedTokens).toBeGreaterThan(0);
    expect((await engine.info()).source).toBe('device');
    expect((await engine.plan({ promptTokens: 1, maxNewTokens: 1 })).fits).toBe(true);
    expect(await engine.countTokens(QUESTION)).toBeGreaterThan(1);
    const other = talk.clone();
    expect((await other.ask('Well?').result).source).toBe('device');
    await talk.dispose();
    expect(server.seen).toEqual([]);
  });

  it.each<[string, LoadOptions, RegExp]>([
    ['does not fit', { memoryBudget: 1000 }, /The model is not on this device: .*memory/],
    ['is too slow', { minTokensPerSecond: 1e9 }, /no GPU, and [\d.]+ tokens a second are fewer than 1000000000/],
    ['has no GPU, and one was asked for', { backend: 'webgpu' }, /The model is not on this device: /],
  ])('the server answers where the device %s, and it is said why', async (_, options, reason) => {
    server.say(json({ data: [] }));
    const engine = await start({ where: 'device-first', ...options });
    await expect.poll(async () => (await engine.info()).sourceReason).toMatch(reason);
    server.say(stream(hello));
    expect(await sourceOf(engine)).toBe('server');
  });

  it('any speed will do where 0 is the least', async () => {
    server.say(stream(hello));
    await deviceOf(await start({ where: 'device-first', minTokensPerSecond: 0 }));
  });

  it('a device that is lost twice before a word: the server answers that question, and from then on', async () => {
    server.say(stream(hello));
    const engine = await start({ where: 'device-first', minTokensPerSecond: 0 }, fragile(0));
    const talk = engine.conversation(SHORT);
    await expect.poll(() => workers).toBe(1);
    await expect.poll(async () => (await engine.memory()).total).toBeGreaterThan(0);
    server.say(stream(hello));
    const { text, source } = await talk.ask('Hi?').result;
    expect([text, source, workers]).toEqual([TEXT, 'server', 2]);
    expect(await sourceOf(engine)).toBe('server');
    server.say(json({ data: [] }));
    expect((await engine.info()).sourceReason).toMatch(/This device was given up: .*twice within a minute/);
  });

  it('a device that is lost twice within an answer: that one fails, and the server answers the next', async () => {
    const engine = await start({ where: 'device-first', minTokensPerSecond: 0 }, fragile(2));
    await expect.poll(async () => (await engine.memory()).total).toBeGreaterThan(0);
    server.say(stream(hello));
    const answer = engine.generate([1, 2, 3], { maxNewTokens: 30, ignoreEos: true });
    expect((await failureOf(answer.result)).code).toBe('device-lost');
    expect([answer.source, server.seen.length]).toEqual(['device', 0]);
    expect(await sourceOf(engine)).toBe('server');
  });
});

describe('server-first', () => {
  it('the server answers, and nothing is loaded', async () => {
    server.say(stream(hello));
    const engine = await start({ where: 'server-first' });
    expect([await sourceOf(engine), workers]).toEqual(['server', 0]);
  });

  it.each<[string, Parameters<ScriptedServer['say']>[0]]>([
    ['429', json({}, 429, { 'retry-after': '7' })],
    ['500', json({}, 500)],
    ['a wrong key', json({}, 401)],
    ['a web page', (response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>')],
    ['a connection that breaks', (response) => void response.destroy()],
    ['a stream without a word', stream('')],
    ['silence', silent],
  ])('the device answers after %s, and the server is asked first again', async (_, fault) => {
    server.say(fault);
    const remote = { url: server.url, model: 'm', timeoutMs: 100 };
    const engine = await start({ where: 'server-first', remote });
    const answer = engine.chat(QUESTION, SHORT);
    const { source } = await answer.result;
    expect([source, answer.source, workers, server.seen.length]).toEqual(['device', 'device', 1, 1]);
    server.say(json({ data: [] }));
    expect((await engine.info()).sourceReason).toMatch(/^The server answers first. It failed before the first token/);
    server.say(stream(hello));
    expect(await sourceOf(engine)).toBe('server');
  });

  it('an answer that breaks in the middle is not glued: it fails with what there is, and can be asked again', async () => {
    server.say(broken(chunk({ content: 'Hel' })), stream(hello));
    const engine = await start({ where: 'server-first' });
    const talk = engine.conversation(SHORT);
    const answer = talk.ask('Hi?');
    const error = await failureOf(answer.result);
    expect([error.details.reason, (error.cause as GenerateResult).text, answer.source, workers]).toEqual([
      'broken',
      'Hel',
      'server',
      0,
    ]);
    expect(await talk.ask('Hi?').text()).toBe(TEXT);
  });

  it.each([
    ['what the server does not take', json({ detail: 'no' }, 422), 'invalid-option'],
    ['too long a conversation', json({ error: { code: 'context_length_exceeded' } }, 400), 'context-overflow'],
  ])('%s is no failure of the server', async (_, fault, code) => {
    server.say(fault);
    const engine = await start({ where: 'server-first' });
    expect((await failureOf(engine.chat(QUESTION).result)).code).toBe(code);
    expect(workers).toBe(0);
  });

  it('where the device cannot take over, the failure says both', async () => {
    server.say(json({}, 500));
    const engine = await start({ where: 'server-first', memoryBudget: 1000 });
    const { code, message } = await failureOf(engine.chat(QUESTION).result);
    expect([code, message]).toEqual(['network', expect.stringMatching(/The server failed.*The model is not on this/)]);
  });
});

describe('either', () => {
  it.each(['device-first', 'server-first'] as const)('%s: a stopped answer ends with what there is', async (where) => {
    server.say((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(chunk({ content: 'Hel' }));
    });
    const never = (session: Session): Session => ({ ...session, load: () => new Promise(() => {}) });
    const engine = await start({ where }, never);
    const answer = engine.chat(QUESTION);
    for await (const _ of answer) answer.stop();
    const { text, finish, source } = await answer.result;
    expect([text, finish, source]).toEqual(['Hel', 'aborted', 'server']);
    expect((await engine.chat(QUESTION, { signal: AbortSignal.abort() }).result).finish).toBe('aborted');
    server.say(silent);
    const late = engine.chat(QUESTION);
    engine.dispose();
    expect((await failureOf(late.result)).code).toBe('disposed');
  });

  it.each(['device-first', 'server-first'] as const)('%s: tools are called by who answers', async (where) => {
    const call = { index: 0, id: 'c', function: { name: 'sky', arguments: '{}' } };
    server.say(stream(chunk({ tool_calls: [call] }, 'tool_calls')), stream(hello));
    const never = (session: Session): Session => ({ ...session, load: () => new Promise(() => {}) });
    const engine = await start({ where }, never);
    const answer = engine.chat(QUESTION, { tools: [{ name: 'sky', run: () => 'dry' }] });
    const { text, messages, source } = await answer.result;
    expect([text, messages?.length, source]).toEqual([TEXT, 2, 'server']);
  });

  it('several answers are each of one: the device takes over those that the server fails', async () => {
    server.say(stream(hello), json({}, 500), stream(hello));
    const engine = await start({ where: 'server-first' });
    const answers = engine.batch([QUESTION, [1, 2], 'Once'], { ...SHORT, parallel: 1 });
    const results = await Promise.all(answers.map(({ result }) => result.catch(({ code }) => ({ source: code }))));
    expect(results.map(({ source }) => source).sort()).toEqual(['device', 'server', 'unsupported-remote']);
  });

  it.each<[LoadOptions, RegExp]>([
    [{ where: 'nowhere' as never }, /where is "nowhere"; it must be one of device, server/],
    [{ where: 'server', remote: undefined }, /remote is undefined; it must be \{ url, model \}/],
    [{ where: 'device-first', remote: { url: 'x', model: 'm' } }, /address of a server/],
    [{ where: 'server-first', remote: { url: 'http://host' } as never }, /model is undefined/],
    [{ where: 'server-first', minTokensPerSecond: -1 }, /minTokensPerSecond is -1/],
    [{ where: 'server', nothing: 1 } as never, /no option nothing/],
    [{ where: 'device-first', kv: 'f8' } as never, /kv is "f8"/],
  ])('%j is refused at once', async (options, message) => {
    const { code, message: said } = await failureOf(start(options));
    expect([code, said]).toEqual(['invalid-option', expect.stringMatching(message)]);
  });

  it('bad arguments are refused as the engine here does', async () => {
    const engine = await start({ where: 'server-first' });
    server.say(stream(hello));
    const wrong = [
      engine.chat('x' as never).result,
      engine.generate(7 as never).result,
      engine.chat(QUESTION, { temperature: -1 }).result,
      engine.chat(QUESTION, { signal: 'x' } as never).result,
    ];
    for (const work of wrong) expect((await failureOf(work)).code).toBe('invalid-option');
    expect(server.seen).toEqual([]);
  });
});
