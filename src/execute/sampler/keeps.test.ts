/**
 * Rules that transformers lacks, beside llama.cpp's definitions as its documentation and its published formulas have
 * them (tools/server/README.md and src/llama-sampler.cpp of ggml-org/llama.cpp), written down here anew and plainly.
 * What transformers has: src/generate/transformers-sampling.test.ts.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keptOf, sampleToken } from './chain';
import { chanceOf } from './noise';
import type { SampleOptions } from './options';

const options = (more: Partial<SampleOptions>): SampleOptions => ({
  temperature: 1,
  topK: 0,
  topP: 1,
  seed: 1,
  ...more,
});

const softmax = (logits: readonly number[], temperature = 1) => {
  const top = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp((logit - top) / temperature));
  const mass = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / mass);
};
const kept = (logits: Float32Array, sample: SampleOptions, step = 0) => {
  const { least, most } = keptOf(logits, sample, step);
  return [...logits.keys()].filter((id) => logits[id] >= least && logits[id] <= most);
};
/** Logits that differ, so that nothing ties. */
const someLogits = fc
  .uniqueArray(fc.integer({ min: -4000, max: 4000 }), { minLength: 2, maxLength: 60 })
  .map((values) => Float32Array.from(values, (value) => value / 500));

describe('top-n-sigma', () => {
  it('keeps what is within n standard deviations of the largest', () => {
    fc.assert(
      fc.property(someLogits, fc.double({ min: 0.05, max: 4, noNaN: true }), (logits, topNSigma) => {
        const mean = logits.reduce((sum, logit) => sum + logit, 0) / logits.length;
        const sigma = Math.sqrt(logits.reduce((sum, logit) => sum + (logit - mean) ** 2, 0) / logits.length);
        const least = Math.max(...logits) - topNSigma * sigma;
        fc.pre(logits.every((logit) => Math.abs(logit - least) > 1e-9));
        const wanted = [...logits.keys()].filter((id) => logits[id] >= least);
        for (const temperature of [1, 0.2, 7])
          expect(kept(logits, options({ topNSigma, temperature }))).toEqual(wanted);
      }),
    );
  });
});

describe('XTC', () => {
  it('leaves out the likely but the least of them, as often as it is to', () => {
    fc.assert(
      fc.property(
        someLogits,
        fc.double({ min: 0.01, max: 0.5, noNaN: true }),
        fc.nat(1e6),
        (logits, threshold, step) => {
          const p = softmax([...logits]);
          const order = [...logits.keys()].sort((a, b) => logits[b] - logits[a]);
          const likely = order.filter((id) => p[id] >= threshold);
          const out = new Set(likely.slice(0, -1));
          const sample = options({ xtcProbability: 0.5, xtcThreshold: threshold });
          const comes = chanceOf(sample.seed, step) < 0.5;
          expect(kept(logits, sample, step)).toEqual([...logits.keys()].filter((id) => !(comes && out.has(id))));
        },
      ),
    );
  });
  it('has a chance of the probability it is given', () => {
    const logits = Float32Array.of(3, 2.9, 0);
    const sample = options({ xtcProbability: 0.3, xtcThreshold: 0.2 });
    let times = 0;
    for (let step = 0; step < 20_000; step++) if (kept(logits, sample, step).length === 2) times++;
    // 4 standard deviations
    expect(Math.abs(times - 6000)).toBeLessThan(4 * Math.sqrt(20_000 * 0.3 * 0.7));
    expect(kept(logits, { ...sample, xtcThreshold: 0.51, xtcProbability: 1 })).toEqual([0, 1, 2]);
  });
});

describe('a dynamic temperature', () => {
  it('follows the entropy', () => {
    fc.assert(
      fc.property(
        someLogits,
        fc.double({ min: 0.1, max: 3, noNaN: true }),
        fc.double({ min: 0.01, max: 3, noNaN: true }),
        fc.double({ min: 0.1, max: 3, noNaN: true }),
        (logits, temperature, dynatempRange, dynatempExponent) => {
          const entropy = softmax([...logits]).reduce((sum, p) => sum - (p > 0 ? p * Math.log(p) : 0), 0);
          const [lowest, highest] = [Math.max(0, temperature - dynatempRange), temperature + dynatempRange];
          const wanted = lowest + (highest - lowest) * (entropy / Math.log(logits.length)) ** dynatempExponent;
          const sample = options({ temperature, dynatempRange, dynatempExponent });
          expect(keptOf(logits, sample, 0).temperature).toBeCloseTo(wanted, 9);
        },
      ),
    );
  });
  it('is what is said where one token is sure, or all are alike', () => {
    const sample = options({ temperature: 1, dynatempRange: 0.5 });
    expect(keptOf(new Float32Array(50), sample, 0).temperature).toBeCloseTo(1.5);
    expect(keptOf(new Float32Array(50).fill(-99).fill(0, 7, 8), sample, 0).temperature).toBeCloseTo(0.5);
    expect(keptOf(Float32Array.of(3), sample, 0).temperature).toBe(1);
  });
});

describe('all together', () => {
  it('leave something, and a draw is one of them', () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(
        someLogits,
        fc.record({
          topNSigma: fc.double({ min: 0, max: 3, noNaN: true }),
          topH: share,
          topK: fc.nat(40),
          topP: share.filter((p) => p > 0),
          minP: share,
          typicalP: share,
          xtcProbability: share,
          xtcThreshold: share,
          epsilonCutoff: share,
          etaCutoff: share,
          dynatempRange: fc.double({ min: 0, max: 3, noNaN: true }),
        }),
        (logits, more) => {
          const sample = options(more);
          for (let step = 0; step < 5; step++) {
            const ids = kept(logits, sample, step);
            expect(ids.length).toBeGreaterThan(0);
            expect(ids).toContain(sampleToken(logits, sample, step));
          }
        },
      ),
    );
  });
  it('draw from softmax over what they keep', () => {
    const logits = Float32Array.of(1, 0, 2, -1, 0.5, 1.5, -2, 0.25, -4, -6);
    const sample = options({
      seed: 5,
      temperature: 1.3,
      dynatempRange: 0.4,
      topNSigma: 2,
      minP: 0.1,
      typicalP: 0.95,
      epsilonCutoff: 0.02,
    });
    const ids = kept(logits, sample);
    expect(ids.length).toBeOneOf([5, 6, 7]);
    const p = softmax(
      ids.map((id) => logits[id]),
      keptOf(logits, sample, 0).temperature,
    );
    const seen = new Map(ids.map((id) => [id, 0]));
    for (let step = 0; step < 20_000; step++) {
      const id = sampleToken(logits, sample, step);
      seen.set(id, seen.get(id)! + 1);
    }
    const statistic = ids.reduce((sum, id, i) => sum + (seen.get(id)! - 20_000 * p[i]) ** 2 / (20_000 * p[i]), 0);
    // 22.5 has probability 0.001 with 6 degrees of freedom; the seed is fixed
    expect(statistic).toBeLessThan(22.5);
  });
});
