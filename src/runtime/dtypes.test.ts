/**
 * Every number type loads, and no memory is used after it was given back (scripts/testing/array-buffer-transfer.ts).
 */
import { it } from 'vitest';
import { createMemoryStore } from '../store/chunk-store';
import { DTYPES, filesOf, loadThreeTimes, WEIGHTS } from './test/dtypes';

it.each(DTYPES.flatMap((dtype) => WEIGHTS.map((weights) => [dtype, weights] as const)))(
  'a checkpoint in %s with weights: %s',
  async (dtype, weights) => {
    await loadThreeTimes(await filesOf(dtype), createMemoryStore(), 'm', weights);
  },
);
