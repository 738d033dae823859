/** A fixture's logits and greedy ids beside what transformers computed: the test that whole models have to pass. */
import { expect } from 'vitest';
import type { WeightsOption } from '../../../memory/formats';
import type { KvType } from '../../../memory/kv';
import { DEFAULT_LIMITS, planMemory } from '../../../memory/plan';
import type { OneCache } from '../../test/one-cache';
import {
  allLogits,
  CPU,
  type Expected,
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
export async function expectPrompt(
  executor: OneCache,
  { ids, positions, logits, greedy, margins }: Expected['prompts'][number],
  logitScale: number,
  tolerance: number,
): Promise<void> {
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

/** A fixture on an executor, each prompt in a cache of its own size. */
export async function compareWithTransformers(
  path: string,
  weights: WeightsOption,
  kvType: KvType,
  maker: Maker = CPU,
): Promise<void> {
  const { logitScale, prompts } = expected(path.replace(/\/[^/]+\.gguf$/, ''));
  const { executor, model } = await openFixture(path, { kvType }, weights, maker);
  expect(executor.backend).toBe(maker.target);
  for (const prompt of prompts) {
    const size = request({ kvType, promptTokens: prompt.ids.length, maxNewTokens: prompt.greedy.length });
    await executor.reserve(planMemory(model, size, maker.limits ?? DEFAULT_LIMITS, maker.target));
    await expectPrompt(executor, prompt, logitScale, TOLERANCE[kvType]);
  }
  executor.dispose();
}
