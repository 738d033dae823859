/**
 * The sampler's first half: maxima of parts of the vocabulary, SAMPLE_GROUPS of them. Reference:
 * execute/sampler/chain.ts, test: sample.gpu.test.ts.
 */
import source from '../../shaders/sample-max.wgsl?raw';
import { SAMPLE_GROUPS } from '../memory/gpu-scratch';
import { type Description, kernel } from './kernel';

export const SAMPLE_MAX = { label: 'sample_max', source, bindings: { logits: 0, maxima: 1 } } satisfies Description;

/** Few: a barrier costs a software adapter a switch a thread. */
const THREADS = 64;

export const sampleMaxKernel = (vocab: number) => kernel(SAMPLE_MAX, { THREADS, VOCAB: vocab, GROUPS: SAMPLE_GROUPS });
