import { describe, expect, it } from 'vitest';
import type { Json } from '../formats/json';
import type { SamplingOptions } from '../protocol';
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

  it.each<[string, Json, SamplingOptions]>([
    ['repetition_penalty', 1.3, { repetitionPenalty: 1.3 }],
    ['presence_penalty', 1.5, { presencePenalty: 1.5 }],
    ['no_repeat_ngram_size', 3, { noRepeatNgram: 3 }],
    ['suppress_tokens', [504], { suppressTokens: [504] }],
    ['begin_suppress_tokens', [3], { beginSuppressTokens: [3] }],
    ['bad_words_ids', [[1, 2]], { badWords: [[1, 2]] }],
    ['sequence_bias', [[[7], -5]], { logitBias: { 7: -5 } }],
    ['min_new_tokens', 5, { minTokens: 5 }],
    ['min_length', 25, { minTokens: 5 }],
    ['forced_eos_token_id', 2, { forcedEos: [2] }],
    ['forced_bos_token_id', 5, {}],
    ['dry_multiplier', 0.8, { dryMultiplier: 0.8 }],
  ])('%s %j is followed, whether or not it samples', (name, value, options) => {
    expect(modelDefaults({ [name]: value }, 20)).toEqual({ options, bad: [], undone: [] });
    expect(effectiveOptions({}, { [name]: value }, 50, 20)).toMatchObject({ ...options, temperature: 0 });
  });

  it('forces a first token behind a prompt of one, and counts a prompt as part of a length', () => {
    expect(modelDefaults({ forced_bos_token_id: 5, min_length: 9 }, 1).options).toEqual({
      forcedTokens: [5],
      minTokens: 8,
    });
    // whichever asks for more
    expect(modelDefaults({ min_length: 9, min_new_tokens: 3 }, 1).options.minTokens).toBe(8);
    expect(modelDefaults({ min_length: 9, min_new_tokens: 3 }, 20).options.minTokens).toBe(3);
  });

  it('has what only a draw heeds where it samples, and then 50 of top-k, as in transformers', () => {
    const config = {
      min_p: 0.15,
      typical_p: 0.9,
      epsilon_cutoff: 3e-4,
      eta_cutoff: 1e-3,
      top_h: 0.4,
      xtc_probability: 1,
    };
    const options = { minP: 0.15, typicalP: 0.9, epsilonCutoff: 3e-4, etaCutoff: 1e-3, topH: 0.4, xtcProbability: 1 };
    expect(effectiveOptions({}, { ...config, do_sample: true }, 50)).toMatchObject({
      ...options,
      topK: 50,
      temperature: 1,
    });
    expect(effectiveOptions({}, config, 50)).toMatchObject({ minP: 0, typicalP: 1, topH: 0, topK: 0, temperature: 0 });
    expect(effectiveOptions({ minP: 0.1 }, config, 50)).toMatchObject({ minP: 0.1, topK: 0, temperature: 1 });
    for (const top_k of [0, 7]) expect(effectiveOptions({}, { do_sample: true, top_k }, 50).topK).toBe(top_k);
    expect(effectiveOptions({}, { do_sample: true, top_k: null }, 50).topK).toBe(50);
    expect(effectiveOptions({ topK: 3 }, { do_sample: true }, 50).topK).toBe(3);
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
    ['encoder_repetition_penalty', 1.3, 'encoder_repetition_penalty 1.3'],
    ['num_beams', 4, 'num_beams 4'],
    ['sequence_bias', [[[1, 2], -3]], 'sequence_bias [[[1,2],-3]]'],
    ['sequence_bias', { 1: 2 }, 'sequence_bias {"1":2}'],
    ['mirostat', 2, 'mirostat 2'],
    ['guidance_scale', 3, 'guidance_scale 3'],
    ['exponential_decay_length_penalty', [15, 1.6], 'exponential_decay_length_penalty [15,1.6]'],
    [
      'force_words_ids',
      Array(99).fill(1),
      'force_words_ids [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1…',
    ],
  ])('names %s with its value', (name, value, words) => {
    const { undone } = modelDefaults({ [name]: value });
    expect(undoneNote(undone)).toBe(`The model's generation_config.json asks for ${words}, which is not applied.`);
  });

  it('names several in one sentence', () => {
    const { undone } = modelDefaults({ mirostat: 1, num_beams: 2, force_words_ids: [1] });
    expect(undoneNote(undone)).toContain('mirostat 1, num_beams 2 and force_words_ids [1], which');
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
    ['repetition_penalty', 0],
    ['min_p', 1.5],
    ['suppress_tokens', [-1]],
    ['bad_words_ids', [[]]],
    ['forced_eos_token_id', 'x'],
    ['sequence_bias', [[[1], 1e9]]],
  ])('%s %j is said and left out', (name, value) => {
    const config = { do_sample: true, [name]: value };
    const { bad, options } = modelDefaults(config);
    expect(bad).toEqual([expect.stringContaining(`has ${name} ${JSON.stringify(value)}, which is none`)]);
    expect(options).toEqual({});
    expect(() => effectiveOptions({}, config, 50)).not.toThrow();
  });
});
