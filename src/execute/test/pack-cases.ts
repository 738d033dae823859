/** For tests of both executors: texts that share passes give what each gives alone. */
import { expect, it } from 'vitest';
import type { ModelSpec } from '../../model/spec';
import { largestDifference, type Maker, planOf, randomModel } from '../cpu/test/models';
import type { Reading } from '../executor';
import { prompt, tiny } from '../gpu/test/maker';
import { TEXTS_AT_ONCE } from '../pack';
import type { Pooled } from '../pooling';

/** Shorter and longer than a pass of seven tokens, more of them than a pass takes, and some of one token. */
const LENGTHS = [3, 1, 9, 2, 23, 1, 1, 1, 1, 1, 1, 1, 1, 4, 16];
const SIZES = { chunk: 7, promptTokens: 60, maxNewTokens: 1 };
const F32 = { type: 'f32' } as const;
const WAYS: Pooled[] = [
  { rows: ['sum', 'weighted', 'max', 'first', 'last'], from: 0 },
  { rows: ['last'], from: 0 },
];

/** @param specs models by what they are */
export function packCases(
  maker: Maker,
  specs: Readonly<Record<string, ModelSpec>> = { 'one layer of which slides': tiny() },
) {
  it.each(Object.entries(specs))(
    'texts of a model, %s, that share passes, give what each gives alone',
    async (_, spec) => {
      const { executor } = await randomModel(spec, SIZES, F32, maker);
      const plan = planOf(spec, SIZES, F32, maker.target, maker.limits);
      /** each in a cache of its own, some of whose beginnings are there already */
      const texts = async (): Promise<Reading[]> => {
        const all: Reading[] = [];
        for (const [i, length] of LENGTHS.entries()) {
          const cache = executor.createCache();
          await cache.reserve(plan);
          const start = i % 3 === 2 ? 6 : 0;
          if (start) await executor.prefill(cache, prompt(start, i), 0);
          all.push({ cache, ids: prompt(length, i + 9), start });
        }
        return all;
      };
      const alone = await texts();
      const free = (all: readonly Reading[]) => all.forEach(({ cache }) => void cache.dispose());
      const near = (found: ArrayLike<number>, right: ArrayLike<number>) => {
        expect(found.length).toBe(right.length);
        const scale = Math.max(1, ...Array.from(right, Math.abs));
        expect(largestDifference(found, right) / scale).toBeLessThan(1e-4);
      };
      const before = executor.memory().scratch;
      for (const pooled of WAYS) {
        const together = await texts();
        const found = await executor.pool(together, pooled);
        for (const [i, text] of alone.entries()) near(found[i], (await executor.pool([text], pooled))[0]);
        free(together);
      }
      // what the texts of a pass have for themselves is in the plan
      const planned = planOf(spec, { ...SIZES, texts: TEXTS_AT_ONCE }, F32, maker.target, maker.limits);
      expect(executor.memory().scratch - before).toBe(planned.scratch - plan.scratch);
      const scored = await texts();
      const scores = await executor.score(scored);
      for (const [i, text] of alone.entries()) near(scores[i], (await executor.score([text]))[0]);
      free(scored);
      const asked = await texts();
      const logits = await executor.nextLogits(asked, [5, 96, 0]);
      for (const [i, { cache, ids, start }] of alone.entries()) {
        await executor.prefill(cache, ids, start);
        near(logits[i], await executor.logits([5, 96, 0]));
      }
      // and they go on from there
      const { cache, ids, start } = asked[4];
      await executor.prefill(cache, [7, 8], start + ids.length);
      const found = await executor.logits([1]);
      await executor.prefill(alone[4].cache, [7, 8], start + ids.length);
      near(found, await executor.logits([1]));
      free(asked);
      free(alone);
    },
  );
}
