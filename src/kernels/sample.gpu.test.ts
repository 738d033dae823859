/**
 * The sampler against its definition (execute/sampling.ts), id for id.
 *
 * Where may they differ? Every comparison of logits is exact on both sides. Two are not: the winner's score against the
 * runner-up's, where WGSL promises log only to 2^-21 near 1 (so a Gumbel number to about 5e-5) and the score is an f32;
 * and top-p's sum, which the GPU takes in units of 2^-30 and in f32 weights. A draw whose own margin is below that
 * noise is not judged; the tests say how many such draws there may be.
 */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { randomValues } from '../execute/cpu/test/models';
import type { SampleOptions } from '../execute/executor';
import { argmax, gumbel, keepThreshold, sampleToken, stepKey } from '../execute/sampling';
import { ID_RING, SAMPLE_GROUPS } from '../memory/plan';
import { sampleMaxKernel, samplePickKernel, STATE } from './sample';
import { Lab } from './test/lab';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterEach(() => lab.dispose());

const options = (more: Partial<SampleOptions>): SampleOptions => ({ temperature: 1, topK: 0, topP: 1, seed: 1, ...more });

/** `count` draws from the same logits, as one request makes them. */
async function draws(logits: Float32Array, { temperature, topK, topP, seed }: SampleOptions, count: number): Promise<number[]> {
  const state = new Uint32Array(16);
  const floats = new Float32Array(state.buffer);
  floats[STATE.temperature] = temperature;
  state[STATE.topK] = topK;
  floats[STATE.topP] = topP;
  state[STATE.seed] = seed;
  state[STATE.position] = 41;
  const [logitsBuffer, maxima, stateBuffer] = [lab.buffer(logits), lab.buffer(SAMPLE_GROUPS * 8), lab.buffer(state)];
  const [ids, sampled] = [lab.buffer(16), lab.buffer(ID_RING * 4)];
  const all: number[] = [];
  for (let i = 0; i < count; i++) {
    await lab.run(sampleMaxKernel(logits.length), { 0: logitsBuffer, 1: maxima }, [SAMPLE_GROUPS]);
    await lab.run(samplePickKernel(logits.length), { 0: logitsBuffer, 1: maxima, 2: stateBuffer, 3: ids, 4: sampled }, [1]);
    if ((i + 1) % ID_RING === 0 || i + 1 === count) {
      const ring = await lab.words(sampled);
      const from = all.length;
      for (let j = from; j <= i; j++) all.push(ring[j % ID_RING]);
    }
  }
  expect((await lab.words(ids))[0]).toBe(all[count - 1]);
  expect([...(await lab.words(stateBuffer)).slice(0, 4)]).toEqual([41 + count, 1, count, count]);
  return all;
}

/** How far a draw is from another outcome, in units of the noise described above. */
function margin(logits: Float32Array, sample: SampleOptions, step: number): number {
  const { temperature, topK, topP, seed } = sample;
  const threshold = keepThreshold(logits, sample);
  const key = stepKey(seed, step);
  const scores = Array.from(logits, (l, id) => (l >= threshold ? l / temperature + gumbel(key, id) : Number.NEGATIVE_INFINITY)).sort((a, b) => b - a);
  const size = Math.max(...logits.map(Math.abs)) / temperature;
  const byScore = (scores[0] - scores[1]) / (1e-4 + size * 2 ** -22);
  if (topP >= 1) return byScore;
  const byK = topK > 0 ? keepThreshold(logits, { ...sample, topP: 1 }) : Number.NEGATIVE_INFINITY;
  const top = Math.max(...logits);
  const weight = (l: number) => Math.exp((l - top) / temperature);
  const kept = [...logits].filter((l) => l >= byK);
  const total = kept.reduce((sum, l) => sum + weight(l), 0);
  const above = kept.filter((l) => l > threshold).reduce((sum, l) => sum + weight(l), 0) / total;
  const with_ = kept.filter((l) => l >= threshold).reduce((sum, l) => sum + weight(l), 0) / total;
  const noise = 1e-5 + kept.length * 2 ** -30;
  return Math.min(byScore, (topP - above) / noise, (with_ - topP) / noise);
}

/** @returns how many of the draws are too close to judge */
async function check(logits: Float32Array, sample: SampleOptions, count: number): Promise<number> {
  const got = await draws(logits, sample, count);
  let unsure = 0;
  got.forEach((id, step) => {
    if (margin(logits, sample, step) < 1) unsure++;
    else expect([step, id]).toEqual([step, sampleToken(logits, sample, step)]);
  });
  return unsure;
}

describe('greedy', () => {
  it.each([
    ['ties, the lowest id wins, across threads and groups', Float32Array.from({ length: 1000 }, (_, i) => (i % 300 === 137 ? 5 : -i / 100))],
    ['the last id', Float32Array.from({ length: 997 }, (_, i) => i)],
    ['all equal', new Float32Array(97).fill(-2)],
    ['all very small', new Float32Array(65).fill(-3e38)],
    ['one logit', Float32Array.of(-7)],
    ['minus and plus zero tie', Float32Array.of(-1, -0, 0)],
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
    ['so cold that logits / temperature is infinite', { temperature: 1e-38 }],
    ['top-k', { topK: 7 }],
    ['top-k of one', { topK: 1 }],
    ['top-k of all', { topK: 1000 }],
    ['top-p', { topP: 0.9 }],
    ['top-p that keeps one', { topP: 1e-9 }],
    ['top-p that keeps nearly all', { topP: 0.9999, temperature: 3 }],
    ['all of them', { topK: 40, topP: 0.8, temperature: 1.7 }],
  ])('%s', async (_, more) => {
    let unsure = 0;
    for (const seed of [0, 1, 0xdeadbeef]) {
      unsure += await check(logits, options({ ...more, seed }), 40);
      unsure += await check(peaked, options({ ...more, seed }), 30);
    }
    expect(unsure).toBeLessThan(5);
  });

  it('keeps ties at the threshold of top-k, whatever their sign', async () => {
    const tied = Float32Array.from({ length: 200 }, (_, i) => (i % 10 === 3 ? (i % 20 === 3 ? 0 : -0) : i % 50 === 0 ? 0.1 : -9));
    const sample = options({ topK: 6, temperature: 2 });
    expect(await check(tied, sample, 60)).toBeLessThan(3);
    expect(new Set(await draws(tied, sample, 60)).size).toBeGreaterThan(12);
  });

  it('a vocabulary of 50257', async () => {
    const large = randomValues(50_257, 31).map((v) => 6 * v);
    expect(await check(large, options({ temperature: 0.7, seed: 9 }), 4)).toBeLessThan(2);
    expect(await check(large, options({ temperature: 0.8, topK: 300, topP: 0.95, seed: 5 }), 4)).toBeLessThan(2);
    expect(await check(large, options({ temperature: 1.2, topP: 0.9, seed: 6 }), 4)).toBeLessThan(3);
  });
});
