/** What the sampler's kernels share: the shape of a pass over the vocabulary, and the places of what they find. */
import type { Constants } from '../gpu/preprocess';
import { KEPT } from '../memory/gpu-scratch';

/** What the passes over the vocabulary bind. */
export const VOCABULARY_BINDINGS = { logits: 0, maxima: 1, state: 2, kept: 3 };

/**
 * Shape of the sampler's passes over the vocabulary: `groups` workgroups, SAMPLE_GROUPS at most, of `threads` threads,
 * a power of two from 16 on.
 */
export interface SamplerShape {
  threads: number;
  groups: number;
}

export const samplerConstants = (vocab: number, { threads, groups }: SamplerShape): Constants => ({
  THREADS: threads,
  VOCAB: vocab,
  GROUPS: groups,
  BINS: KEPT.bins,
  OWN_BINS: KEPT.bins / threads,
  SPAN: threads / 16,
  SLOTS: KEPT.slots,
  SLOT_WORDS: KEPT.slotWords,
});
