/** Answers that share an executor: whatever each of them does, and when, it has the ids that it would have alone. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NibbleError } from '../errors';
import type { Executor, KvCache, Stream, Streams } from '../execute/executor';
import { goingOn } from '../execute/sampler/options';
import { Together } from './together';

const VOCAB = 50;
const GREEDY = { temperature: 0, topK: 0, topP: 1, seed: 0 };

/** What follows some ids: it depends on all of them. */
const follows = (ids: readonly number[]) => ids.reduce((hash, id) => (hash * 31 + id * 7 + 3) % 1009, 1) % VOCAB;

/** A cache is its ids. Nothing may overlap, and nothing may be computed on what is not there. */
class FakeExecutor {
  readonly caches = new Map<KvCache, number[]>();
  busy = 0;
  rounds: number[] = [];
  failAt = Number.POSITIVE_INFINITY;
  steps = 0;

  cache(): KvCache {
    const cache = {} as KvCache;
    this.caches.set(cache, []);
    return cache;
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    expect(++this.busy).toBe(1);
    try {
      return await work();
    } finally {
      this.busy--;
    }
  }

  #write(cache: KvCache, at: number, id: number): void {
    const held = this.caches.get(cache)!;
    expect(at).toBeLessThanOrEqual(held.length);
    held.splice(at, held.length, id);
  }

  prefill = (cache: KvCache, ids: ArrayLike<number>, start: number) =>
    this.#alone(async () => {
      await turn();
      for (const [i, id] of Array.from(ids).entries()) this.#write(cache, start + i, id);
    });

  async *decode(cache: KvCache, start: number, count: number) {
    const last = this.caches.get(cache)!.at(-1)!;
    for await (const [id] of this.streams(1).decode([{ cache, last, start, count, sample: GREEDY }])) yield id;
  }

  streams(most: number): Streams {
    const executor = this;
    return {
      most,
      close: () => {},
      async *decode(streams: readonly Stream[], signal?: AbortSignal) {
        expect(streams.length).toBeLessThanOrEqual(most);
        executor.rounds.push(streams.length);
        expect(++executor.busy).toBe(1);
        try {
          const last = streams.map((stream) => stream.last);
          const steps = Math.min(...streams.map(({ count }) => count));
          for (let step = 0, ends = false; step < steps && !ends; step++) {
            await turn();
            if (signal?.aborted) throw new NibbleError('aborted', 'stopped');
            if (++executor.steps >= executor.failAt) throw new NibbleError('device-lost', 'gone');
            for (const [i, { cache, start, sample }] of streams.entries()) {
              executor.#write(cache, start - 1 + step, last[i]);
              await sample.mask?.();
              last[i] = follows(executor.caches.get(cache)!);
              ends ||= sample.stopIds?.includes(last[i]) ?? false;
            }
            yield [...last];
          }
        } finally {
          // what is encoded ahead is waited for
          await turn();
          executor.busy--;
        }
      },
    };
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await turn();
};

interface Plan {
  prompt: number[];
  late: number;
  count: number;
  stopIds: number[];
  /** it reads forced ids, so many after so many */
  forced: number[];
  after: number;
  slow: number;
  /** it is stopped, or its mask fails, after so many */
  ends: { how: 'whole' | 'abort' | 'leave' | 'fail'; after: number };
}

/** The ids that an answer has, as far as it comes. */
function expected({ prompt, count, stopIds, forced, after }: Plan): number[] {
  const made: number[] = [];
  while (made.length < count) {
    const id = follows([...prompt, ...made]);
    made.push(id);
    if (stopIds.includes(id)) break;
    if (made.length === after) made.push(...forced);
  }
  return made;
}

async function answer(together: Together, executor: FakeExecutor, plan: Plan) {
  await turns(plan.late);
  const place = together.join();
  const stopping = new AbortController();
  const made: number[] = [];
  const { prompt, count, stopIds, forced, after, slow, ends } = plan;
  const mask = () => {
    if (ends.how === 'fail' && made.length >= ends.after) throw new NibbleError('invalid-option', 'no mask');
    return null;
  };
  let error: string | null = null;
  try {
    const cache = await place.inOrder(() => place.alone(async () => executor.cache()));
    let held = 0;
    while (made.length < count) {
      const all = [...prompt, ...made];
      await place.executor.prefill(cache, all.slice(held), held);
      held = all.length;
      const sample = { ...GREEDY, stopIds, mask, counted: made };
      let goesOn = false;
      for await (const id of place.executor.decode(cache, held, count - made.length, sample, stopping.signal)) {
        made.push(id);
        await turns(slow);
        if (stopIds.includes(id)) return { made, error };
        if (ends.how === 'abort' && made.length >= ends.after) stopping.abort();
        if (ends.how === 'leave' && made.length >= ends.after) return { made, error };
        if (made.length !== after || forced.length === 0) continue;
        goesOn = true;
        break;
      }
      if (!goesOn) break;
      held = executor.caches.get(cache)!.length;
      made.push(...forced);
    }
  } catch (thrown) {
    error = (thrown as NibbleError).code;
  } finally {
    place.leave();
  }
  return { made, error };
}

