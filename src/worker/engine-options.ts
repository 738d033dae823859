/** load()'s options: checked, and completed to what is in effect. */
import { NibbleError } from '../errors';
import { DEFAULT_CHUNK, MAX_SNAPSHOTS } from '../memory/plan';
import type { EngineOptions, ModelInfo } from '../protocol';

export type EffectiveEngineOptions = ModelInfo['options'];

interface Rule {
  allows(value: unknown): boolean;
  /** what it must be, in words */
  words: string;
}

const oneOf = (...choices: string[]): Rule => ({
  allows: (value) => choices.includes(value as string),
  words: choices.join(', '),
});
const isSize = (value: unknown) => Number.isSafeInteger(value) && (value as number) > 0;
const SIZE: Rule = { allows: isSize, words: 'a whole number above 0' };
const isName = (value: unknown) => typeof value === 'string' && value !== '';

const RULES: Readonly<Record<keyof EngineOptions, Rule>> = {
  backend: oneOf('auto', 'webgpu', 'cpu'),
  weights: oneOf('keep', 'nf4', 'q8', 'f16', 'f32'),
  keep: { allows: (value) => Array.isArray(value) && value.every(isName), words: 'a list of names' },
  kv: oneOf('f16', 'f32', 'int8'),
  kvCapacity: {
    allows: (value) => value === 'auto' || value === 'full' || isSize(value),
    words: 'auto, full or a whole number above 0',
  },
  maxContext: SIZE,
  memoryBudget: SIZE,
  snapshots: { allows: (value) => value === 0 || isSize(value), words: `a whole number, ${MAX_SNAPSHOTS} at most` },
  chunk: SIZE,
  tune: { allows: isName, words: 'a name' },
  limits: oneOf('adapter', 'default'),
  features: oneOf('all', 'none'),
  storage: oneOf('indexeddb', 'if-room', 'none'),
  persist: { allows: (value) => typeof value === 'boolean', words: 'true or false' },
};

/** @throws invalid-option for an unknown name or value */
export function effectiveEngineOptions(given: EngineOptions): Omit<EffectiveEngineOptions, 'maxContext'> & {
  maxContext: number | null;
} {
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const rule = Object.hasOwn(RULES, name) ? RULES[name as keyof EngineOptions] : null;
    if (!rule) throw new NibbleError('invalid-option', `There is no option ${name}.`, { option: name });
    if (rule.allows(value)) continue;
    throw new NibbleError('invalid-option', `${name} is ${value}; it must be ${rule.words}.`, {
      option: name,
      value: String(value),
    });
  }
  return {
    backend: given.backend ?? 'auto',
    weights: given.weights ?? 'keep',
    keep: given.keep ?? [],
    kv: given.kv ?? 'f16',
    kvCapacity: given.kvCapacity ?? 'auto',
    maxContext: given.maxContext ?? null,
    memoryBudget: given.memoryBudget ?? null,
    snapshots: given.snapshots ?? 0,
    chunk: given.chunk ?? DEFAULT_CHUNK,
    tune: given.tune ?? 'auto',
    limits: given.limits ?? 'adapter',
    features: given.features ?? 'all',
    storage: given.storage ?? 'indexeddb',
    persist: given.persist ?? false,
  };
}
