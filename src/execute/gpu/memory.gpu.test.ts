/**
 * Every buffer and every dispatch is the plan's: counted by a wrapper around the device that the executor cannot see.
 */
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { type MatrixFormat, NF4_CODEBOOK } from '../../formats/matrix';
import type { Gpu, GpuOptions } from '../../gpu/device';
import { Pipelines } from '../../gpu/pipelines';
import { ownGpu, testGpu } from '../../gpu/test-device';
import { type MemoryPlan, planMemory } from '../../memory/plan';
import { forwardSteps } from '../../model/decoder';
import { expected, GREEDY, largestDifference, openFixture, planOf, randomModel, take } from '../cpu/test/models';
import { argmax } from '../sampler/chain';
import type { OneCache } from '../test/one-cache';
import { limitsOf, prompt, tiny, webgpu } from './test/maker';
import { watch } from './test/watch';

const open: OneCache[] = [];
afterEach(() => {
  for (const executor of open.splice(0)) executor.dispose();
  vi.restoreAllMocks();
});

const NF4: MatrixFormat = { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK };

const planned = (plan: MemoryPlan, ...purposes: string[]) =>
  plan.buffers
    .filter(({ purpose }) => purposes.includes(purpose))
    .map(({ name, bytes }) => `${name} ${bytes}`)
    .sort();

describe('memory', () => {
  it.each([
    ['f16', undefined, [1, 1], 0],
    ['f32', undefined, [1, 1], 1],
    ['int8', undefined, [1, 1], 2],
    // one buffer a layer, and two when the cache has grown
    ['f16', 9000, [1, 2], 0],
  ] as const)(
    'is the plan, buffer by buffer, through the life of a model (%s cache, buffers of %s bytes, %j parts, %i snapshots)',
    async (kvType, binding, parts, snapshots) => {
      const gpu = await testGpu();
      const seen = watch(gpu.device);
      const spec = tiny();
      const sizes = { promptTokens: 40, maxNewTokens: 9, chunk: 24, kvType, snapshots };
      const limits = limitsOf(binding);
      const plan = planMemory(modelOf(spec), planOf(spec, sizes).request, limits, 'webgpu');
      const inner = webgpu(testGpu(), open, binding);
      let beforeWeights: string[] = [];
      const executor = await randomModel(spec, sizes, NF4, {
        ...inner,
        async make(model, its) {
          const executor = await inner.make(model, its);
          beforeWeights = seen.list();
          return executor;
        },
      });
      expect(beforeWeights).toEqual(planned(plan, 'weights', 'scratch', 'staging'));
      const steady = planned(plan, 'weights', 'scratch', 'kv');
      expect(seen.list()).toEqual(steady);
      expect(seen.bytes()).toBe(plan.total);
      expect(executor.memory()).toMatchObject({
        weights: plan.weights,
        kv: plan.kv,
        scratch: plan.scratch,
        staging: 0,
        total: plan.total,
      });
      expect(executor.memory().peak).toBe(plan.peak);

      const madeToLoad = seen.made.length;
      await executor.prefill(prompt(40), 0);
      await take(executor.decode(40, 9, GREEDY));
      await executor.logits();
      await executor.prefill(prompt(30), 0, { onLogits: () => {} });
      executor.cache.snapshot(30);
      executor.cache.rewind(30);
      for (const layer of [0, 1]) await executor.cache.read(layer, 0, 30);
      // Nothing of this makes a buffer.
      expect(seen.made.length).toBe(madeToLoad);
      expect(seen.list()).toEqual(steady);
      expect(executor.memory().peak).toBe(plan.peak);
      expect(plan.kvByLayer.map(({ snapshots }) => snapshots)).toEqual([snapshots, 0]);

      const larger = planOf(spec, { ...sizes, promptTokens: 130 }, NF4, 'webgpu', limits);
      expect([plan, larger].map(({ kvByLayer }) => kvByLayer[1].parts.length)).toEqual(parts);
      await executor.reserve(larger);
      expect(seen.list()).toEqual(planned(larger, 'weights', 'scratch', 'kv'));
      expect(executor.memory().peak).toBeLessThanOrEqual(Math.max(plan.peak, larger.total + plan.kv / 2));
      const grown = seen.made.length;
      await executor.reserve(plan);
      await executor.reserve(larger);
      expect(seen.made.length).toBe(grown);
      executor.cache.dropSnapshots();
      const without = planOf(spec, { ...sizes, promptTokens: 130, snapshots: 0 }, NF4, 'webgpu', limits);
      expect(seen.list()).toEqual(planned(without, 'weights', 'scratch', 'kv'));
      await executor.reserve(larger);
      expect(seen.list()).toEqual(planned(larger, 'weights', 'scratch', 'kv'));

      executor.dispose();
      expect(seen.list()).toEqual([]);
      expect(executor.memory().total).toBe(0);
    },
  );

  it('is all given back when a model does not load', async () => {
    const { device } = await testGpu();
    const seen = watch(device);
    const create = device.createBuffer;
    vi.spyOn(device, 'createBuffer').mockImplementation((descriptor) => {
      if (descriptor.label === 'logits') throw new RangeError('no room');
      return create.call(device, descriptor);
    });
    await expect(randomModel(tiny(), {}, NF4, webgpu(testGpu(), open))).rejects.toMatchObject({
      code: 'out-of-memory',
      details: { held: 0 },
    });
    expect(seen.list()).toEqual([]);
  });

  function modelOf(spec: ReturnType<typeof tiny>) {
    const { matrices } = planOf(spec, {}, NF4, 'webgpu');
    const formats = new Map(matrices.flatMap(({ parts }) => parts.map(({ tensor }) => [tensor, NF4] as const)));
    return { spec, steps: forwardSteps(spec), formats };
  }
});

