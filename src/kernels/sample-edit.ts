/**
 * What the rules of one step take from single logits. Reference: execute/sampler/adjustments.ts, test:
 * sample.gpu.test.ts.
 */
import source from '../../shaders/sample-edit.wgsl?raw';
import { MOST_EDITS } from '../memory/gpu-scratch';
import { type Description, kernel } from './kernel';

export const SAMPLE_EDIT = {
  label: 'sample_edit',
  source,
  bindings: { edits: 0, adjusted: 1, state: 2 },
} satisfies Description;

const THREADS = 64;

export const sampleEditKernel = (vocab: number) => kernel(SAMPLE_EDIT, { THREADS, VOCAB: vocab });

/** As many as there may be edits. */
export const SAMPLE_EDIT_GROUPS: readonly [number] = [MOST_EDITS / THREADS];
