/** What an executor refuses to run, with the numbers. */
import { NibbleError } from '../errors';

/** @throws invalid-option for an empty prompt and for ids that the model does not have */
export function checkIds(ids: ArrayLike<number>, vocab: number): void {
  if (ids.length === 0) throw new NibbleError('invalid-option', 'The prompt is empty; give at least one token.');
  for (let index = 0; index < ids.length; index++) {
    const id = ids[index];
    if (Number.isInteger(id) && id >= 0 && id < vocab) continue;
    throw new NibbleError('invalid-option', `Token id ${id} is outside 0..${vocab - 1}.`, { index, id, vocab });
  }
}

/** @param end one more than the last position that would be written @throws context-overflow */
export function checkPosition(end: number, capacity: number): void {
  if (end <= capacity) return;
  const message = `Position ${end - 1} is beyond the cache of ${capacity} slots.`;
  throw new NibbleError('context-overflow', message, { position: end - 1, capacity });
}
