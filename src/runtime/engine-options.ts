/** load()'s options: completed with their defaults, and then within what a model can do. */

import type { Threads } from '../execute/cpu/team';
import { contextLimit } from '../memory/plan';
import type { ModelSpec } from '../model/spec';
import { ENGINE_OPTIONS } from '../options/engine';
import { checkOptions, defaultsOf } from '../options/spec';
import type { EngineOptions } from '../protocol';
import type { EffectiveEngineOptions } from './model';

/** Tokens of a prompt that are read at once, where nothing is asked and nothing known of the device. */
const CHUNK = 128;

/** Nothing is left open but the context, where the model's own counts: null. */
export type CompleteEngineOptions = Omit<EffectiveEngineOptions, 'maxContext' | 'threads' | 'chunk'> & {
  maxContext: number | null;
  chunk: number | 'auto';
  threads: number | 'auto';
};

const UNSAID = Object.fromEntries(Object.keys(ENGINE_OPTIONS).map((name) => [name, null]));

/** @throws invalid-option for an unknown name or value */
export const completeEngineOptions = (given: EngineOptions): CompleteEngineOptions =>
  ({
    ...UNSAID,
    ...defaultsOf(ENGINE_OPTIONS),
    keep: [],
    ...checkOptions(ENGINE_OPTIONS, given),
  }) as CompleteEngineOptions;

/**
 * Of so many processors, as many as there are threads for by themselves: all of four, and of more half, as two may
 * share what multiplies; beyond eight memory is no faster.
 */
const threadsFor = (processors: number): number =>
  processors <= 4 ? processors : Math.max(4, Math.min(8, processors >> 1));

/**
 * The options within what the model and the machine can do.
 * @param threads that may compute; absent: but one, as on the GPU
 */
export function effectiveEngineOptions(
  options: CompleteEngineOptions,
  spec: ModelSpec,
  threads: Pick<Threads, 'count'> | null | undefined,
): EffectiveEngineOptions {
  const processors = threads?.count ?? 1;
  const maxContext = contextLimit(spec, options);
  const { kvCapacity } = options;
  return {
    ...options,
    maxContext,
    chunk: options.chunk === 'auto' ? CHUNK : options.chunk,
    threads: processors === 1 ? 1 : options.threads === 'auto' ? threadsFor(processors) : options.threads,
    kvCapacity: typeof kvCapacity === 'number' ? Math.min(kvCapacity, maxContext) : kvCapacity,
  };
}

/** What decides which weights are made of the files: what is kept of a model was made for one such choice. */
export const choiceOfWeights = ({ weights, keep }: CompleteEngineOptions): string => [weights, ...keep].join(' ');
