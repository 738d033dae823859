/**
 * A pass over the vocabulary that finds what a draw is made from: sums over what is kept, or a histogram of a digit.
 * Reference: execute/sampler/keeps.ts, test: sample.gpu.test.ts.
 */
import source from '../../shaders/sample-scan.wgsl?raw';
import { type Description, kernel } from './kernel';
import { type SamplerShape, samplerConstants, VOCABULARY_BINDINGS } from './sampling';

export const SAMPLE_SCAN = {
  label: 'sample_scan',
  source,
  bindings: VOCABULARY_BINDINGS,
} satisfies Description;

export const sampleScanKernel = (vocab: number, shape: SamplerShape) =>
  kernel(SAMPLE_SCAN, samplerConstants(vocab, shape));

/** @param index of the pass, from 0 on: the shader knows it by the number of workgroups */
export const sampleScanGroups = ({ groups }: SamplerShape, index: number): [number] => [groups + index];
