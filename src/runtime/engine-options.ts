/** load()'s options, completed to what is in effect. */
import { ENGINE_OPTIONS } from '../options/engine';
import { checkOptions, type Spec } from '../options/spec';
import type { EngineOptions, ModelInfo } from '../protocol';

export type EffectiveEngineOptions = ModelInfo['options'];

const DEFAULTS = Object.fromEntries(
  Object.entries<Spec>(ENGINE_OPTIONS).map(([name, spec]) => [name, spec.default ?? null]),
);

/** @throws invalid-option for an unknown name or value */
export function effectiveEngineOptions(given: EngineOptions): Omit<EffectiveEngineOptions, 'maxContext'> & {
  maxContext: number | null;
} {
  return { ...DEFAULTS, keep: [], ...checkOptions(ENGINE_OPTIONS, given) } as ReturnType<typeof effectiveEngineOptions>;
}
