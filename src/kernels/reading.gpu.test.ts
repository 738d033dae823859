/** pool, and score-pick behind sample-top, against the CPU's. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { largestDifference, randomValues } from '../execute/cpu/test/models';
import { emptyRows, type Pooled, poolStates } from '../execute/pooling';
import { logprobsOf } from '../execute/sampler/logprobs';
import { LOGPROB_WORDS, POOLED_ROWS, STATE_WORDS } from '../memory/gpu-scratch';
import { poolGroups, poolKernel } from './pool';
import { sampleTopKernel } from './sample-top';
import { scorePickKernel } from './score-pick';
import { Lab, passState } from './test/lab';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterEach(() => lab.dispose());

describe('pool', () => {
  // a width of no whole workgroups, the first position that counts: the first, one within a pass, one between two
  it.each([0, 3, 5, 8])('every way, over passes of several lengths, from position %i on', async (from) => {
    const width = 100;
    const pooled: Pooled = { rows: ['sum', 'weighted', 'max', 'first', 'last'], from };
    const right = emptyRows(pooled, width);
    const content = new Float32Array((POOLED_ROWS + 1) * width);
    content.set(right);
    new Uint32Array(content.buffer)[POOLED_ROWS * width] = from;
    const out = lab.buffer(content);
    let position = 0;
    for (const [pass, tokens] of [5, 1, 4].entries()) {
      const states = randomValues(tokens * width, pass + 1);
      poolStates(right, pooled, width, states, tokens, position);
      const buffers = { x: lab.buffer(states), pooled: out, state: lab.buffer(passState(position, tokens)) };
      await lab.runAll(pooled.rows.map((row, i) => [poolKernel(width, row, i), buffers, [poolGroups(width)]]));
      position += tokens;
    }
    const got = (await lab.floats(out)).slice(0, right.length);
    expect(largestDifference(got, right) / Math.max(...right)).toBeLessThan(1e-6);
  });
});

describe('score', () => {
  it.each([
    [1, 64, 4, 1],
    [107, 64, 3, 1],
    [5000, 16, 256, 1],
    [5000, 256, 7, 60],
  ])('of %i ids, in workgroups of %i threads, %i of them, logits up to %i', async (vocab, threads, groups, scale) => {
    const shape = { threads, groups };
    const targets = Uint32Array.of(0, vocab - 1, vocab >> 1);
    const scores = lab.buffer(targets);
    const parts = lab.buffer(groups * LOGPROB_WORDS * 4);
    const right: number[] = [];
    for (const [row, id] of targets.entries()) {
      const values = randomValues(vocab, row + 1).map((value) => value * scale);
      const logits = lab.buffer(values);
      const words = new Uint32Array(STATE_WORDS);
      words.set([9, row + 1]);
      const state = lab.buffer(words);
      await lab.runAll([
        [sampleTopKernel(vocab, shape), { logits, parts, state }, [groups]],
        [scorePickKernel(vocab, shape), { logits, parts, state, scores }, [1]],
      ]);
      right.push(logprobsOf(values, id, 0).logprob);
    }
    expect(largestDifference(await lab.floats(scores), right)).toBeLessThan(1e-5 * scale);
  });
});
