import { describe, expect, it } from 'vitest';
import type { EngineOptions, SamplingOptions } from '../protocol';
import { ENGINE_OPTIONS } from './engine';
import { REQUEST_OPTIONS } from './request';
import { checkOptions, flagOf, fromText, namedInText, over, type Spec } from './spec';
import { refusal } from './test/refusal';

const engine = (given: object | null | undefined) => checkOptions<EngineOptions>(ENGINE_OPTIONS, given);
const request = (given: object | null | undefined) => checkOptions<SamplingOptions>(REQUEST_OPTIONS, given);

describe('options as an application gives them', () => {
  it('null and undefined say nothing', () => {
    expect(request({ temperature: null, topK: undefined, seed: 3 })).toEqual({ seed: 3 });
    expect([request(null), request(undefined), engine({})]).toEqual([{}, {}, {}]);
  });

  it.each<[object, string, RegExp]>([
    [{ temperature: '0' }, 'temperature', /temperature is "0"; it must be a number from 0 to 100/],
    [{ temperature: Number.NaN }, 'temperature', /is NaN/],
    [{ temperature: 101 }, 'temperature', /is 101/],
    [{ topK: 1.5 }, 'topK', /whole number/],
    [{ maxNewTokens: Number.POSITIVE_INFINITY }, 'maxNewTokens', /is Infinity/],
    [{ maxNewTokens: 10n }, 'maxNewTokens', /is 10/],
    [{ stop: ['a', ''] }, 'stop', /none of them empty/],
    [{ stop: 3 }, 'stop', /a text or a list of texts/],
    [{ ignoreEos: 1 }, 'ignoreEos', /true or false/],
    [{ overflow: 'drop' }, 'overflow', /one of error, shift/],
    [{ repetitionPenalty: 0 }, 'repetitionPenalty', /is 0; it must be a number from 0.01 to 100/],
    [{ presencePenalty: 2.1 }, 'presencePenalty', /is 2.1; it must be a number from -2 to 2/],
    [{ repeatLastN: 5000 }, 'repeatLastN', /a whole number from 0 to 4096/],
    [{ logprobs: 21 }, 'logprobs', /is 21; it must be true or false or a whole number from 0 to 20/],
    [{ logitBias: { 3: 1e6 } }, 'logitBias', /an object of numbers from -10000 to 10000 by token id/],
    [{ logitBias: { a: 1 } }, 'logitBias', /by token id/],
    [{ logitBias: [1] }, 'logitBias', /is a list/],
    [{ suppressTokens: [1, -1] }, 'suppressTokens', /a list of token ids/],
    [{ badWords: [[1], []] }, 'badWords', /lists of token ids, none of them empty/],
    [{ max_new_tokens: 3 }, 'max_new_tokens', /Did you mean maxNewTokens\? There are: maxNewTokens, temperature/],
    [{ toString: 3 }, 'toString', /no option toString/],
  ])('%o is refused by name', (given, option, words) => {
    const error = refusal(() => request(given));
    expect([error.code, error.details.option]).toEqual(['invalid-option', option]);
    expect(error.message).toMatch(words);
  });

  it.each<unknown>(['cpu', 3, ['backend'], () => {}])('%o is no options object', (given) =>
    expect(refusal(() => engine(given as object)).code).toBe('invalid-option'),
  );

  it('names that a host put on Object.prototype are nobody’s options', () => {
    Object.defineProperty(Object.prototype, 'injected', { value: 1, enumerable: true, configurable: true });
    const checked = request({ seed: 1 });
    delete (Object.prototype as { injected?: number }).injected;
    expect(checked).toEqual({ seed: 1 });
  });

  it('nor are they read where an option is not given', () => {
    Object.assign(Object.prototype, { temperature: 9, backend: 'webgpu' });
    const { temperature, seed } = request({ seed: 1 });
    const { backend } = engine(undefined as never);
    const { backend: unsaid } = over<{ backend?: string; seed?: number }>({}, { seed: 1 });
    delete (Object.prototype as { temperature?: number }).temperature;
    delete (Object.prototype as { backend?: string }).backend;
    expect([temperature, seed, backend, unsaid]).toEqual([undefined, 1, undefined, undefined]);
  });

  it('what a framework watches is copied, so that it can be sent', () => {
    const watched = <T extends object>(value: T) => new Proxy(value, {});
    const given = { stop: watched(['a']), badWords: watched([watched([1, 2])]), logitBias: watched({ 3: 1 }) };
    expect(() => structuredClone(given)).toThrow();
    expect(structuredClone({ ...request(given) })).toEqual({ stop: ['a'], badWords: [[1, 2]], logitBias: { 3: 1 } });
  });

  it('a long value is cut in the sentence', () => {
    const error = refusal(() => engine({ backend: 'x'.repeat(10_000) }));
    expect(error.message.length).toBeLessThan(300);
  });
});

