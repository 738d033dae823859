/** Which messages are in the document, whatever their heights. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { estimatedHeight, MOST, rangeAt } from './window';

const heights = fc.array(fc.integer({ min: 20, max: 5000 }), { minLength: 1, maxLength: 1000 });

test('at most so many, and all that is seen unless more than that is', () => {
  fc.assert(
    fc.property(
      heights,
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 100, max: 2000 }),
      (all, at, seen) => {
        const total = all.reduce((sum, height) => sum + height, 0);
        const top = at * Math.max(0, total - seen);
        const { from, to } = rangeAt(all, top, seen);
        expect(to - from).toBeGreaterThan(0);
        expect(to - from).toBeLessThanOrEqual(MOST);
        const above = all.slice(0, from).reduce((sum, height) => sum + height, 0);
        const below = all.slice(0, to).reduce((sum, height) => sum + height, 0);
        if (seen / 20 > MOST - 2) return;
        expect(above).toBeLessThanOrEqual(top + 1e-6);
        expect(below).toBeGreaterThanOrEqual(Math.min(total, top + seen) - 1e-6);
      },
    ),
  );
});

test('the end has the last one', () => {
  fc.assert(
    fc.property(heights, (all) => {
      expect(rangeAt(all, Infinity, 800).to).toBe(all.length);
    }),
  );
});

test('of nothing is nothing', () => {
  expect(rangeAt([], 0, 800)).toEqual({ from: 0, to: 0 });
});

test('a long text is higher than a short one, and a narrow column makes it higher', () => {
  expect(estimatedHeight('a'.repeat(5000), 700)).toBeGreaterThan(estimatedHeight('a', 700));
  expect(estimatedHeight('a'.repeat(5000), 300)).toBeGreaterThan(estimatedHeight('a'.repeat(5000), 700));
  expect(estimatedHeight('a\n'.repeat(50), 700)).toBeGreaterThan(50 * 20);
});
