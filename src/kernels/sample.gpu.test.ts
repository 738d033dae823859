/**
 * The sampler against its definition (execute/sampler/chain.ts), id for id.
 *
 * Where may they differ? Comparisons of logits are exact on both sides. Two are not: the winner's score against the
 * runner-up's, where WGSL promises log only to 2^-21 near 1 (so a Gumbel number to about 5e-5) and the score is an f32;
 * and thresholds that come of sums or logarithms, which the GPU takes in f32, or in units of 2^-30 of f32 weights. A
 * draw whose own margin is below that noise (test/draws.ts) is not judged; the tests say how many such there may be.
 */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { randomValues } from '../execute/cpu/test/models';
import { lowerSampler } from '../execute/gpu/lower-sampler';
import { logprobsIn } from '../execute/gpu/sampler';
import { NOTHING_KNOWN } from '../execute/sampler/adjustments';
import { adjusted as adjustedBy, argmax, keptOf, sampleToken } from '../execute/sampler/chain';
import { History } from '../execute/sampler/history';
import { linksOf } from '../execute/sampler/links';
import { logprobsOf } from '../execute/sampler/logprobs';
import type { SampleOptions } from '../execute/sampler/options';
import {
  ADJUSTED,
  EDITS,
  ID_RING,
  LOGPROB_WORDS,
  LOGPROBS,
  REPEAT_RING,
  TOKENS,
  tokenPlaces,
} from '../memory/gpu-scratch';
import type { SamplerShape } from './sampling';
import { DrawLab, isSure } from './test/draws';
import { Lab } from './test/lab';
import { VARIANTS } from './variants';

let lab: Lab;
let shape: SamplerShape = VARIANTS.small.sampler;
beforeAll(async () => {
  lab = await Lab.open();
});
afterEach(() => {
  lab.dispose();
  shape = VARIANTS.small.sampler;
});

const options = (more: Partial<SampleOptions>): SampleOptions => ({
  temperature: 1,
  topK: 0,
  topP: 1,
  seed: 1,
  ...more,
});

/** Draws `count` ids, one after another, by the passes that the request asks for, from what the buffers hold. */
async function drawn(count: number, sample: SampleOptions, own: Record<string, GPUBuffer>, vocab: number) {
  expect(count).toBeLessThanOrEqual(ID_RING);
  const draws = new DrawLab(lab, shape, vocab, own);
  const made = await draws.draw(sample, count);
  expect((await lab.words(draws.buffers.ids))[0]).toBe(made[count - 1]);
  expect([...(await lab.words(draws.buffers.state)).slice(0, 4)]).toEqual([41 + count, 1, count, count]);
  return made;
}

/** `count` draws from the same logits, as one request makes them. */
const draws = (logits: Float32Array, sample: SampleOptions, count: number): Promise<number[]> =>
  drawn(count, sample, { logits: lab.buffer(logits) }, logits.length);

/** @returns how many of the draws are too close to judge */
async function check(logits: Float32Array, sample: SampleOptions, count: number): Promise<number> {
  const got = await draws(logits, sample, count);
  let unsure = 0;
  got.forEach((id, step) => {
    if (!isSure(logits, sample, step)) unsure++;
    else expect([step, id]).toEqual([step, sampleToken(logits, sample, step)]);
  });
  return unsure;
}

describe('greedy', () => {
  it.each([
    [
      'ties, the lowest id wins, across threads and groups',
      Float32Array.from({ length: 1000 }, (_, i) => (i % 300 === 137 ? 5 : -i / 100)),
    ],
    ['the last id', Float32Array.from({ length: 1000 }, (_, i) => i)],
    ['all equal', new Float32Array(1000).fill(-2)],
    ['all very small', new Float32Array(65).fill(-3e38)],
    ['one logit', Float32Array.of(-7)],
    ['minus and plus zero tie', new Float32Array(1000).fill(-1).fill(-0, 70).fill(0, 71)],
  ])('%s', async (_, logits) => {
    expect(await draws(logits, options({ temperature: 0 }), 2)).toEqual([argmax(logits), argmax(logits)]);
    expect(await draws(logits, options({ topP: 0 }), 1)).toEqual([argmax(logits)]);
  });
});

