import { describe, expect, test } from 'vitest';
import type { NibbleError } from '../errors';
import { parseModel, parseOptions } from './options';

const refusal = (run: () => unknown): NibbleError => {
  try {
    run();
  } catch (error) {
    return error as NibbleError;
  }
  throw new Error('was not refused');
};

describe('parseOptions', () => {
  test('maps names to EngineOptions', () => {
    const query = new URLSearchParams(
      'backend=cpu&kv-capacity=full&max-context=512&chunk=16&limits=default&features=none&kv=f32&storage=none&weights=keep&tune=off&memory-budget=1000000&snapshots=2',
    );
    expect(parseOptions(query)).toEqual({
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
    expect(parseOptions([['kv-capacity', '384']])).toEqual({ kvCapacity: 384 });
    expect(parseOptions([['kv', 'int8']])).toEqual({ kv: 'int8' });
    expect(parseOptions([])).toEqual({});
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
    ['kv-capcity', 'full'],
    ['toString', 'x'],
  ])('refuses %s=%s with a sentence', (name, value) => {
    const error = refusal(() => parseOptions([[name, value]]));
    expect(error.code).toBe('invalid-option');
    expect(error.details.option).toBe(name);
    expect(error.message).toContain(name);
  });

  test('refuses an option given twice', () => {
    expect(refusal(() => parseOptions(new URLSearchParams('chunk=1&chunk=2'))).message).toContain('twice');
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
