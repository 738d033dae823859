/** The longest conversation that a request may become. Pure. */
import type { LayoutTarget } from './layout';
import { contextLimit, type PlanLimits, type PlanModel, type PlanRequest, planMemory } from './plan';

/**
 * Positions up to which a plan is allowed and fits, whatever the request's own numbers of tokens; 0 when there are none.
 * @throws invalid-option, as planMemory()
 */
export function longestContext(
  model: PlanModel,
  request: PlanRequest,
  limits: PlanLimits,
  target: LayoutTarget,
): number {
  const { kvCapacity } = request;
  const limit = contextLimit(model.spec, request);
  const fits = (promptTokens: number) =>
    planMemory(model, { ...request, promptTokens, maxNewTokens: 1 }, limits, target).fits;
  // what fits, fits when it is smaller, too: usually all of it
  let [low, high] = [0, typeof kvCapacity === 'number' ? Math.min(kvCapacity, limit) : limit];
  for (let middle = high; low < high; middle = Math.ceil((low + high) / 2)) {
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
