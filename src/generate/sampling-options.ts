/** What a request asks for, checked, and completed by the model's generation_config. */
import { type ErrorDetails, NibbleError } from '../errors';
import type { JsonObject } from '../formats/json';
import type { SamplingOptions } from '../protocol';

const DEFAULT_NEW_TOKENS = 256;

export type EffectiveOptions = Required<SamplingOptions>;

function refuse(option: string, value: unknown, allowed: string): never {
  const details: ErrorDetails = { option, value: typeof value === 'number' ? value : String(value) };
  throw new NibbleError('invalid-option', `${option} is ${value}; it must be ${allowed}.`, details);
}

const numberOr = <T>(value: unknown, otherwise: T) => (typeof value === 'number' ? value : otherwise);

/**
 * @param model the model's generation_config.json: its sampling counts where it says `do_sample`, else greedy is the
 * default; asking for top-k or top-p alone asks for sampling
 * @param room new tokens that the context still has room for: the most that the default may be
 * @throws invalid-option for an unknown name or a value out of range
 */
export function effectiveOptions(given: SamplingOptions, model: JsonObject | null, room: number): EffectiveOptions {
  const samples = model?.do_sample === true;
  const asked = given.topK !== undefined || given.topP !== undefined;
  const newTokens = numberOr(model?.max_new_tokens, DEFAULT_NEW_TOKENS);
  const options: EffectiveOptions = {
    maxNewTokens: Math.max(1, Math.min(newTokens, room)),
    temperature: samples || asked ? numberOr(model?.temperature, 1) : 0,
    topK: samples ? numberOr(model?.top_k, 0) : 0,
    topP: samples ? numberOr(model?.top_p, 1) : 1,
    seed: crypto.getRandomValues(new Uint32Array(1))[0],
    stop: [],
    ignoreEos: false,
    overflow: 'error',
  };
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(options, name)) {
      throw new NibbleError(
        'invalid-option',
        `There is no option ${name}. There are: ${Object.keys(options).join(', ')}.`,
        {
          option: name,
        },
      );
    }
    if (value !== undefined) Object.assign(options, { [name]: value });
  }
  const { maxNewTokens, temperature, topK, topP, seed, stop, ignoreEos, overflow } = options;
  const whole = (value: number, least: number, most: number) =>
    Number.isInteger(value) && value >= least && value <= most;
  if (!whole(maxNewTokens, 1, 2 ** 31)) refuse('maxNewTokens', maxNewTokens, 'a whole number of at least 1');
  if (!(temperature >= 0 && temperature <= 100)) refuse('temperature', temperature, 'between 0 (greedy) and 100');
  if (!whole(topK, 0, 2 ** 31)) refuse('topK', topK, 'a whole number, 0 for all tokens');
  if (!(topP >= 0 && topP <= 1)) refuse('topP', topP, 'between 0 and 1');
  if (!whole(seed, 0, 2 ** 32 - 1)) refuse('seed', seed, 'a whole number below 4294967296');
  options.stop = typeof stop === 'string' ? [stop] : stop;
  if (!Array.isArray(options.stop) || !options.stop.every((text) => typeof text === 'string' && text))
    refuse('stop', stop, 'a text or a list of texts, none of them empty');
  if (typeof ignoreEos !== 'boolean') refuse('ignoreEos', ignoreEos, 'true or false');
  if (overflow !== 'error' && overflow !== 'shift') refuse('overflow', overflow, 'error or shift');
  return options;
}
