/**
 * The sampler against its definition (execute/sampler/chain.ts), id for id.
 *
 * Where may they differ? Every comparison of logits is exact on both sides. Two are not: the winner's score against the
 * runner-up's, where WGSL promises log only to 2^-21 near 1 (so a Gumbel number to about 5e-5) and the score is an f32;
 * and top-p's sum, which the GPU takes in units of 2^-30 and in f32 weights. A draw whose own margin is below that
 * noise is not judged; the tests say how many such draws there may be.
 */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { randomValues } from '../execute/cpu/test/models';
import { lowerSampler } from '../execute/gpu/lower-sampler';
import { NOTHING_KNOWN } from '../execute/sampler/adjustments';
import { argmax, keptOf, sampleToken } from '../execute/sampler/chain';
import { linksOf } from '../execute/sampler/links';
import { gumbel, stepKey } from '../execute/sampler/noise';
import type { SampleOptions } from '../execute/sampler/options';
import {
  ADJUSTED,
  ID_RING,
  KEPT,
  passWords,
  requestWords,
  SAMPLE_GROUPS,
  STATE,
  STATE_WORDS,
  stopWords,
  TOKENS,
  tokenPlaces,
} from '../memory/gpu-scratch';
import { named } from './kernel';
import type { SamplerShape } from './sampling';
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

/** The buffer `state` of a request. */
function stateOf(sample: SampleOptions, vocab: number): Uint32Array<ArrayBuffer> {
  const state = new Uint32Array(STATE_WORDS);
  state[STATE.position] = 41;
  state[STATE.tokens] = 1;
  state.set(requestWords(sample), STATE.request);
  state.set(passWords(linksOf(sample, vocab).passes), STATE.passes);
  state.set(stopWords(sample.stopIds ?? []), STATE.stops);
  return state;
}

/** Draws `count` ids, one after another, by the passes that the request asks for, from what the buffers hold. */
async function drawn(count: number, sample: SampleOptions, own: Record<string, GPUBuffer>, vocab: number) {
  const { [TOKENS]: tokens, [ADJUSTED]: adjusted, ...buffers } = own;
  const all: Record<string, GPUBuffer> = {
    ...buffers,
    ...(tokens && { [TOKENS]: tokens, [ADJUSTED]: adjusted }),
    state: lab.buffer(stateOf(sample, vocab)),
    maxima: lab.buffer(SAMPLE_GROUPS * 8),
    winners: lab.buffer(SAMPLE_GROUPS * 8),
    kept: lab.buffer(KEPT.words * 4),
    ids: lab.buffer(16),
    sampled: lab.buffer(ID_RING * 4),
  };
  const ops = lowerSampler(vocab, shape, linksOf(sample, vocab));
  await lab.runAll(
    ops.map((op) => [op.kernel, named(op.buffers, (name) => all[name]), [op.groups(1, 0, [])[0]]] as const),
    count,
  );
  expect(count).toBeLessThanOrEqual(ID_RING);
  const made = [...(await lab.words(all.sampled)).slice(0, count)];
  expect((await lab.words(all.ids))[0]).toBe(made[count - 1]);
  expect([...(await lab.words(all.state)).slice(0, 4)]).toEqual([41 + count, 1, count, count]);
  return made;
}

/** `count` draws from the same logits, as one request makes them. */
const draws = (logits: Float32Array, sample: SampleOptions, count: number): Promise<number[]> =>
  drawn(count, sample, { logits: lab.buffer(logits) }, logits.length);

/** Whether the definition's own answer would survive the noise described above. */
function isSure(logits: Float32Array, sample: SampleOptions, step: number): boolean {
  const { temperature, topP, seed } = sample;
  const threshold = keptOf(logits, sample, step).least;
  const key = stepKey(seed, step);
  const top = logits[argmax(logits)];
  const best = { score: Number.NEGATIVE_INFINITY, far: 0 };
  const second = { ...best };
  for (let id = 0; id < logits.length; id++) {
    if (!(logits[id] >= threshold)) continue;
    const far = (top - logits[id]) / temperature;
    const score = gumbel(key, id) - far;
    if (score > best.score) Object.assign(second, best);
    if (score > second.score) Object.assign(score > best.score ? best : second, { score, far });
  }
  if (best.score - second.score < 1e-4 + Math.max(best.far, second.far) * 2 ** -21) return false;
  if (topP >= 1) return true;
  const noise = 3e-6 + logits.length * 2 ** -30;
  const answers = [topP - noise, topP + noise].map((p) =>
    sampleToken(logits, { ...sample, topP: Math.min(Math.max(p, 1e-12), 1) }, step),
  );
  return answers[0] === answers[1];
}

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

describe('single tokens', () => {
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
