/** The class of the Prompt API: what it loads, draws, refuses, and where it is installed. */
/// <reference types="dom-chromium-ai" />
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Engine, NibbleError, type Progress } from '../index';
import { createLanguageModel, install, type PromptSession } from './prompt-api';
import { scriptedModel } from './test/scripted-session';
import { tinyEngine } from './test/tiny-engine';

/** As the browser's own: what is written for that compiles. */
type Own = typeof LanguageModel;
const ofEngine = (engine: Engine, options = {}): Own => createLanguageModel(engine, options);

const GREEDY = { maxNewTokens: 8, temperature: 0 };
const user = (content: string) => ({ role: 'user', content }) as const;

let engine: Engine;
beforeAll(async () => {
  engine = await tinyEngine(undefined, { max_position_embeddings: 2048 });
});
afterAll(() => {
  engine.dispose();
});
afterEach(() => {
  Reflect.deleteProperty(globalThis, 'LanguageModel');
});

describe('bad input', () => {
  let session: PromptSession;
  beforeAll(async () => {
    session = await createLanguageModel(engine, GREEDY).create();
  });
  afterAll(() => session.destroy());
  const image = [{ role: 'user', content: [{ type: 'image', value: new ArrayBuffer(1) }] }] as const;

  it.each<[string, string, () => Promise<unknown>]>([
    ['NotSupportedError', 'an image', () => session.prompt(image)],
    ['TypeError', 'text that is none', () => session.append([{ role: 'user', content: [{ type: 'text', value: 1 }] }])],
    ['TypeError', 'a role that is none', () => session.prompt([{ role: 'tool' as never, content: '' }])],
    ['TypeError', 'a prompt that is none', () => session.prompt(1 as never)],
    ['TypeError', 'content that is none', () => session.prompt([{ role: 'user', content: 1 as never }])],
    ['SyntaxError', 'a prefix of the user', () => session.prompt([{ role: 'user', content: '', prefix: true }])],
    ['SyntaxError', 'a prefix to append', () => session.append([{ role: 'assistant', content: '', prefix: true }])],
    ['TypeError', 'a constraint that is none', () => session.prompt('?', { responseConstraint: 'x' as never })],
    ['TypeError', 'no constraint to omit', () => session.prompt('?', { omitResponseConstraintInput: true })],
    ['NotSupportedError', 'flags', () => session.prompt('?', { responseConstraint: /a/i })],
    [
      'NotSupportedError',
      'a schema too many',
      () => session.prompt('?', { responseConstraint: { uniqueItems: true } }),
    ],
    ['TypeError', 'a system prompt late', () => session.prompt([user(''), { role: 'system', content: '' }])],
    ['TypeError', 'both', () => createLanguageModel(engine).create({ samplingMode: 'creative', topK: 3 })],
    ['TypeError', 'a mode that is none', () => createLanguageModel(engine).create({ samplingMode: 'wild' as never })],
    ['RangeError', 'no topK', () => createLanguageModel(engine).create({ topK: 0 })],
    ['RangeError', 'below 0', () => createLanguageModel(engine).create({ temperature: -1 })],
    ['NotSupportedError', 'audio', () => createLanguageModel(engine).create({ expectedInputs: [{ type: 'audio' }] })],
    [
      'NotSupportedError',
      'a tool without a function',
      () => createLanguageModel(engine).create({ tools: [{ name: 'a', description: '', inputSchema: {} } as never] }),
    ],
    ['TypeError', 'new', async () => new (createLanguageModel(engine))()],
  ])('is %s: %s', async (name, _, call) => {
    await expect(call()).rejects.toMatchObject({ name });
  });

  it('leaves the session as it was', async () => {
    expect([session.contextUsage, await session.prompt('Hi?')]).toEqual([
      0,
      await engine.chat([user('Hi?')], GREEDY).text(),
    ]);
  });
});

