import { describe, expect, it } from 'vitest';
import { prompt, tiny } from '../gpu/test/maker';
import { withOneCache } from '../test/one-cache';
import { familyCases, togetherCases } from '../test/together-cases';
import { arithmetic } from './arithmetic';
import { createCpuExecutor } from './executor';
import type { LinearRun } from './linear-run';
import { CPU, CPU_WAYS, GREEDY, type Maker, planOf, randomModel } from './test/models';

describe.each(CPU_WAYS)('%s', (_, maker) => togetherCases(maker));

familyCases(CPU, ['tiny-llama/nf4', 'families/gemma2/nf4', 'families/olmo2/nf4', 'families/qwen3/nf4']);

it('four answers take one product of each matrix a step, of four tokens', async () => {
  const runs: LinearRun[] = [];
  const counting: Maker = {
    target: 'cpu',
    make: (model, plan) => {
      const way = arithmetic();
      const open: typeof way.open = (...given) => {
        const computing = way.open(...given);
        return Object.assign(Object.create(computing), {
          linear: (...run: Parameters<typeof computing.linear>) => {
            runs.push(run[0]);
            return computing.linear(...run);
          },
        });
      };
      return withOneCache(createCpuExecutor(model, plan, undefined, { ...way, open }));
    },
  };
  const { executor } = await randomModel(tiny(), {}, { type: 'f32' }, counting);
  const round = [];
  for (const length of [3, 5, 8, 2]) {
    const cache = executor.createCache();
    await cache.reserve(planOf(tiny()));
    const ids = prompt(length);
    await executor.prefill(cache, ids, 0, { logits: false });
    round.push({ cache, last: ids[length - 1], start: length, count: 3, sample: GREEDY });
  }
  runs.length = 0;
  let steps = 0;
  for await (const _ of (await executor.openStreams(4)).decode(round)) steps++;
  // QKV, O, gate with up, down of two layers, and the head
  expect([steps, runs.length]).toEqual([3, 3 * (2 * 4 + 1)]);
  expect(new Set(runs.map(({ tokens }) => tokens))).toEqual(new Set([4]));
});
