/** What an executor refuses to run, with the numbers. */
import { NibbleError } from '../errors';
import type { ModelSpec } from '../model/spec';

/** @throws invalid-option for an empty prompt and for ids that the model does not have */
export function checkPrompt(ids: ArrayLike<number>, vocab: number): void {
  if (ids.length === 0) throw new NibbleError('invalid-option', 'The prompt is empty; give at least one token.');
  checkIds(ids, vocab);
}

/** @returns the ids @throws invalid-option for the first that is out of range, with its place */
export function checkIds<Ids extends ArrayLike<number>>(ids: Ids, vocab: number): Ids {
  for (let place = 0; place < ids.length; place++) {
    const id = ids[place];
    if (Number.isInteger(id) && id >= 0 && id < vocab) continue;
    const message = `Token id ${id} at place ${place} is not in the vocabulary of ${vocab}.`;
    throw new NibbleError('invalid-option', message, { id, place, vocab });
  }
  return ids;
}

/** @param end one more than the last position that would be written @throws context-overflow */
export function checkPosition(end: number, capacity: number): void {
  if (end <= capacity) return;
  const message = `Position ${end - 1} is beyond the cache of ${capacity} slots.`;
  throw new NibbleError('context-overflow', message, { position: end - 1, capacity });
}

/** @throws invalid-option for a model that was saved without a head */
export function checkHead({ headless }: Pick<ModelSpec, 'headless'>): void {
  if (!headless) return;
  const message =
    'This checkpoint has no head (lm_head.weight), so it writes no text: it makes embeddings (embed). For text, save it from AutoModelForCausalLM, or choose another model.';
  throw new NibbleError('invalid-option', message, { headless });
}
