import { describe, expect, it } from 'vitest';
import { active, EXPECTED } from '../../lora/test/adapters';
import { planMemory } from '../../memory/plan';
import { expectPeft, lastLogits, openBase } from './test/adapted';
import { CPU, CPU_WAYS, largestDifference } from './test/models';

const titled = EXPECTED.map(
  (facts) => [`${facts.adapters.join(' + ')} on ${facts.model} ${facts.variant}`, facts] as const,
);

describe.each(CPU_WAYS)('adapters on the CPU in %s', (_, maker) => {
  it.each(titled)('%s as PEFT computes it', async (_, facts) => {
    const { executor, model } = await openBase(facts, maker);
    const without = await lastLogits(executor, facts);
    await executor.setAdapters(await active(model.steps, facts.adapters));
    await expectPeft(executor, facts);
    // they do change something
    expect(largestDifference(await lastLogits(executor, facts), without)).toBeGreaterThan(0.05 * facts.logitScale);
  });
});

describe('adapters on the CPU', () => {
  it('swapped and taken away leave what a fresh model gives', async () => {
    const facts = EXPECTED.find(({ variant, model }) => variant === 'nf4' && model === 'tiny-llama')!;
    const one = await openBase(facts, CPU);
    const bare = await lastLogits(one.executor, facts);
    const before = one.executor.memory();
    const fresh = async (names: string[]) => {
      const { executor, model } = await openBase(facts, CPU);
      await executor.setAdapters(await active(model.steps, names));
      return lastLogits(executor, facts);
    };
    for (const names of [['rslora'], ['dora', 'plain'], ['plain'], ['embedding']]) {
      await one.executor.setAdapters(await active(one.model.steps, names));
      expect(await lastLogits(one.executor, facts)).toEqual(await fresh(names));
    }
    await one.executor.setAdapters(null);
    expect(await lastLogits(one.executor, facts)).toEqual(bare);
    const { peak: _, ...steady } = one.executor.memory();
    expect(before).toMatchObject(steady);
  });

  it.each(['rslora', 'dora', 'embedding', 'saved-head', 'saved-tied', 'target-embedding', 'tokens'])(
    '%s takes what the plan says, to the byte',
    async (name) => {
      const facts = EXPECTED.find(({ adapters }) => adapters[0] === name)!;
      const { executor, model, plan } = await openBase(facts, CPU);
      const adapters = await active(model.steps, [name]);
      await executor.setAdapters(adapters);
      const { weights, kv, scratch, total } = planMemory(
        { ...model, adapted: adapters.steps },
        plan.request,
        { maxBufferSize: 1e12, maxStorageBufferBindingSize: 1e12 },
        'cpu',
      );
      expect(executor.memory()).toMatchObject({ weights, kv, scratch, total });
      expect(weights).toBeGreaterThan(plan.weights);
    },
  );

  it('whole tensors are swapped and taken away, and a shared one is held once', async () => {
    const facts = EXPECTED.find(({ adapters }) => adapters[0] === 'saved-tied')!;
    const { executor, model } = await openBase(facts, CPU);
    const [bare, before] = [await lastLogits(executor, facts), executor.memory().weights];
    const logits = async (...names: string[]) => {
      await executor.setAdapters(names.length > 0 ? await active(model.steps, names) : null);
      return lastLogits(executor, facts);
    };
    const right = await logits('saved-head');
    for (const name of ['saved-tied', 'tokens', 'target-embedding']) await logits(name);
    expect(await logits('saved-head')).toEqual(right);
    expect(await logits()).toEqual(bare);
    await logits('target-embedding');
    const { vocab, width } = model.spec;
    // of the table, in bf16, beside A and B: once, though the head computes with it, too
    expect(executor.memory().weights - before).toBeLessThan(2 * 2 * vocab * width);
    expect(executor.memory().weights - before).toBeGreaterThan(2 * vocab * width);
  });

  it('needs a new prompt after a change', async () => {
    const { executor, model } = await openBase(EXPECTED[0], CPU);
    await executor.prefill([5, 6, 7], 0);
    await executor.setAdapters(await active(model.steps, EXPECTED[0].adapters));
    await expect(executor.logits()).rejects.toMatchObject({ code: 'invalid-option' });
  });
});
