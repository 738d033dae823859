import { describe, expect, it } from 'vitest';
import { ID_READBACKS, IDS_AT_ONCE, MOST_AHEAD } from '../../memory/gpu-scratch';
import { idsAtOnce, Pace, Undecided } from './steps-ahead';
import { SUBMIT_MS } from './submitter';

function paceOf(stepMs: number): Pace {
  const pace = new Pace();
  for (let id = 0; id < 50; id++) pace.add(1, stepMs);
  return pace;
}

describe('how many steps are ahead', () => {
  it('is none before a step was measured', () => {
    expect(new Pace().depth(false)).toBe(0);
  });

  it.each([
    [0.3, 64],
    [1, 50],
    [2, 25],
    [10, 5],
    [12, 4],
    [24, 4],
    [33, 3],
    [49, 2],
    [51, 0],
    [400, 0],
  ])('follows from the time of a step: %d ms', (stepMs, steps) => {
    expect(paceOf(stepMs).depth(false)).toBe(steps);
    expect(paceOf(stepMs).depth(true)).toBe(Math.min(steps, 4));
    expect(steps * stepMs).toBeLessThanOrEqual(SUBMIT_MS);
  });

  it('survives a pause of JavaScript, whose ids then come all at once', () => {
    const pace = paceOf(1);
    pace.add(8, 60);
    expect(pace.depth(false)).toBeGreaterThanOrEqual(4);
    for (let read = 0; read < 6; read++) pace.add(8, 1);
    for (let read = 0; read < 20; read++) pace.add(8, 8);
    expect(pace.depth(false)).toBe(50);
  });

  it('is what a test says, but where each id is looked at', () => {
    const pace = new Pace(64);
    expect([pace.depth(false), pace.depth(true)]).toEqual([64, 4]);
    pace.add(1, 1000);
    expect(pace.depth(false)).toBe(64);
  });
});

it('ids come singly at first, then several at once, and their buffers are enough for all steps ahead', () => {
  expect([0, 7, 8, 20, 200].map((drawn) => idsAtOnce(64, drawn))).toEqual([1, 1, 2, 5, IDS_AT_ONCE]);
  expect([0, 4, 15].map((depth) => idsAtOnce(depth, 1000))).toEqual([1, 1, 1]);
  for (let depth = 0; depth <= MOST_AHEAD; depth++) {
    for (const begin of [0, 8, 1000]) {
      let reads = 0;
      for (let drawn = begin; drawn <= begin + depth; drawn += idsAtOnce(depth, drawn)) reads++;
      expect(reads).toBeLessThanOrEqual(ID_READBACKS);
    }
  }
});

it('there is room for the step that is waited for and those ahead, as many as can be undone', () => {
  const undecided = new Undecided(15);
  expect([undecided.room(0), undecided.room(4), undecided.room(64)]).toEqual([1, 5, 16]);
  undecided.encoded = 5;
  expect([undecided.room(0), undecided.room(4), undecided.room(64)]).toEqual([-4, 0, 11]);
  undecided.first = 3;
  expect([undecided.room(0), undecided.room(4), undecided.room(64)]).toEqual([-1, 3, 14]);
});

it.each([0, 1, 3, 7, 15, 127])(
  'where %i steps can be undone there is always room for the ids that come next',
  (most) => {
    for (const depth of [0, 3, 4, 8, 17, 64]) {
      for (let drawn = 0; drawn < 80; drawn++) {
        const undecided = new Undecided(most);
        undecided.first = undecided.encoded = drawn;
        expect(idsAtOnce(undecided.within(depth), drawn)).toBeLessThanOrEqual(undecided.room(depth));
      }
    }
  },
);
