import fc from 'fast-check';
import { expect, it } from 'vitest';
import { CPU } from '../execute/cpu/test/models';
import { again, CRAMPED, expectFresh, nothingMet, script, spared } from './test/turns';

it('answers as a fresh engine does, whatever was said, edited, closed and evicted before', async () => {
  const met = nothingMet();
  await fc.assert(
    fc.asyncProperty(script(8), (one) => expectFresh(CPU, one, met)),
    { numRuns: 60, examples: [[CRAMPED], [spared(true)], [spared(false)]] },
  );
  expect(met.reused).toBeGreaterThan(20);
  expect(met.afresh).toBeGreaterThan(20);
  expect(met.spared).toBeGreaterThanOrEqual(4);
  expect(met.notes).toBeGreaterThan(0);
});

it('answers as a fresh engine does where it goes on from copies of the rings', async () => {
  const met = nothingMet();
  await fc.assert(
    fc.asyncProperty(again(6), (one) => expectFresh(CPU, one, met)),
    { numRuns: 30 },
  );
  expect(met.restored).toBeGreaterThanOrEqual(30);
});
