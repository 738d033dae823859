/**
 * The likeliest of the raw logits and the mass of all, in parts of the vocabulary. Reference:
 * execute/sampler/logprobs.ts, test: sample.gpu.test.ts.
 */
import source from '../../shaders/sample-top.wgsl?raw';
import { LOGPROB_WORDS } from '../memory/gpu-scratch';
import { type Description, kernel } from './kernel';
import { type SamplerShape, samplerConstants } from './sampling';

export const SAMPLE_TOP = {
  label: 'sample_top',
  source,
  bindings: { logits: 0, parts: 1, state: 2 },
} satisfies Description;

export const sampleTopKernel = (vocab: number, shape: SamplerShape) =>
  kernel(SAMPLE_TOP, { ...samplerConstants(vocab, shape), TOLD: LOGPROB_WORDS });
