/** From a loaded model and a request's numbers to a memory plan, and the plan in the protocol's words. */
import { NibbleError } from '../errors';
import { type MemoryPlan, type PlanRequest, planMemory } from '../memory/plan';
import type { MemoryInfo, PlanInfo } from '../protocol';
import type { EffectiveEngineOptions } from './engine-options';
import type { Model } from './open-model';

/** The one way to a plan request: the engine's options with a request's numbers. */
export function planRequest(options: EffectiveEngineOptions, promptTokens: number, maxNewTokens: number): PlanRequest {
  const { kv, kvCapacity, maxContext, chunk, memoryBudget, snapshots } = options;
  return { promptTokens, maxNewTokens, kvType: kv, kvCapacity, maxContext, chunk, budget: memoryBudget, snapshots };
}

/** @throws out-of-memory with the plan's numbers and what would fit */
export function checkFits(plan: MemoryPlan): void {
  if (plan.fits) return;
  const { weights, kv, scratch, staging, peak, suggestions } = plan;
  const message = suggestions[0] ?? `This would take ${peak} bytes, more than is allowed. Choose a smaller model.`;
  throw new NibbleError('out-of-memory', message, { weights, kv, scratch, staging, peak, suggestions });
}

export function planFor(model: Model, promptTokens: number, maxNewTokens: number): MemoryPlan {
  return planMemory(model.plan, planRequest(model.options, promptTokens, maxNewTokens), model.limits, model.target);
}

/** A plan as it is told, beside what the model's conversations hold. */
export function planInfo({ conversations }: Model, plan: MemoryPlan, conversation = 0): PlanInfo {
  const { weights, kv, scratch, staging, total, fits, suggestions } = plan;
  const kvByLayer = plan.kvByLayer.map(({ kind, slots, bytes }) => ({ kind, slots, bytes }));
  const peak = conversations.peak(conversation, plan);
  return { weights, kv, kvByLayer, scratch, staging, total, peak, fits, suggestions };
}

/** What is allocated now, beside what the model's full context would have taken. */
export function memoryInfo(model: Model): MemoryInfo {
  const full = {
    ...planRequest(model.options, 1, 1),
    kvCapacity: 'full',
    maxContext: null,
    budget: null,
    snapshots: 0,
  } as const;
  const slots = (kind: 'global' | 'sliding') =>
    model.conversations.latest?.plan?.kvByLayer.find((layer) => layer.kind === kind)?.slots ?? null;
  return {
    ...model.executor.memory(),
    conversations: model.conversations.count,
    kvFullContext: planMemory(model.plan, full, model.limits, model.target).kv,
    kvSlots: { global: slots('global'), sliding: slots('sliding') },
  };
}
