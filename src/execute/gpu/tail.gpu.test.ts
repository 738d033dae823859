/** The end of a prompt: what only logits need is computed for the last token alone, and not at all between chunks. */
import { afterEach, describe, expect, it } from 'vitest';
import { type MatrixFormat, NF4_CODEBOOK } from '../../formats/matrix';
import { testGpu } from '../../gpu/test-device';
import { active, specLikeTiny } from '../../lora/test/adapters';
import type { KvType } from '../../memory/kv';
import { forwardSteps } from '../../model/decoder';
import { allLogits, CPU, GREEDY, largestDifference, type Maker, randomModel, take } from '../cpu/test/models';
import type { OneCache } from '../test/one-cache';
import { prompt, tiny, webgpu } from './test/maker';

const open: OneCache[] = [];
const GPU = webgpu(testGpu(), open);
afterEach(() => {
  for (const executor of open.splice(0)) executor.dispose();
});

const F32: MatrixFormat = { type: 'f32' };
const NF4: MatrixFormat = { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK };

/** The logits of a prompt's end, beside those of its last row where every row has logits; and what follows them. */
async function expectSameEnd(executor: OneCache, ids: number[]): Promise<void> {
  const rows = await allLogits(executor, ids);
  await executor.prefill(ids, 0);
  const end = await executor.logits();
  const right = rows[ids.length - 1];
  // of f32 sums in another order
  expect(largestDifference(end, right) / Math.max(...right.map(Math.abs))).toBeLessThan(1e-6);
  const made = await take(executor.decode(ids.length, 6, GREEDY));
  await allLogits(executor, ids);
  expect(await take(executor.decode(ids.length, 6, GREEDY))).toEqual(made);
}

describe.each<[string, Maker]>([
  ['WebGPU', GPU],
  ['the CPU', CPU],
])('on %s', (_, maker) => {
  it.each<[string, object, MatrixFormat, KvType]>([
    ['a window that slides', {}, NF4, 'f16'],
    ['one that slides in the last layer', { layer_types: ['full_attention', 'sliding_attention'] }, F32, 'f32'],
    ['norms on both sides and soft caps', { model_type: 'gemma2', attn_logit_softcapping: 5 }, NF4, 'f32'],
    ['norms after', { model_type: 'olmo2', sliding_window: null, layer_types: null }, F32, 'f32'],
    ['biases and int8 keys', { model_type: 'qwen2', sliding_window: null, layer_types: null }, NF4, 'int8'],
  ])('the logits are those of the last row: %s', async (_title, more, format, kvType) => {
    const executor = await randomModel(
      tiny(more),
      { promptTokens: 26, maxNewTokens: 9, chunk: 12, kvType },
      format,
      maker,
    );
    // one of three chunks, of one token at its end, of one token
    for (const length of [26, 13, 1]) await expectSameEnd(executor, prompt(length));
  });

  it('and with adapters', async () => {
    const spec = specLikeTiny({ model_type: 'gemma2', sliding_window: 9 });
    const executor = await randomModel(spec, { promptTokens: 20, maxNewTokens: 9, chunk: 12 }, F32, maker);
    await executor.setAdapters(await active(forwardSteps(spec), ['dora', 'plain']));
    await expectSameEnd(executor, prompt(20));
  });
});

describe('dispatches of a prompt', () => {
  it.each([
    // embedding; norm, QKV, append of each layer, and five more of each but the last
    ['llama', 3, 1 + 3 * 3 + 2 * 5],
    // norms after attention and MLP, which add what they norm
    ['gemma2', 2, 1 + 2 * 3 + 1 * 7],
  ])('of %s in %i layers: %i a chunk', async (model_type, layers, each) => {
    const spec = tiny({ model_type, num_hidden_layers: layers, layer_types: null });
    const sizes = { promptTokens: 60, maxNewTokens: 9, chunk: 24 };
    const executor = await randomModel(spec, sizes, NF4, GPU);
    const cost = async (length: number, more = {}) => {
      const before = executor.stats().dispatches;
      await executor.prefill(prompt(length), 0, more);
      return executor.stats().dispatches - before;
    };
    const end = (await cost(24)) - each;
    // the last row alone, attention, O, gate and up, down, the head; a norm after each sub-layer
    expect(end).toBe(6 + (model_type === 'gemma2' ? 2 : 0));
    expect(await cost(1)).toBe(each + end);
    // more positions than one part of attention has: these are merged
    expect(await cost(60)).toBe(3 * each + end + 1);
    // all of the last layer, and the head of each row
    expect(await cost(24, { onLogits() {} })).toBe(each + end - 2 + 1 + 24);
  });
});