describe('options in text', () => {
  it('every table’s flags are unique, and each option has a sentence', () => {
    for (const specs of [ENGINE_OPTIONS, REQUEST_OPTIONS]) {
      const entries = Object.entries<Spec>(specs);
      expect(new Set(entries.map(([name, spec]) => flagOf(name, spec))).size).toBe(entries.length);
      for (const [, { says }] of entries) expect(says).toMatch(/^[A-Z].*\.$/);
    }
  });

  it('defaults are values that the option may have', () => {
    for (const specs of [ENGINE_OPTIONS, REQUEST_OPTIONS]) {
      for (const [name, spec] of Object.entries<Spec>(specs))
        expect(() => checkOptions({ [name]: spec }, { [name]: spec.default })).not.toThrow();
    }
  });

  it('the command line and the page name some of them differently, or not at all', () => {
    const cli = namedInText<EngineOptions>(ENGINE_OPTIONS, 'cli');
    const page = namedInText<EngineOptions>(ENGINE_OPTIONS, 'page');
    expect([cli.get('budget'), page.get('memory-budget')]).toEqual(['memoryBudget', 'memoryBudget']);
    expect([cli.has('storage'), page.has('storage'), page.has('keep'), page.has('persist')]).toEqual([
      false,
      true,
      false,
      false,
    ]);
  });

  it.each<[Spec, string, unknown]>([
    [REQUEST_OPTIONS.temperature, '.5', 0.5],
    [REQUEST_OPTIONS.temperature, '0', 0],
    [REQUEST_OPTIONS.ignoreEos, '', true],
    [REQUEST_OPTIONS.ignoreEos, 'false', false],
    [ENGINE_OPTIONS.kvCapacity, 'full', 'full'],
    [ENGINE_OPTIONS.kvCapacity, '384', 384],
    [ENGINE_OPTIONS.tune, 'auto', 'auto'],
    [REQUEST_OPTIONS.presencePenalty, '-.5', -0.5],
    [REQUEST_OPTIONS.logprobs, 'true', true],
    [REQUEST_OPTIONS.logprobs, '5', 5],
    [REQUEST_OPTIONS.suppressTokens, '3, 17', [3, 17]],
    [REQUEST_OPTIONS.badWords, '[[1,2],[3]]', [[1, 2], [3]]],
    [REQUEST_OPTIONS.logitBias, '{"15": -2.5}', { 15: -2.5 }],
  ])('%o reads "%s"', (spec, text, value) => expect(fromText(spec, 'x', text)).toEqual(value));

  it.each<[Spec, string]>([
    [REQUEST_OPTIONS.temperature, ''],
    [REQUEST_OPTIONS.temperature, '0x10'],
    [REQUEST_OPTIONS.topK, '1e3'],
    [REQUEST_OPTIONS.ignoreEos, 'yes'],
    [ENGINE_OPTIONS.chunk, '-1'],
    [REQUEST_OPTIONS.suppressTokens, '1,,2'],
    [REQUEST_OPTIONS.badWords, '[1]'],
    [REQUEST_OPTIONS.logitBias, '15=2'],
    [ENGINE_OPTIONS.tune, ''],
  ])('%o refuses "%s"', (spec, text) => expect(refusal(() => fromText(spec, 'x', text)).details.option).toBe('x'));
});
