/**
 * Steps encoded ahead: whatever ends an answer, its ids, the rings and what is said next are those of one step at a
 * time; what is encoded behind an id that the sampler knows as an end does nothing; and what a token costs JavaScript.
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { readMapped } from '../../gpu/readback';
import { testGpu } from '../../gpu/test-device';
import { READ_USAGE, STORAGE_USAGE } from '../../gpu/usage';
import { STOP_WORDS, TUNE_OUT } from '../../memory/gpu-scratch';
import type { KvType } from '../../memory/kv';
import { GREEDY, randomModel, take } from '../cpu/test/models';
import { maskWords, type SampleOptions } from '../sampler/options';
import type { OneCache } from '../test/one-cache';
import { prompt, tiny, webgpu } from './test/maker';

const gpu = testGpu();
const open: OneCache[] = [];
afterEach(() => {
  for (const executor of open.splice(0)) executor.dispose();
  vi.restoreAllMocks();
});

const DRAW: SampleOptions = { temperature: 1.3, topK: 20, topP: 0.95, seed: 5 };
/** so long that the ring of the sliding layer, of 76 slots, has wrapped */
const PROMPT = prompt(90);
const COUNT = 80;
/** by what the GPU counts itself */
const PENALISED: SampleOptions = {
  ...DRAW,
  before: PROMPT,
  repetitionPenalty: 1.4,
  repeatLastN: 20,
  presencePenalty: 0.2,
  frequencyPenalty: 0.3,
};

/** So many steps ahead; chunks of 68 let 67 steps be undone. */
const opened = (ahead: number, kvType: KvType = 'f32', more = {}) =>
  randomModel(
    tiny(more),
    { promptTokens: 200, maxNewTokens: 50, chunk: 68, kvType },
    { type: 'f32' },
    webgpu(gpu, open, undefined, ahead),
  );

/** What a conversation holds, and what follows when it goes on. */
async function goingOn(executor: OneCache, made: readonly number[]) {
  const { cache } = executor;
  const end = PROMPT.length + made.length - 1;
  const rings: Uint8Array[] = [];
  for (const layer of [0, 1]) rings.push(await cache.read(layer, cache.held.firstSeen(layer, end), end));
  expect(cache.rewind(end)).toBe(end);
  await executor.prefill([made[made.length - 1], 11, 12, 13], end);
  return { rings, next: await take(executor.decode(end + 4, 12, DRAW)) };
}

type End = 'stop id' | 'last stop id' | 'unknown stop id' | 'stop string' | 'length' | 'abort' | 'left';

/** An answer that ends so. @param ids that would come */
async function answer(executor: OneCache, sample: SampleOptions, end: End, ids: readonly number[], at: number) {
  await executor.prefill(PROMPT, 0);
  const controller = new AbortController();
  const others = Array.from({ length: STOP_WORDS }, (_, i) => 1000 + i);
  const stopIds = {
    'stop id': [1000, ids[at]],
    'last stop id': [...others.slice(1), ids[at]],
    'unknown stop id': [...others, ids[at]],
  }[end as string];
  const options = { ...sample, stopIds, watched: end === 'stop string' };
  const count = end === 'length' ? at + 1 : COUNT;
  const made: number[] = [];
  try {
    for await (const id of executor.decode(PROMPT.length, count, options, controller.signal)) {
      made.push(id);
      if (made.length <= at) continue;
      if (end === 'abort') controller.abort();
      else if (end === 'left' || end === 'stop string') break;
    }
  } catch (error) {
    expect(error).toMatchObject({ code: 'aborted' });
  }
  return made;
}

/** An id's first place among these, so that it ends them there. */
const firstTime = (ids: readonly number[], from: number): number =>
  ids.findIndex((id, at) => at >= from && ids.indexOf(id) === at);

