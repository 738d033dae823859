/**
 * The draw from what is kept: the best scores of parts of the vocabulary. Reference: execute/sampler/chain.ts, test:
 * sample.gpu.test.ts.
 */
import source from '../../shaders/sample-draw.wgsl?raw';
import { type Description, kernel } from './kernel';
import { type SamplerShape, samplerConstants, VOCABULARY_BINDINGS } from './sampling';

export const SAMPLE_DRAW = {
  label: 'sample_draw',
  source,
  bindings: { ...VOCABULARY_BINDINGS, winners: 4 },
} satisfies Description;

/** @param keeps whether it does not draw from all */
export const sampleDrawKernel = (vocab: number, shape: SamplerShape, keeps: boolean) =>
  kernel(SAMPLE_DRAW, { ...samplerConstants(vocab, shape), KEEPS: keeps });
