/**
 * What a model's generation_config.json asks for: what is followed, and in words what is not, because no value makes
 * sense or because the sampler cannot do it. Nothing is dropped in silence.
 */
import { cut } from '../errors';
import type { JsonObject } from '../formats/json';
import { REQUEST_OPTIONS } from '../options/request';
import { checkOptions, type Spec } from '../options/spec';
import type { SamplingOptions } from '../protocol';

/** By transformers' names, as ours. */
const FOLLOWED = new Map(
  Object.entries<Spec>(REQUEST_OPTIONS).map(([option, spec]) => [spec.generationConfig, option]),
);

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

export function modelDefaults(config: JsonObject | null): ModelDefaults {
  const defaults: ModelDefaults = { options: {}, bad: [], undone: [] };
  for (const [name, value] of Object.entries(config ?? {})) {
    if (value === undefined) continue;
    const option = FOLLOWED.get(name);
    if (option) {
      try {
        Object.assign(defaults.options, checkOptions(REQUEST_OPTIONS, { [option]: value }));
      } catch {
        defaults.bad.push(
          `The model's generation_config.json has ${name} ${written(value)}, which is none: it is left out.`,
        );
      }
    } else if (ASKS.test(name) && !isOff(name, value)) {
      defaults.undone.push({ name: cut(name), value: written(value), draws: DRAWS.test(name) });
    }
  }
  const { options } = defaults;
  if (options.stop?.length === 0) delete options.stop;
  return defaults;
}

/** One sentence for the person about what the sampler cannot do; null: nothing was asked. */
export function undoneNote(undone: ModelDefaults['undone']): string | null {
  if (undone.length === 0) return null;
  const asked = undone.map(({ name, value }) => `${name} ${value}`);
  const list = asked.length > 1 ? `${asked.slice(0, -1).join(', ')} and ${asked.at(-1)}` : asked[0];
  return `The model's generation_config.json asks for ${list}, which is not applied.`;
}
