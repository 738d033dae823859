/** Runs a prompt from position 0 on a loaded model, for what measures logits and not text. */
import type { KvCache } from '../execute/executor';
import type { Model } from '../runtime/model';
import { checkFits, planFor } from '../runtime/planning';

/**
 * @param newTokens that will be decoded afterwards
 * @param onRow every position's logits, in order; the array is only valid during the call
 * @returns the cache to decode with
 */
export async function runPrompt(
  model: Model,
  ids: readonly number[],
  onRow?: (position: number, logits: Float32Array) => void,
  newTokens = 1,
): Promise<KvCache> {
  const cache = await reserveFor(model, ids.length, newTokens);
  await model.executor.prefill(cache, ids, 0, { onLogits: onRow });
  return cache;
}

/** Plans and reserves the cache as a request of that size does; what it held is forgotten. */
export async function reserveFor(model: Model, promptTokens: number, newTokens: number): Promise<KvCache> {
  const plan = planFor(model, promptTokens, newTokens);
  await checkFits(model, plan);
  const planOf = (_: number, snapshots?: 0) => planFor(model, promptTokens, newTokens, snapshots);
  const { sequence } = await model.sequences.reserve(0, 1, planOf);
  sequence.ids = [];
  return sequence.cache;
}
