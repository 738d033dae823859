/** load()'s options: checked, and completed to what is in effect. */
import { NibbleError } from '../errors';
import { DEFAULT_CHUNK } from '../memory/plan';
import type { EngineOptions, ModelInfo } from '../protocol';

export type EffectiveEngineOptions = ModelInfo['options'];

const CHOICES: Record<string, readonly string[]> = {
  backend: ['auto', 'webgpu', 'cpu'],
  weights: ['keep', 'nf4', 'q8', 'f16', 'f32'],
  kv: ['f16', 'f32'],
  limits: ['adapter', 'default'],
  features: ['all', 'none'],
  storage: ['indexeddb', 'if-room', 'none'],
};
const SIZES = ['kvCapacity', 'maxContext', 'memoryBudget', 'chunk'];
const isSize = (value: unknown) => Number.isSafeInteger(value) && (value as number) > 0;

/** @throws invalid-option for an unknown name or value */
export function effectiveEngineOptions(given: EngineOptions): Omit<EffectiveEngineOptions, 'maxContext'> & {
  maxContext: number | null;
} {
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const size = SIZES.includes(name);
    if (!size && !CHOICES[name] && name !== 'tune' && name !== 'persist') {
      throw new NibbleError('invalid-option', `There is no option ${name}.`, { option: name });
    }
    const good = size
      ? isSize(value) || (name === 'kvCapacity' && (value === 'auto' || value === 'full'))
      : name === 'tune' || name === 'persist'
        ? typeof value === (name === 'tune' ? 'string' : 'boolean')
        : CHOICES[name].includes(value as string);
    if (good) continue;
    const words = size
      ? name === 'kvCapacity'
        ? 'auto, full or a whole number'
        : 'a whole number above 0'
      : name === 'persist'
        ? 'true or false'
        : CHOICES[name]?.join(', ');
    throw new NibbleError('invalid-option', `${name} is ${value}; it must be ${words ?? 'a name'}.`, {
      option: name,
      value: String(value),
    });
  }
  return {
    backend: given.backend ?? 'auto',
    weights: given.weights ?? 'keep',
    kv: given.kv ?? 'f16',
    kvCapacity: given.kvCapacity ?? 'auto',
    maxContext: given.maxContext ?? null,
    memoryBudget: given.memoryBudget ?? null,
    chunk: given.chunk ?? DEFAULT_CHUNK,
    tune: given.tune ?? 'auto',
    limits: given.limits ?? 'adapter',
    features: given.features ?? 'all',
    storage: given.storage ?? 'indexeddb',
    persist: given.persist ?? false,
  };
}
