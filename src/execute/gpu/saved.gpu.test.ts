/**
 * What one cache holds, read in pieces and put into another: on WebGPU, between it and the CPU, whole and cut by heads.
 */
import { afterEach, expect, it } from 'vitest';
import { testGpu } from '../../gpu/test-device';
import type { KvType } from '../../memory/kv';
import { CPU, GREEDY, largestDifference, type Maker, randomModel, take } from '../cpu/test/models';
import type { KvCache } from '../executor';
import type { OneCache } from '../test/one-cache';
import { prompt, tiny, webgpu } from './test/maker';

const open: OneCache[] = [];
afterEach(() => {
  for (const executor of open.splice(0)) executor.dispose();
});

const GPU = webgpu(testGpu(), open);
/** Five heads: a ring of 128 slots of them is in several buffers at this binding. */
const spec = tiny({ num_attention_heads: 5, num_key_value_heads: 5, hidden_size: 80 });
const BINDING = 16_000;
const IDS = prompt(70);

async function copy(from: KvCache, to: KvCache, tokens: number, rows: number): Promise<void> {
  const oldest = [...from.held.oldest];
  for (const [layer, first] of oldest.entries()) {
    for (let at = first; at < tokens; at += rows) {
      const end = Math.min(tokens, at + rows);
      await to.write(layer, at, end, await from.read(layer, at, end));
    }
  }
  to.held.adopt({ last: tokens - 1, oldest });
}

it.each<[string, KvType, Maker, Maker, number, number]>([
  ['WebGPU to WebGPU', 'f16', GPU, GPU, 1000, 16],
  ['WebGPU to WebGPU, f32, whose rings are larger', 'f32', GPU, GPU, 7, 60],
  ['WebGPU to the CPU', 'int8', GPU, CPU, 13, 16],
  ['the CPU to WebGPU, cut by heads', 'int8', CPU, webgpu(testGpu(), open, BINDING), 13, 16],
  ['WebGPU, cut by heads, to WebGPU', 'f16', webgpu(testGpu(), open, BINDING), GPU, 9, 16],
])('%s (%s)', async (_, kvType, from, to, rows, chunk) => {
  const sizes = { kvType, promptTokens: 90, maxNewTokens: 20 };
  const one = await randomModel(spec, { ...sizes, chunk: 16 }, undefined, from);
  await one.prefill(IDS, 0);
  await take(one.decode(70, 5, GREEDY));
  const other = await randomModel(spec, { ...sizes, chunk }, undefined, to);
  const before = [one.memory(), other.memory()].map(({ total }) => total);
  await copy(one.cache, other.cache, 70, rows);
  expect([one.memory(), other.memory()].map(({ total }) => total)).toEqual(before);
  expect(other.cache.held.canResume(70)).toBe(true);
  for (const executor of [one, other]) await executor.prefill([4, 9, 2], 70);
  const scale = Math.max(...(await one.logits()).map(Math.abs));
  // another backend rounds otherwise, where a value lies halfway between two int8 codes
  const tolerance = from.target === to.target ? 1e-6 : kvType === 'int8' ? 2e-3 : 1e-4;
  expect(largestDifference(await one.logits(), await other.logits()) / scale).toBeLessThan(tolerance);
});
