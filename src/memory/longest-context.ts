/** The longest conversation that a request may become, with room to shift it. Pure. */
import { shiftSpare } from './growth';
import { largest } from './largest';
import type { LayoutTarget } from './layout';
import { contextLimit, type ModelGraph, type PlanLimits, type PlanRequest, planMemory } from './plan';

/**
 * Positions up to which a plan is allowed and fits, whatever the request's own numbers of tokens; 0 when there are
 * none. The whole context is allowed by itself; what the budget cuts shorter leaves room for the spare rings of a
 * shift, where there is any room with them (without, a shift is computed).
 * @throws invalid-option, as planMemory()
 */
export function longestContext(
  model: ModelGraph,
  request: PlanRequest,
  limits: PlanLimits,
  target: LayoutTarget,
): number {
  const { kvCapacity } = request;
  const limit = contextLimit(model.spec, request);
  const most = typeof kvCapacity === 'number' ? Math.min(kvCapacity, limit) : limit;
  const planOf = (promptTokens: number) =>
    planMemory(model, { ...request, promptTokens, maxNewTokens: 1 }, limits, target);
  const withSpare = (promptTokens: number) => {
    const { fits, total, kvByLayer } = planOf(promptTokens);
    const spare = promptTokens === most ? 0 : shiftSpare(kvByLayer);
    return fits && total + spare <= (request.budget ?? Number.POSITIVE_INFINITY);
  };
  return largest(most, withSpare) || largest(most, (promptTokens) => planOf(promptTokens).fits);
}
