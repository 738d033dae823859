import { expect, test } from 'vitest';
import { budgetAt, LAST_PLACE, placeOf } from './budget';

const MIB = 2 ** 20;

test('every place of the slider is a whole number of MiB, and more than the one before; the last is no limit', () => {
  const budgets = Array.from({ length: LAST_PLACE + 1 }, (_, place) => budgetAt(place));
  expect([budgets[0], budgets[12], budgets.at(-2), budgets.at(-1)]).toEqual([64 * MIB, 512 * MIB, 16384 * MIB, null]);
  for (let place = 1; place < LAST_PLACE; place++) {
    expect(budgets[place]! % MIB).toBe(0);
    expect(budgets[place]!).toBeGreaterThan(budgets[place - 1]!);
  }
  expect(budgets.map(placeOf)).toEqual(budgets.map((_, place) => place));
});

test.each([
  [1, 0],
  [500_000_000, 12],
  [2 ** 50, LAST_PLACE - 1],
  [null, LAST_PLACE],
])('a budget of %s from the address bar stands at place %d', (budget, place) => expect(placeOf(budget)).toBe(place));
