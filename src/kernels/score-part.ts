/**
 * The logarithm of the sum of exp(logits), by parts of the vocabulary. Reference: execute/log-probability.ts, test:
 * reading.gpu.test.ts.
 */
import source from '../../shaders/score-part.wgsl?raw';
import { type Description, kernel } from './kernel';
import type { SamplerShape } from './sampling';

export const SCORE_PART = { label: 'score_part', source, bindings: { logits: 0, parts: 1 } } satisfies Description;

export const scorePartKernel = (vocab: number, { threads, groups }: SamplerShape) =>
  kernel(SCORE_PART, { THREADS: threads, VOCAB: vocab, GROUPS: groups });
