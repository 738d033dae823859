/** For tests: an executor with adapters, against what PEFT computed. */
import { expect } from 'vitest';
import { baseOf, type ExpectedAdapted } from '../../../lora/test/adapters';
import type { Executor } from '../../executor';
import { largestDifference, type Maker, openFixture } from './models';

const GREEDY = { temperature: 0, topK: 0, topP: 1, seed: 0 };
const TOLERANCE = 1e-3;

export const openBase = (facts: Pick<ExpectedAdapted, 'model' | 'variant'>, maker: Maker) =>
  openFixture(baseOf(facts).path, { kvType: 'f32' }, baseOf(facts).weights, maker);

async function take(ids: AsyncIterable<number>): Promise<number[]> {
  const all: number[] = [];
  for await (const id of ids) all.push(id);
  return all;
}

/** Logits of every listed position, the last one's by the usual prefill, and greedy ids by decode. */
export async function expectPeft(executor: Executor, { prompts, logitScale }: ExpectedAdapted): Promise<void> {
  for (const { ids, positions, logits, greedy, margins } of prompts) {
    const rows: Float32Array[] = [];
    await executor.prefill(ids, 0, {
      onLogits(_first, count, values) {
        const vocab = values.length / count;
        for (let i = 0; i < count; i++) rows.push(values.slice(i * vocab, (i + 1) * vocab));
      },
    });
    positions.forEach((position, i) => {
      expect(largestDifference(rows[position], logits[i]) / logitScale).toBeLessThan(TOLERANCE);
    });
    await executor.prefill(ids, 0);
    expect(largestDifference(await executor.logits(), rows[rows.length - 1]) / logitScale).toBeLessThan(1e-4);
    const unsure = margins.findIndex((margin) => margin < 2 * TOLERANCE * logitScale);
    const sure = unsure < 0 ? greedy.length : unsure;
    expect(sure).toBeGreaterThan(0);
    const made = await take(executor.decode(ids.length, greedy.length, GREEDY));
    expect(made.slice(0, sure)).toEqual(greedy.slice(0, sure));
  }
}

/** The last prompt's last logits. */
export async function lastLogits(executor: Executor, { prompts }: ExpectedAdapted): Promise<Float32Array> {
  await executor.prefill(prompts[prompts.length - 1].ids, 0);
  return executor.logits();
}
