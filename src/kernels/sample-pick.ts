/** The sampler's second half: one workgroup that chooses. Reference: execute/sampling.ts, test: sample.gpu.test.ts. */
import source from '../../shaders/sample-pick.wgsl?raw';
import { ID_RING, SAMPLE_GROUPS } from '../memory/plan';
import { type Description, kernel } from './kernel';

export const SAMPLE_PICK = {
  label: 'sample_pick',
  source,
  bindings: { logits: 0, maxima: 1, state: 2, ids: 3, sampled: 4 },
} satisfies Description;

export const samplePickKernel = (vocab: number) =>
  kernel(SAMPLE_PICK, { THREADS: 256, VOCAB: vocab, GROUPS: SAMPLE_GROUPS, RING: ID_RING });

/** Words of the `state` buffer (sample-pick.wgsl). */
export const STATE = {
  position: 0,
  tokens: 1,
  step: 2,
  written: 3,
  temperature: 4,
  topK: 5,
  topP: 6,
  seed: 7,
} as const;
