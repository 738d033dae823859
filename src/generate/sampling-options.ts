/** What a request asks for, checked, and completed by the model's generation_config. */
import type { JsonObject } from '../formats/json';
import { REQUEST_OPTIONS } from '../options/request';
import { checkOptions, defaultsOf } from '../options/spec';
import type { SamplingOptions } from '../protocol';
import { modelDefaults } from './model-defaults';

const DEFAULT_NEW_TOKENS = 256;

export type EffectiveOptions = Required<SamplingOptions>;

/**
 * @param model the model's generation_config.json: its sampling counts where it says `do_sample`, else greedy is the
 * default; asking for top-k or top-p alone asks for sampling
 * @param room new tokens that the context still has room for: the most that the default may be
 * @throws invalid-option for an unknown name or a value out of range
 */
export function effectiveOptions(given: SamplingOptions, model: JsonObject | null, room: number): EffectiveOptions {
  const checked = checkOptions(REQUEST_OPTIONS, given);
  const samples = model?.do_sample === true;
  const own = modelDefaults(model).options;
  const asked = checked.topK !== undefined || checked.topP !== undefined;
  const options: EffectiveOptions = {
    ...defaultsOf(REQUEST_OPTIONS),
    topK: 0,
    topP: 1,
    ...(samples ? own : {}),
    maxNewTokens: Math.max(1, Math.min(own.maxNewTokens ?? DEFAULT_NEW_TOKENS, room)),
    temperature: samples || asked ? (own.temperature ?? 1) : 0,
    seed: crypto.getRandomValues(new Uint32Array(1))[0],
    stop: own.stop ?? [],
    templateOptions: {},
    ...checked,
  };
  if (typeof options.stop === 'string') options.stop = [options.stop];
  return options;
}
