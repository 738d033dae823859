/** Adapters through the session: loaded with the model, swapped, refused, kept. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { adapterFiles, EXPECTED } from '../lora/test/adapters';
import type { EngineOptions, LoraDescription } from '../protocol';
import { createMemorySource } from '../sources/memory-source';
import { createMemoryStore, type ModelStore } from '../store/chunk-store';
import { createSession, type Session } from './session';
import { ask } from './test/tiny';

const BASE = 'reference/fixtures/tiny-llama/nf4/';
const baseFiles = () => new Map(readdirSync(BASE).map((name) => [name, new Uint8Array(readFileSync(BASE + name))]));
const facts = (...names: string[]) =>
  EXPECTED.find(({ variant, adapters }) => variant === 'nf4' && adapters.join() === names.join())!;

/** A session whose sources are fixtures: `base` is the model, every other name an adapter. */
function session({ offline = false, store = null as ModelStore | null } = {}): Session {
  return createSession({
    gpu: null,
    openStore: async () => ({ store, reason: '' }),
    openSource: (description) => {
      const name = description.kind === 'hub' ? description.id : '';
      return createMemorySource(name, offline ? new Map() : name === 'base' ? baseFiles() : adapterFiles(name));
    },
  });
}

let id = 0;
const lora = (...names: string[]): LoraDescription[] =>
  names.map((name) => ({ source: { kind: 'hub', id: name }, scale: 1 }));
const load = (on: Session, adapters: LoraDescription[] = [], options: EngineOptions = {}) =>
  on.load(
    { id: ++id, source: { kind: 'hub', id: 'base' }, options: { kv: 'f32', ...options }, lora: adapters },
    { postMessage: () => {} },
  );
const greedy = async (on: Session, ids: number[]) =>
  (await ask(on, { ids }, { maxNewTokens: 8, temperature: 0 })).result;

