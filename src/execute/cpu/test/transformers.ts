/** A fixture's logits and greedy ids beside what transformers computed: the test that whole models have to pass. */
import { expect } from 'vitest';
import type { WeightsOption } from '../../../memory/formats';
import { DEFAULT_LIMITS, type KvType, planMemory } from '../../../memory/plan';
import {
  allLogits,
  CPU,
  expected,
  GREEDY,
  largestDifference,
  type Maker,
  openFixture,
  request,
  sureSteps,
  TOLERANCE,
  take,
} from './models';

/**
 * Every recorded row of logits, the head's row after a plain prefill, and the greedy ids up to the first step whose
 * margin is under twice the tolerance.
 */
export async function compareWithTransformers(
  path: string,
  weights: WeightsOption,
  kvType: Extract<KvType, 'f32' | 'f16'>,
  maker: Maker = CPU,
): Promise<void> {
  const tolerance = TOLERANCE[kvType];
  const { logitScale, prompts } = expected(path.replace(/\/[^/]+\.gguf$/, ''));
  const { executor, model } = await openFixture(path, { kvType }, weights, maker);
  expect(executor.backend).toBe(maker.target);
  for (const { ids, positions, logits, greedy, margins } of prompts) {
    const size = request({ kvType, promptTokens: ids.length, maxNewTokens: greedy.length });
    await executor.reserve(planMemory(model, size, maker.limits ?? DEFAULT_LIMITS, maker.target));
    const rows = await allLogits(executor, ids);
    positions.forEach((position, i) => {
      expect(largestDifference(rows[position], logits[i]) / logitScale).toBeLessThan(tolerance);
    });
    await executor.prefill(ids, 0);
    expect(largestDifference(await executor.logits(), rows[rows.length - 1]) / logitScale).toBeLessThan(1e-4);
    const sure = sureSteps(margins, 2 * tolerance * logitScale);
    const made = await take(executor.decode(ids.length, greedy.length, GREEDY));
    expect(made).toHaveLength(greedy.length);
    expect(made.slice(0, sure)).toEqual(greedy.slice(0, sure));
  }
}
