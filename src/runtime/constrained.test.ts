/** Answers under a constraint, of a tiny random model: the hardest writer there is. */
import Ajv from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import { beforeAll, describe, expect, it } from 'vitest';
import { randomOf, SchemaWriter } from '../constraint/test/random-schemas';
import { PartialJson } from '../engine/partial-json';
import type { SamplingOptions } from '../protocol';
import { createSession } from './session';
import { ask, host, load } from './test/tiny';

const ajv = new Ajv({ strict: false });
addFormats(ajv);

const PERSON = {
  type: 'object',
  properties: {
    name: { type: 'string', maxLength: 12 },
    age: { type: 'integer', minimum: 0, maximum: 130 },
    kind: { enum: ['human', 'robot'] },
  },
  required: ['name', 'age', 'kind'],
};

describe('a session with a constraint', () => {
  const session = createSession(host());
  beforeAll(async () => {
    await load(session);
  });
  const prompt = { prompt: 'A person:' };
  const answer = async (options: SamplingOptions, input: Parameters<typeof ask>[1] = prompt) =>
    (await ask(session, input, { temperature: 1, seed: 1, maxNewTokens: 200, ...options })).result;

  it('answers with JSON that is valid, whatever is drawn, and ends by itself', async () => {
    const writer = new SchemaWriter(20);
    const random = randomOf(21);
    let ended = 0;
    for (let n = 0; n < 24; n++) {
      const schema = writer.next(3);
      const seed = Math.floor(random() * 1000);
      const { text, finish } = await answer({ schema, seed, maxNewTokens: 120, forced: n % 2 === 0 });
      const told = `${JSON.stringify(schema)} ${text}`;
      if (finish === 'stop') {
        ended++;
        expect([told, ajv.validate(schema, JSON.parse(text))]).toEqual([told, true]);
      } else {
        expect(finish).toBe('length');
        const json = new PartialJson();
        json.push(text);
        json.value();
      }
    }
    expect(ended).toBeGreaterThan(20);
  });

  it('steers to the end with few tokens left, and says length where there is none', async () => {
    const list = { type: 'array', items: { type: 'string' } };
    const { text, finish } = await answer({ schema: list, maxNewTokens: 40 });
    expect([finish, ajv.validate(list, JSON.parse(text))]).toEqual(['stop', true]);
    const cut = await answer({ schema: { type: 'string', minLength: 500 }, maxNewTokens: 20 });
    expect([cut.finish, cut.stats.newTokens, cut.text[0]]).toEqual(['length', 20, '"']);
  });

  it.each<[string, SamplingOptions, RegExp]>([
    ['a pattern', { pattern: '(ab|c){2,4}-\\d{3}' }, /^(ab|c){2,4}-\d{3}$/],
    ['a choice', { choice: ['yes', 'no', 'perhaps'] }, /^(yes|no|perhaps)$/],
    ['a grammar', { grammar: 'root ::= "<" [a-f]{1,9} ">"' }, /^<[a-f]{1,9}>$/],
  ])('answers with %s', async (_, options, expected) => {
    for (const seed of [1, 2, 3]) {
      const { text, finish } = await answer({ ...options, seed });
      expect([finish, text]).toEqual(['stop', expect.stringMatching(expected)]);
    }
  });

  it.each([0, 1])(
    'gives the same ids with forced text, alone and with speculation, at temperature %d',
    async (temperature) => {
      const options = { schema: PERSON, temperature, seed: 5 };
      const plain = await answer(options);
      const speculated = await answer({ ...options, speculate: 'prompt' });
      expect(speculated.ids).toEqual(plain.ids);
      expect(ajv.validate(PERSON, JSON.parse(plain.text))).toBe(true);
      const free = await answer({ ...options, forced: false });
      expect(ajv.validate(PERSON, JSON.parse(free.text))).toBe(true);
    },
  );

  it('goes on with an answer that was begun', async () => {
    const options = { schema: PERSON, temperature: 1, seed: 9, maxNewTokens: 200 };
    const whole = await answer(options);
    for (const made of [1, 5, whole.ids.length - 1]) {
      const { result } = await ask(session, prompt, options, whole.ids.slice(0, made));
      expect(result.ids).toEqual(whole.ids);
    }
    await expect(ask(session, prompt, options, [...whole.ids.slice(0, 3), 3])).rejects.toMatchObject({
      code: 'invalid-option',
      details: { option: 'made' },
    });
  });

  it.each<[SamplingOptions, object, RegExp]>([
    [{ schema: { type: 'strung' } }, { option: 'schema', path: '#/type' }, /one or some of/],
    [{ schema: { $ref: '#' } }, { option: 'schema', path: '#' }, /refers to itself/],
    [{ pattern: '(' }, { option: 'pattern', at: 2 }, /an open bracket/],
    [{ grammar: 'root ::= "a' }, { option: 'grammar', line: 1, column: 10 }, /without an end/],
    [{ choice: ['a'], pattern: 'a' }, { option: 'choice' }, /give pattern or choice/],
    [{ choice: [] }, { option: 'choice' }, /allows no answer/],
  ])('refuses %o before the first token', async (options, details, words) => {
    const asked = answer(options);
    await expect(asked).rejects.toMatchObject({ code: 'invalid-option', details });
    await expect(asked).rejects.toThrow(words);
  });

  it('a stop text and a model that may not end its answer hold beside it', async () => {
    const stopped = await answer({ grammar: 'root ::= [a-z]+ "!"', stop: ['!'] });
    expect([stopped.finish, stopped.text]).toEqual(['stop', expect.stringMatching(/^[a-z]+$/)]);
    const endless = await answer({ grammar: 'root ::= [a-z]+', ignoreEos: true, maxNewTokens: 30 });
    expect([endless.finish, endless.stats.newTokens]).toEqual(['length', 30]);
  });
});