describe('an answer is the same however many steps are ahead', () => {
  const ends = ['stop id', 'last stop id', 'unknown stop id', 'stop string', 'length', 'abort', 'left'] as const;
  it.each<[string, KvType, SampleOptions, readonly End[]]>([
    ['greedy', 'f32', GREEDY, ends],
    ['drawn', 'int8', DRAW, ['stop id', 'abort']],
    ['penalised', 'f32', PENALISED, ['stop id']],
  ])('whatever ends it (%s, keys of %s)', async (_, kvType, sample, ends) => {
    const [one, four, many] = [await opened(0, kvType), await opened(4, kvType), await opened(64, kvType)];
    await one.prefill(PROMPT, 0);
    const ids = await take(one.decode(PROMPT.length, COUNT, sample));
    for (const [i, end] of ends.entries()) {
      const at = firstTime(ids, [9, 0, 1][i % 3]);
      const made = await answer(one, sample, end, ids, at);
      expect(made).toEqual(ids.slice(0, at + 1));
      const { oldest, last } = one.cache.held;
      const expected = await goingOn(one, made);
      for (const executor of [four, many]) {
        expect(await answer(executor, sample, end, ids, at)).toEqual(made);
        // nothing was written behind an end that the GPU knew, nor where the answer was to have no more
        if (end === 'stop id' || end === 'last stop id' || end === 'length')
          expect(executor.cache.held).toMatchObject({ oldest, last });
        expect(await goingOn(executor, made)).toEqual(expected);
      }
    }
  });
});

describe('rules that count at some steps only', () => {
  it('hold there, and all else runs ahead', async () => {
    const free = await opened(0);
    await free.prefill(PROMPT, 0);
    const [first] = await take(free.decode(PROMPT.length, 1, PENALISED));
    const sample = { ...PENALISED, beginSuppressTokens: [first], forcedEndIds: [7], lastStep: 39, logprobs: 3 };
    const answers: unknown[] = [];
    const submits: number[] = [];
    for (const ahead of [0, 4, 64]) {
      const executor = await opened(ahead);
      const told: unknown[] = [];
      await executor.prefill(PROMPT, 0);
      const before = executor.stats().submits;
      const asked = { ...sample, onLogprobs: (one: unknown) => told.push(one) };
      const made = await take(executor.decode(PROMPT.length, 40, asked));
      submits.push(executor.stats().submits - before);
      expect([made.length, made[39], made.indexOf(first) === 0]).toEqual([40, 7, false]);
      answers.push([made, told]);
    }
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[2]).toEqual(answers[0]);
    // a pass alone runs ahead of the first and the last draw
    for (const count of submits) expect(count).toBeOneOf([41, 42]);
  });
});

