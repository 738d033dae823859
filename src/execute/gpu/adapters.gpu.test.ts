import { afterEach, describe, expect, it, vi } from 'vitest';
import { testGpu } from '../../gpu/test-device';
import { active, EXPECTED, specLikeTiny } from '../../lora/test/adapters';
import { makingBytes } from '../../memory/adapted';
import { type MemoryPlan, planMemory } from '../../memory/plan';
import { forwardSteps } from '../../model/decoder';
import { expectPeft, lastLogits, openBase } from '../cpu/test/adapted';
import { CPU, GREEDY, largestDifference, randomModel, TOLERANCE, take } from '../cpu/test/models';
import type { OneCache } from '../test/one-cache';
import { prompt, webgpu } from './test/maker';
import { watch } from './test/watch';

const gpu = testGpu();
const open: OneCache[] = [];
afterEach(() => {
  for (const executor of open.splice(0)) executor.dispose();
  vi.restoreAllMocks();
});

// Of its shapes: the others' kernels take SwiftShader minutes; linear.gpu.test.ts has what is new in them.
const maker = webgpu(gpu, open);

const find = (adapters: string, variant = 'nf4') =>
  EXPECTED.find((facts) => facts.adapters.join('+') === adapters && facts.variant === variant)!;

describe('adapters on the GPU', () => {
  it.each(
    EXPECTED.map((facts) => [`${facts.adapters.join(' + ')} on ${facts.model} ${facts.variant}`, facts] as const),
  )('%s as PEFT computes it', async (_, facts) => {
    const { executor, model } = await openBase(facts, maker);
    await executor.setAdapters(await active(model.steps, facts.adapters));
    await expectPeft(executor, facts);
  });

  it('stand on any kind of base: as on the CPU', async () => {
    for (const path of ['nf4-mixed', 'gguf/tiny-llama.gguf', 'nf4-dq']) {
      const facts = { ...find('plain+dora+lora-bias'), variant: path };
      const [cpu, webGpu] = [await openBase(facts, CPU), await openBase(facts, maker)];
      for (const { executor, model } of [cpu, webGpu]) {
        await executor.setAdapters(await active(model.steps, facts.adapters));
      }
      const expected = await lastLogits(cpu.executor, facts);
      const off = largestDifference(await lastLogits(webGpu.executor, facts), expected);
      expect(off / facts.logitScale).toBeLessThan(1e-4);
    }
  });

  it.each([
    // norms after a sub-layer, a scale on the residual sum, scaled embeddings
    ['gemma2', { sliding_window: 9, final_logit_softcapping: 30 }, ['dora', 'plain']],
    ['llama', { tie_word_embeddings: false }, ['plain', 'dora']],
    ['gemma', {}, ['embedding', 'lora-bias']],
  ])('in a model like %s are as on the CPU', async (model_type, more, names) => {
    const spec = specLikeTiny({ model_type, ...more });
    const scaled = { ...spec, residualScale: model_type === 'llama' ? 0.3 : 1 };
    const rows = await Promise.all(
      [CPU, maker].map(async (each) => {
        const executor = await randomModel(scaled, { promptTokens: 20 }, { type: 'f32' }, each);
        await executor.setAdapters(await active(forwardSteps(scaled), names));
        await executor.prefill(prompt(19), 0);
        await take(executor.decode(19, 2, GREEDY));
        return executor.logits();
      }),
    );
    expect(largestDifference(rows[1], rows[0]) / Math.max(...rows[0].map(Math.abs))).toBeLessThan(1e-4);
  });

  it('that replace the biases of keys do so in an int8 cache too: as on the CPU', async () => {
    const facts = find('bias-all', 'bf16');
    const rows = await Promise.all(
      [CPU, maker].map(async (each) => {
        const { executor, model } = await openBase(facts, each, 'int8');
        await executor.setAdapters(await active(model.steps, facts.adapters));
        return lastLogits(executor, facts);
      }),
    );
    expect(largestDifference(rows[1], rows[0]) / facts.logitScale).toBeLessThan(5e-3);
    const { prompts } = facts;
    const right = prompts[prompts.length - 1].logits.at(-1)!;
    expect(largestDifference(rows[1], right) / facts.logitScale).toBeLessThan(TOLERANCE.int8);
  });

  it('swapped and taken away leave what a fresh model gives, and buffer by buffer what is planned', async () => {
    const facts = find('plain');
    const bare = await openBase(facts, maker);
    const without = await lastLogits(bare.executor, facts);
    bare.executor.dispose();
    const seen = watch((await gpu).device);
    const { executor, model, plan } = await openBase(facts, maker);
    const steady = seen.list();
    const { limits } = await gpu;
    for (const names of [['rslora'], ['dora', 'plain'], ['embedding'], ['plain']]) {
      const adapters = await active(model.steps, names);
      await executor.setAdapters(adapters);
      const larger: MemoryPlan = planMemory({ ...model, adapted: adapters.steps }, plan.request, limits, 'webgpu');
      const planned = larger.buffers.filter(({ purpose }) => purpose !== 'staging');
      expect(seen.list()).toEqual(planned.map(({ name, bytes }) => `${name} ${bytes}`).sort());
      expect(executor.memory()).toMatchObject({
        weights: larger.weights,
        scratch: larger.scratch,
        total: larger.total,
      });
      const fresh = await openBase(facts, maker);
      await fresh.executor.setAdapters(await active(fresh.model.steps, names));
      const expected = await lastLogits(fresh.executor, facts);
      fresh.executor.dispose();
      expect(await lastLogits(executor, facts)).toEqual(expected);
    }
    await executor.setAdapters(null);
    expect(seen.list()).toEqual(steady);
    expect(await lastLogits(executor, facts)).toEqual(without);
  });

  it.each(['dora', 'bias-all', 'saved-head'])('take no more on their way than is said: %s', async (name) => {
    const { executor, model, plan } = await openBase(find(name, name === 'dora' ? 'nf4' : 'bf16'), maker);
    const seen = watch((await gpu).device);
    const adapters = await active(model.steps, [name]);
    await executor.setAdapters(adapters);
    const { limits } = await gpu;
    const larger = planMemory({ ...model, adapted: adapters.steps }, plan.request, limits, 'webgpu');
    const before = new Set(plan.buffers.map(({ name }) => name));
    const fresh = larger.buffers.filter(({ name }) => !before.has(name));
    expect(seen.list()).toEqual(fresh.map(({ name, bytes }) => `${name} ${bytes}`).sort());
    expect(executor.memory()).toMatchObject({ weights: larger.weights, scratch: larger.scratch, total: larger.total });
    const said = makingBytes(larger.adapters, larger.staging);
    expect(seen.peak() - seen.bytes()).toBeLessThanOrEqual(said);
    // ranks are rounded up to a multiple of four
    expect(seen.peak() - seen.bytes()).toBeGreaterThan(said / 2);
  });

  it('cost two dispatches a step that they change, and none once they are gone', async () => {
    const facts = find('plain');
    const { executor, model } = await openBase(facts, maker);
    const perToken = async () => {
      await executor.prefill([5, 6, 7], 0);
      const before = executor.stats().dispatches;
      await take(executor.decode(3, 11, GREEDY));
      return (executor.stats().dispatches - before - 22) / 10;
    };
    const bare = await perToken();
    await executor.setAdapters(await active(model.steps, ['plain']));
    expect(await perToken()).toBe(bare + 2 * 3);
    // gate and up no longer apply the activation themselves: one more a layer
    await executor.setAdapters(await active(model.steps, ['rslora']));
    expect(await perToken()).toBe(bare + (2 * 4 + 1) * 3);
    await executor.setAdapters(null);
    expect(await perToken()).toBe(bare);
  });

  it('that fail to arrive leave those that were active, and no buffer', async () => {
    const facts = find('rslora');
    const { executor, model } = await openBase(facts, maker);
    await executor.setAdapters(await active(model.steps, ['rslora']));
    const before = await lastLogits(executor, facts);
    const seen = watch((await gpu).device);
    const failing = await active(model.steps, ['dora']);
    let steps = 0;
    const read: typeof failing.read = (...all) => {
      if (++steps > 3) throw new Error('gone');
      return failing.read(...all);
    };
    await expect(executor.setAdapters({ ...failing, read })).rejects.toThrow('gone');
    expect(seen.list()).toEqual([]);
    expect(await lastLogits(executor, facts)).toEqual(before);
  });
});
