/** The sampler: maxima of parts of the vocabulary, then one workgroup that chooses (shaders/sample_*.wgsl). */
import { ID_RING, SAMPLE_GROUPS } from '../memory/plan';
import { type Kernel, kernel } from './library';

const THREADS = 256;
/** Few: a barrier costs a software adapter a switch a thread. */
const MAX_THREADS = 64;

export const sampleMaxKernel = (vocab: number): Kernel =>
  kernel('sample_max', { THREADS: MAX_THREADS, VOCAB: vocab, GROUPS: SAMPLE_GROUPS });

export const samplePickKernel = (vocab: number): Kernel =>
  kernel('sample_pick', { THREADS, VOCAB: vocab, GROUPS: SAMPLE_GROUPS, RING: ID_RING });

/** Words of the `state` buffer (sample_pick.wgsl). */
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
