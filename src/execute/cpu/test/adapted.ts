/** For tests: an executor with adapters, against what PEFT computed. */
import { expect } from 'vitest';
import { baseOf, type ExpectedAdapted } from '../../../lora/test/adapters';
import type { KvType } from '../../../memory/kv';
import type { OneCache } from '../../test/one-cache';
import { type Maker, openFixture, sureSteps, TOLERANCE } from './models';
import { expectPrompt } from './transformers';

export const openBase = (facts: Pick<ExpectedAdapted, 'model' | 'variant'>, maker: Maker, kvType: KvType = 'f32') =>
  openFixture(baseOf(facts).path, { kvType }, baseOf(facts).weights, maker);

/** As PEFT computed it, which is sure of some ids at least. */
export async function expectPeft(executor: OneCache, { prompts, logitScale }: ExpectedAdapted): Promise<void> {
  for (const prompt of prompts) {
    await expectPrompt(executor, prompt, logitScale, TOLERANCE.f32);
    expect(sureSteps(prompt.margins, 2 * TOLERANCE.f32 * logitScale)).toBeGreaterThan(0);
  }
}

/** The last prompt's last logits. */
export async function lastLogits(executor: OneCache, { prompts }: ExpectedAdapted): Promise<Float32Array> {
  await executor.prefill(prompts[prompts.length - 1].ids, 0);
  return executor.logits();
}
