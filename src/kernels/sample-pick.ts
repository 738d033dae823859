/**
 * The sampler's last pass: one workgroup that takes the best of the parts, and hands it on. Reference:
 * execute/sampler/chain.ts, test: sample.gpu.test.ts.
 */
import source from '../../shaders/sample-pick.wgsl?raw';
import { ID_RING, LOGPROB_WORDS, STATE, STOP_WORDS, tokenPlaces } from '../memory/gpu-scratch';
import { type Description, kernel } from './kernel';
import { type SamplerShape, samplerConstants } from './sampling';

export const SAMPLE_PICK = {
  label: 'sample_pick',
  source,
  bindings: { maxima: 1, state: 2, ids: 3, sampled: 4, tokens: 5, logits: 6, logprobs: 7 },
} satisfies Description;

/**
 * @param counts whether it counts what is drawn, in the buffer of what is known of each token
 * @param tells whether it tells the log-probability of what is drawn
 */
export const samplePickKernel = (vocab: number, shape: SamplerShape, counts: boolean, tells: boolean) =>
  kernel(SAMPLE_PICK, {
    ...samplerConstants(vocab, shape),
    RING: ID_RING,
    COUNTS: counts,
    STOPS_AT: STATE.stops,
    STOPS: STOP_WORDS,
    REPEATS_AT: tokenPlaces(vocab).ring,
    TELLS: tells,
    TOLD: LOGPROB_WORDS,
  });
