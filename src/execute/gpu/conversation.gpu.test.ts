/** Whole models on WebGPU against themselves in another order, and against the CPU executor. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type MatrixFormat, NF4_CODEBOOK } from '../../formats/matrix';
import { testGpu } from '../../gpu/test-device';
import type { KvType } from '../../memory/kv';
import { DEFAULT_LIMITS, planMemory } from '../../memory/plan';
import { biasedModel, SLOWEST_PAIR } from '../cpu/test/biased';
import {
  allLogits,
  CPU,
  GREEDY,
  largestDifference,
  type Maker,
  planOf,
  randomModel,
  TOLERANCE,
  take,
} from '../cpu/test/models';
import { argmax } from '../sampler/chain';
import type { OneCache } from '../test/one-cache';
import { limitsOf, prompt, tiny, unringed, webgpu } from './test/maker';

const open: OneCache[] = [];
const GPU = webgpu(testGpu(), open);
afterEach(() => {
  for (const executor of open.splice(0)) executor.dispose();
  vi.restoreAllMocks();
});

const F32: MatrixFormat = { type: 'f32' };
const NF4: MatrixFormat = { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK };
const CLOSE = 2e-4;
const spec = tiny();

async function expectSame(a: OneCache, b: OneCache, tolerance = CLOSE): Promise<void> {
  expect(largestDifference(await a.logits(), await b.logits())).toBeLessThan(tolerance);
}

async function fresh(ids: number[], more = {}): Promise<OneCache> {
  const executor = await randomModel(spec, { promptTokens: 120, maxNewTokens: 30, ...more }, F32, GPU);
  await executor.prefill(ids, 0);
  return executor;
}

it.each([{ hidden_size: 66 }, { head_dim: 18 }, { intermediate_size: 130 }])(
  'a model whose sizes the kernels cannot take is refused with them: %j',
  async (odd) => {
    const making = randomModel(tiny(odd), {}, F32, GPU);
    await expect(making).rejects.toMatchObject({
      code: 'unsupported-architecture',
      details: { width: odd.hidden_size ?? 64, headSize: odd.head_dim ?? 16, mlpWidth: odd.intermediate_size ?? 128 },
    });
  },
);

describe('prefill', () => {
  it.each([1, 7, 24])(
    'in chunks of %d, with a ring that wraps, equals exact windowed attention on the CPU',
    async (chunk) => {
      const ids = prompt(70);
      const whole = await randomModel(unringed(spec), { promptTokens: 70, maxNewTokens: 20 });
      const right = await allLogits(whole, ids);
      const ring = await randomModel(spec, { promptTokens: 70, maxNewTokens: 20, chunk }, F32, GPU);
      expect(planOf(spec, { promptTokens: 70, maxNewTokens: 20, chunk }).kvByLayer.map(({ slots }) => slots)).toEqual([
        32, 96,
      ]);
      const got = await allLogits(ring, ids);
      expect(got.length).toBe(70);
      right.forEach((row, i) => {
        expect(largestDifference(got[i], row)).toBeLessThan(CLOSE);
      });
      await expectSame(ring, whole);
      expect(await take(ring.decode(70, 20, GREEDY))).toEqual(await take(whole.decode(70, 20, GREEDY)));
    },
  );

  it('equals decoding the same ids one by one, in what is predicted and in what is cached', async () => {
    const start = prompt(3);
    const one = await fresh(start);
    const made = await take(one.decode(3, 60, GREEDY));
    const ids = [...start, ...made];
    const many = await fresh([1]);
    const rows = await allLogits(many, ids);
    expect(rows.slice(2, 62).map(argmax)).toEqual(made);
    await one.prefill([made[59], 5], 62);
    await many.prefill([5], 63);
    await expectSame(one, many);
  });

  it('after a shared prefix equals a fresh one', async () => {
    const ids = prompt(40);
    const executor = await fresh([...ids.slice(0, 25), 1, 2, 3, 4, 5, 6]);
    await executor.prefill(ids.slice(25), 25);
    await expectSame(executor, await fresh(ids));
  });
});

describe('families are data', () => {
  it.each<[string, object, MatrixFormat, KvType?]>([
    ['gemma3', { model_type: 'gemma3_text', sliding_window: 9, rope_local_base_freq: 1e4, rope_theta: 1e6 }, F32],
    ['gemma2', { model_type: 'gemma2', attn_logit_softcapping: 5, final_logit_softcapping: 3 }, NF4],
    ['qwen2, whose q, k and v have biases', { model_type: 'qwen2', layer_types: null }, F32],
    ['qwen3, with heads of 20', { model_type: 'qwen3', head_dim: 20, layer_types: null }, F32],
    [
      'llama with biases everywhere',
      { model_type: 'llama', attention_bias: true, mlp_bias: true, sliding_window: null, layer_types: null },
      F32,
    ],
    [
      'gemma2 with int8 keys, of 20 values a head',
      { model_type: 'gemma2', head_dim: 20, attn_logit_softcapping: 5 },
      F32,
      'int8',
    ],
  ])('%s answers as on the CPU', async (_, more, format, kvType = 'f32') => {
    const family = tiny(more);
    const ids = prompt(40);
    const sizes = { promptTokens: 40, maxNewTokens: 12, chunk: 24, kvType };
    const cpu = await randomModel(family, sizes, format);
    const gpu = await randomModel(family, sizes, format, GPU);
    for (const executor of [cpu, gpu]) await executor.prefill(ids, 0);
    const scale = Math.max(...(await cpu.logits()).map(Math.abs));
    // Where a value lies halfway between two int8 codes the two may take another.
    const tolerance = kvType === 'int8' ? 2e-3 : 1e-4;
    expect(largestDifference(await gpu.logits(), await cpu.logits()) / scale).toBeLessThan(tolerance);
    expect(await take(gpu.decode(40, 12, GREEDY))).toEqual(await take(cpu.decode(40, 12, GREEDY)));
  });
});

it('int8 keys are kept without their biases: large ones cost nothing, as on the CPU', async () => {
  const ids = prompt(40);
  const sizes = { promptTokens: 40, maxNewTokens: 8 };
  const [exact, cpu, gpu] = await Promise.all([
    biasedModel(SLOWEST_PAIR, { ...sizes, kvType: 'f32' }),
    biasedModel(SLOWEST_PAIR, { ...sizes, kvType: 'int8' }),
    biasedModel(SLOWEST_PAIR, { ...sizes, kvType: 'int8' }, GPU),
  ]);
  for (const executor of [exact, cpu, gpu]) {
    await executor.prefill(ids, 0);
    await take(executor.decode(40, 1, GREEDY));
    await executor.prefill([11], 40);
  }
  const scale = Math.max(...(await exact.logits()).map(Math.abs));
  expect(largestDifference(await gpu.logits(), await cpu.logits()) / scale).toBeLessThan(5e-3);
  expect(largestDifference(await gpu.logits(), await exact.logits()) / scale).toBeLessThan(TOLERANCE.int8);
});

describe('a checkpoint of mixed types', () => {
  it.each([
    ['only in the last layer', 1],
    ['only in the first', 0],
  ])('where gate and up differ %s answers as on the CPU', async (_, layer) => {
    const mixed = (inner: Maker): Maker => ({
      ...inner,
      make(model, plan) {
        const formats = new Map([...model.formats, [`model.layers.${layer}.mlp.up_proj.weight`, F32] as const]);
        const own = { ...model, formats };
        return inner.make(own, planMemory(own, plan.request, DEFAULT_LIMITS, inner.target));
      },
    });
    const cpu = await randomModel(spec, { chunk: 24 }, NF4, mixed(CPU));
    const gpu = await randomModel(spec, { chunk: 24 }, NF4, mixed(GPU));
    for (const executor of [cpu, gpu]) await executor.prefill(prompt(30), 0);
    await expectSame(cpu, gpu);
    expect(await take(gpu.decode(30, 8, GREEDY))).toEqual(await take(cpu.decode(30, 8, GREEDY)));
  });
});

describe('a device that binds little', () => {
  it.each<[string, object, MatrixFormat, number]>([
    ['NF4', {}, NF4, 4096],
    [
      'f32 with biases',
      { model_type: 'llama', attention_bias: true, mlp_bias: true, sliding_window: null, layer_types: null },
      F32,
      16384,
    ],
  ])('splits every matrix and the head by rows, and answers the same: %s', async (_, more, format, binding) => {
    const family = tiny(more);
    const ids = prompt(30);
    const sizes = { promptTokens: 30, maxNewTokens: 9, chunk: 16 };
    const whole = await randomModel(family, sizes, format, GPU);
    const split = await randomModel(family, sizes, format, webgpu(testGpu(), open, binding));
    for (const executor of [whole, split]) await executor.prefill(ids, 0);
    expect(split.stats().dispatches).toBeGreaterThan(whole.stats().dispatches);
    await expectSame(whole, split, 1e-5);
    expect(await take(split.decode(30, 9, GREEDY))).toEqual(await take(whole.decode(30, 9, GREEDY)));
    const rows = await allLogits(split, ids);
    expect(largestDifference(rows[29], await split.logits())).toBe(0);
  });
});

describe('a cache that is cut by heads', () => {
  // Five heads of 256 slots in the layer that keeps everything; the other's ring is small.
  const five = tiny({ num_attention_heads: 10, num_key_value_heads: 5 });
  const ids = prompt(80);
  const sizes = { promptTokens: 80, maxNewTokens: 30, chunk: 24, kvCapacity: 'full' as const };
  const partsOf = (request: object, binding: number) =>
    planOf(five, request, NF4, 'webgpu', limitsOf(binding)).kvByLayer.map(({ parts }) =>
      parts.map(({ heads }) => heads),
    );

  it.each<[KvType, number, number[]]>([
    ['f32', 50_000, [3, 2]],
    ['f16', 20_000, [2, 2, 1]],
    ['int8', 16_000, [3, 2]],
  ])('%s: answers as one that is not (at most %i bytes a buffer)', async (kvType, binding, heads) => {
    const whole = await randomModel(five, { ...sizes, kvType }, NF4, GPU);
    const cut = await randomModel(five, { ...sizes, kvType }, NF4, webgpu(testGpu(), open, binding));
    expect(partsOf({ ...sizes, kvType }, binding)).toEqual([[5], heads]);
    for (const executor of [whole, cut]) await executor.prefill(ids, 0);
    expect(cut.stats().dispatches).toBeGreaterThan(whole.stats().dispatches);
    expect(cut.memory().kv).toBe(whole.memory().kv);
    await expectSame(whole, cut, 1e-6);
    expect(await take(cut.decode(80, 30, GREEDY))).toEqual(await take(whole.decode(80, 30, GREEDY)));
  });

  it('and cut anew as it grows equals one that never had to', async () => {
    const binding = 16_000;
    const maker = webgpu(testGpu(), open, binding);
    const short = { ...sizes, kvType: 'int8' as const, promptTokens: 40, maxNewTokens: 1, kvCapacity: 'auto' as const };
    const long = { ...sizes, kvType: 'int8' as const };
    expect([short, long].map((request) => partsOf(request, binding)[1])).toEqual([[5], [3, 2]]);
    const grown = await randomModel(five, short, NF4, maker);
    await grown.prefill(ids.slice(0, 40), 0);
    await grown.reserve(planOf(five, long, NF4, 'webgpu', limitsOf(binding)));
    await grown.prefill(ids.slice(40), 40);
    const never = await randomModel(five, long, NF4, maker);
    // In the same chunks, or a value halfway between two codes may become either.
    await never.prefill(ids.slice(0, 40), 0);
    await never.prefill(ids.slice(40), 40);
    await expectSame(grown, never, 1e-6);
  });
});

describe('the cache', () => {
  const reserve = (executor: OneCache, more: object) => executor.reserve(planOf(spec, more));

  it.each([[20], [45]])('that has grown at %d tokens equals one that never had to', async (at) => {
    const ids = prompt(80);
    const grown = await randomModel(spec, { promptTokens: at, maxNewTokens: 1, chunk: 24 }, F32, GPU);
    await grown.prefill(ids.slice(0, at), 0);
    const before = grown.memory().kv;
    await reserve(grown, { promptTokens: 80, maxNewTokens: 9, chunk: 24 });
    expect(grown.memory().kv).toBeGreaterThan(before);
    await grown.prefill(ids.slice(at), at);
    await expectSame(grown, await fresh(ids, { chunk: 24 }));
  });

  it('that has grown in a second conversation, shorter than the first, keeps the second', async () => {
    // The sliding ring has 32 slots and the first conversation wrapped it; a larger chunk asks for a larger ring.
    const second = prompt(30, 3);
    const executor = await randomModel(spec, { promptTokens: 60, maxNewTokens: 1, chunk: 24 }, F32, GPU);
    await executor.prefill(prompt(60), 0);
    await executor.prefill(second.slice(0, 20), 0);
    await reserve(executor, { promptTokens: 80, maxNewTokens: 9, chunk: 60 });
    await executor.prefill(second.slice(20), 20);
    await expectSame(executor, await fresh(second));
  });

  it('that cannot grow says so, frees what it took, and stays usable', async () => {
    const { device } = await testGpu();
    const ids = prompt(40);
    const executor = await fresh(ids.slice(0, 30), { promptTokens: 40, maxNewTokens: 1 });
    const make = device.createBuffer.bind(device);
    for (const allowed of [0, 1, 2, 1]) {
      let left = allowed;
      vi.spyOn(device, 'createBuffer').mockImplementation((descriptor) => {
        if (descriptor.label?.startsWith('kv.') && left-- <= 0) throw new RangeError('no room');
        return make(descriptor);
      });
      await expect(reserve(executor, { promptTokens: 200, maxNewTokens: 9, chunk: 200 })).rejects.toMatchObject({
        code: 'out-of-memory',
      });
      vi.restoreAllMocks();
      await executor.prefill(ids.slice(30), 30);
      await expectSame(executor, await fresh(ids));
    }
    await reserve(executor, { promptTokens: 200, maxNewTokens: 9, chunk: 200 });
    await executor.prefill(ids.slice(30), 30);
    await expectSame(executor, await fresh(ids));
  });

  it('does not change its type', async () => {
    const executor = await fresh([1]);
    await expect(reserve(executor, { kvType: 'f16' })).rejects.toMatchObject({ code: 'invalid-option' });
  });
});

describe('what is refused', () => {
  it.each([[[]], [[97]], [[-1]], [[0.5]], [[1, Number.NaN]]])('ids %j', async (ids) => {
    const executor = await fresh([1]);
    await expect(executor.prefill(ids, 0)).rejects.toMatchObject({ code: 'invalid-option' });
  });
  it('logits before a prompt, a second decode without one, and a position beyond the cache, which stays usable', async () => {
    const executor = await randomModel(spec, { promptTokens: 30, maxNewTokens: 3 }, F32, GPU);
    await expect(executor.logits()).rejects.toMatchObject({ code: 'invalid-option' });
    await expect(take(executor.decode(0, 1, GREEDY))).rejects.toMatchObject({ code: 'invalid-option' });
    await executor.prefill(prompt(32), 0);
    await expect(executor.prefill([1], 32)).rejects.toMatchObject({
      code: 'context-overflow',
      details: { position: 32, capacity: 32 },
    });
    await executor.prefill([1], 31);
    await expect(take(executor.decode(32, 2, GREEDY))).rejects.toMatchObject({ code: 'context-overflow' });
  });
});

describe('stopping', () => {
  it('in the middle of a prompt, after which the next one equals a fresh one', async () => {
    const executor = await fresh(prompt(5), { chunk: 8 });
    const stop = new AbortController();
    await expect(
      executor.prefill(prompt(100), 0, { signal: stop.signal, onLogits: () => stop.abort() }),
    ).rejects.toMatchObject({ code: 'aborted' });
    await expect(executor.prefill(prompt(100), 0, { signal: stop.signal })).rejects.toMatchObject({ code: 'aborted' });
    await expect(take(executor.decode(8, 1, GREEDY))).rejects.toMatchObject({ code: 'invalid-option' });
    await executor.prefill(prompt(20, 4), 0);
    await expectSame(executor, await fresh(prompt(20, 4), { chunk: 8 }), 1e-6);
  });

  it('between two tokens, after which the conversation goes on', async () => {
    const executor = await fresh(prompt(9));
    const stop = new AbortController();
    const made: number[] = [];
    const running = async () => {
      for await (const id of executor.decode(9, 50, GREEDY, stop.signal)) if (made.push(id) === 4) stop.abort();
    };
    await expect(running()).rejects.toMatchObject({ code: 'aborted' });
    expect(made).toHaveLength(4);
    await executor.prefill([made[3], 8], 12);
    await expectSame(executor, await fresh([...prompt(9), ...made, 8]));
  });

  it('by leaving decode() early: steps encoded ahead do no harm, even to a ring without a slot to spare', async () => {
    // A window of 32 in 32 slots: one position too many in the ring overwrites one that is still seen.
    const tight = tiny({ sliding_window: 32 });
    const sizes = { promptTokens: 120, maxNewTokens: 30, chunk: 1 };
    const ids = prompt(40);
    // Steps that take no time at all: as many are encoded ahead as ever are.
    vi.spyOn(performance, 'now').mockReturnValue(0);
    const executor = await randomModel(tight, sizes, F32, GPU);
    await executor.prefill(ids, 0);
    const made: number[] = [];
    for await (const id of executor.decode(40, 30, GREEDY)) if (made.push(id) === 5) break;
    await executor.prefill([...made.slice(4), 8], 44);
    const cpu = await randomModel(tight, sizes);
    await cpu.prefill([...ids, ...made, 8], 0);
    await expectSame(executor, cpu);
  });
});
