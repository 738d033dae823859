/** The longest conversation that a request may become. Pure. */
import { largest } from './largest';
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
  return largest(typeof kvCapacity === 'number' ? Math.min(kvCapacity, limit) : limit, fits);
}
