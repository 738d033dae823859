/**
 * Log-probabilities of the likeliest, from the parts of the vocabulary. Reference: execute/sampler/logprobs.ts, test:
 * sample.gpu.test.ts.
 */
import source from '../../shaders/sample-report.wgsl?raw';
import { ID_RING, LOGPROB_WORDS } from '../memory/gpu-scratch';
import { type Description, kernel } from './kernel';
import { type SamplerShape, samplerConstants } from './sampling';

export const SAMPLE_REPORT = {
  label: 'sample_report',
  source,
  bindings: { parts: 0, logprobs: 1, state: 2 },
} satisfies Description;

export const sampleReportKernel = (vocab: number, shape: SamplerShape) =>
  kernel(SAMPLE_REPORT, { ...samplerConstants(vocab, shape), RING: ID_RING, TOLD: LOGPROB_WORDS });
