/** The property of turns.test.ts on WebGPU. It fails, and does not pass, where there is no adapter. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { webgpu } from '../execute/gpu/test/maker';
import { testGpu } from '../gpu/test-device';
import { again, expectFresh, nothingMet, script, spared } from './test/turns';

const maker = () => webgpu(testGpu({ limits: 'default', features: 'none' }), []);
/** A window and a type of cache are kernels of their own, which take longest to compile. */
const of =
  (window: number) =>
  <S>(script: S) => ({ ...script, window, kv: 'f16' as const });

it('answers as a fresh engine does, whatever was said, edited, closed and evicted before', async () => {
  const met = nothingMet();
  await fc.assert(
    fc.asyncProperty(script(5).map(of(11)), (few) => expectFresh(maker(), few, met)),
    { numRuns: 12, examples: [spared(true), spared(false)].map((one) => [of(11)(one)]) },
  );
  expect(met.reused).toBeGreaterThan(2);
  expect(met.afresh).toBeGreaterThan(2);
  expect(met.spared).toBeGreaterThanOrEqual(4);
});

it('answers as a fresh engine does where it goes on from copies of the rings', async () => {
  const met = nothingMet();
  await fc.assert(
    fc.asyncProperty(again(4).map(of(29)), (few) => expectFresh(maker(), few, met)),
    { numRuns: 6 },
  );
  expect(met.restored).toBeGreaterThanOrEqual(6);
});