describe('steps behind an id that ends the answer', () => {
  it.each<[string, KvType, object]>([
    ['llama', 'f32', { model_type: 'llama', sliding_window: null, layer_types: null }],
    ['qwen3', 'f16', { model_type: 'qwen3', sliding_window: null, layer_types: null }],
    ['gemma2', 'int8', { model_type: 'gemma2' }],
  ])('leave every buffer as it is (%s, %s)', async (_, kvType, more) => {
    const { device } = await gpu;
    const states: Map<string, string>[] = [];
    let ids: number[] = [];
    for (const ahead of [0, 64]) {
      const made: GPUBuffer[] = [];
      const create = device.createBuffer.bind(device);
      const spy = vi.spyOn(device, 'createBuffer').mockImplementation((descriptor) => {
        const buffer = create(descriptor);
        // but what is gone when the weights are there
        if (descriptor.usage === STORAGE_USAGE && descriptor.label !== TUNE_OUT) made.push(buffer);
        return buffer;
      });
      const executor = await opened(ahead, kvType, more);
      spy.mockRestore();
      // the second time, so that steps are ahead from the beginning
      for (const ends of [false, true]) {
        const stopIds = ends ? [ids[firstTime(ids, 3)]] : [];
        await executor.prefill(PROMPT, 0);
        const { dispatches } = executor.stats();
        const got = await take(executor.decode(PROMPT.length, 60, { ...GREEDY, stopIds }));
        if (!ends) ids = got;
        else expect(got).toEqual(ids.slice(0, firstTime(ids, 3) + 1));
        if (ahead > 0) expect(executor.stats().dispatches - dispatches).toBeGreaterThan(55 * 12);
      }
      const held = new Map<string, string>();
      for (const buffer of made) {
        const target = device.createBuffer({ size: buffer.size, usage: READ_USAGE });
        const encoder = device.createCommandEncoder();
        encoder.copyBufferToBuffer(buffer, 0, target, 0, buffer.size);
        device.queue.submit([encoder.finish()]);
        held.set(buffer.label, Buffer.from(await readMapped(device, target, buffer.size)).toString('base64'));
        target.destroy();
      }
      states.push(held);
    }
    expect([...states[1].keys()]).toEqual(
      expect.arrayContaining(['state', 'ids', 'logits', 'x', 'partials', 'kv.0.k.0']),
    );
    for (const [name, bytes] of states[0]) expect([name, states[1].get(name) === bytes]).toEqual([name, true]);
  });

  it.each<[string, Partial<SampleOptions>]>([
    ['a mask', { mask: () => new Uint32Array(maskWords(97)).fill(0x7fffffff) }],
    ['a draft', { draft: () => [1, 2, 3] }],
  ])('nor does %s change what comes', async (_, more) => {
    const executor = await opened(64);
    await executor.prefill(PROMPT, 0);
    const ids = await take(executor.decode(PROMPT.length, 30, { ...DRAW, ...more }));
    const at = firstTime(ids, 5);
    await executor.prefill(PROMPT, 0);
    const sample = { ...DRAW, ...more, stopIds: [ids[at]] };
    expect(await take(executor.decode(PROMPT.length, 30, sample))).toEqual(ids.slice(0, at + 1));
    const expected = await goingOn(executor, ids.slice(0, at + 1));
    await executor.prefill([...PROMPT, ...ids.slice(0, at)], 0);
    expect((await goingOn(executor, ids.slice(0, at + 1))).next).toEqual(expected.next);
  });
});

describe('a token', () => {
  /** What JavaScript asks of the device while so many ids are drawn. */
  async function asked(executor: OneCache, count: number, sample: SampleOptions) {
    const { device } = await gpu;
    await executor.prefill(PROMPT.slice(0, 5), 0);
    const before = executor.stats();
    const map = vi.spyOn(GPUBuffer.prototype, 'mapAsync');
    const spies = [
      vi.spyOn(device, 'createBindGroup'),
      vi.spyOn(device, 'createBuffer'),
      vi.spyOn(device.queue, 'writeBuffer'),
    ];
    expect(await take(executor.decode(5, count, sample))).toHaveLength(count);
    const calls = spies.map((spy) => spy.mock.calls.length);
    const maps = map.mock.calls.length;
    vi.restoreAllMocks();
    return { calls, maps, submits: executor.stats().submits - before.submits };
  }

  it.each([
    ['greedy', GREEDY],
    ['sampled', DRAW],
  ])('makes no bind group and writes no buffer; ids come back several at once (%s)', async (_, sample) => {
    const [one, many] = [await opened(0), await opened(64)];
    for (const executor of [one, many]) {
      await asked(executor, 3, sample);
      // what the request asks for is written once
      expect((await asked(executor, 3, sample)).calls).toEqual([0, 0, 1]);
      expect((await asked(executor, 120, sample)).calls).toEqual([0, 0, 1]);
    }
    expect(await asked(one, 20, sample)).toMatchObject({ maps: 20, submits: 20 });
    // eight singly, then by twos to eights
    const { maps, submits } = await asked(many, 120, sample);
    expect(maps).toBe(submits);
    expect(maps).toBeLessThan(32);
    // an id that is looked at comes as soon as it is there
    expect(await asked(many, 20, { ...sample, watched: true })).toMatchObject({ maps: 20, submits: 20 });
  });
});
