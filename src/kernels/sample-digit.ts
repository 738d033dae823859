/**
 * One stage of the search for what top-k or top-p keeps, three of each: a histogram of a digit of the logits' keys.
 * Reference: keepThreshold() in execute/sampler/chain.ts, test: sample.gpu.test.ts.
 */
import source from '../../shaders/sample-digit.wgsl?raw';
import { type Description, kernel } from './kernel';
import { type SamplerShape, samplerConstants, VOCABULARY_BINDINGS } from './sampling';

export const SAMPLE_DIGIT = {
  label: 'sample_digit',
  source,
  bindings: VOCABULARY_BINDINGS,
} satisfies Description;

export const sampleDigitKernel = (vocab: number, shape: SamplerShape) =>
  kernel(SAMPLE_DIGIT, samplerConstants(vocab, shape));

/** @param stage 0 to 2 of top-k, 3 to 5 of top-p: the shader knows it by the number of workgroups */
export const sampleDigitGroups = ({ groups }: SamplerShape, stage: number): [number] => [groups + stage];
