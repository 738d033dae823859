/**
 * Rotary frequencies from a config: base and scaling become dim/2 numbers, once. Formulas: transformers'
 * modeling_rope_utils.py.
 */
import { NibbleError } from '../errors';
import type { Json, JsonObject } from '../formats/json';
import { integer, positive, real, text } from './fields';
import type { ModelSpec, Rope } from './spec';

/** [base^(-2j/dim)], angle per position of pair j. */
function plain(dim: number, base: number): number[] {
  return Array.from({ length: dim / 2 }, (_, j) => base ** ((-2 * j) / dim));
}

/** Llama 3: slow frequencies are divided by `factor`, fast ones kept, those between interpolated. */
function llama3(frequencies: number[], rope: JsonObject): number[] {
  const factor = positive(rope, 'factor');
  const low = positive(rope, 'low_freq_factor');
  const high = positive(rope, 'high_freq_factor');
  const context = integer(rope, 'original_max_position_embeddings', 1, 1 << 27);
  if (high <= low) {
    throw new NibbleError('corrupt-checkpoint', 'config.json: high_freq_factor must exceed low_freq_factor.', {
      low,
      high,
    });
  }
  return frequencies.map((f) => {
    const turns = (context * f) / (2 * Math.PI);
    const keep = Math.min(1, Math.max(0, (turns - low) / (high - low)));
    return (1 - keep) * (f / factor) + keep * f;
  });
}

/** LongRoPE (Phi-3, Phi-4-mini): divisors by frequency, one list for short conversations and one for long ones. */
function longrope(base: number[], rope: JsonObject, config: JsonObject): Omit<Rope, 'dim'> {
  const context = integer(config, 'max_position_embeddings', 1, 1 << 27);
  const key = 'original_max_position_embeddings';
  const original = integer(config[key] == null ? rope : config, key, 2, 1 << 27, context);
  const divided = (key: string) => {
    const factors = rope[key];
    const good = (value: Json) => typeof value === 'number' && value > 0 && value < 1e12;
    if (Array.isArray(factors) && factors.length === base.length && factors.every(good)) {
      return base.map((f, j) => f / (factors[j] as number));
    }
    throw new NibbleError('corrupt-checkpoint', `config.json: ${key} must hold ${base.length} numbers above 0.`, {
      field: key,
      wanted: base.length,
    });
  };
  const factor = positive(rope, 'factor', context / original);
  const magnitude = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
  return {
    frequencies: divided('short_factor'),
    long: { beyond: original, frequencies: divided('long_factor') },
    magnitude: positive(rope, 'attention_factor', magnitude),
  };
}

/** The frequencies for a conversation that reaches `tokens` positions, prompt and answer. */
export function frequenciesFor(rope: Rope, tokens: number): readonly number[] {
  return rope.long && tokens > rope.long.beyond ? rope.long.frequencies : rope.frequencies;
}

/** Whether a conversation that reaches `tokens` positions takes another set of frequencies than a short one. */
export function isLong(spec: Pick<ModelSpec, 'layers'>, tokens: number): boolean {
  return spec.layers.some(({ rope }) => rope?.long && tokens > rope.long.beyond);
}

/**
 * @param rope rope_parameters, or rope_scaling with rope_theta put in
 * @throws unsupported-architecture for a rope type that is not implemented, by name
 */
export function parseRope(rope: JsonObject, config: JsonObject, headSize: number): Rope {
  const partial = real(rope, 'partial_rotary_factor', 0, 1, real(config, 'partial_rotary_factor', 0, 1, 1));
  const dim = Math.floor((headSize * partial) / 2) * 2;
  const base = plain(dim, positive(rope, 'rope_theta', positive(config, 'rope_theta', 10000)));
  const type = text(rope, 'rope_type', text(rope, 'type', 'default'));
  const done = (frequencies: number[]): Rope => ({ dim, frequencies, long: null, magnitude: 1 });
  switch (type) {
    case 'default':
      return done(base);
    case 'linear': {
      const factor = positive(rope, 'factor');
      return done(base.map((f) => f / factor));
    }
    case 'llama3':
      return done(llama3(base, rope));
    case 'longrope':
    case 'su':
      return { dim, ...longrope(base, rope, config) };
    default:
      throw new NibbleError(
        'unsupported-architecture',
        `Rotary embeddings of type "${type}" are not supported; these are: default, linear, llama3, longrope.`,
        { ropeType: type },
      );
  }
}
