import { afterEach, describe, expect, it } from 'vitest';
import { testGpu } from '../../gpu/test-device';
import { VARIANTS } from '../../kernels/variants';
import { active, specLikeTiny } from '../../lora/test/adapters';
import { forwardSteps } from '../../model/decoder';
import { CPU, GREEDY, planOf, randomModel } from '../cpu/test/models';
import type { Stream } from '../executor';
import type { OneCache } from '../test/one-cache';
import { familyCases, togetherCases } from '../test/together-cases';
import { prompt, webgpu } from './test/maker';

const gpu = testGpu();
const open: OneCache[] = [];
afterEach(() => {
  for (const executor of open.splice(0)) executor.dispose();
});

describe('two steps ahead', () =>
  togetherCases(webgpu(gpu, open, undefined, 2), [
    ['f32', 4],
    ['f16', 8],
    ['int8', 2],
  ]));

// attention by slots, and rings of several buffers
describe('by slots, in small bindings', () =>
  togetherCases(webgpu(gpu, open, 8192, 0, { ...VARIANTS.small, attend: VARIANTS.software.attend }), [['f16', 4]]));

familyCases(webgpu(gpu, open), ['tiny-llama/nf4', 'families/gemma2/nf4', 'families/olmo2/nf4', 'families/qwen3/nf4']);

it('adapters, of embedding and head too, are computed for each answer', async () => {
  const spec = specLikeTiny({ model_type: 'gemma' });
  const ids = await Promise.all(
    [CPU, webgpu(gpu, open)].map(async (maker) => {
      const { executor } = await randomModel(spec, { promptTokens: 30 }, { type: 'f32' }, maker);
      await executor.setAdapters(await active(forwardSteps(spec), ['embedding', 'lora-bias']));
      const streams = await executor.openStreams(2);
      const round: Stream[] = [];
      for (const length of [19, 4]) {
        const cache = executor.createCache();
        await cache.reserve(planOf(spec, { promptTokens: 30 }, { type: 'f32' }, maker.target));
        const all = prompt(length);
        await executor.prefill(cache, all, 0, { logits: false });
        round.push({ cache, last: all[length - 1], start: length, count: 8, sample: GREEDY });
      }
      const made: (readonly number[])[] = [];
      for await (const one of streams.decode(round)) made.push(one);
      return made;
    }),
  );
  expect(ids[1]).toEqual(ids[0]);
  expect(ids[0].length).toBe(8);
});