const ids = (most: number, least = 0) => fc.array(fc.nat({ max: VOCAB - 1 }), { minLength: least, maxLength: most });
const plans = fc.array(
  fc.record<Plan>({
    prompt: ids(6, 1),
    late: fc.nat({ max: 30 }),
    count: fc.integer({ min: 1, max: 14 }),
    stopIds: ids(2),
    forced: ids(3),
    after: fc.integer({ min: 1, max: 9 }),
    slow: fc.nat({ max: 3 }),
    ends: fc.record({
      how: fc.constantFrom('whole', 'whole', 'abort', 'leave', 'fail'),
      after: fc.nat({ max: 8 }),
    }),
  }),
  { minLength: 1, maxLength: 7 },
);

describe('answers together', () => {
  it('have the ids that they have alone, whoever comes, goes, fails or waits', async () => {
    await fc.assert(
      fc.asyncProperty(plans, fc.integer({ min: 1, max: 4 }), async (all, most) => {
        const executor = new FakeExecutor();
        const together = new Together(executor as unknown as Executor, executor.streams(most), VOCAB);
        const answers = await Promise.all(all.map((plan) => answer(together, executor, plan)));
        for (const [i, { made, error }] of answers.entries()) {
          const whole = expected(all[i]);
          const { how } = all[i].ends;
          expect(made).toEqual(whole.slice(0, made.length));
          if (how === 'whole') expect([made.length, error]).toEqual([whole.length, null]);
          else expect([null, how === 'abort' ? 'aborted' : 'invalid-option']).toContain(error);
        }
        expect([together.size, executor.busy]).toEqual([0, 0]);
      }),
      { numRuns: 150 },
    );
  });

  it('all fail where the device is lost, and none hangs', async () => {
    const executor = new FakeExecutor();
    executor.failAt = 5;
    const together = new Together(executor as unknown as Executor, executor.streams(4), VOCAB);
    const plan = {
      late: 0,
      count: 9,
      stopIds: [],
      forced: [],
      after: 1,
      slow: 0,
      ends: { how: 'whole', after: 0 },
    } as const;
    const answers = await Promise.all(
      [1, 2, 3].map((id) => answer(together, executor, { ...plan, prompt: [id], stopIds: [], forced: [] })),
    );
    expect(answers.map(({ error }) => error)).toEqual(['device-lost', 'device-lost', 'device-lost']);
  });

  it('are drawn in one pass, once all prompts have been read', async () => {
    const executor = new FakeExecutor();
    const together = new Together(executor as unknown as Executor, executor.streams(4), VOCAB);
    const plan = { late: 0, count: 6, after: 1, slow: 0, ends: { how: 'whole', after: 0 } } as const;
    await Promise.all(
      [1, 2, 3].map((id) => answer(together, executor, { ...plan, prompt: [id], stopIds: [], forced: [] })),
    );
    expect(executor.rounds).toEqual([3]);
  });

  it('whoever comes later is let in, and shares the passes from then on', async () => {
    const executor = new FakeExecutor();
    const together = new Together(executor as unknown as Executor, executor.streams(4), VOCAB);
    const plan = { after: 1, slow: 0, ends: { how: 'whole', after: 0 } } as const;
    const one = (late: number, count: number) =>
      answer(together, executor, { ...plan, prompt: [late], late, count, stopIds: [], forced: [] });
    await Promise.all([one(0, 60), one(12, 5)]);
    // alone, both, alone
    expect(executor.rounds).toEqual([1, 2, 1]);
  });

  it('whoever waits for room hears of who left, also just before', async () => {
    const together = new Together({} as Executor, { most: 2 } as Streams, VOCAB);
    const [one, other] = [together.join(), together.join()];
    const before = other.left();
    one.leave();
    await other.change(before);
    const stopped = other.change(other.left(), AbortSignal.abort());
    await stopped;
    expect(other.left()).toBe(before + 1);
  });
});

it('what has been drawn counts for the draws that follow', () => {
  const sample = { ...GREEDY, firstStep: 2, counted: [4, 5] };
  expect(goingOn(sample, [6])).toMatchObject({ firstStep: 3, counted: [4, 5, 6] });
});
