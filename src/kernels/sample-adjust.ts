/**
 * The links of the sampler's chain that change single logits. Reference: execute/sampler/adjustments.ts, test:
 * sample.gpu.test.ts.
 */
import source from '../../shaders/sample-adjust.wgsl?raw';
import { type Description, kernel } from './kernel';

export const SAMPLE_ADJUST = {
  label: 'sample_adjust',
  source,
  bindings: { logits: 0, tokens: 1, adjusted: 2, state: 3 },
} satisfies Description;

const THREADS = 64;

export const sampleAdjustKernel = (vocab: number) => kernel(SAMPLE_ADJUST, { THREADS, VOCAB: vocab });

/** A thread takes more than one id where there are more than a grid holds. */
export const sampleAdjustGroups = (vocab: number): [number] => [Math.min(Math.ceil(vocab / THREADS), 65_535)];
