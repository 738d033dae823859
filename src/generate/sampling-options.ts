/** What a request asks for, checked, and completed by the model's generation_config. */
import type { JsonObject } from '../formats/json';
import { REQUEST_OPTIONS } from '../options/request';
import { checkOptions, defaultsOf } from '../options/spec';
import type { SamplingOptions } from '../protocol';
import { modelDefaults } from './model-defaults';

const DEFAULT_NEW_TOKENS = 256;

export type EffectiveOptions = Required<SamplingOptions>;

/** Of a model that says nothing, beside what depends on it or is drawn. */
const DEFAULTS = { topK: 0, topP: 1, templateOptions: {}, ...defaultsOf(REQUEST_OPTIONS) } as EffectiveOptions;

/**
 * @param model the model's generation_config.json: its sampling counts where it says `do_sample`, else greedy is the
 * default; asking for top-k or top-p alone asks for sampling
 * @param room new tokens that the context still has room for: the most that the default may be
 * @throws invalid-option for an unknown name or a value out of range
 */
export function effectiveOptions(given: SamplingOptions, model: JsonObject | null, room: number): EffectiveOptions {
  const checked = checkOptions(REQUEST_OPTIONS, given);
  const samples = model?.do_sample === true;
  const { maxNewTokens = DEFAULT_NEW_TOKENS, stop = [], temperature = 1, ...draws } = modelDefaults(model).options;
  const asked = checked.topK !== undefined || checked.topP !== undefined;
  const options: EffectiveOptions = {
    ...DEFAULTS,
    maxNewTokens: Math.max(1, Math.min(maxNewTokens, room)),
    temperature: samples || asked ? temperature : 0,
    seed: crypto.getRandomValues(new Uint32Array(1))[0],
    stop,
    ...(samples ? draws : {}),
    ...checked,
  };
  if (typeof options.stop === 'string') options.stop = [options.stop];
  return options;
}
