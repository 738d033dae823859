/**
 * Which links of the sampler's chain (chain.ts) a request asks for. Apart from them because the GPU's side leaves out
 * the dispatches of those that it does not.
 */
import { adjusts } from './adjustments';
import type { SampleOptions } from './options';

/** Whether it takes the likeliest, and nothing else counts. */
export const isGreedy = ({ temperature, topP }: SampleOptions): boolean => temperature === 0 || topP === 0;

export const asksTopK = ({ topK }: SampleOptions, vocab: number): boolean => topK > 0 && topK < vocab;

export const asksTopP = ({ topP }: SampleOptions): boolean => topP < 1;

export interface Links {
  /** single logits change */
  adjusts: boolean;
  /** it draws, and does not just take the likeliest */
  draws: boolean;
  /** what it draws from */
  topK: boolean;
  topP: boolean;
}

export function linksOf(sample: SampleOptions, vocab: number): Links {
  const draws = !isGreedy(sample);
  return {
    adjusts: adjusts(sample),
    draws,
    topK: draws && asksTopK(sample, vocab),
    topP: draws && asksTopP(sample),
  };
}
