/**
 * What a model's generation_config.json asks for: what is followed, and in words what is not, because no value makes
 * sense or because the sampler cannot do it. Nothing is dropped in silence.
 *
 * Followed are the names that options have as `generationConfig` (src/options/request.ts), and
 *   - min_length, which counts the prompt: what is left of it is `minTokens`, where min_new_tokens does not say more.
 *   - forced_bos_token_id: `forcedTokens`, of a prompt of one token, as in transformers.
 *   - forced_eos_token_id: `forcedEos`.
 *   - sequence_bias, where its sequences are of one token: `logitBias`.
 * Not followed are beams and what only they heed, guidance, watermarks, encoders' penalties, sequence_bias of several
 * tokens, exponential_decay_length_penalty, and mirostat (keeps.ts says why).
 */
import { cut } from '../errors';
import type { Json, JsonObject } from '../formats/json';
import { REQUEST_OPTIONS } from '../options/request';
import { checkOptions, type Spec } from '../options/spec';
import type { SamplingOptions } from '../protocol';

const REQUEST: Readonly<Record<string, Spec>> = REQUEST_OPTIONS;
/** By transformers' names, as ours. */
const FOLLOWED = new Map(Object.entries(REQUEST).map(([option, spec]) => [spec.generationConfig, option]));

/** Options of names that do not stand for one by themselves; undefined: cannot be done. */
const MADE: Readonly<Record<string, (value: Json, promptTokens: number) => SamplingOptions | undefined>> = {
  min_length: (value, promptTokens) =>
    typeof value === 'number' ? { minTokens: Math.max(0, value - promptTokens) } : undefined,
  forced_bos_token_id: (value, promptTokens) => (promptTokens === 1 ? { forcedTokens: [value as number] } : {}),
  forced_eos_token_id: (value) => ({ forcedEos: (Array.isArray(value) ? value : [value]) as number[] }),
  sequence_bias: (value) => {
    const pairs = Array.isArray(value) ? (value as [number[], number][]) : [];
    const single = pairs.every((pair) => Array.isArray(pair) && Array.isArray(pair[0]) && pair[0].length === 1);
    return single && pairs.length > 0
      ? { logitBias: Object.fromEntries(pairs.map(([[id], by]) => [id, by])) }
      : undefined;
  },
};

/**
 * What changes which tokens come, in transformers 5 and in what other runtimes read from the same file. (Not
 * `max_matching_ngram_size`, which is about speed.)
 */
const ASKS =
  /penalty|_p$|cutoff|^(encoder_)?no_repeat|suppress|bad_words|^force|bias|^min_|num_beams|guidance|watermark|constraint|dola|mirostat|top_h|max_time|xtc|dry_/;
/** Of those, what only sampling heeds. */
const DRAWS = /_p$|cutoff|top_h|mirostat|xtc/;
/** 1 and not 0 is what changes nothing. */
const ONE = /^(encoder_)?repetition_penalty|^length_penalty|^typical_p|guidance|num_beams/;

const isOff = (name: string, value: unknown) =>
  value === null ||
  value === false ||
  value === (ONE.test(name) ? 1 : 0) ||
  /^(\[\]|\{\}|"")$/.test(JSON.stringify(value));

const LONGEST = 60;
const written = (value: unknown) => {
  const text = JSON.stringify(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
};

export interface ModelDefaults {
  /** that are followed */
  options: SamplingOptions;
  /** values that are none, a sentence each */
  bad: string[];
  /** names and values of what the sampler cannot do */
  undone: { name: string; value: string; draws: boolean }[];
}

/** @param promptTokens of the prompt that is to be answered */
export function modelDefaults(config: JsonObject | null, promptTokens = 0): ModelDefaults {
  const defaults: ModelDefaults = { options: {}, bad: [], undone: [] };
  const { options } = defaults;
  for (const [name, value] of Object.entries(config ?? {})) {
    if (value === undefined || value === null) continue;
    const option = FOLLOWED.get(name);
    const off = option ? REQUEST[option].default === value : isOff(name, value);
    const made = off ? {} : option ? { [option]: value } : MADE[name]?.(value, promptTokens);
    if (made) {
      try {
        const checked = checkOptions<SamplingOptions>(REQUEST_OPTIONS, made);
        const minTokens = Math.max(options.minTokens ?? 0, checked.minTokens ?? 0);
        Object.assign(options, checked, minTokens > 0 && { minTokens });
      } catch {
        defaults.bad.push(
          `The model's generation_config.json has ${name} ${written(value)}, which is none: it is left out.`,
        );
      }
    } else if (ASKS.test(name)) {
      defaults.undone.push({ name: cut(name), value: written(value), draws: DRAWS.test(name) });
    }
  }
  // what says nothing is not said
  for (const [name, value] of Object.entries(options))
    if (Array.isArray(value) && value.length === 0) delete options[name as keyof SamplingOptions];
  return defaults;
}

/** One sentence for the person about what the sampler cannot do; null: nothing was asked. */
export function undoneNote(undone: ModelDefaults['undone']): string | null {
  if (undone.length === 0) return null;
  const asked = undone.map(({ name, value }) => `${name} ${value}`);
  const list = asked.length > 1 ? `${asked.slice(0, -1).join(', ')} and ${asked.at(-1)}` : asked[0];
  return `The model's generation_config.json asks for ${list}, which is not applied.`;
}
