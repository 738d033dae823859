/**
 * The sampler's first pass: maxima of parts of the vocabulary. Reference: execute/sampler/chain.ts, test:
 * sample.gpu.test.ts.
 */
import source from '../../shaders/sample-max.wgsl?raw';
import { type Description, kernel } from './kernel';
import { type SamplerShape, samplerConstants, VOCABULARY_BINDINGS } from './sampling';

export const SAMPLE_MAX = {
  label: 'sample_max',
  source,
  bindings: VOCABULARY_BINDINGS,
} satisfies Description;

/** @param clears whether it empties what the first pass of sample-scan.ts adds to, which comes after it */
export const sampleMaxKernel = (vocab: number, shape: SamplerShape, clears: boolean) =>
  kernel(SAMPLE_MAX, { ...samplerConstants(vocab, shape), CLEARS: clears });
