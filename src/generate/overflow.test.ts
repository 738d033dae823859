import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Executor, KvCache } from '../execute/executor';
import type { Shift } from '../memory/shift';
import { generate } from './generate';
import { checkWindow, droppedNote, droppedOf, SINKS, seenOf, type Window } from './overflow';
import { effectiveOptions } from './sampling-options';
import { emptySequence, type Sequence } from './sequences';

const windows = fc
  .record({ limit: fc.integer({ min: 8, max: 200 }), share: fc.double({ min: 0, max: 0.5, noNaN: true }) })
  .map(({ limit, share }): Window => ({ limit, keep: Math.max(SINKS, Math.floor(limit * share)) }));

describe('what is dropped', () => {
  it('is nothing while all fits, and else leaves the front and as many of the newest as fit, within a quarter', () => {
    fc.assert(
      fc.property(windows, fc.integer({ min: 1, max: 3000 }), (window, tokens) => {
        const ids = Array.from({ length: tokens }, (_, i) => i);
        const dropped = droppedOf(tokens, window);
        if (tokens <= window.limit) {
          expect(dropped).toBe(0);
          return;
        }
        const seen = seenOf(ids, window.keep, dropped);
        expect(seen.length).toBeLessThanOrEqual(window.limit);
        expect(seen.length).toBeGreaterThan(window.limit - Math.ceil(window.limit / 4));
        expect(seen.slice(0, window.keep)).toEqual(ids.slice(0, window.keep));
        const newest = seen.slice(window.keep);
        expect(newest).toEqual(ids.slice(ids.length - newest.length));
        expect(newest.length).toBeGreaterThan(0);
      }),
    );
  });

  it('changes once in a quarter of the context, by a quarter', () => {
    const window = { limit: 100, keep: 10 };
    const dropped = Array.from({ length: 400 }, (_, tokens) => droppedOf(tokens, window));
    const changes = dropped.flatMap((now, tokens) => (tokens > 0 && now !== dropped[tokens - 1] ? [tokens] : []));
    expect(changes).toEqual([101, 126, 151, 176, 201, 226, 251, 276, 301, 326, 351, 376]);
    expect(changes.map((tokens) => dropped[tokens] - dropped[tokens - 1])).toEqual(changes.map(() => 25));
  });

  it('may not leave less than half to the newest', () => {
    checkWindow({ limit: 8, keep: 4 });
    expect(() => checkWindow({ limit: 99, keep: 50 })).toThrow(
      expect.objectContaining({ code: 'context-overflow', details: { keep: 50, capacity: 99 } }),
    );
  });

  it('is told with its numbers', () => {
    expect(droppedNote(0, { limit: 100, keep: 4 })).toBe(null);
    expect(droppedNote(25, { limit: 100, keep: 4 })).toMatch(/100 tokens.*oldest 25 after the first 4/);
    expect(droppedNote(50, { limit: 100, keep: 30 })).toMatch(/50 after the system prompt/);
  });
});

/** A cache that is a list of ids, and the executor that fills it: it answers with the sum of what it sees. */
class FakeExecutor {
  held: number[] = [];
  prefilled = 0;
  shifts = 0;
  constructor(
    readonly limit: number,
    readonly shiftable: boolean,
  ) {}

  readonly cache = {
    rewind: (position: number) => (position <= this.held.length ? position : 0),
    snapshot: () => {},
    held: { snapshots: { count: 0 } },
  } as unknown as KvCache;

  async shift({ keep, drop, end }: Shift): Promise<boolean> {
    expect(end).toBeLessThanOrEqual(this.held.length);
    if (!this.shiftable) return false;
    this.held = [...this.held.slice(0, keep), ...this.held.slice(keep + drop, end)];
    this.shifts++;
    return true;
  }

  async prefill(_: KvCache, ids: ArrayLike<number>, start: number) {
    expect(ids.length).toBeGreaterThan(0);
    this.held = [...this.held.slice(0, start), ...Array.from(ids)];
    expect(this.held.length).toBe(start + ids.length);
    expect(this.held.length).toBeLessThanOrEqual(this.limit);
    this.prefilled += ids.length;
  }

  async *decode(_: KvCache, start: number, count: number) {
    expect(start).toBe(this.held.length);
    for (let i = 0; i < count; i++) {
      const id = this.held.reduce((sum, id, place) => (sum * 3 + id * (place + 1)) % 1009, 7);
      yield id;
      if (i + 1 < count) this.held.push(id);
      expect(this.held.length).toBeLessThanOrEqual(this.limit);
    }
  }
}