describe('a token', () => {
  it.each([
    ['llama', 1, 0],
    ['llama', 3, 0],
    ['qwen3', 2, 0],
    ['qwen2', 2, 0],
    // Norms after a sub-layer, each with its sum, are a dispatch more each.
    ['gemma2', 2, 2],
  ])(
    'of %s costs five dispatches a layer and four more, in one submit (%i layers)',
    async (model_type, layers, extra) => {
      const spec = tiny({
        model_type,
        num_hidden_layers: layers,
        layer_types: null,
        sliding_window: model_type === 'gemma2' ? 9 : null,
      });
      // so few steps ahead that each is submitted by itself
      const maker = webgpu(testGpu(), open, undefined, 4);
      const executor = await randomModel(spec, { promptTokens: 9, maxNewTokens: 30 }, NF4, maker);
      await executor.prefill(prompt(9), 0);
      const before = executor.stats();
      await take(executor.decode(9, 21, GREEDY));
      const after = executor.stats();
      // Twenty passes and twenty-one samples: the first logits were there.
      expect(after.dispatches - before.dispatches).toBe(20 * ((5 + extra) * layers + 2) + 21 * 2);
      expect(after.submits - before.submits).toBe(21);
    },
  );
});

describe('a device with nothing but the defaults', () => {
  const bare: GpuOptions = { limits: 'default', features: 'none' };
  let gpu: Promise<Gpu> | null = null;
  afterAll(async () => (await gpu)?.device.destroy());

  it('answers as transformers does', async () => {
    gpu = ownGpu(bare);
    expect((await gpu).limits.maxStorageBufferBindingSize).toBe(128 << 20);
    expect((await gpu).limits.maxComputeWorkgroupStorageSize).toBe(16384);
    expect([...(await gpu).features]).toEqual([]);
    const { logitScale, prompts } = expected('tiny-llama-128/nf4');
    const { executor } = await openFixture('tiny-llama-128/nf4', { kvType: 'f16' }, 'keep', webgpu(gpu, open));
    const [{ ids, logits, positions, greedy }] = prompts;
    await executor.prefill(ids, 0);
    const last = positions.indexOf(ids.length - 1);
    expect(last).toBeGreaterThanOrEqual(0);
    expect(largestDifference(await executor.logits(), logits[last]) / logitScale).toBeLessThan(5e-3);
    expect(await take(executor.decode(ids.length, 4, GREEDY))).toEqual(greedy.slice(0, 4));
    for (const made of open.splice(0)) made.dispose();
  });
});

describe('a kernel that computes nonsense', () => {
  it('is noticed, whichever it is', async () => {
    const spec = tiny();
    const ids = prompt(30);
    const answer = async () => {
      const executor = await randomModel(
        spec,
        { promptTokens: 30, maxNewTokens: 9, chunk: 24 },
        NF4,
        webgpu(testGpu(), open),
      );
      await executor.prefill(ids, 0);
      const first = await executor.logits();
      const made = await take(executor.decode(30, 5, GREEDY));
      const second = await executor.logits();
      executor.dispose();
      return { first, made, second };
    };
    const labels = new Set<string>();
    const { get } = Pipelines.prototype;
    let broken = '';
    vi.spyOn(Pipelines.prototype, 'get').mockImplementation(function (this: Pipelines, { label, code }) {
      labels.add(label);
      if (label !== broken) return get.call(this, { label, code });
      // All it writes becomes zero.
      const zeroed = code.replace(
        /^(\s*(?:out|x|keys|values|codes|scales|destination|maxima|sampled|ids)\[.*\] [+*]?= )(.*);$/gm,
        '$1($2) * 0;',
      );
      expect(zeroed).not.toBe(code);
      return get.call(this, { label, code: zeroed });
    });
    const right = await answer();
    expect(right.made[0]).toBe(argmax(right.first));
    expect(await answer()).toEqual(right);
    const kernels = [...labels];
    expect(kernels.length).toBeGreaterThan(12);
    for (broken of kernels) {
      const wrong = await answer();
      const same =
        largestDifference(wrong.first, right.first) < 1e-3 &&
        largestDifference(wrong.second, right.second) < 1e-3 &&
        wrong.made.join() === right.made.join();
      expect([broken, same]).toEqual([broken, false]);
    }
  });
});
