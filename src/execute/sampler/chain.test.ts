import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NOTHING_KNOWN } from './adjustments';
import { argmax, keptOf, sampleToken } from './chain';
import { gumbel, mix, stepKey } from './noise';
import type { SampleOptions } from './options';

const options = (more: Partial<SampleOptions> = {}): SampleOptions => ({
  temperature: 1,
  topK: 0,
  topP: 1,
  seed: 1,
  ...more,
});
const keepThreshold = (logits: Float32Array, sample: SampleOptions) => keptOf(logits, sample, 0).least;
const f32 = (...values: number[]) => Float32Array.from(values);

/** Ids that `n` steps choose, counted. */
function counts(logits: Float32Array, sample: SampleOptions, n: number): number[] {
  const seen = new Array<number>(logits.length).fill(0);
  for (let step = 0; step < n; step++) seen[sampleToken(logits, sample, step)]++;
  return seen;
}

/** Pearson's statistic against softmax(logits / temperature). */
function chiSquare(seen: number[], logits: Float32Array, temperature: number): number {
  const n = seen.reduce((a, b) => a + b);
  const weights = Array.from(logits, (l) => Math.exp(l / temperature));
  const total = weights.reduce((a, b) => a + b);
  return seen.reduce((sum, count, i) => sum + (count - (n * weights[i]) / total) ** 2 / ((n * weights[i]) / total), 0);
}

describe('greedy', () => {
  it('takes the lowest id on ties, for temperature 0 and for topP 0', () => {
    const logits = f32(-1, 3, 3, 2);
    expect(argmax(logits)).toBe(1);
    expect(sampleToken(logits, options({ temperature: 0, topK: 2 }), 5)).toBe(1);
    expect(sampleToken(logits, options({ topP: 0 }), 5)).toBe(1);
  });
});

describe('what is kept', () => {
  const logits = f32(0, 4, 2, 3, 2, -1);
  it('is the k largest and what ties with the k-th', () => {
    expect(keepThreshold(logits, options({ topK: 2 }))).toBe(3);
    expect(keepThreshold(logits, options({ topK: 3 }))).toBe(2);
    expect(keepThreshold(logits, options({ topK: 6 }))).toBe(Number.NEGATIVE_INFINITY);
    expect(keepThreshold(logits, options({ topK: 100 }))).toBe(Number.NEGATIVE_INFINITY);
    expect(
      new Set(counts(logits, options({ topK: 3, temperature: 5 }), 400).flatMap((c, i) => (c ? [i] : []))),
    ).toEqual(new Set([1, 2, 3, 4]));
  });
  it('is the smallest set with at least topP of the mass', () => {
    // probabilities 0.5, 0.25, 0.125, 0.125
    const halves = f32(Math.log(0.5), Math.log(0.25), Math.log(0.125), Math.log(0.125));
    const kept = (topP: number, more = {}) => {
      const threshold = keepThreshold(halves, options({ topP, ...more }));
      return halves.filter((l) => l >= threshold).length;
    };
    expect([0.001, 0.49, 0.6, 0.7, 0.76, 0.999].map((p) => kept(p))).toEqual([1, 1, 2, 2, 4, 4]);
    // after top-k: 2/3 and 1/3 remain
    expect([0.6, 0.7].map((p) => kept(p, { topK: 2 }))).toEqual([1, 2]);
    // temperature comes before top-p: a cold one concentrates the mass on the first
    expect(kept(0.9, { temperature: 0.1 })).toBe(1);
    expect(kept(0.9, { temperature: 100 })).toBe(4);
  });
  it('always has one, whatever the logits', () => {
    fc.assert(
      fc.property(
        fc.array(fc.float({ noNaN: true, min: -1e4, max: 1e4 }), { minLength: 1, maxLength: 50 }),
        fc.nat(60),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0.01, max: 10, noNaN: true }),
        (values, topK, topP, temperature) => {
          const logits = Float32Array.from(values);
          const sample = options({ topK, topP, temperature });
          const id = sampleToken(logits, sample, 3);
          expect(id).toBeGreaterThanOrEqual(0);
          if (topP > 0) expect(logits[id]).toBeGreaterThanOrEqual(keepThreshold(logits, sample));
        },
      ),
    );
  });
});

