/** Sessions of the Prompt API, on a real engine and on answers written beforehand, by the browser's own types. */
/// <reference types="dom-chromium-ai" />
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { AnswerPart, Engine } from '../index';
import { createLanguageModel } from './prompt-api';
import { scriptedModel } from './test/scripted-session';
import { tinyEngine } from './test/tiny-engine';

/** As the browser's own: what is written for that compiles. */
type Own = typeof LanguageModel;
const ofEngine = (engine: Engine, options = {}): Own => createLanguageModel(engine, options);

const GREEDY = { maxNewTokens: 8, temperature: 0 };
const user = (content: string) => ({ role: 'user', content }) as const;

let engine: Engine;
let small: Engine;
beforeAll(async () => {
  engine = await tinyEngine(undefined, { max_position_embeddings: 2048 });
  small = await tinyEngine(undefined, { max_position_embeddings: 2048 }, { maxContext: 120 });
});
afterAll(() => {
  engine.dispose();
  small.dispose();
});

async function read(stream: ReadableStream<string>): Promise<string[]> {
  const pieces: string[] = [];
  for await (const piece of stream as unknown as AsyncIterable<string>) pieces.push(piece);
  return pieces;
}

const text = (text: string): AnswerPart => ({ type: 'text', text });

describe('a session', () => {
  it('answers as a conversation does, whole and in pieces, and counts', async () => {
    const session = await ofEngine(engine, GREEDY).create({
      initialPrompts: [{ role: 'system', content: 'Be brief.' }],
    });
    const talk = engine.conversation({ system: 'Be brief.', ...GREEDY });
    const begun = session.contextUsage;
    expect([begun > 0, session.contextWindow, session.inputQuota]).toEqual([true, 2048, 2048]);
    const more = await session.measureContextUsage('Hello!');
    expect(more).toBeGreaterThan(3);
    expect(await session.prompt('Hello!')).toBe(await talk.ask('Hello!').text());
    expect(session.contextUsage).toBeGreaterThan(begun + more - 8);
    expect(session.inputUsage).toBe(await engine.countTokens(talk.messages, { addGenerationPrompt: false }));
    const pieces = await read(session.promptStreaming([user('And more?')]));
    expect([pieces.join(''), pieces.length > 2]).toEqual([await talk.ask('And more?').text(), true]);
    session.destroy();
    await talk.dispose();
  });

  it('answers what is asked at once in order', async () => {
    const session = await ofEngine(engine, GREEDY).create();
    const answers = await Promise.all([session.prompt('One?'), session.prompt('Two?'), session.append('Three.')]);
    const talk = engine.conversation(GREEDY);
    expect(answers).toEqual([await talk.ask('One?').text(), await talk.ask('Two?').text(), undefined]);
    expect(session.contextUsage).toBe(
      await engine.countTokens([...talk.messages, user('Three.')], { addGenerationPrompt: false }),
    );
    session.destroy();
  });

  it('goes on behind a prefix, and keeps both as one answer', async () => {
    const session = await ofEngine(engine, GREEDY).create();
    const prompt = [user('Hi?'), { role: 'assistant', content: 'Well, ', prefix: true }] as const;
    const said = await session.prompt([...prompt]);
    const { text, ids } = await engine.chat([prompt[0], { role: 'assistant', content: 'Well, ' }], {
      ...GREEDY,
      continueFinalMessage: true,
    }).result;
    expect([said, ids.length]).toEqual([text, 8]);
    const next = await session.prompt('Go on.');
    const messages = [prompt[0], { role: 'assistant', content: `Well, ${said}` }, user('Go on.')] as const;
    expect(next).toBe(await engine.chat(messages, GREEDY).text());
    session.destroy();
  });

  it('reads messages ahead, neighbours of one role as one', async () => {
    const session = await ofEngine(engine, GREEDY).create();
    await session.append([user('One.'), user('Two.')]);
    const joined = [user('One.\n\nTwo.\n\nThree?')];
    expect(await session.prompt('Three?')).toBe(await engine.chat(joined, GREEDY).text());
    session.destroy();
    const script = scriptedModel({ parts: [text('Yes.')] });
    const ahead = await script.api.create({ initialPrompts: [user('Zero.')] });
    await ahead.append('One.');
    await ahead.append([{ role: 'assistant', content: 'Two.' }]);
    expect(script.asked.map(({ messages, options }) => [messages, options.maxNewTokens])).toEqual([
      [[user('Zero.')], 1],
      [[user('Zero.\n\nOne.')], 1],
    ]);
    ahead.destroy();
  });

  it('is cloned, and both go on by themselves', async () => {
    const session = await ofEngine(engine, GREEDY).create();
    await session.prompt('Hi?');
    const clone = await session.clone();
    expect([clone.contextUsage, clone instanceof session.constructor]).toEqual([session.contextUsage, true]);
    const [mine, other] = [await session.prompt('One?'), await clone.prompt('Two?')];
    session.destroy();
    expect(await clone.prompt('Three?')).not.toBe('');
    await expect(session.clone()).rejects.toMatchObject({ name: 'InvalidStateError' });
    const fresh = await ofEngine(engine, GREEDY).create({
      initialPrompts: [user('Hi?'), { role: 'assistant', content: await engine.chat([user('Hi?')], GREEDY).text() }],
    });
    const again = await fresh.clone();
    expect([await fresh.prompt('One?'), await again.prompt('Two?')]).toEqual([mine, other]);
    for (const one of [clone, fresh, again]) one.destroy();
  });

  it('leaves out the oldest turns where there is no room, never what it began with', async () => {
    const session = await ofEngine(small, GREEDY).create({ initialPrompts: [user('Begin.')] });
    let overflows = 0;
    session.addEventListener('contextoverflow', () => overflows++);
    const on = vi.fn();
    session.oncontextoverflow = on;
    while (overflows === 0) await session.prompt('Tell me more of the sea and the sky.');
    expect(on).toHaveBeenCalledTimes(1);
    expect(session.contextUsage).toBeLessThanOrEqual(120);
    const usage = session.contextUsage;
    const huge = session.prompt('sea '.repeat(200));
    await expect(huge).rejects.toMatchObject({ name: 'QuotaExceededError', quota: 120 - usage });
    await expect(huge).rejects.toBeInstanceOf(DOMException);
    expect((await huge.catch((error) => error)).requested).toBeGreaterThan(200);
    expect(session.contextUsage).toBe(usage);
    const long = ofEngine(small).create({ initialPrompts: [{ role: 'system', content: 'sea '.repeat(200) }] });
    await expect(long).rejects.toMatchObject({ name: 'QuotaExceededError', quota: 120 });
    session.destroy();
  });

  it('leaves out one turn at a time', async () => {
    const script = scriptedModel({ parts: [text('Yes.')] }, true, 600);
    const session = await script.api.create();
    const ask = ['First', 'Second', 'Third', 'Fourth'].map((what) => `${what}${'?'.repeat(80)}`);
    let overflows = 0;
    session.addEventListener('contextoverflow', () => overflows++);
    for (const question of ask) await session.prompt(question);
    // 4 questions of 120, 3 answers of 40, and a quarter of the context for the fourth
    expect([overflows, script.asked[3].messages.map(({ content }) => String(content)[0])]).toEqual([
      1,
      ['S', 'Y', 'T', 'Y', 'F'],
    ]);
    session.destroy();
  });

  it('stops the engine where it is stopped', async () => {
    const script = scriptedModel({ endless: 'on ' });
    const session = await script.api.create();
    await expect(session.prompt('?', { signal: AbortSignal.timeout(5) })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    await expect.poll(() => script.ended).toEqual(['aborted']);
    const reader = session.promptStreaming('?').getReader();
    await reader.read();
    await reader.cancel();
    await expect.poll(() => script.ended).toEqual(['aborted', 'aborted']);
    const running = session.prompt('?');
    await expect.poll(() => script.asked.length).toBe(3);
    session.destroy();
    await expect(running).rejects.toMatchObject({ name: 'AbortError' });
    await expect.poll(() => script.ended).toEqual(['aborted', 'aborted', 'aborted']);
  });

  it('is stopped, keeps nothing of that, and answers the next question', async () => {
    const session = await ofEngine(engine, { temperature: 0, ignoreEos: true, maxNewTokens: 1000 }).create();
    const usage = session.contextUsage;
    const stopping = new AbortController();
    const stream = session.promptStreaming('Tell me all.', { signal: stopping.signal });
    const reader = stream.getReader();
    await reader.read();
    const queued = session.prompt('Next?', { signal: stopping.signal });
    stopping.abort();
    await expect(queued).rejects.toMatchObject({ name: 'AbortError' });
    await expect(reader.read().then(() => reader.closed)).rejects.toMatchObject({ name: 'AbortError' });
    expect(session.contextUsage).toBe(usage);
    const left = session.promptStreaming('Tell me all.').getReader();
    await left.read();
    await left.cancel();
    await expect(session.prompt('?', { signal: AbortSignal.abort('because') })).rejects.toBe('because');
    await expect(session.append('?', { signal: AbortSignal.abort('because') })).rejects.toBe('because');
    await session.append('Fine.');
    expect(session.contextUsage).toBe(await engine.countTokens([user('Fine.')], { addGenerationPrompt: false }));
    const running = session.prompt('Tell me all.');
    await new Promise((resolve) => setTimeout(resolve, 20));
    session.destroy();
    await expect(running).rejects.toMatchObject({ name: 'AbortError' });
    await expect(session.prompt('?')).rejects.toMatchObject({ name: 'InvalidStateError' });
    await expect(session.measureContextUsage('?')).rejects.toMatchObject({ name: 'InvalidStateError' });
    await expect(read(session.promptStreaming('?'))).rejects.toMatchObject({ name: 'InvalidStateError' });
  });

  it('is held to a schema or a regular expression, and told so unless that is left out', async () => {
    const session = await ofEngine(engine, { maxNewTokens: 60 }).create();
    const responseConstraint = { type: 'object', properties: { town: { enum: ['Bern', 'Oslo'] } }, required: ['town'] };
    const said = JSON.parse(await session.prompt('Where?', { responseConstraint }));
    expect(['Bern', 'Oslo']).toContain(said.town);
    const told = await session.measureContextUsage('Where?', { responseConstraint });
    const omit = { responseConstraint, omitResponseConstraintInput: true };
    expect(told).toBeGreaterThan((await session.measureContextUsage('Where?', omit)) + 20);
    const expression = { responseConstraint: /^(yes|no)$/u as unknown as Record<string, unknown> };
    expect(await session.prompt('Is it so?', expression)).toMatch(/^(yes|no)$/);
    const cut = await ofEngine(engine, { maxNewTokens: 2 }).create();
    await expect(cut.prompt('Where?', { responseConstraint })).rejects.toMatchObject({ name: 'SyntaxError' });
    expect(cut.contextUsage).toBe(0);
    session.destroy();
    cut.destroy();
  });

  it('runs its tools, several at once, and tells the model', async () => {
    const asked: unknown[] = [];
    const sky = {
      name: 'sky',
      description: 'Weather',
      inputSchema: { type: 'object', properties: { town: { type: 'string' } } },
      execute: async (given: { town: string }) => {
        asked.push(given);
        return 'clear';
      },
    };
    const script = scriptedModel({ parts: [text('Clear.')], result: { messages: [] } });
    const conversation = vi.spyOn(script.engine, 'conversation');
    const session = await script.api.create({ tools: [sky], expectedOutputs: [{ type: 'text' }] });
    expect(await session.prompt('Weather?')).toBe('Clear.');
    const [tool] = conversation.mock.calls[0][0]!.tools as { name: string; run(given: object): unknown }[];
    expect(await tool.run({ town: 'Bern' })).toBe('clear');
    expect([asked, tool]).toMatchObject([[{ town: 'Bern' }], { name: 'sky', parameters: sky.inputSchema }]);
    session.destroy();

    // on the real engine, whose tiny model is made to call
    const real = await createLanguageModel(engine, {
      toolChoice: 'required',
      maxToolSteps: 1,
      maxNewTokens: 60,
    }).create({
      tools: [sky],
    });
    asked.length = 0;
    await real.prompt('Weather?');
    expect(asked).toEqual([expect.objectContaining({})]);
    const usage = real.contextUsage;
    await real.prompt('And then?');
    expect(real.contextUsage).toBeGreaterThan(usage + 20);
    real.destroy();
  });

  it('takes the system prompt from the first message of whatever comes first', async () => {
    const system = { role: 'system', content: 'Be brief.' } as const;
    const api = createLanguageModel(engine, GREEDY);
    const talk = engine.conversation({ system: system.content, ...GREEDY });
    const expected = [await talk.ask('Hi?').text(), await talk.ask('So?').text()];
    const [appended, prompted] = await Promise.all([api.create(), api.create()]);
    await appended.append([system]);
    expect([await appended.prompt('Hi?'), await appended.prompt('So?')]).toEqual(expected);
    const both = [prompted.prompt([system, user('Hi?')]), prompted.prompt([system, user('Hi?')])];
    expect(await both[0]).toBe(expected[0]);
    await expect(both[1]).rejects.toMatchObject({ name: 'TypeError' });
    expect(await prompted.prompt('So?')).toBe(expected[1]);
    for (const session of [appended, prompted]) session.destroy();
  });

  it.each([
    [true, {}, 1024],
    [false, {}, 256],
    [true, { maxNewTokens: 5 }, 5],
    [true, { maxNewTokens: 1e5 }, 9900],
  ])('asks for as many tokens as there is room for: plan fits %s, %o', async (fits, options, tokens) => {
    const script = scriptedModel({ parts: [text('Yes.')] }, fits);
    const session = await ofEngine(script.engine, options).create();
    await session.prompt('?');
    const { maxNewTokens } = script.asked[0].options;
    expect(Math.abs(maxNewTokens! - tokens)).toBeLessThan(100);
    session.destroy();
  });

  it('keeps no thought', async () => {
    const script = scriptedModel({ parts: [{ type: 'reasoning', text: 'Hm.' }, text('Yes.')] });
    const session = await script.api.create();
    expect([await session.prompt('?'), await read(session.promptStreaming('!'))]).toEqual(['Yes.', ['Yes.']]);
    expect(script.asked[1].messages).toEqual([user('?'), { role: 'assistant', content: 'Yes.' }, user('!')]);
    session.destroy();
  });
});
