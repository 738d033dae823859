import { describe, expect, it } from 'vitest';
import { NibbleError } from '../errors';
import type { Executor, KvCache } from '../execute/executor';
import type { SampleOptions } from '../execute/sampler/options';
import type { SamplingOptions, TokenMessage } from '../protocol';
import { generate, type TextStream, type Turn } from './generate';
import { effectiveOptions } from './sampling-options';
import { emptySequence, type Sequence } from './sequences';
import { stopIds } from './stop-ids';

/** Says the ids of `answer`, and keeps account of what a real cache would hold. */
class FakeExecutor {
  cache: number[] = [];
  prefilled: number[][] = [];
  failAt = Number.POSITIVE_INFINITY;
  asked: SampleOptions | null = null;
  constructor(
    readonly answer: number[],
    readonly stop?: AbortController,
    readonly stopAt = -1,
  ) {}

  async prefill(_cache: KvCache, ids: ArrayLike<number>, start: number, { signal }: { signal?: AbortSignal } = {}) {
    expect(start).toBeLessThanOrEqual(this.cache.length);
    this.prefilled.push(Array.from(ids));
    if (this.stopAt === 0) this.stop!.abort();
    if (signal?.aborted) throw new NibbleError('aborted', 'stopped');
    this.cache = [...this.cache.slice(0, start), ...Array.from(ids)];
  }

  async *decode(_cache: KvCache, start: number, count: number, sample: SampleOptions, signal?: AbortSignal) {
    this.asked = sample;
    expect(start).toBe(this.cache.length);
    for (let i = 0; i < count; i++) {
      if (i > 0) this.cache.push(this.answer[i - 1]);
      if (i === this.failAt) throw new NibbleError('device-lost', 'gone');
      if (i + 1 === this.stopAt) this.stop!.abort();
      if (signal?.aborted) throw new NibbleError('aborted', 'stopped');
      yield this.answer[i];
    }
  }
}

const piece = (text: string) => (text ? [{ type: 'text' as const, text }] : []);

/** Letters, with 'x' held back and "xy" a stop string. */
function letters(): TextStream {
  let held = '';
  return {
    push(id) {
      const text = held + String.fromCharCode(id);
      held = text.endsWith('x') ? 'x' : '';
      const stopped = text.endsWith('xy');
      return { pieces: piece(stopped ? text.slice(0, -2) : text.slice(0, text.length - held.length)), stopped };
    },
    end: () => piece(held),
    calls: [],
  };
}

const codes = (text: string) => Array.from(text, (c) => c.charCodeAt(0));

const anywhere = { rewind: (position: number) => position, snapshot() {}, held: { snapshots: { count: 0 } } };

/** A sequence whose cache can be taken back anywhere. */
const sequence = (): Sequence => emptySequence(anywhere as unknown as KvCache);

async function run(executor: FakeExecutor, turn: Partial<Turn>, cached = sequence(), maxNewTokens = 8) {
  const messages: TokenMessage[] = [];
  const ids = turn.ids ?? [1, 2, 3];
  const generator = generate(executor as unknown as Executor, cached, {
    ids,
    made: [],
    window: null,
    shift: async () => false,
    options: effectiveOptions({ maxNewTokens }, null, 100),
    stopIds: new Set([0]),
    text: letters(),
    startedAt: performance.now(),
    ...turn,
  });
  for (;;) {
    const { value, done } = await generator.next();
    if (done) return { messages, result: value, cached };
    messages.push(value);
  }
}

const joined = (messages: TokenMessage[]) => messages.map(({ text }) => text).join('');

