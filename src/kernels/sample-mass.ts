/**
 * The mass that top-p takes its share of. Reference: keepThreshold() in execute/sampler/chain.ts, test:
 * sample.gpu.test.ts.
 */
import source from '../../shaders/sample-mass.wgsl?raw';
import { type Description, kernel } from './kernel';
import { type SamplerShape, samplerConstants, VOCABULARY_BINDINGS } from './sampling';

export const SAMPLE_MASS = {
  label: 'sample_mass',
  source,
  bindings: VOCABULARY_BINDINGS,
} satisfies Description;

export const sampleMassKernel = (vocab: number, shape: SamplerShape) =>
  kernel(SAMPLE_MASS, samplerConstants(vocab, shape));
