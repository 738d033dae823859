/** What is in effect of load()'s `activations`. */
import type { Gpu } from '../gpu/device';
import type { ModelGraph } from '../memory/plan';
import type { EffectiveEngineOptions } from './model';

/** @returns the option in effect, and where that is not what was asked for, a sentence: why */
export function activationsFor(
  asked: EffectiveEngineOptions['activations'],
  gpu: Pick<Gpu, 'profile'> | null,
  { formats }: Pick<ModelGraph, 'formats'>,
): { activations: EffectiveEngineOptions['activations']; reason?: string } {
  const instead = (reason: string) => ({ activations: 'auto' as const, reason });
  if (asked !== 'int8') return { activations: asked };
  if (!gpu) return instead('int8 is for GPUs.');
  if (!gpu.profile.intDot) return instead('WebGPU has no integer dot products here (packed_4x8_integer_dot_product).');
  if (![...formats.values()].some(({ type }) => /^q/.test(type)))
    return instead('No matrix of this model has 8 bits or fewer.');
  return { activations: asked };
}
