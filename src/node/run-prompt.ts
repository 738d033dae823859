/** Runs a prompt from position 0 on a loaded model, for what measures logits and not text. */
import { emptyPrefix, noteReserved } from '../generate/kv-prefix';
import type { Model } from '../worker/open-model';
import { checkFits, planFor } from '../worker/planning';

/**
 * @param newTokens that will be decoded afterwards
 * @param onRow every position's logits, in order; the array is only valid during the call
 */
export async function runPrompt(
  model: Model,
  ids: readonly number[],
  onRow?: (position: number, logits: Float32Array) => void,
  newTokens = 1,
): Promise<void> {
  await reserveFor(model, ids.length, newTokens);
  const { vocab } = model.plan.spec;
  await model.executor.prefill(ids, 0, {
    onLogits: onRow
      ? (first, rows, logits) => {
          for (let i = 0; i < rows; i++) onRow(first + i, logits.subarray(i * vocab, (i + 1) * vocab));
        }
      : undefined,
  });
}

/** Plans and reserves the cache as a request of that size does; what it held is forgotten. */
export async function reserveFor(model: Model, promptTokens: number, newTokens: number): Promise<void> {
  const plan = planFor(model, promptTokens, newTokens);
  await checkFits(model, plan);
  model.cached = emptyPrefix();
  await model.executor.reserve(plan);
  noteReserved(model.cached, plan, model.plan.spec);
  if (plan.contextTokens > (model.reserved?.contextTokens ?? 0)) model.reserved = plan;
}