/** Opens a thought, closes it, or leaves it to the model. */
const TEMPLATE =
  "{% for m in messages %}{{ m.content }}{% endfor %}{% if think is not defined %}{{ '' }}" +
  "{% elif think %}{{ '<think>' }}{% else %}{{ '<think></think>' }}{% endif %}";

describe('a model that thinks, with a constraint', () => {
  const session = createSession(host());
  beforeAll(async () => {
    await load(session, { chatTemplate: TEMPLATE });
  });
  const input = { messages: [{ role: 'user' as const, content: 'Who?' }] };
  const asked = (think: boolean | undefined, options: SamplingOptions) =>
    ask(session, input, {
      temperature: 1,
      seed: 3,
      schema: PERSON,
      maxNewTokens: 250,
      templateOptions: think === undefined ? {} : { think },
      ...options,
    });

  it.each([0, 1, 9])(
    'begins behind a thought that the template has opened, of %d tokens',
    async (maxThinkingTokens) => {
      const { result, messages } = await asked(true, { maxThinkingTokens });
      expect(result.finish).toBe('stop');
      expect(ajv.validate(PERSON, JSON.parse(result.text))).toBe(true);
      expect(result.raw).toContain('</think>');
      expect(result.reasoning.length > 0).toBe(maxThinkingTokens > 0);
      const told = messages.filter(({ type }) => type === undefined).map(({ text }) => text);
      expect(told.join('')).toBe(result.text);
      const thought = messages.filter(({ type }) => type === 'reasoning').map(({ text }) => text);
      expect(thought.join('')).toBe(result.reasoning);
    },
  );

  it('a thought that the limit cuts is length, without text', async () => {
    const { result } = await asked(true, { maxNewTokens: 12 });
    expect(result).toMatchObject({ finish: 'length', text: '' });
    expect(result.reasoning).not.toBe('');
  });

  it('is the model’s to open, or not', async () => {
    let opened = 0;
    for (let seed = 0; seed < 40; seed++) {
      const { result } = await asked(undefined, { seed, maxThinkingTokens: 4 });
      expect([result.finish, ajv.validate(PERSON, JSON.parse(result.text))]).toEqual(['stop', true]);
      if (result.raw.includes('<think>')) opened++;
    }
    expect(opened).toBeGreaterThan(0);
    expect(opened).toBeLessThan(40);
  });

  it('that is off stays off', async () => {
    for (const seed of [0, 1, 2, 3]) {
      const { result } = await asked(false, { seed });
      expect([result.finish, result.reasoning, result.raw]).toEqual(['stop', '', result.text]);
      expect(ajv.validate(PERSON, JSON.parse(result.text))).toBe(true);
    }
  });

  it('is bounded without a constraint, too', async () => {
    const { result } = await asked(true, { schema: null, maxThinkingTokens: 5, maxNewTokens: 40 });
    expect(result.raw).toContain('</think>');
    expect(result.text).not.toBe('');
  });
});
