/** Rotary frequencies from a config: base and scaling become dim/2 numbers, once. Formulas: nf4-and-models.md §2.1. */
import { NibbleError } from '../errors';
import type { JsonObject } from '../weights/checkpoint';
import { integer, positive, real, text } from './fields';
import type { Rope } from './spec';

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

/**
 * @param rope rope_parameters, or rope_scaling with rope_theta put in
 * @throws unsupported-architecture for a rope type that is not implemented, by name
 */
export function parseRope(rope: JsonObject, config: JsonObject, headSize: number): Rope {
  const partial = real(rope, 'partial_rotary_factor', 0, 1, real(config, 'partial_rotary_factor', 0, 1, 1));
  const dim = Math.floor((headSize * partial) / 2) * 2;
  const base = plain(dim, positive(rope, 'rope_theta', positive(config, 'rope_theta', 10000)));
  const type = text(rope, 'rope_type', text(rope, 'type', 'default'));
  const done = (frequencies: number[]): Rope => ({ dim, frequencies, magnitude: 1 });
  switch (type) {
    case 'default':
      return done(base);
    case 'linear': {
      const factor = positive(rope, 'factor');
      return done(base.map((f) => f / factor));
    }
    case 'llama3':
      return done(llama3(base, rope));
    default:
      throw new NibbleError(
        'unsupported-architecture',
        `Rotary embeddings of type "${type}" are not supported; these are: default, linear, llama3.`,
        { ropeType: type },
      );
  }
}