describe('adapters', () => {
  it('are loaded with the model, swapped and taken away; each time as PEFT, or a fresh model, answers', async () => {
    const one = session();
    const info = await load(one, lora('plain'));
    expect(info.lora).toEqual([
      { name: 'plain', scale: 1, dora: false, modules: 6, ranks: [4], scalings: [2.5], bytes: expect.any(Number) },
    ]);
    for (const names of [['plain'], ['rslora'], ['plain', 'dora', 'lora-bias']]) {
      await one.setLora({ id: ++id, lora: lora(...names) });
      expect((await one.info()).lora.map(({ name }) => name)).toEqual(names);
      const [{ ids, greedy: right }] = facts(...names).prompts;
      expect((await greedy(one, ids)).ids).toEqual(right.slice(0, 8));
    }
    const bare = await one.setLora({ id: ++id, lora: [] });
    expect(bare.lora).toEqual([]);
    const fresh = session();
    await load(fresh);
    const [{ ids }] = facts('plain').prompts;
    expect((await greedy(one, ids)).ids).toEqual((await greedy(fresh, ids)).ids);
    expect((await one.memory()).weights).toBe((await fresh.memory()).weights);
  });

  it('change what was said: nothing of the cache is used again', async () => {
    const one = session();
    await load(one);
    const [{ ids }] = facts('plain').prompts;
    await greedy(one, ids);
    expect((await greedy(one, ids)).stats.reusedTokens).toBe(ids.length - 1);
    await one.setLora({ id: ++id, lora: lora('plain') });
    const { stats, ids: made } = await greedy(one, ids);
    expect(stats.reusedTokens).toBe(0);
    expect(made).toEqual(facts('plain').prompts[0].greedy.slice(0, 8));
  });

  it('count in the plan as in memory', async () => {
    const one = session();
    await load(one, lora('dora'));
    const plan = await one.plan({ promptTokens: 20, maxNewTokens: 8 });
    const { memory } = (await ask(one, { ids: Array(20).fill(9) }, { maxNewTokens: 8, ignoreEos: true })).result;
    expect(memory).toMatchObject({ weights: plan.weights, kv: plan.kv, scratch: plan.scratch });
    const bare = session();
    await load(bare);
    expect(plan.weights).toBeGreaterThan((await bare.plan({ promptTokens: 20, maxNewTokens: 8 })).weights);
  });

  it('tell their effective scaling', async () => {
    const one = session();
    await load(one);
    const [plain] = lora('plain');
    const info = await one.setLora({ id: ++id, lora: [{ ...plain, scale: 0.5 }, ...lora('rslora')] });
    expect(info.lora[0]).toMatchObject({ scale: 0.5, scalings: [1.25] });
    expect(info.lora[1]).toMatchObject({ ranks: [3, 4, 7], dora: false, modules: 21 });
    expect(info.lora[1].scalings.map((value) => value.toFixed(4))).toEqual([
      '1.5000',
      '2.2678',
      '3.0000',
      '3.4641',
      '5.5000',
    ]);
  });

  it.each([
    ['of another base', lora('plain', 'bias-all'), 'invalid-option'],
    ['that is no adapter', lora('tiny-qwen2-lora'), 'invalid-option'],
    ['with a scale that is no number', [{ ...lora('plain')[0], scale: Number.NaN }], 'invalid-option'],
  ] as const)('%s are refused, and those that were active stay', async (_, wanted, code) => {
    const one = session();
    await load(one, lora('plain'));
    await expect(one.setLora({ id: ++id, lora: [...wanted] })).rejects.toMatchObject({ code });
    expect((await one.info()).lora.map(({ name }) => name)).toEqual(['plain']);
    const [{ ids, greedy: right }] = facts('plain').prompts;
    expect((await greedy(one, ids)).ids).toEqual(right.slice(0, 8));
    await expect(load(session(), [...wanted])).rejects.toMatchObject({ code });
  });

  it('that exceed the budget are refused with the numbers', async () => {
    const one = session();
    await load(one, lora('plain'));
    const { total } = await one.plan({ promptTokens: 1, maxNewTokens: 1 });
    await load(one, lora('plain'), { memoryBudget: total + 100_000 });
    await expect(one.setLora({ id: ++id, lora: lora('plain', 'rslora', 'dora') })).rejects.toMatchObject({
      code: 'out-of-memory',
      details: { peak: expect.any(Number) },
    });
    expect((await one.info()).lora.map(({ name }) => name)).toEqual(['plain']);
  });

  it('in the place of others take the room of caches, which are of no use with them', async () => {
    const roomy = session();
    await load(roomy, lora('plain'));
    const request = { promptTokens: 200, maxNewTokens: 1 };
    const { weights, scratch, peak } = await roomy.plan(request);
    await roomy.setLora({ id: ++id, lora: [] });
    const bare = await roomy.plan(request);
    const added = weights + scratch - bare.weights - bare.scratch;
    const one = session();
    await load(one, lora('plain'), { memoryBudget: peak });
    await ask(one, { ids: Array(200).fill(9) }, { maxNewTokens: 1 });
    await one.setLora({ id: ++id, lora: lora('plain') });
    const [{ ids, greedy: right }] = facts('plain').prompts;
    expect((await greedy(one, ids)).ids).toEqual(right.slice(0, 8));
    expect((await one.memory()).peak).toBeLessThanOrEqual(peak);

    // also where the conversation that was here has no room beside them: its next question is told what would fit
    await load(one, [], { memoryBudget: peak - 1 });
    await ask(one, { ids: Array(200).fill(9) }, { maxNewTokens: 1 });
    await one.setLora({ id: ++id, lora: lora('plain') });
    const again = ask(one, { ids: Array(200).fill(9) }, { maxNewTokens: 1 });
    await expect(again).rejects.toMatchObject({ code: 'out-of-memory', details: { peak, budget: peak - 1 } });
    expect((await greedy(one, ids)).ids).toEqual(right.slice(0, 8));

    const memoryBudget = weights + scratch + added - 1;
    await load(one, lora('plain'), { kvCapacity: 1, memoryBudget });
    await expect(one.setLora({ id: ++id, lora: lora('plain') })).rejects.toMatchObject({
      code: 'out-of-memory',
      details: { needed: memoryBudget + 1, budget: memoryBudget },
    });
  });

  it('are counted where a conversation that was there before them is shifted', async () => {
    const roomy = session();
    await load(roomy, lora('plain'));
    const { total } = await roomy.plan({ promptTokens: 64, maxNewTokens: 1 });
    const one = session();
    // with them there is no room for a spare ring, without them there is
    await load(one, [], { maxContext: 64, memoryBudget: total + 1 });
    const longer = { overflow: 'shift', ignoreEos: true, temperature: 0, maxNewTokens: 60 } as const;
    await ask(one, { ids: Array(40).fill(9) }, longer);
    await one.setLora({ id: ++id, lora: lora('plain') });
    const { result } = await ask(one, { ids: Array(40).fill(9) }, longer);
    expect(result.stats.droppedTokens).toBeGreaterThan(0);
    expect(result.memory.peak).toBeLessThanOrEqual(total + 1);
  });

  it('are kept, and come without a network the next time', async () => {
    const store = createMemoryStore();
    const first = session({ store });
    await load(first, lora('plain'));
    expect(await first.stored({ kind: 'hub', id: 'plain' })).not.toBeNull();
    const second = session({ store, offline: true });
    await load(second, lora('plain'));
    const [{ ids, greedy: right }] = facts('plain').prompts;
    expect((await greedy(second, ids)).ids).toEqual(right.slice(0, 8));
  });

  it('that arrive broken are not kept', async () => {
    const store = createMemoryStore();
    const files = adapterFiles('plain');
    const weights = files.get('adapter_model.safetensors')!;
    files.set('adapter_model.safetensors', weights.slice(0, 5000));
    const one = createSession({
      gpu: null,
      openStore: async () => ({ store, reason: '' }),
      openSource: (description) => {
        const base = description.kind === 'hub' && description.id === 'base';
        return base ? createMemorySource('base', baseFiles()) : createMemorySource('plain', files);
      },
    });
    await load(one);
    await expect(one.setLora({ id: ++id, lora: lora('plain') })).rejects.toMatchObject({ code: 'corrupt-checkpoint' });
    files.set('adapter_model.safetensors', weights);
    expect((await one.setLora({ id: ++id, lora: lora('plain') })).lora).toHaveLength(1);
  });

  it('wait for the answer under way', async () => {
    const one = session();
    await load(one);
    const [{ ids, greedy: right }] = facts('plain').prompts;
    const before = greedy(one, ids);
    const swapping = one.setLora({ id: ++id, lora: lora('plain') });
    const after = greedy(one, ids);
    await swapping;
    expect((await after).ids).toEqual(right.slice(0, 8));
    expect((await before).ids).not.toEqual((await after).ids);
  });
});
