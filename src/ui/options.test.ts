import { describe, expect, test } from 'vitest';
import { refusal } from '../options/test/refusal';
import { describeUnknown, likelyName, OPTION_NAMES, parseModel, parseOptions } from './options';

describe('parseOptions', () => {
  test('maps names to EngineOptions', () => {
    const query = new URLSearchParams(
      'backend=cpu&kv-capacity=full&max-context=512&chunk=16&limits=default&features=none&kv=f32&storage=none&weights=keep&tune=off&memory-budget=1000000&snapshots=2',
    );
    expect(parseOptions(query).engine).toEqual({
      backend: 'cpu',
      kvCapacity: 'full',
      maxContext: 512,
      chunk: 16,
      limits: 'default',
      features: 'none',
      kv: 'f32',
      storage: 'none',
      weights: 'keep',
      tune: 'off',
      memoryBudget: 1_000_000,
      snapshots: 2,
    });
    expect(parseOptions([['kv-capacity', '384']]).engine).toEqual({ kvCapacity: 384 });
    expect(parseOptions([['kv', 'int8']]).engine).toEqual({ kv: 'int8' });
    expect(parseOptions([]).engine).toEqual({});
  });

  test.each([
    ['backend', 'gpu'],
    ['kv-capacity', '-1'],
    ['kv-capacity', '1.5'],
    ['max-context', 'full'],
    ['max-context', '0'],
    ['chunk', ''],
    ['snapshots', '-1'],
    ['chunk', '1e3'],
    ['limits', 'max'],
    ['temperature', 'warm'],
    ['top-p', '2'],
  ])('refuses %s=%s with a sentence', (name, value) => {
    const error = refusal(() => parseOptions([[name, value]]));
    expect(error.code).toBe('invalid-option');
    expect(error.details.option).toBe(name);
    expect(error.message).toContain(name);
  });

  test('maps names to SamplingOptions', () => {
    const query = new URLSearchParams('max-new-tokens=5&temperature=.5&top-k=3&chunk=8&ignore-eos');
    expect(parseOptions(query)).toEqual({
      engine: { chunk: 8 },
      sampling: { maxNewTokens: 5, temperature: 0.5, topK: 3, ignoreEos: true },
    });
  });

  test.each(['utm_source', 'fbclid', 'kv-capcity', 'toString', '__proto__', ''])('passes over "%s"', (name) =>
    expect(parseOptions([[name, 'full']])).toEqual({ engine: {}, sampling: {} }),
  );

  test('refuses an option given twice', () => {
    expect(refusal(() => parseOptions(new URLSearchParams('chunk=1&chunk=2'))).message).toContain('twice');
  });
});

describe('a name that nobody knows', () => {
  test.each([
    ['kv-capcity', 'kv-capacity'],
    ['max-new-token', 'max-new-tokens'],
    ['maxnewtokens', 'max-new-tokens'],
    ['max_context', 'max-context'],
    ['Backend', 'backend'],
    ['temprature', 'temperature'],
    ['kvv', undefined],
    ['utm_source', undefined],
    ['x', undefined],
    ['', undefined],
    ['fbclid', undefined],
    ['gclid', undefined],
    ['ref', undefined],
    ['x'.repeat(1e6), undefined],
  ])('%.20s is meant for %s', (name, meant) => expect(likelyName(name, OPTION_NAMES)).toBe(meant));

  test('is named, beside what was meant or what there is', () => {
    const sentence = (name: string) => describeUnknown(`It knows no "${name}"`, name, ['chunk', 'tune']);
    expect(sentence('chunks')).toBe('It knows no "chunks". Did you mean "chunk"?');
    expect(sentence('colour')).toBe('It knows no "colour". It knows: chunk, tune.');
  });
});

describe('parseModel', () => {
  const base = 'https://a.example/chat/';

  test.each([
    ['/models/tiny/', 'https://a.example/models/tiny/'],
    ['./models/tiny/', 'https://a.example/chat/models/tiny/'],
    ['https://a.example/m/', 'https://a.example/m/'],
    ['HuggingFaceTB/SmolLM2-135M-Instruct', 'HuggingFaceTB/SmolLM2-135M-Instruct'],
    ['org/name/file.gguf', 'org/name/file.gguf'],
  ])('%s is %s', (model, expected) => expect(parseModel(model, base, true)).toBe(expected));

  test.each([
    '',
    'smollm',
    'javascript:alert(1)',
    'data:text/plain,x',
    'a/b/c',
    'https://b.example/m/',
    '//b.example/m/',
  ])('%s is refused on a page', (model) =>
    expect(refusal(() => parseModel(model, base, true)).code).toBe('invalid-option'),
  );

  test('a widget may name another origin', () => {
    expect(parseModel('https://b.example/m/', base, false)).toBe('https://b.example/m/');
  });
});