describe('LanguageModel', () => {
  it('loads when the first session is made, tells how far, and again after a failure', async () => {
    let [loads, fail] = [0, true];
    const api = createLanguageModel(async (onProgress) => {
      loads++;
      const at = (loadedBytes: number): Progress => ({
        phase: 'download',
        loadedBytes,
        totalBytes: 4,
        networkBytes: 0,
        bytesPerSecond: null,
        secondsLeft: null,
      });
      await new Promise((resolve) => setTimeout(resolve, 5));
      for (const bytes of [0, 1, 3, 2, 4]) onProgress(at(bytes));
      if (fail) throw new NibbleError('network', 'No network.');
      return engine;
    });
    expect([await api.availability(), loads]).toEqual(['downloadable', 0]);
    const failed = api.create();
    expect(await api.availability()).toBe('downloading');
    await expect(failed).rejects.toMatchObject({ name: 'NetworkError', cause: { code: 'network' } });
    expect(await api.availability()).toBe('downloadable');
    fail = false;
    const seen: number[] = [];
    const on = vi.fn();
    const monitor = (m: { addEventListener: EventTarget['addEventListener']; ondownloadprogress: unknown }) => {
      m.addEventListener('downloadprogress', (event) => seen.push((event as ProgressEvent).loaded));
      m.ondownloadprogress = on;
    };
    const [one, two] = await Promise.all([api.create({ monitor }), api.create()]);
    expect([seen, on.mock.calls.length, loads]).toEqual([[0, 0.25, 0.75, 1], 4, 2]);
    seen.length = 0;
    const three = await api.create({ monitor });
    expect([seen, await api.availability()]).toEqual([[0, 1], 'available']);
    for (const session of [one, two, three]) session.destroy();
  });

  it('gives up waiting where it is told to, and destroys by the same signal', async () => {
    const never = createLanguageModel(() => new Promise<never>(() => {}));
    const stopping = new AbortController();
    const waiting = never.create({ signal: stopping.signal });
    stopping.abort();
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
    await expect(never.create({ signal: AbortSignal.abort('because') })).rejects.toBe('because');
    const ending = new AbortController();
    const session = await ofEngine(engine).create({ signal: ending.signal });
    ending.abort();
    await expect(session.prompt('?')).rejects.toMatchObject({ name: 'InvalidStateError' });
  });

  it('says what it is able to', async () => {
    const api = ofEngine(engine);
    expect(await api.availability({ expectedInputs: [{ type: 'text', languages: ['de'] }] })).toBe('available');
    expect(await api.availability({ expectedInputs: [{ type: 'image' }] })).toBe('unavailable');
    expect(await createLanguageModel(Promise.resolve(engine)).availability()).toBe('downloading');
    const broken = createLanguageModel(Promise.reject(new NibbleError('disposed', 'It is gone.')));
    await expect(broken.create()).rejects.toMatchObject({ name: 'InvalidStateError' });
    expect(await broken.availability()).toBe('unavailable');
    expect([api.name, Object.prototype.toString.call(api.prototype)]).toEqual([
      'LanguageModel',
      '[object EventTarget]',
    ]);
  });

  it('draws as it is told', async () => {
    const api = createLanguageModel(engine, { maxNewTokens: 2 });
    const params = await api.params();
    expect(params).toEqual({ defaultTopK: 0, maxTopK: 128, defaultTemperature: 0, maxTemperature: 2 });
    const sessions = await Promise.all([
      api.create({ topK: 1000, temperature: Number.POSITIVE_INFINITY }),
      api.create({ samplingMode: 'most-predictable' }),
      api.create(),
    ]);
    await sessions[0].prompt('?');
    expect(sessions.map(({ topK, temperature, samplingMode }) => [topK, temperature, samplingMode])).toEqual([
      [128, 2, null],
      [0, 0, 'most-predictable'],
      [0, 0, 'balanced'],
    ]);
    for (const session of sessions) session.destroy();
  });

  it('fails as Chrome does where the engine does', async () => {
    const lost = new NibbleError('device-lost', 'The GPU went away.');
    const long = new NibbleError('context-overflow', 'Long.', { promptTokens: 7, capacity: 5 });
    const script = scriptedModel([{ error: lost }, { error: long }]);
    const session = await script.api.create();
    await expect(session.prompt('?')).rejects.toMatchObject({ name: 'UnknownError', cause: lost });
    await expect(session.prompt('?')).rejects.toMatchObject({ name: 'QuotaExceededError', requested: 7, quota: 5 });
  });

  it("is installed where there is none, and leaves the browser's own alone", () => {
    const { by, LanguageModel: mine } = install(engine);
    expect([by, (globalThis as { LanguageModel?: unknown }).LanguageModel]).toEqual(['nibble', mine]);
    expect(install(engine)).toEqual({ by: 'nibble', LanguageModel: mine });
    const theirs = class LanguageModel {};
    Object.assign(globalThis, { LanguageModel: theirs });
    expect(install(engine)).toEqual({ by: 'browser', LanguageModel: theirs });
  });
});