describe('sampling', () => {
  const logits = randomValues(1000, 21).map((v) => 12 * v);
  const peaked = randomValues(1000, 23).map((v, i) => (i % 100 === 0 ? 8 + v : -8 * Math.abs(v)));
  it.each<[string, Partial<SampleOptions>]>([
    ['everything', {}],
    ['cold', { temperature: 0.3 }],
    ['hot', { temperature: 5 }],
    ['very cold: score and noise apart by seven digits', { temperature: 1e-6 }],
    ['so cold that logits / temperature is infinite', { temperature: 2e-38 }],
    ['top-k', { topK: 7 }],
    ['top-k of one', { topK: 1 }],
    ['top-k of all', { topK: 1000 }],
    ['top-p', { topP: 0.9 }],
    ['top-p that keeps one', { topP: 1e-9 }],
    ['top-p that keeps nearly all', { topP: 0.9999, temperature: 3 }],
    ['all of them', { topK: 40, topP: 0.8, temperature: 1.7 }],
  ])('%s', async (_, more) => {
    let unsure = 0;
    for (const seed of [0, 0xdeadbeef]) {
      unsure += await check(logits, options({ ...more, seed }), 10);
      unsure += await check(peaked, options({ ...more, seed }), 6);
    }
    expect(unsure).toBeLessThan(3);
  });

  it('keeps ties at the threshold of top-k, whatever their sign', async () => {
    const tied = Float32Array.from({ length: 1000 }, (_, i) =>
      i % 50 === 3 ? (i % 100 === 3 ? 0 : -0) : i % 250 === 0 ? 0.1 : -9,
    );
    const sample = options({ topK: 6, temperature: 2 });
    expect(await check(tied, sample, 20)).toBeLessThan(3);
    expect(keptOf(tied, sample, 0).least).toBeCloseTo(0);
  });

  it('a vocabulary of 50257', async () => {
    shape = VARIANTS.software.sampler;
    const large = randomValues(50_257, 31).map((v) => 6 * v);
    expect(await check(large, options({ temperature: 0.7, seed: 9 }), 2)).toBeLessThan(2);
    expect(await check(large, options({ temperature: 0.8, topK: 300, topP: 0.95, seed: 5 }), 2)).toBeLessThan(2);
    expect(await check(large, options({ temperature: 1.2, topP: 0.9, seed: 6 }), 2)).toBeLessThan(3);
  });
});

describe('rules of what is kept', () => {
  const logits = [12, 5, 1.5].map((scale, i) => randomValues(1000, 51 + i).map((v) => scale * v));
  // some so likely that every rule has something to leave out
  logits.push(randomValues(1000, 54).map((v, i) => (i % 90 === 0 ? 6 + 1.5 * v : 2 * v)));
  const ALL: Partial<SampleOptions> = {
    temperature: 1.4,
    dynatempRange: 0.6,
    dynatempExponent: 0.8,
    topNSigma: 2.5,
    topH: 0.95,
    topK: 80,
    topP: 0.98,
    minP: 0.01,
    typicalP: 0.9,
    xtcProbability: 0.5,
    xtcThreshold: 0.05,
    epsilonCutoff: 0.003,
    etaCutoff: 0.01,
  };
  it.each<[string, Partial<SampleOptions>]>([
    ['a dynamic temperature', { dynatempRange: 0.9, dynatempExponent: 1.3 }],
    ['a dynamic temperature that may be 0', { dynatempRange: 3 }],
    ['top-n-sigma', { topNSigma: 1, temperature: 3 }],
    ['top-n-sigma that keeps one', { topNSigma: 1e-6 }],
    ['top-h', { topH: 0.5, temperature: 2 }],
    ['top-h of all', { topH: 1, temperature: 5 }],
    ['min-p', { minP: 0.1, temperature: 2 }],
    ['min-p of one', { minP: 1 }],
    ['typical', { typicalP: 0.5 }],
    ['typical of little', { typicalP: 1e-6, temperature: 2 }],
    ['typical of nearly all', { typicalP: 0.999, temperature: 3 }],
    ['XTC, always', { xtcProbability: 1, xtcThreshold: 0.02 }],
    ['XTC, now and then', { xtcProbability: 0.4, xtcThreshold: 0.05 }],
    ['XTC where nothing is likely', { xtcProbability: 1, xtcThreshold: 0.5, temperature: 50 }],
    ['epsilon', { epsilonCutoff: 0.01 }],
    ['epsilon beyond the likeliest', { epsilonCutoff: 0.9, temperature: 20 }],
    ['eta', { etaCutoff: 0.02, temperature: 2 }],
    ['XTC and what is relative to what it leaves', { xtcProbability: 1, xtcThreshold: 0.05, epsilonCutoff: 0.05 }],
    ['typical, then XTC, then eta', { typicalP: 0.8, xtcProbability: 1, xtcThreshold: 0.1, etaCutoff: 0.1 }],
    ['top-p, then min-p, then typical', { topP: 0.9, minP: 0.05, typicalP: 0.7 }],
    ['all of them', ALL],
  ])('%s', async (_, more) => {
    let [unsure, differs] = [0, 0];
    for (const each of logits) {
      for (const seed of [3, 0xdeadbeef]) {
        const sample = options({ ...more, seed });
        unsure += await check(each, sample, 8);
        for (let step = 0; step < 8; step++)
          if (sampleToken(each, sample, step) !== sampleToken(each, options({ seed }), step)) differs++;
      }
    }
    expect(unsure).toBeLessThan(4);
    // and it is not as if nothing had been asked
    if (!('xtcThreshold' in more && more.xtcThreshold === 0.5)) expect(differs).toBeGreaterThan(0);
  });

  it('a mask, a ban and a rule at once', async () => {
    const vocab = 1000;
    const [adjusted, tokens] = [lab.buffer(vocab * 4), tokensOf(vocab)];
    const mask = new Uint32Array(32).fill(0xfffffffe);
    tokens.words.set(mask, tokenPlaces(vocab).mask);
    const own = { logits: lab.buffer(logits[0]), [TOKENS]: lab.buffer(tokens.words), [ADJUSTED]: adjusted };
    const sample: SampleOptions = { ...options({ ...ALL, topNSigma: 3, seed: 4 }), mask: () => mask };
    const made = await drawn(20, sample, own, vocab);
    const now = adjustedBy(logits[0], sample, { ...NOTHING_KNOWN, mask });
    made.forEach((id, step) => {
      if (isSure(now, sample, step))
        expect([step, id]).toEqual([step, sampleToken(now, { ...sample, mask: undefined }, step)]);
    });
  });
});

