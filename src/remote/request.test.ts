import { describe, expect, it } from 'vitest';
import type { GenerateOptions } from '../engine/answer';
import { REQUEST_OPTIONS } from '../options/request';
import { refusal } from '../options/test/refusal';
import type { GenerateRequest } from '../protocol';
import { asksForKind, checkAsked, prepare, refusedFields } from './request';
import { kindOf, SOME_SERVER } from './server-kinds';

const INPUT: GenerateRequest['input'] = { messages: [{ role: 'user', content: 'Hi' }] };
const kinds = {
  vllm: kindOf('vllm'),
  sglang: kindOf('sglang'),
  llamacpp: kindOf('llamacpp'),
  ollama: kindOf('library'),
};
const asked = (
  options: GenerateOptions,
  kind = SOME_SERVER,
  refused: string[] = [],
  input: GenerateRequest['input'] = INPUT,
) => prepare('m', input, undefined, checkAsked(options), kind, new Set(refused));

describe('what a server is asked', () => {
  it('with nothing said: what it decides by itself, but for the length', () => {
    const { path, body, notes } = asked({});
    expect({ path, body, notes }).toEqual({
      path: '/chat/completions',
      body: {
        model: 'm',
        stream: true,
        stream_options: { include_usage: true },
        max_tokens: 256,
        messages: [{ role: 'user', content: 'Hi' }],
      },
      notes: [],
    });
    expect(asksForKind({})).toBe(false);
  });

  it("in OpenAI's own names, whatever the kind", () => {
    const options: GenerateOptions = {
      maxNewTokens: 5,
      temperature: 0,
      topP: 0.9,
      seed: 7,
      stop: 'X',
      presencePenalty: 0.5,
      frequencyPenalty: -1,
      logitBias: { 15: -100 },
      logprobs: 3,
      schema: { type: 'object' },
    };
    const { body, notes } = asked(options, kinds.ollama);
    expect(body).toMatchObject({
      max_tokens: 5,
      temperature: 0,
      top_p: 0.9,
      seed: 7,
      stop: ['X'],
      presence_penalty: 0.5,
      frequency_penalty: -1,
      logit_bias: { 15: -100 },
      logprobs: true,
      top_logprobs: 3,
      response_format: { type: 'json_schema', json_schema: { schema: { type: 'object' }, strict: true } },
    });
    expect(notes).toEqual([]);
    expect(asksForKind(options)).toBe(false);
  });

  it.each<[keyof typeof kinds, GenerateOptions, object, string[]]>([
    [
      'vllm',
      { topK: 0, minP: 0.1, repetitionPenalty: 1.1, minTokens: 2 },
      { top_k: -1, min_p: 0.1, repetition_penalty: 1.1, min_tokens: 2 },
      [],
    ],
    ['vllm', { maxThinkingTokens: 9, typicalP: 0.5 }, { thinking_token_budget: 9 }, ['does not take typicalP']],
    ['vllm', { choice: ['a', 'b'] }, { structured_outputs: { choice: ['a', 'b'] } }, []],
    ['vllm', { continueFinalMessage: true }, { continue_final_message: true, add_generation_prompt: false }, []],
    ['sglang', { pattern: 'a+', ignoreEos: true }, { regex: 'a+', ignore_eos: true }, []],
    [
      'llamacpp',
      { repetitionPenalty: 1.2, repeatLastN: 0, dryLastN: 0, topK: 0 },
      { repeat_penalty: 1.2, repeat_last_n: -1, dry_penalty_last_n: -1, top_k: 0 },
      [],
    ],
    [
      'llamacpp',
      { repeatLastN: 64, grammar: 'root ::= "a"', xtcProbability: 0.5 },
      { repeat_last_n: 64, grammar: 'root ::= "a"', xtc_probability: 0.5 },
      [],
    ],
    ['ollama', { topK: 5, minP: 0.2, templateOptions: { a: 1 } }, {}, ['does not take topK, minP, templateOptions']],
  ])('%s, with %j', (kind, options, body, notes) => {
    const made = asked(options, kinds[kind]);
    expect(made.body).toMatchObject(body);
    expect(made.notes).toEqual(notes.map((note) => expect.stringContaining(note)));
    expect(asksForKind(options)).toBe(true);
  });

  it('and it is said what may not be heeded, where nothing is known of it', () => {
    const { body, notes } = asked({ topK: 5, xtcProbability: 0.1, xtcThreshold: 0.1 });
    expect(body).toMatchObject({ top_k: 5 });
    expect(notes).toEqual([
      'The server does not take xtcProbability: it answered without.',
      'Whether the server heeds topK is not known.',
    ]);
  });

  it('without the fields that it has refused', () => {
    const { body, notes } = asked({ topK: 5, seed: 1, logprobs: 2 }, SOME_SERVER, [
      'top_k',
      'stream_options',
      'logprobs',
    ]);
    expect(body).not.toHaveProperty('top_k');
    expect(body).not.toHaveProperty('stream_options');
    expect(body).not.toHaveProperty('top_logprobs');
    expect(notes).toEqual(['The server does not take topK, logprobs: it answered without.']);
  });

  it('every option of an answer is sent, noted, refused by name, or one of speed', () => {
    const values: Record<string, unknown> = {
      ...{
        badWords: [[1]],
        dryBreakers: ['\n'],
        stop: ['x'],
        choice: ['a'],
        logitBias: { 1: 1 },
        logprobs: true,
        schema: {},
      },
      ...{
        pattern: 'a',
        grammar: 'root ::= "a"',
        templateOptions: { a: 1 },
        overflow: 'shift',
        speculate: 'prompt',
        seed: 3,
      },
      ...{ ignoreEos: true, continueFinalMessage: true, parseSpecial: true, forced: false, maxNewTokens: 7 },
    };
    const quiet: string[] = [];
    for (const [name, spec] of Object.entries(REQUEST_OPTIONS)) {
      const value = values[name] ?? (spec.type === 'ids' ? [1] : 0.5);
      const given = spec.type === 'number' && ('whole' in spec || spec.least >= 1) && !(name in values) ? 3 : value;
      try {
        const { body, notes } = asked({ [name]: given });
        const plain = asked({});
        if (notes.length === 0 && JSON.stringify(body) === JSON.stringify(plain.body)) quiet.push(name);
      } catch (error) {
        expect(error).toMatchObject({ code: 'unsupported-remote', details: { what: name } });
      }
    }
    expect(quiet).toEqual(['speculate', 'forced']);
  });

  it('a text to go on with, at /completions', () => {
    const { path, body } = asked({ logprobs: 4 }, SOME_SERVER, [], { prompt: 'Once' });
    expect({ path, body }).toMatchObject({ path: '/completions', body: { prompt: 'Once', logprobs: 4 } });
    expect(body).not.toHaveProperty('messages');
  });

  it('with tools in OpenAI’s shape, and earlier calls whose arguments are a text', () => {
    const messages: GenerateRequest['input'] = {
      messages: [
        { role: 'assistant', content: '', tool_calls: [{ function: { name: 'sky', arguments: { town: 'Bern' } } }] },
        { role: 'tool', tool_call_id: 'call-0', content: 'dry' },
      ],
    };
    const tool = { type: 'function' as const, function: { name: 'sky' } };
    const choices = ['auto', 'none', 'required', 'answer', { name: 'sky' }] as const;
    const sent = choices.map(
      (choice) => prepare('m', messages, { tools: [tool], choice }, {}, SOME_SERVER, new Set()).body,
    );
    expect(sent.map(({ tool_choice }) => tool_choice)).toEqual([
      'auto',
      'none',
      'required',
      'none',
      { type: 'function', function: { name: 'sky' } },
    ]);
    expect(sent[0].tools).toEqual([
      { type: 'function', function: { name: 'sky', parameters: { type: 'object', properties: {} } } },
    ]);
    expect(sent[0].messages).toMatchObject([
      { tool_calls: [{ id: 'call-0', type: 'function', function: { name: 'sky', arguments: '{"town":"Bern"}' } }] },
      { tool_call_id: 'call-0' },
    ]);
  });
});

it('what a server says of fields that it does not have is told from values that it does not take', () => {
  const made = asked({ topK: 5, temperature: 3 });
  expect(refusedFields(made, "Unexpected fields in the request: {'top_k', 'stream_options'}")).toEqual([
    'stream_options',
    'top_k',
  ]);
  expect(refusedFields(made, 'temperature must be at most 2')).toEqual([]);
  expect(refusedFields(made, 'messages is not supported')).toEqual([]);
});

it.each<[GenerateOptions, RegExp]>([
  [{ made: [1] }, /no made/],
  [{ suppressTokens: [1] }, /no suppressTokens/],
  [{ pattern: 'a' }, /no pattern/],
  [{ continueFinalMessage: true }, /no continueFinalMessage/],
])('%j is refused by name', (options, message) => expect(() => asked(options)).toThrow(message));

it('token ids are no prompt', () => {
  const error = refusal(() => asked({}, SOME_SERVER, [], { ids: [1, 2] }));
  expect([error.code, error.details.what]).toEqual(['unsupported-remote', 'prompt of token ids']);
});
