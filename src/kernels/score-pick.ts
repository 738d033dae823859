/**
 * How likely one id was, of what sample-top.ts found. Reference: execute/sampler/logprobs.ts, test:
 * reading.gpu.test.ts.
 */
import source from '../../shaders/score-pick.wgsl?raw';
import { LOGPROB_WORDS } from '../memory/gpu-scratch';
import { type Description, kernel } from './kernel';
import type { SamplerShape } from './sampling';

export const SCORE_PICK = {
  label: 'score_pick',
  source,
  bindings: { logits: 0, parts: 1, state: 2, scores: 3 },
} satisfies Description;

export const scorePickKernel = (vocab: number, { threads, groups }: SamplerShape) =>
  kernel(SCORE_PICK, { THREADS: threads, VOCAB: vocab, GROUPS: groups, TOLD: LOGPROB_WORDS });
