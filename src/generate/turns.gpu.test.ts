/** The property of turns.test.ts on WebGPU. It fails, and does not pass, where there is no adapter. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { webgpu } from '../execute/gpu/test/maker';
import { testGpu } from '../gpu/test-device';
import { expectFresh, nothingMet, script } from './test/turns';

it('answers as a fresh engine does, whatever was said, edited, closed and evicted before', async () => {
  const met = nothingMet();
  const maker = webgpu(testGpu({ limits: 'default', features: 'none' }), []);
  // a window and a type of cache are kernels of their own, which take longest to compile
  const few = script(5).map((one) => ({ ...one, window: 11, kv: 'f16' as const }));
  await fc.assert(
    fc.asyncProperty(few, (one) => expectFresh(maker, one, met)),
    { numRuns: 12 },
  );
  expect(met.reused).toBeGreaterThan(5);
  expect(met.afresh).toBeGreaterThan(5);
});