async function answer(
  fake: FakeExecutor,
  talk: Sequence,
  ids: number[],
  window: Window,
  maxNewTokens: number,
  made: number[] = [],
) {
  const turn = {
    ids,
    made,
    window,
    shift: (shift: Shift) => fake.shift(shift),
    options: effectiveOptions({ maxNewTokens }, null, 1),
    stopIds: new Set<number>(),
    text: null,
    startedAt: 0,
  };
  const answering = generate(fake as unknown as Executor, talk, turn);
  for (;;) {
    const { value, done } = await answering.next();
    if (done) return value;
  }
}

/** What the same request answers where nothing is cached: each id from what may be seen when it is sampled. */
function expected(ids: number[], { keep, ...window }: Window, maxNewTokens: number): number[] {
  const all = [...ids];
  for (let i = 0; i < maxNewTokens; i++) {
    const seen = seenOf(all, keep, droppedOf(all.length, { keep, ...window }));
    all.push(seen.reduce((sum, id, place) => (sum * 3 + id * (place + 1)) % 1009, 7));
  }
  return all.slice(ids.length);
}

describe('a conversation beyond its context', () => {
  const turns = fc.array(
    fc.record({
      question: fc.integer({ min: 1, max: 60 }),
      newTokens: fc.integer({ min: 1, max: 120 }),
      /** of all ids so far: where the person goes back to; 1000: the end */
      back: fc.oneof({ weight: 4, arbitrary: fc.constant(1000) }, { weight: 1, arbitrary: fc.nat({ max: 999 }) }),
    }),
    { minLength: 1, maxLength: 8 },
  );

  it.each([true, false])('answers as if nothing were cached, whatever was edited (a cache that shifts: %s)', (able) =>
    fc.assert(
      fc.asyncProperty(windows, turns, async (window, script) => {
        const fake = new FakeExecutor(window.limit, able);
        const talk = emptySequence(fake.cache);
        let ids: number[] = [];
        let seed = 1;
        for (const { question, newTokens, back } of script) {
          ids = ids.slice(0, Math.floor((ids.length * back) / 1000));
          ids.push(...Array.from({ length: question }, () => (seed = (seed * 31 + 7) % 1009)));
          const made = await answer(fake, talk, ids, window, newTokens);
          expect(made.ids).toEqual(expected(ids, window, newTokens));
          expect(made.stats.droppedTokens).toBe(droppedOf(ids.length + newTokens - 1, window));
          expect(talk.ids).toEqual(fake.held.slice(0, talk.ids.length));
          ids = [...ids, ...made.ids];
        }
      }),
      { numRuns: 150 },
    ),
  );

  it('goes on where an answer was cut off, also between two shifts, as it would have', async () => {
    const window = { limit: 40, keep: 6 };
    const ids = Array.from({ length: 30 }, (_, i) => i * 7);
    const whole = expected(ids, window, 60);
    for (const known of [0, 1, 10, 11, 12, 35, 59, 60]) {
      const fake = new FakeExecutor(window.limit, true);
      const made = await answer(fake, emptySequence(fake.cache), ids, window, 60, whole.slice(0, known));
      expect(made.ids).toEqual(whole);
    }
  });

  it('computes nothing twice in three times its context, turn by turn and within an answer', async () => {
    const window = { limit: 96, keep: 20 };
    const fake = new FakeExecutor(window.limit, true);
    const talk = emptySequence(fake.cache);
    let ids = Array.from({ length: 30 }, (_, i) => i);
    let asked = ids.length;
    let answers = 0;
    for (let turn = 0; turn < 12; turn++) {
      const { ids: made, stats } = await answer(fake, talk, ids, window, turn === 5 ? 90 : 13);
      // what was dropped and what is computed are all of the prompt that does not come from the cache
      expect(stats.promptTokens).toBeGreaterThanOrEqual(stats.reusedTokens);
      answers++;
      ids = [...ids, ...made, 1, 2, 3, turn];
      asked += 4;
    }
    expect(ids.length).toBeGreaterThan(3 * window.limit);
    expect(fake.shifts).toBe(droppedOf(ids.length - 5, window) / 24);
    // besides the questions, the last id of each answer, and that of each shift within one
    expect(fake.prefilled - (asked - 4)).toBeLessThanOrEqual(answers - 1 + fake.shifts);
  });
});
