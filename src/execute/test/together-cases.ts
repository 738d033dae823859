/** For tests of both executors: answers that are decoded together are those that come one after the other. */
import { expect, it } from 'vitest';
import type { PlanRequest } from '../../memory/plan';
import { expected, GREEDY, type Maker, openFixture, planOf, randomModel, sureSteps, take } from '../cpu/test/models';
import type { Executor, KvCache, Stream, Streams } from '../executor';
import { prompt, tiny } from '../gpu/test/maker';
import { goingOn, type Logprobs, maskWords, type SampleOptions } from '../sampler/options';

const VOCAB = 97;

/** An answer that is asked for. */
interface Asked {
  ids: readonly number[];
  count: number;
  sample: SampleOptions;
}

interface Answered {
  ids: number[];
  told: Logprobs[];
}

/** The same mask at every step of one answer: every third id, from the number of ids that it has had. */
function everyThird(had: () => number): SampleOptions['mask'] {
  return () => {
    const mask = new Uint32Array(maskWords(VOCAB));
    for (let id = had() % 3; id < VOCAB; id += 3) mask[id >> 5] |= 1 << (id & 31);
    return mask;
  };
}

const DRAWN: SampleOptions = { temperature: 1.2, topK: 30, topP: 0.95, seed: 11 };

/** Answers of every kind: the likeliest, drawn, penalised, under a mask, told of, and those that end early. */
function asked(): { all: Asked[]; had: number[][] } {
  const had: number[][] = [];
  const samples: SampleOptions[] = [
    GREEDY,
    { ...DRAWN, repetitionPenalty: 1.4, repeatLastN: 8, presencePenalty: 0.3, before: prompt(23, 5) },
    { ...DRAWN, seed: 3, logprobs: 2, stopIds: Array.from({ length: 8 }, (_, i) => i) },
    { ...GREEDY, mask: everyThird(() => had[3].length) },
    { ...DRAWN, seed: 9, minP: 0.05, noRepeatNgram: 2, before: prompt(14, 8) },
  ];
  const lengths = [3, 23, 41, 1, 14];
  const counts = [24, 9, 30, 16, 24];
  const all = samples.map((sample, i) => ({ ids: prompt(lengths[i], i + 4), count: counts[i], sample }));
  had.push(...all.map(() => []));
  return { all, had };
}

/** Each by itself. */
async function alone(executor: Executor, cacheOf: () => Promise<KvCache>): Promise<Answered[]> {
  const { all, had } = asked();
  const found: Answered[] = [];
  for (const [i, { ids, count, sample }] of all.entries()) {
    const cache = await cacheOf();
    const told: Logprobs[] = [];
    await executor.prefill(cache, ids, 0);
    const options = { ...sample, onLogprobs: (one: Logprobs) => told.push(one) };
    for await (const id of executor.decode(cache, ids.length, count, options)) had[i].push(id);
    found.push({ ids: had[i], told });
    cache.dispose();
  }
  return found;
}

/** All of them at once, as many as may be: who has ended leaves, and who waits joins. */
export async function together(
  executor: Executor,
  streams: Streams,
  cacheOf: () => Promise<KvCache>,
  leaveAfter = Number.POSITIVE_INFINITY,
): Promise<Answered[]> {
  const { all, had } = asked();
  const found = all.map((_, i): Answered => ({ ids: had[i], told: [] }));
  const caches: KvCache[] = [];
  for (const { ids } of all) {
    const cache = await cacheOf();
    await executor.prefill(cache, ids, 0, { logits: false });
    caches.push(cache);
  }
  const ended = ({ count, sample }: Asked, ids: readonly number[]) =>
    ids.length === count || (sample.stopIds?.includes(ids[ids.length - 1]) ?? false);
  for (;;) {
    const going = all.flatMap((one, i) => (ended(one, had[i]) ? [] : [i])).slice(0, streams.most);
    if (going.length === 0) return found;
    const round = going.map((i): Stream => {
      const { ids, count, sample } = all[i];
      const options = { ...goingOn(sample, had[i]), onLogprobs: (one: Logprobs) => found[i].told.push(one) };
      const start = ids.length + had[i].length;
      const last = had[i].at(-1) ?? ids[ids.length - 1];
      return { cache: caches[i], last, start, count: count - had[i].length, sample: options };
    });
    let steps = 0;
    for await (const ids of streams.decode(round)) {
      for (const [at, i] of going.entries()) had[i].push(ids[at]);
      if (++steps === leaveAfter) break;
    }
  }
}