describe('a vocabulary of 262,144', () => {
  const vocab = 262_144;
  const large = randomValues(vocab, 31).map((v) => 6 * v * Math.abs(v));

  it.each<[Partial<SampleOptions>, number]>([
    [{ temperature: 0 }, 2],
    [{ topP: 0, topK: 5 }, 2],
    [{ temperature: 0.7 }, 3],
    [{ topK: 64 }, 6],
    [{ topP: 0.95 }, 7],
    [{ temperature: 0.8, topK: 300, topP: 0.95 }, 10],
  ])('%j takes %i passes, all but the last of many workgroups', async (more, passes) => {
    for (const name of ['software', 'gpu']) {
      shape = VARIANTS[name].sampler;
      const sample = options({ ...more, seed: 5 });
      const groups = lowerSampler(vocab, shape, linksOf(sample, vocab)).map((op) => op.groups(1, 0, [])[0]);
      expect(groups).toHaveLength(passes);
      expect(groups.pop()).toBe(1);
      // a few more tell the stages of the search apart
      for (const many of groups) expect(many - shape.groups).toBeOneOf([0, 1, 2, 3, 4, 5, 6]);
      expect(shape.groups).toBeGreaterThanOrEqual(name === 'gpu' ? 128 : 8);
      expect(await check(large, sample, 1)).toBe(0);
    }
  });
});

/** The buffer `tokens` of a request that has nothing, as words to change. */
function tokensOf(vocab: number) {
  const places = tokenPlaces(vocab);
  const words = new Uint32Array(places.words);
  words.fill(0xffffffff, places.mask);
  return { words, places };
}

