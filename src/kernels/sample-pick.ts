/**
 * The sampler's second half: one workgroup that chooses. Reference: execute/sampler/chain.ts, test: sample.gpu.test.ts.
 */
import source from '../../shaders/sample-pick.wgsl?raw';
import { ID_RING, SAMPLE_GROUPS, STATE, STOP_WORDS } from '../memory/gpu-scratch';
import { type Description, kernel } from './kernel';

export const SAMPLE_PICK = {
  label: 'sample_pick',
  source,
  bindings: { logits: 0, maxima: 1, state: 2, ids: 3, sampled: 4, tokens: 5 },
} satisfies Description;

/** @param counts whether it counts what is drawn, in the buffer of what is known of each token */
export const samplePickKernel = (vocab: number, counts: boolean) =>
  kernel(SAMPLE_PICK, {
    THREADS: 256,
    VOCAB: vocab,
    GROUPS: SAMPLE_GROUPS,
    RING: ID_RING,
    COUNTS: counts,
    STOPS_AT: STATE.stops,
    STOPS: STOP_WORDS,
  });
