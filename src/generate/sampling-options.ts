/** What a request asks for, checked, and completed by the model's generation_config. */
import { BANNED, type Logprobs, type SampleOptions } from '../execute/sampler/options';
import type { JsonObject } from '../formats/json';
import { REQUEST_OPTIONS } from '../options/request';
import { checkOptions, defaultsOf, type Spec } from '../options/spec';
import type { SamplingOptions } from '../protocol';
import { modelDefaults } from './model-defaults';

const DEFAULT_NEW_TOKENS = 256;
/** Of a model that samples and does not say from how many, as transformers has it (GenerationConfig's defaults). */
const DEFAULT_TOP_K = 50;
/** llama.cpp's. */
const DRY_BREAKERS = ['\n', ':', '"', '*'];

export type EffectiveOptions = Required<SamplingOptions>;

/** Options that only a draw heeds. */
const DRAWS = new Set(Object.entries<Spec>(REQUEST_OPTIONS).flatMap(([name, { draws }]) => (draws ? [name] : [])));

/**
 * @param model the model's generation_config.json: what it says of draws counts where it says `do_sample`, else greedy
 * is the default; asking for a rule of what is drawn from alone asks for drawing
 * @param room new tokens that the context still has room for: the most that the default may be
 * @param promptTokens of the prompt
 * @throws invalid-option for an unknown name or a value out of range
 */
export function effectiveOptions(
  given: SamplingOptions,
  model: JsonObject | null,
  room: number,
  promptTokens = 0,
): EffectiveOptions {
  const checked = checkOptions(REQUEST_OPTIONS, given);
  const samples = model?.do_sample === true;
  const defaults = modelDefaults(model, promptTokens).options;
  const own = Object.fromEntries(
    Object.entries(defaults).filter(([name]) => samples || !DRAWS.has(name)),
  ) as SamplingOptions;
  const asked = Object.keys(checked).some((name) => DRAWS.has(name));
  const options: EffectiveOptions = {
    ...defaultsOf(REQUEST_OPTIONS),
    topK: samples ? DEFAULT_TOP_K : 0,
    topP: 1,
    dryBreakers: DRY_BREAKERS,
    logitBias: {},
    suppressTokens: [],
    beginSuppressTokens: [],
    badWords: [],
    forcedTokens: [],
    forcedEos: [],
    ...own,
    maxNewTokens: Math.max(1, Math.min(own.maxNewTokens ?? DEFAULT_NEW_TOKENS, room)),
    temperature: samples || asked ? (defaults.temperature ?? 1) : 0,
    seed: crypto.getRandomValues(new Uint32Array(1))[0],
    stop: own.stop ?? [],
    templateOptions: {},
    ...checked,
  };
  if (typeof options.stop === 'string') options.stop = [options.stop];
  return options;
}

/** What the sampler needs to know of an answer beside its options. */
export interface Sampled {
  /** of the prompt */
  ids: readonly number[];
  /** of the answer so far */
  made: readonly number[];
  stopIds: ReadonlySet<number>;
  tokenText: (id: number) => string;
  onLogprobs?: (logprobs: Logprobs) => void;
}

/** How many alternatives are asked for; null: nothing is to be told. */
export const alternativesOf = ({ logprobs }: EffectiveOptions): number | null =>
  logprobs === false ? null : Number(logprobs === true ? 0 : logprobs);

/** What the sampler is asked for the rest of an answer. */
export function sampleOf(options: EffectiveOptions, answer: Sampled): SampleOptions {
  const { ids, made, stopIds, tokenText, onLogprobs } = answer;
  const ends = options.ignoreEos ? [] : [...stopIds];
  const { repetitionPenalty, presencePenalty, frequencyPenalty, dryMultiplier, noRepeatNgram, dryBreakers } = options;
  // in transformers an id that ends the answer is no bad word
  const words = options.badWords.filter((word) => word.length > 1 || !stopIds.has(word[0]));
  const longer = words.filter((word) => word.length > 1);
  const looksBack = repetitionPenalty !== 1 || dryMultiplier > 0 || noRepeatNgram > 0 || longer.length > 0;
  const counts = looksBack || presencePenalty !== 0 || frequencyPenalty !== 0;
  const bias = new Map(Object.entries(options.logitBias).map(([id, by]) => [Number(id), by]));
  for (const id of [...options.suppressTokens, ...words.filter(({ length }) => length === 1).flat()])
    bias.set(id, BANNED);
  const breakers = new Map<number, boolean>();
  const breaks = (id: number) => {
    const text = breakers.has(id) ? '' : tokenText(id);
    if (!breakers.has(id))
      breakers.set(
        id,
        dryBreakers.some((one) => text.includes(one)),
      );
    return breakers.get(id)!;
  };
  const alternatives = alternativesOf(options);
  return {
    ...options,
    firstStep: made.length,
    bias,
    before: looksBack ? ids : [],
    counted: counts ? made : [],
    badWords: longer,
    dryBreakerIds: { has: breaks },
    forcedEndIds: options.forcedEos,
    lastStep: options.maxNewTokens - 1,
    stopIds: ends,
    watched: options.stop.length > 0,
    logprobs: alternatives ?? undefined,
    onLogprobs: alternatives === null ? undefined : onLogprobs,
  };
}