describe('single tokens', () => {
  it.each([0, 6])('cost what they came before, in the last %i ids where that is said', async (repeatLastN) => {
    const vocab = 300;
    const logits = randomValues(vocab, 61).map((v) => 2 * v);
    const before = Array.from({ length: 41 }, (_, i) => (i * i * 7) % 90);
    const penalties = { repetitionPenalty: 1.7, presencePenalty: 0.4, frequencyPenalty: 0.25 };
    const sample = { ...options({ temperature: 0.5, seed: 9 }), ...penalties, repeatLastN, before };
    const history = new History(sample);
    const { words, places } = tokensOf(vocab);
    for (const [id, count] of history.repeated) words[id] += count * 0x10000;
    // the next position is 42
    for (let back = 1; back <= repeatLastN; back++)
      words[places.ring + ((42 - back) % repeatLastN)] = before[41 - back];
    expect(REPEAT_RING).toBeGreaterThan(repeatLastN);
    const tokens = lab.buffer(words);
    const own = { logits: lab.buffer(logits), [TOKENS]: tokens, [ADJUSTED]: lab.buffer(vocab * 4) };
    const made = await drawn(40, sample, own, vocab);
    let sure = 0;
    made.forEach((id, step) => {
      const now = adjustedBy(logits, sample, { ...NOTHING_KNOWN, history });
      if (isSure(now, sample, step) && ++sure)
        expect([step, id]).toEqual([step, sampleToken(now, { ...options({ temperature: 0.5, seed: 9 }) }, step)]);
      history.push(id);
    });
    expect(sure).toBeGreaterThan(36);
    const known = await lab.words(tokens);
    for (let id = 0; id < vocab; id++)
      expect([id, known[id] & 0xffff, known[id] >>> 16]).toEqual([
        id,
        history.counts.get(id) ?? 0,
        history.repeated.get(id) ?? 0,
      ]);
  });

  it('lose what the rules of a step take, and what is masked stays so', async () => {
    const vocab = 500;
    const logits = randomValues(vocab, 62);
    const less = new Map([0, 7, 499, 30].map((id, i) => [id, [0.5, 1e30, 2, 0.125][i]]));
    const { words, places } = tokensOf(vocab);
    words[places.mask] &= ~(1 << 30);
    const pairs = new Uint32Array([...less.keys()].flatMap((id) => [id, 0]));
    const numbers = new Float32Array(pairs.buffer);
    [...less.values()].forEach((by, i) => {
      numbers[2 * i + 1] = by;
    });
    const sample: SampleOptions = { ...options({ temperature: 0 }), dryMultiplier: 1 };
    const adjusted = lab.buffer(vocab * 4);
    const own = { logits: lab.buffer(logits), [TOKENS]: lab.buffer(words), [ADJUSTED]: adjusted };
    const draws = new DrawLab(lab, shape, vocab, { ...own, [EDITS]: lab.buffer(pairs) });
    const mask = words.slice(places.mask, places.ring);
    const here = adjustedBy(logits, sample, { ...NOTHING_KNOWN, less, mask });
    expect(await draws.draw(sample, 1, less.size)).toEqual([argmax(here)]);
    expect(await lab.floats(adjusted)).toEqual(here);
  });

  it.each([97, 4099])('logits get their bias and mask, and what is drawn is counted (%i ids)', async (vocab) => {
    const logits = randomValues(vocab, 41).map((v) => 3 * v);
    const bias = new Map([0, 33, 64, vocab - 1].map((id, i) => [id, [2.5, -0.1, 1e4, 1e-3][i]]));
    const mask = new Uint32Array(Math.ceil(vocab / 32)).map((_, i) => 0xb6db6db6 ^ (i << 7));
    mask[2] &= ~1;
    const words = new Uint32Array(tokenPlaces(vocab).words);
    new Float32Array(words.buffer, vocab * 4, vocab).set(
      Float32Array.from({ length: vocab }, (_, id) => bias.get(id) ?? 0),
    );
    words.set(mask, tokenPlaces(vocab).mask);
    words[7] = 3;
    const sample = options({ temperature: 2, topK: 40, topP: 0.97, seed: 77 });
    const full: SampleOptions = { ...sample, bias, mask: () => mask };
    const [adjusted, tokens] = [lab.buffer(vocab * 4), lab.buffer(words)];
    const own = { logits: lab.buffer(logits), [TOKENS]: tokens, [ADJUSTED]: adjusted };
    const got = await drawn(30, full, own, vocab);
    const adjustedHere = Float32Array.from(logits, (logit, id) =>
      (mask[id >> 5] >>> (id & 31)) & 1 ? Math.fround(logit + Math.fround(bias.get(id) ?? 0)) : -3.4e38,
    );
    expect(await lab.floats(adjusted)).toEqual(adjustedHere);
    const sure = got.map((_, step) => isSure(adjustedHere, sample, step));
    expect(sure.filter((one) => !one).length).toBeLessThan(3);
    const wanted = got.map((_, step) => sampleToken(logits, full, step, { ...NOTHING_KNOWN, mask }));
    expect(got.filter((_, i) => sure[i])).toEqual(wanted.filter((_, i) => sure[i]));
    expect(new Set(got).size).toBeGreaterThan(5);
    const counts = Array.from(
      { length: vocab },
      (_, id) => got.filter((one) => one === id).length + (id === 7 ? 3 : 0),
    );
    const known = await lab.words(tokens);
    expect([...known.slice(0, vocab)]).toEqual(counts);
    expect(known.slice(vocab)).toEqual(words.slice(vocab));
  });
});

describe('log-probabilities', () => {
  it.each([
    [97, 20],
    [4099, 5],
    [4099, 0],
    [11, 20],
  ])('of %i ids, with %i alternatives, are those of the raw logits', async (vocab, logprobs) => {
    const logits = randomValues(vocab, 71).map((v, id) => (id % 40 === 3 ? 4 : 6 * v));
    const sample: SampleOptions = { ...options({ temperature: 1.5, topK: 30, seed: 2 }), logprobs };
    const draws = new DrawLab(lab, shape, vocab, { logits: lab.buffer(logits) });
    const made = await draws.draw(sample, 12);
    const words = await lab.words(draws.buffers[LOGPROBS]);
    made.forEach((id, step) => {
      const told = logprobsIn(id, words.slice(step * LOGPROB_WORDS, (step + 1) * LOGPROB_WORDS), logprobs);
      const here = logprobsOf(logits, id, logprobs);
      expect(told.top.map((one) => one.id)).toEqual(here.top.map((one) => one.id));
      for (const [i, one] of [told, ...told.top].entries())
        expect(Math.abs(one.logprob - [here, ...here.top][i].logprob)).toBeLessThan(2e-5);
    });
  });
});
