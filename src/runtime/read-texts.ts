/**
 * Texts that are read and not answered, one after the other, in a cache of their own that goes with the last of them.
 * What a text shares with the one before it is not computed again, where its hidden states are not wanted.
 */
import { NibbleError } from '../errors';
import type { KvCache } from '../execute/executor';
import { reuse, type Sequence } from '../generate/sequences';
import { contextLimit, planMemory } from '../memory/plan';
import type { EncodeOptions } from '../text/tokenizer';
import { inTurns } from './in-turns';
import type { Model } from './model';
import { checkFits, planFor } from './planning';
import { tokenizerOf } from './prompt';

/** A sequence that no conversation has. */
const TEXTS = -1;

/** Runs the rest of a text's ids, which are to stand from the position `start` on. */
export type ReadRest<T> = (cache: KvCache, rest: readonly number[], start: number) => Promise<T>;

/** The ids of a text, with turns for others while they are made. @throws aborted, invalid-option, corrupt-checkpoint */
export async function idsOfText(
  model: Model,
  text: string,
  options: EncodeOptions,
  signal: AbortSignal,
): Promise<number[]> {
  const ids = await inTurns(tokenizerOf(model).steps(text, options), undefined, signal);
  if (ids) return ids;
  throw new NibbleError('aborted', 'The request was stopped.');
}

/**
 * @param what the texts are, for errors: 'text', 'document'
 * @param most tokens of a text, where that is less than the context
 * @throws invalid-option for an empty list and for a text without tokens; context-overflow, with the place of the text
 */
function checkLengths(model: Model, all: readonly number[][], what: string, most: number): void {
  if (all.length === 0) {
    const message = `There is no ${what}: give at least one.`;
    throw new NibbleError('invalid-option', message, { texts: 0 });
  }
  const { spec } = model.graph;
  const { kvCapacity } = model.options;
  const capacity = typeof kvCapacity === 'number' ? kvCapacity : Number.POSITIVE_INFINITY;
  const limit = Math.min(contextLimit(spec, model.options), capacity, most);
  for (const [place, { length }] of all.entries()) {
    const details = { text: place, tokens: length, limit };
    if (length === 0) {
      const message = `The ${what} at place ${place} has no tokens: give at least a character.`;
      throw new NibbleError('invalid-option', message, details);
    }
    if (length <= limit) continue;
    const next =
      limit < spec.contextLength && limit !== most ? 'Load the model with more, or shorten it.' : 'Shorten it.';
    const message = `The ${what} at place ${place} has ${length} tokens, and ${limit} are the limit. ${next}`;
    throw new NibbleError('context-overflow', message, details);
  }
}

/**
 * Reads all of them, in their order.
 * @param shares whether what a text begins with may be that of the one before; `tells`: whether log-probabilities are
 * asked for, which take buffers
 * @returns what `read` gives of each, and how many tokens were not computed again
 * @throws as checkLengths(); out-of-memory, aborted, device-lost
 */
export async function readTexts<T>(
  model: Model,
  all: readonly number[][],
  { what = 'text', most = Number.POSITIVE_INFINITY, shares = true, tells = false },
  read: ReadRest<T>,
): Promise<{ found: T[]; reusedTokens: number }> {
  checkLengths(model, all, what, most);
  const longest = Math.max(...all.map(({ length }) => length));
  const planOf = (_: number, snapshots?: 0) => {
    const { request } = planFor(model, longest, 1, snapshots);
    return planMemory(model.graph, { ...request, tells }, model.limits, model.target);
  };
  await checkFits(model, planOf(1));
  const { sequence } = await model.sequences.reserve(TEXTS, 1, planOf);
  let reusedTokens = 0;
  const found: T[] = [];
  try {
    for (const ids of all) {
      if (!shares) sequence.ids = [];
      const held = await beginText(sequence, ids);
      reusedTokens += held;
      found.push(await read(sequence.cache, ids.slice(held), held));
      sequence.ids = ids;
    }
  } finally {
    model.sequences.close(TEXTS);
  }
  return { found, reusedTokens };
}

const beginText = (sequence: Sequence, ids: readonly number[]) => reuse(sequence, ids, 0, 0, async () => false);