const SPEC = tiny();
const SIZES = { promptTokens: 41, maxNewTokens: 31, chunk: 24 };
const F32 = { type: 'f32' } as const;

type Kind = PlanRequest['kvType'];

const CASES = (['f32', 'f16', 'int8'] as const).flatMap((kind) => [1, 2, 4, 8].map((most) => [kind, most] as const));

/** @param cases keys and values, and how many answers at once */
export function togetherCases(maker: Maker, cases: readonly (readonly [Kind, number])[] = CASES): void {
  const planned = (kvType: Kind, streams?: number) =>
    planOf(SPEC, { ...SIZES, kvType, streams }, F32, maker.target, maker.limits);
  const opened = async (kvType: Kind) => (await randomModel(SPEC, { ...SIZES, kvType }, F32, maker)).executor;

  it.each(cases)(
    'of answers in %s caches, %i at a time, each has the ids, and is told, what it has alone',
    async (kvType, most) => {
      const executor = await opened(kvType);
      const plan = planned(kvType);
      const cacheOf = async () => {
        const cache = executor.createCache();
        await cache.reserve(plan);
        return cache;
      };
      const ones = await alone(executor, cacheOf);
      const streams = await executor.openStreams(most);
      expect(streams.most).toBe(most);
      const found = await together(executor, streams, cacheOf, most === 8 ? 3 : undefined);
      expect(found.map(({ ids }) => ids)).toEqual(ones.map(({ ids }) => ids));
      for (const [i, { told }] of ones.entries()) {
        expect(found[i].told.map(({ id, top }) => [id, top.map((one) => one.id)])).toEqual(
          told.map(({ id, top }) => [id, top.map((one) => one.id)]),
        );
        for (const [n, { logprob }] of told.entries()) expect(found[i].told[n].logprob).toBeCloseTo(logprob, 3);
      }
      // some end early, so that others go on without them
      expect(ones[2].ids.length).toBeLessThan(30);
      expect(await take(executor.decode(await fresh(executor, cacheOf), 3, 5, GREEDY))).toEqual(
        ones[0].ids.slice(0, 5),
      );
      streams.close();
    },
  );

  it('what they take beside the caches is what the plan says, and is gone afterwards', async () => {
    const executor = await opened('f32');
    const before = executor.memory();
    const streams = await executor.openStreams(5);
    expect(executor.memory().scratch - before.scratch).toBe(planned('f32', 5).scratch - planned('f32').scratch);
    streams.close();
    expect(executor.memory().total).toBe(before.total);
  });
}

/** A fixture's prompts, all at once, with an adapter where one is named. */
export function familyCases(maker: Maker, fixtures: readonly string[]): void {
  it.each(fixtures)('the prompts of %s, all at once, are answered as transformers answers them', async (path) => {
    const { prompts } = expected(path);
    const { executor: one, plan } = await openFixture(path, { maxNewTokens: 100 }, 'keep', maker);
    const { executor } = one;
    const streams = await executor.openStreams(prompts.length);
    const round: Stream[] = [];
    for (const { ids } of prompts) {
      const cache = executor.createCache();
      await cache.reserve(plan);
      await executor.prefill(cache, ids, 0, { logits: false });
      round.push({ cache, last: ids[ids.length - 1], start: ids.length, count: 12, sample: GREEDY });
    }
    const made: number[][] = prompts.map(() => []);
    for await (const ids of streams.decode(round)) for (const [i, id] of ids.entries()) made[i].push(id);
    for (const [i, { greedy, margins }] of prompts.entries()) {
      const sure = Math.min(12, sureSteps(margins, 1e-3));
      expect(made[i].slice(0, sure)).toEqual(greedy.slice(0, sure));
    }
    expect(prompts.length).toBeGreaterThan(1);
  });
}

/** A conversation with the first prompt, whose logits are there. */
async function fresh(executor: Executor, cacheOf: () => Promise<KvCache>): Promise<KvCache> {
  const cache = await cacheOf();
  await executor.prefill(cache, asked().all[0].ids, 0);
  return cache;
}
