import { describe, expect, it } from 'vitest';
import type { Json } from '../formats/json';
import { modelDefaults, undoneNote } from './model-defaults';
import { effectiveOptions } from './sampling-options';

describe("a model's generation_config.json", () => {
  it('is followed where the sampler can', () => {
    const config = {
      do_sample: true,
      temperature: 0.6,
      top_k: 20,
      top_p: 0.9,
      max_new_tokens: 9,
      stop_strings: ['END'],
    };
    const { options, bad, undone } = modelDefaults(config);
    expect(options).toEqual({ temperature: 0.6, topK: 20, topP: 0.9, maxNewTokens: 9, stop: ['END'] });
    expect([bad, undone]).toEqual([[], []]);
    expect(effectiveOptions({}, config, 50)).toMatchObject({ maxNewTokens: 9, stop: ['END'] });
    expect(effectiveOptions({ stop: 'x' }, config, 50).stop).toEqual(['x']);
  });

  it('says nothing of what changes nothing', () => {
    const off = {
      transformers_version: '5.0.0',
      bos_token_id: 1,
      eos_token_id: [2],
      use_cache: true,
      num_return_sequences: 1,
      max_matching_ngram_size: 2,
      repetition_penalty: 1,
      length_penalty: 1.0,
      typical_p: 1,
      num_beams: 1,
      guidance_scale: null,
      min_p: 0,
      no_repeat_ngram_size: 0,
      suppress_tokens: [],
      begin_suppress_tokens: null,
      bad_words_ids: null,
      remove_invalid_values: false,
      sequence_bias: {},
      temperature: null,
      top_k: null,
      stop_strings: null,
    };
    expect(modelDefaults(off)).toEqual({ options: {}, bad: [], undone: [] });
    expect(modelDefaults(null)).toEqual({ options: {}, bad: [], undone: [] });
    expect(undoneNote([])).toBeNull();
  });

  it.each<[string, Json, string]>([
    ['repetition_penalty', 1.3, 'repetition_penalty 1.3'],
    ['min_p', 0.15, 'min_p 0.15'],
    ['no_repeat_ngram_size', 3, 'no_repeat_ngram_size 3'],
    ['suppress_tokens', [504], 'suppress_tokens [504]'],
    ['bad_words_ids', [[1, 2]], 'bad_words_ids [[1,2]]'],
    ['typical_p', 0.9, 'typical_p 0.9'],
    ['epsilon_cutoff', 3e-4, 'epsilon_cutoff 0.0003'],
    ['forced_bos_token_id', 5, 'forced_bos_token_id 5'],
    ['min_new_tokens', 5, 'min_new_tokens 5'],
    ['num_beams', 4, 'num_beams 4'],
    ['presence_penalty', 1.5, 'presence_penalty 1.5'],
    ['sequence_bias', { 1: 2 }, 'sequence_bias {"1":2}'],
    [
      'suppress_tokens',
      Array(99).fill(1),
      'suppress_tokens [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1…',
    ],
  ])('names %s with its value', (name, value, words) => {
    const { undone } = modelDefaults({ [name]: value });
    expect(undoneNote(undone)).toBe(`The model's generation_config.json asks for ${words}, which is not applied.`);
  });

  it('names several in one sentence', () => {
    const { undone } = modelDefaults({ min_p: 0.1, repetition_penalty: 1.1, suppress_tokens: [1] });
    expect(undoneNote(undone)).toContain('min_p 0.1, repetition_penalty 1.1 and suppress_tokens [1], which');
    expect(undone.map(({ draws }) => draws)).toEqual([true, false, false]);
  });

  it.each<[string, Json]>([
    ['top_k', -1],
    ['top_k', 1.5],
    ['temperature', 101],
    ['temperature', '0.6'],
    ['top_p', 2],
    ['max_new_tokens', 0],
    ['stop_strings', ['']],
  ])('%s %j is said and left out', (name, value) => {
    const config = { do_sample: true, [name]: value };
    const { bad, options } = modelDefaults(config);
    expect(bad).toEqual([expect.stringContaining(`has ${name} ${JSON.stringify(value)}, which is none`)]);
    expect(options).toEqual({});
    expect(() => effectiveOptions({}, config, 50)).not.toThrow();
  });
});
