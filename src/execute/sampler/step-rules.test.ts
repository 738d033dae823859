/**
 * Rules of single steps, beside their definitions written down plainly: no-repeat-n-gram and bad words as transformers
 * has them (whose own results are in src/generate/transformers-sampling.test.ts), DRY as its author's proposal and
 * llama.cpp have it, for breakers of one token.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MOST_EDITS } from '../../memory/gpu-scratch';
import type { SampleOptions } from './options';
import { dryOf, StepRules } from './step-rules';

const VOCAB = 70;
const options = (more: Partial<SampleOptions>): SampleOptions => ({
  temperature: 0,
  topK: 0,
  topP: 1,
  seed: 1,
  ...more,
});
/** Few different ids, so that they repeat. */
const someIds = fc.array(fc.nat(4), { maxLength: 40 });

/** Ids that may come. */
async function allowed(more: Partial<SampleOptions>, draw = 0): Promise<number[]> {
  const { mask } = await new StepRules(options(more), VOCAB).next(draw);
  return [...Array(VOCAB).keys()].filter((id) => !mask || (mask[id >> 5] >>> (id & 31)) & 1);
}
const all = [...Array(VOCAB).keys()];
const without = (...ids: number[]) => all.filter((id) => !ids.includes(id));

describe('DRY', () => {
  it('penalises what would make the longest repetition longer', () => {
    fc.assert(
      fc.property(
        someIds,
        fc.integer({ min: 1, max: 4 }),
        fc.nat(30),
        fc.uniqueArray(fc.nat(4), { maxLength: 2 }),
        (ids, dryAllowedLength, dryLastN, breakers) => {
          const window = dryLastN > 0 ? ids.slice(-dryLastN) : ids;
          const longest = new Map<number, number>();
          for (let next = 1; next < window.length; next++) {
            let length = 0;
            while (
              length < next &&
              window[next - 1 - length] === window[window.length - 1 - length] &&
              !breakers.includes(window[next - 1 - length])
            )
              length++;
            if (length >= dryAllowedLength && !breakers.includes(window[next]))
              longest.set(window[next], Math.max(length, longest.get(window[next]) ?? 0));
          }
          const sample = options({
            dryMultiplier: 0.8,
            dryBase: 1.5,
            dryAllowedLength,
            dryLastN,
            dryBreakerIds: new Set(breakers),
          });
          const got = dryOf(ids, sample);
          expect([...got.keys()].sort()).toEqual([...longest.keys()].sort());
          for (const [id, length] of longest) expect(got.get(id)).toBeCloseTo(0.8 * 1.5 ** (length - dryAllowedLength));
        },
      ),
    );
  });
  it('stays finite, and takes the most repeated where there are too many', () => {
    const huge = dryOf(Array(5000).fill(3), options({ dryMultiplier: 1, dryBase: 100 }));
    expect([...huge]).toEqual([[3, 1e30]]);
    // every id follows id 0, the last of them more than once
    const ids = Array.from({ length: MOST_EDITS + 50 }, (_, i) => [0, i + 1]).flat();
    const many = dryOf([7, ...ids, 7, 0, 9, 7, 0], options({ dryMultiplier: 1, dryAllowedLength: 1 }));
    expect(many.size).toBe(MOST_EDITS);
    expect(many.get(9)).toBeCloseTo(1.75);
  });
});

describe('no n-gram twice', () => {
  it.each([1, 2, 3, 5])('of %i', async (noRepeatNgram) => {
    await fc.assert(
      fc.asyncProperty(someIds, async (ids) => {
        const grams = new Set(ids.map((_, at) => ids.slice(at, at + noRepeatNgram).join()));
        const banned = all.filter(
          (id) => ids.length >= noRepeatNgram && grams.has([...ids.slice(ids.length + 1 - noRepeatNgram), id].join()),
        );
        expect(await allowed({ noRepeatNgram, before: ids })).toEqual(without(...banned));
      }),
    );
  });
});

describe('rules by the number of the step', () => {
  it('bad words end only where they began, also over the beginning of the answer', async () => {
    const badWords = [
      [1, 2, 3],
      [2, 3],
      [5, 6],
    ];
    expect(await allowed({ badWords, before: [1], counted: [2] })).toEqual(without(3));
    expect(await allowed({ badWords, before: [5] })).toEqual(without(6));
    expect(await allowed({ badWords, before: [6] })).toEqual(all);
  });
  it('an answer has its least tokens, begins as it must, and ends as it must', async () => {
    const rules = {
      minTokens: 3,
      stopIds: [2, 69],
      beginSuppressTokens: [8, 9],
      forcedTokens: [50, 51],
      forcedEndIds: [60, 61],
      lastStep: 9,
    };
    expect(await allowed(rules)).toEqual([50]);
    expect(await allowed(rules, 1)).toEqual([51]);
    expect(await allowed(rules, 2)).toEqual(without(2, 69));
    expect(await allowed(rules, 3)).toEqual(all);
    expect(await allowed(rules, 9)).toEqual([60, 61]);
    expect(await allowed({ ...rules, forcedTokens: [] })).toEqual(without(2, 69, 8, 9));
    // an answer that goes on
    expect(await allowed({ ...rules, firstStep: 7 }, 2)).toEqual([60, 61]);
    expect(await allowed({ ...rules, stopIds: [] }, 2)).toEqual(all);
  });
  it('only steps that need it wait', () => {
    const due = (more: Partial<SampleOptions>) => {
      const rules = new StepRules(options(more), VOCAB);
      return [0, 1, 2, 3].map((draw) => rules.due(draw));
    };
    expect(due({})).toEqual([false, false, false, false]);
    expect(due({ minTokens: 2 })).toEqual([false, false, false, false]);
    expect(due({ minTokens: 2, stopIds: [1] })).toEqual([true, true, false, false]);
    expect(due({ beginSuppressTokens: [1] })).toEqual([true, false, false, false]);
    expect(due({ beginSuppressTokens: [1], firstStep: 1 })).toEqual([false, false, false, false]);
    expect(due({ forcedEndIds: [1], lastStep: 3 })).toEqual([false, false, false, true]);
    for (const more of [{ dryMultiplier: 1 }, { noRepeatNgram: 2 }, { badWords: [[1, 2]] }, { mask: () => null }])
      expect(due(more)).toEqual([true, true, true, true]);
  });
  it('a mask is the stronger word', async () => {
    const mask = () => Uint32Array.of(0b11000, 0, 0);
    expect(await allowed({ mask, forcedTokens: [3, 9] })).toEqual([3]);
    // both together allow nothing
    expect(await allowed({ mask, forcedTokens: [3, 9] }, 1)).toEqual([3, 4]);
    expect(await allowed({ mask, noRepeatNgram: 1, before: [3] })).toEqual([4]);
    expect(await allowed({ noRepeatNgram: 1, before: all })).toEqual(all);
  });
});