describe('generate', () => {
  it('streams each id once, and its text', async () => {
    const { messages, result } = await run(new FakeExecutor(codes('abcdefgh')), {});
    expect(result).toMatchObject({ ids: codes('abcdefgh'), text: 'abcdefgh', finish: 'length' });
    expect(joined(messages)).toBe('abcdefgh');
    expect(messages.flatMap(({ ids }) => ids)).toEqual(result.ids);
    expect(result.stats).toMatchObject({ promptTokens: 3, reusedTokens: 0, newTokens: 8 });
    expect(result.stats.decodeTps).toBeGreaterThan(0);
  });

  it('proposes what followed the same ids before, where that is asked for', async () => {
    const text = codes('abcdabcdabcdabcdabcd');
    class Asking extends FakeExecutor {
      proposed: number[][] = [];
      override async *decode(
        cache: KvCache,
        start: number,
        count: number,
        sample: SampleOptions,
        signal?: AbortSignal,
      ) {
        for await (const id of super.decode(cache, start, count, sample, signal)) {
          yield id;
          this.proposed.push([...(sample.draft?.() ?? [])]);
        }
      }
    }
    for (const speculate of ['prompt', 'off'] as const) {
      const executor = new Asking(text);
      const options = effectiveOptions({ maxNewTokens: 20, speculate }, null, 100);
      const { result } = await run(executor, { options, ids: codes('zabcd') });
      expect(result.ids).toEqual(text);
      // four steps are timed without a draft, and then the prompt and the answer say how it goes on
      expect(executor.proposed.slice(0, 3)).toEqual([[], [], []]);
      expect(executor.proposed[3]).toEqual(speculate === 'prompt' ? codes('a') : []);
    }
  });

  it.each<[SamplingOptions, Partial<SampleOptions>]>([
    [{}, { stopIds: [0], watched: false }],
    [{ stop: 'xy' }, { stopIds: [0], watched: true }],
    [{ ignoreEos: true }, { stopIds: [], watched: false }],
  ])('with %j the executor is told %j: which ids end the answer, and whether its text may', async (given, asked) => {
    const executor = new FakeExecutor(codes('abcdefgh'));
    await run(executor, { options: effectiveOptions({ maxNewTokens: 4, ...given }, null, 100) });
    expect(executor.asked).toMatchObject(asked);
  });

  it('ends at an end-of-sequence id, which is not in the text', async () => {
    const executor = new FakeExecutor([...codes('ab'), 0, ...codes('cd')]);
    const { result } = await run(executor, {});
    expect(result).toMatchObject({ ids: [97, 98, 0], text: 'ab', finish: 'stop' });
  });

  it('goes past it when asked', async () => {
    const options = effectiveOptions({ ignoreEos: true, maxNewTokens: 4 }, null, 100);
    const { result } = await run(new FakeExecutor([97, 0, 98, 99]), { options });
    expect(result).toMatchObject({ ids: [97, 0, 98, 99], finish: 'length' });
  });

  it('ends at a stop string, and gives out what was held back when there was none', async () => {
    expect((await run(new FakeExecutor(codes('abxycdef')), {})).result).toMatchObject({ text: 'ab', finish: 'stop' });
    const { result, messages } = await run(new FakeExecutor(codes('abcdefgx')), {});
    expect(result).toMatchObject({ text: 'abcdefgx', finish: 'length' });
    expect(joined(messages)).toBe('abcdefgx');
  });

  it.each([0, 1, 3])('keeps what it said when stopped at step %i', async (step) => {
    const stop = new AbortController();
    const executor = new FakeExecutor(codes('abcdefgh'), stop, step);
    const { result, cached } = await run(executor, { signal: stop.signal });
    expect(result.finish).toBe('aborted');
    expect(result.text).toBe('abcdefgh'.slice(0, Math.max(0, step - 1)));
    expect(executor.cache.slice(0, cached.ids.length)).toEqual(cached.ids);
  });

  it('forgets the cache when the executor fails', async () => {
    const executor = new FakeExecutor(codes('abcdefgh'));
    executor.failAt = 2;
    const cached = sequence();
    await expect(run(executor, {}, cached)).rejects.toMatchObject({ code: 'device-lost' });
    expect(cached.ids).toEqual([]);
  });
});

describe('the second turn', () => {
  it('prefills only what is new, and the last id of the answer', async () => {
    const executor = new FakeExecutor(codes('abcdefgh'));
    const { cached } = await run(executor, {});
    expect(cached.ids).toEqual([1, 2, 3, ...codes('abcdefg')]);
    const ids = [1, 2, 3, ...codes('abcdefgh'), 9, 9];
    const { result } = await run(executor, { ids }, cached);
    expect(executor.prefilled.at(-1)).toEqual([104, 9, 9]);
    expect(result.stats).toMatchObject({ promptTokens: 13, reusedTokens: 10 });
  });

  it('runs the last prompt token again when all of it is cached', async () => {
    const executor = new FakeExecutor(codes('abcdefgh'));
    const { cached } = await run(executor, {});
    await run(executor, {}, cached);
    expect(executor.prefilled.at(-1)).toEqual([3]);
  });

  it('starts from where the prompts differ', async () => {
    const executor = new FakeExecutor(codes('abcdefgh'));
    const { cached } = await run(executor, {});
    const { result } = await run(executor, { ids: [1, 2, 7, 8] }, cached);
    expect(executor.prefilled.at(-1)).toEqual([7, 8]);
    expect(result.stats.reusedTokens).toBe(2);
  });
});

describe('effectiveOptions', () => {
  it('is greedy unless the model or the caller samples', () => {
    expect(effectiveOptions({}, null, 50)).toMatchObject({
      temperature: 0,
      topK: 0,
      topP: 1,
      maxNewTokens: 50,
      stop: [],
    });
    expect(effectiveOptions({}, { do_sample: true, temperature: 0.6, top_k: 20, top_p: 0.9 }, 999)).toMatchObject({
      temperature: 0.6,
      topK: 20,
      topP: 0.9,
      maxNewTokens: 256,
    });
    expect(effectiveOptions({ topP: 0.5 }, null, 50)).toMatchObject({ temperature: 1, topP: 0.5 });
    expect(effectiveOptions({ temperature: 0, seed: 7, stop: 'a' }, { do_sample: true }, 50)).toMatchObject({
      temperature: 0,
      seed: 7,
      stop: ['a'],
    });
  });

  it.each([
    { temperature: -1 },
    { temperature: Number.NaN },
    { topP: 1.5 },
    { topK: 1.5 },
    { maxNewTokens: 0 },
    { seed: -1 },
    { seed: 2 ** 32 },
    { stop: [''] },
    { ignoreEos: 1 as unknown as boolean },
    { temprature: 1 } as object,
  ])('refuses %o', (options) => {
    const [name] = Object.keys(options);
    expect(() => effectiveOptions(options, null, 50)).toThrow(
      expect.objectContaining({ code: 'invalid-option', details: expect.objectContaining({ option: name }) }),
    );
  });
});

it('collects the ids that end an answer', () => {
  const ids = stopIds([{ eos_token_id: [1, 2] }, { eos_token_id: 3 }, null, {}], [5, 3]);
  expect([...ids]).toEqual([1, 2, 3, 5]);
});
