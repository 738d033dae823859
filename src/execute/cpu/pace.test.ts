import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Pace } from './pace';

/** Of so many jobs of 1,000 multiplications each, those that went to all; `together` and `alone` are ms of one. */
function shareOf(pace: Pace, jobs: number, together: () => number, alone = () => 1): number {
  let all = 0;
  for (let i = 0; i < jobs; i++) {
    const way = pace.together;
    if (way) all++;
    // half of the work is this thread's where helpers have the other
    if (way) pace.note('a', together(), 1000, 500, 0.5);
    else pace.note('a', alone(), 1000);
  }
  return all / jobs;
}

it('lets helpers work on nearly all jobs where that is faster', () => {
  expect(shareOf(new Pace(), 20_000, () => 0.6)).toBeGreaterThan(0.95);
});

it('lets them rest on nearly all jobs where it is slower, and finds out when that has changed', () => {
  const pace = new Pace();
  shareOf(pace, 4000, () => 0.6);
  expect(shareOf(pace, 100_000, () => 2)).toBeLessThan(0.03);
  shareOf(pace, 40_000, () => 0.6);
  expect(shareOf(pace, 10_000, () => 0.6)).toBeGreaterThan(0.9);
});

it('is little slower than the faster way, whatever both take', () => {
  const ms = fc.double({ min: 0.4, max: 4, noNaN: true });
  fc.assert(
    fc.property(ms, (together) => {
      const pace = new Pace();
      const all = shareOf(pace, 50_000, () => together);
      expect(all * together + (1 - all)).toBeLessThan(1.05 * Math.min(together, 1));
    }),
  );
});

it('compares jobs of the same kind', () => {
  const pace = new Pace();
  for (let i = 0; i < 50_000; i++) {
    // ten times as slow, and met more often when all work together
    const kind = i % (pace.together ? 2 : 10) === 0 ? 'slow' : 'fast';
    const ms = kind === 'slow' ? 10 : 1;
    if (pace.together) pace.note(kind, 0.6 * ms, 1000, 500, 0.5 * ms);
    else pace.note(kind, ms, 1000);
  }
  expect(shareOf(pace, 10_000, () => 0.6)).toBeGreaterThan(0.9);
});
