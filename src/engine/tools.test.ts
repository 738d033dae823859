/** Tools over the real session. A tiny model writes no calls: what it has made is given, and it goes on from there. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AnswerPart, MessageInput } from '../protocol';
import { type Engine, load } from '.';
import { sessionWorkers } from './test/session-worker';

const FOLDER = 'reference/fixtures/tiny-llama-128/nf4/';
const NAMES = ['config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
const files = NAMES.flatMap((name) => {
  try {
    const bytes = readFileSync(FOLDER + name);
    // room for what is said of tools
    const config = () => JSON.stringify({ ...JSON.parse(bytes.toString()), max_position_embeddings: 2048 });
    return [new File([name === 'config.json' ? config() : bytes], name)];
  } catch {
    return [];
  }
});
const SKY = {
  name: 'sky',
  description: 'Weather',
  parameters: { type: 'object', properties: { town: { type: 'string' } }, required: ['town'] },
};
const QUESTION: MessageInput[] = [{ role: 'user', content: 'Hi?' }];
const CALL = '{"tool_call": {"name": "sky", "arguments": {"town": "Bern"}}}';

describe('an engine', () => {
  let engine: Engine;
  const made = async (text: string) => [
    ...(await engine.tokenize(text)),
    ...(await engine.tokenize('<|im_end|>', { special: true })),
  ];
  beforeAll(async () => {
    engine = await load(files, { createWorker: sessionWorkers() });
  });
  afterAll(() => engine.dispose());

  it('tells calls apart from the text, and says once that the template knows no tools', async () => {
    const ask = async () => engine.chat(QUESTION, { tools: [SKY], made: await made(CALL), maxNewTokens: 200 });
    const answer = await ask();
    const parts: AnswerPart[] = [];
    for await (const part of answer.parts) parts.push(part);
    const { toolCalls, finish, text, raw, note } = await answer.result;
    expect({ toolCalls, finish, text, raw }).toEqual({
      toolCalls: [
        {
          id: expect.stringMatching(/^\w{9}$/),
          name: 'sky',
          arguments: { town: 'Bern' },
          text: expect.stringContaining('"sky"'),
        },
      ],
      finish: 'tool-calls',
      text: '',
      raw: CALL,
    });
    expect(note).toContain('knows no tools');
    expect((await (await ask()).result).note ?? '').not.toContain('knows no tools');
    expect(parts.every(({ type, call }) => type === 'tool-call' && call?.index === 0 && call.name === 'sky')).toBe(
      true,
    );
    expect(JSON.parse(parts.map(({ text }) => text).join(''))).toEqual({ town: 'Bern' });
    expect(parts.at(-1)?.call?.whole).toEqual(toolCalls[0]);
  });

  it('tells the text of an answer in the generic form', async () => {
    const stops = { tools: [SKY], maxNewTokens: 200, stop: ['dry'] };
    const said = engine.chat(QUESTION, {
      tools: [SKY],
      made: await made('{"response": "It\\u0027s \\"dry\\"."}'),
      maxNewTokens: 200,
    });
    let text = '';
    for await (const piece of said) text += piece;
    expect([text, (await said.result).text, (await said.result).finish]).toEqual([
      'It\'s "dry".',
      'It\'s "dry".',
      'stop',
    ]);
    const cut = await engine.chat(QUESTION, { ...stops, made: await made('{"response": "It\\u0027s \\"dry\\"."}') })
      .result;
    expect([cut.text, cut.finish]).toEqual(['It\'s "', 'stop']);
  });

  it('makes the calls of functions, and keeps them in a conversation', async () => {
    const talk = engine.conversation({
      tools: [{ ...SKY, run: ({ town }) => ({ town, t: 15 }) }],
      maxToolSteps: 1,
      seed: 1,
      maxNewTokens: 200,
    });
    const result = await talk.ask('Hi?', { made: await made(CALL) }).result;
    expect(result.messages?.[1]).toMatchObject({ role: 'tool', name: 'sky', content: '{"town":"Bern","t":15}' });
    expect(talk.messages.slice(0, 3).map(({ role }) => role)).toEqual(['user', 'assistant', 'tool']);
    expect(talk.messages[1].tool_calls?.[0].function).toEqual({ name: 'sky', arguments: { town: 'Bern' } });
    expect(await talk.countTokens(talk.messages.slice(0, 1))).toBeGreaterThan(await engine.countTokens(QUESTION));
    await talk.dispose();
  });

  it('leaves calls to the caller, whose results are asked like a question', async () => {
    const talk = engine.conversation({ tools: [SKY], maxNewTokens: 200 });
    const { toolCalls } = await talk.ask('Hi?', { made: await made(CALL) }).result;
    await talk.ask([{ role: 'tool', tool_call_id: toolCalls[0].id, content: 'dry' }], {
      made: await made('{"response": "Dry."}'),
    }).result;
    expect(talk.messages.map(({ role, content }) => [role, content])).toEqual([
      ['user', 'Hi?'],
      ['assistant', ''],
      ['tool', 'dry'],
      ['assistant', 'Dry.'],
    ]);
    await talk.dispose();
  });

  it.each([1, 2, 3])('forces a call that is valid, whatever the model would write: seed %i', async (seed) => {
    const SIDE = {
      name: 'side',
      parameters: { type: 'object', properties: { of: { enum: ['a', 'b'] } }, required: ['of'] },
    };
    const options = { tools: [SKY, SIDE], temperature: 1.5, seed, maxNewTokens: 300 };
    const named = await engine.chat(QUESTION, { ...options, toolChoice: { name: 'side' } }).result;
    expect([named.finish, named.toolCalls.map(({ name }) => name)]).toEqual(['tool-calls', ['side']]);
    expect(['a', 'b']).toContain(named.toolCalls[0].arguments?.of);
    const { finish, toolCalls, raw } = await engine.chat(QUESTION, { ...options, toolChoice: 'required' }).result;
    expect(raw).toMatch(/^\{"tool_call": \{"name": "(sky|side)", "arguments": \{"/);
    if (finish === 'tool-calls') expect(toolCalls[0].error).toBeUndefined();
    else expect([finish, toolCalls[0].error]).toEqual(['length', 'The arguments of sky are cut off.']);
  });

  it('refuses a schema that it cannot hold to, and a second constraint', async () => {
    const bad = { name: 'a', parameters: { type: 'object', properties: { b: { $ref: '#/nowhere' } } } };
    const ask = (options: object) => engine.chat(QUESTION, { toolChoice: 'required', ...options }).result;
    await expect(ask({ tools: [bad] })).rejects.toMatchObject({
      code: 'invalid-option',
      message: expect.stringContaining('nowhere'),
    });
    await expect(ask({ tools: [SKY], pattern: 'a' })).rejects.toMatchObject({ code: 'invalid-option' });
  });

  it('shows the prompt with tools, and refuses what is none', async () => {
    expect(await engine.applyChatTemplate(QUESTION, { tools: [SKY] })).toContain(
      '{"name": "sky", "description": "Weather"',
    );
    await expect(engine.applyChatTemplate(QUESTION, { tools: [SKY, SKY] })).rejects.toMatchObject({
      code: 'invalid-option',
    });
    await expect(engine.chat(QUESTION, { tools: [SKY], toolForm: 'native' }).result).rejects.toMatchObject({
      code: 'invalid-option',
      details: { option: 'toolForm' },
    });
    await expect(engine.generate('Hi', { tools: [SKY] }).result).rejects.toMatchObject({
      details: { option: 'tools' },
    });
  });
});

describe('a conversation', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await load(files, { createWorker: sessionWorkers() });
  });
  afterAll(() => engine.dispose());
  const LESS = { maxNewTokens: 8, temperature: 0 };

  it('is cloned, and both go on as fresh ones', async () => {
    const talk = engine.conversation({ system: 'Be brief.', ...LESS });
    await talk.ask('Hi?').result;
    const clone = talk.clone();
    expect([clone.history, clone.messages === talk.messages]).toEqual([talk.messages, false]);
    const [mine, other] = [await talk.ask('One?').result, await clone.ask('Two?').result];
    expect(other.stats.reusedTokens).toBeGreaterThan(20);
    for (const [{ text, ids }, { messages }] of [
      [mine, talk],
      [other, clone],
    ] as const) {
      const fresh = await engine.conversation(LESS).chat(messages.slice(0, -1)).result;
      expect([fresh.text, fresh.ids]).toEqual([text, ids]);
    }
    await Promise.all([talk.dispose(), clone.dispose()]);
  });

  it('continues the last message in its turn', async () => {
    const talk: MessageInput[] = [...QUESTION, { role: 'assistant', content: 'Well, ' }];
    const whole = await engine.applyChatTemplate(QUESTION);
    expect(await engine.applyChatTemplate(talk, { continueFinalMessage: true })).toBe(`${whole}Well, `);
    const { ids, stats } = await engine.chat(talk, { ...LESS, continueFinalMessage: true }).result;
    expect(ids).toEqual((await engine.generate(`${whole}Well, `, LESS).result).ids);
    expect(stats.promptTokens).toBe(await engine.countTokens(talk, { continueFinalMessage: true }));
    const bad = { continueFinalMessage: true, addGenerationPrompt: true };
    await expect(engine.countTokens(talk, bad)).rejects.toMatchObject({ details: { option: 'continueFinalMessage' } });
    await expect(engine.chat([], { continueFinalMessage: true }).result).rejects.toMatchObject({
      code: 'invalid-option',
    });
  });

  it('has a tokenizer', async () => {
    const ids = await engine.tokenizer.encode('Hello');
    expect([await engine.tokenizer.decode(ids), await engine.tokenizer.count('Hello')]).toEqual(['Hello', ids.length]);
  });

  it('answers are no promises: they may be awaited and iterated', async () => {
    let text = '';
    for await (const piece of await Promise.resolve(engine.chat(QUESTION, LESS))) text += piece;
    expect(text).toBe(await engine.chat(QUESTION, LESS).text());
  });
});
