/**
 * Texts that are read and not answered, in caches of their own that go with the last of them. As many as a pass has
 * room for are read together; what a text shares with those before it is not computed again, where its hidden states
 * are not wanted.
 */
import { NibbleError } from '../errors';
import type { Reading } from '../execute/executor';
import { TEXTS_AT_ONCE } from '../execute/pack';
import { reuse, type Sequence } from '../generate/sequences';
import { contextLimit, type MemoryPlan } from '../memory/plan';
import type { EncodeOptions } from '../text/tokenizer';
import { copyBeginning } from './clone-cache';
import { inTurns } from './in-turns';
import type { Model } from './model';
import { checkFits, planFor } from './planning';
import { tokenizerOf } from './prompt';

/** Sequences that no conversation has: so many texts are read together. */
const TEXTS = Array.from({ length: TEXTS_AT_ONCE }, (_, i) => -100 - i);

/** Reads what is left of some texts. @returns what came of each */
export type ReadRest<T> = (texts: readonly Reading[]) => Promise<readonly T[]>;

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
 * @param shares whether what a text begins with may be that of one before; `tells`: whether log-probabilities are
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
  const { sequences, options } = model;
  const longest = Math.max(...all.map(({ length }) => length));
  const plans = new Map<string, MemoryPlan>();
  // of few kinds, and asked for with every text
  const planOf = (tokens: number, texts: number, snapshots?: 0) => {
    const key = `${tokens} ${texts} ${snapshots}`;
    const plan = plans.get(key) ?? planFor(model, tokens, 1, snapshots, { tells, texts });
    plans.set(key, plan);
    return plan;
  };
  await checkFits(model, planOf(longest, 1));
  // beside others a text is no longer than a pass
  const beside = Math.min(longest, options.chunk);
  const texts = planOf(longest, TEXTS_AT_ONCE).fits ? TEXTS_AT_ONCE : 1;
  let reusedTokens = 0;
  const found: T[] = [];
  try {
    while (found.length < all.length) {
      const group: { ids: readonly number[]; sequence: Sequence }[] = [];
      let tokens = 0;
      // what the first one shares with the others is there for them when it has been read
      const room = shares && found.length === 0 ? 1 : texts;
      for (const ids of all.slice(found.length, found.length + room)) {
        tokens += ids.length;
        if (group.length > 0 && tokens > options.chunk) break;
        const place = TEXTS[group.length];
        const size = group.length === 0 ? longest : beside;
        const reserved = await sequences.tryReserve(place, 1, (_, snapshots) => planOf(size, texts, snapshots));
        if (!reserved) break;
        sequences.hold(place);
        group.push({ ids, sequence: reserved.sequence });
      }
      const readings: Reading[] = [];
      for (const { ids, sequence } of group) {
        if (shares) copyBeginning(model, sequence, ids);
        else sequence.ids = [];
        const held = await beginText(sequence, ids);
        reusedTokens += held;
        readings.push({ cache: sequence.cache, ids: ids.slice(held), start: held });
      }
      found.push(...(await read(readings)));
      for (const { ids, sequence } of group) sequence.ids = [...ids];
      for (const place of TEXTS) sequences.release(place);
    }
  } finally {
    for (const place of TEXTS) {
      sequences.release(place);
      sequences.close(place);
    }
  }
  return { found, reusedTokens };
}

const beginText = (sequence: Sequence, ids: readonly number[]) => reuse(sequence, ids, 0, 0, async () => false);