describe('single tokens', () => {
  const logits = f32(0, 4, 2, 3);
  const greedy = options({ temperature: 0 });
  const state = (...words: number[]) => ({ ...NOTHING_KNOWN, mask: Uint32Array.from(words) });
  it('have their bias added, as f32, and the logits stay', () => {
    expect(sampleToken(logits, { ...greedy, bias: new Map([[2, 2.5]]) }, 0)).toBe(2);
    expect(sampleToken(logits, { ...greedy, bias: new Map([[3, 1]]) }, 0)).toBe(1);
    // less than half a unit in the last place of 4
    expect(sampleToken(logits, { ...greedy, bias: new Map([[3, 1 + 1e-8]]) }, 0)).toBe(1);
    expect([...logits]).toEqual([0, 4, 2, 3]);
  });
  it('do not come where the mask has no bit, whatever else is asked', () => {
    const masked = { ...greedy, mask: () => null };
    expect(sampleToken(logits, masked, 0, state(0b1101))).toBe(3);
    expect(sampleToken(logits, masked, 0, { ...state(), mask: null })).toBe(1);
    for (const more of [{}, { topK: 3 }, { topP: 0.5 }, { temperature: 50 }, { bias: new Map([[1, 1e30]]) }])
      for (let step = 0; step < 50; step++)
        expect(sampleToken(logits, { ...options(more), mask: () => null }, step, state(0b0101)) % 2).toBe(0);
  });
});

describe('randomness', () => {
  it('is the mixer of the definition', () => {
    expect(mix(0)).toBe(0);
    // by hand from the definition, in exact integers
    const exact = (x: bigint) => {
      let h = x;
      h = ((h ^ (h >> 16n)) * 0x7feb352dn) & 0xffffffffn;
      h = ((h ^ (h >> 15n)) * 0x846ca68bn) & 0xffffffffn;
      return h ^ (h >> 16n);
    };
    for (const x of [1, 42, 0x7fffffff, 0x80000000, 0xffffffff]) expect(mix(x)).toBe(Number(exact(BigInt(x))));
  });
  it('is Gumbel: mean 0.5772, variance pi^2/6', () => {
    const key = stepKey(7, 0);
    const n = 100_000;
    let sum = 0;
    let squares = 0;
    for (let id = 0; id < n; id++) {
      const g = gumbel(key, id);
      sum += g;
      squares += g * g;
    }
    expect(sum / n).toBeCloseTo(0.5772, 1.5);
    expect(squares / n - (sum / n) ** 2).toBeCloseTo(Math.PI ** 2 / 6, 1);
  });
  it.each([1, 0.5, 2])('draws from softmax at temperature %d', (temperature) => {
    const logits = f32(1, 0, 2, -1, 0.5, 1.5, -2, 0.25);
    // 7 degrees of freedom: 24.3 has probability 0.001; the seeds are fixed, so this never flickers
    expect(chiSquare(counts(logits, options({ temperature, seed: 11 }), 20_000), logits, temperature)).toBeLessThan(
      24.3,
    );
  });
  it('has no favourite id at seed 0 and step 0', () => {
    const firsts = Array.from({ length: 20 }, (_, step) =>
      sampleToken(new Float32Array(100), options({ seed: 0 }), step),
    );
    expect(new Set(firsts).size).toBeGreaterThan(12);
    expect(Math.abs(gumbel(stepKey(0, 0), 0))).toBeLessThan(5);
  });
  it('is the same for the same seed and step, and another for others', () => {
    const logits = new Float32Array(1000);
    const draw = (seed: number, step: number) => sampleToken(logits, options({ seed }), step);
    expect(draw(3, 4)).toBe(draw(3, 4));
    expect(new Set(Array.from({ length: 50 }, (_, i) => draw(3, i))).size).toBeGreaterThan(40);
    expect(new Set(Array.from({ length: 50 }, (_, i) => draw(i, 4))).size).toBeGreaterThan(40);
  });
});
