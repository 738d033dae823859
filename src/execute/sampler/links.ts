/**
 * Which links of the sampler's chain (chain.ts) a request asks for. Apart from them because the GPU's side leaves out
 * the dispatches of those that it does not.
 */
import { adjusts } from './adjustments';
import type { SampleOptions } from './options';
import { asksStepRules } from './step-rules';

/** Whether it takes the likeliest, and nothing else counts. */
export const isGreedy = ({ temperature, topP }: SampleOptions): boolean => temperature === 0 || topP === 0;

/** The most ids among which top-h looks, as in transformers. */
export const MOST_OF_TOP_H = 100;

/** Whether a request asks for a rule of what is kept. */
export const ASKS = {
  dynatemp: ({ dynatempRange = 0 }) => dynatempRange > 0,
  topNSigma: ({ topNSigma = 0 }) => topNSigma > 0,
  topH: ({ topH = 0 }) => topH > 0,
  topK: ({ topK }, vocab) => topK > 0 && topK < vocab,
  topP: ({ topP }) => topP < 1,
  minP: ({ minP = 0 }) => minP > 0,
  typical: ({ typicalP = 1 }) => typicalP < 1,
  xtc: ({ xtcProbability = 0, xtcThreshold = 0.1 }) => xtcProbability > 0 && xtcThreshold <= 0.5,
  epsilon: ({ epsilonCutoff = 0 }) => epsilonCutoff > 0 && epsilonCutoff < 1,
  eta: ({ etaCutoff = 0 }) => etaCutoff > 0 && etaCutoff < 1,
} as const satisfies Record<string, (sample: SampleOptions, vocab: number) => boolean>;
export type Rule = keyof typeof ASKS;

/**
 * The passes over the vocabulary that a rule takes on the GPU, in the rules' order: its number (shaders/lib/kept.wgsl)
 * and stages: 0 sums what is kept, 1 to 3 find a threshold digit by digit. (XTC's second finds the least of the
 * likely. Min-p needs the largest logit only, and no pass.)
 */
const PASSES: readonly (readonly [number, (sample: SampleOptions, vocab: number) => boolean, readonly number[]])[] = [
  [1, ASKS.dynatemp, [0]],
  [2, ASKS.topNSigma, [0]],
  [3, (sample, vocab) => ASKS.topH(sample) && vocab > MOST_OF_TOP_H, [1, 2, 3]],
  [4, (sample) => ASKS.topH(sample) && sample.topH! < 1, [0, 1, 2, 3]],
  [5, ASKS.topK, [1, 2, 3]],
  [6, ASKS.topP, [0, 1, 2, 3]],
  [7, ASKS.typical, [0, 1, 2, 3]],
  [8, ASKS.xtc, [0, 1]],
  [9, ASKS.epsilon, [0]],
  [10, ASKS.eta, [0]],
];

export interface Links {
  /** single logits change */
  adjusts: boolean;
  /** rules of single steps change them, too */
  edits: boolean;
  /** it draws, and does not just take the likeliest */
  draws: boolean;
  /** it does not draw from all */
  keeps: boolean;
  /** passes over the vocabulary that find what it draws from: four times the number of the rule, and the stage */
  passes: readonly number[];
  /** it tells log-probabilities */
  logprobs: boolean;
}

export function linksOf(sample: SampleOptions, vocab: number): Links {
  const draws = !isGreedy(sample);
  const asked = PASSES.filter(([, asks]) => draws && asks(sample, vocab));
  const passes = asked.flatMap(([rule, , stages]) => stages.map((stage) => 4 * rule + stage));
  return {
    adjusts: adjusts(sample),
    edits: asksStepRules(sample),
    draws,
    keeps: passes.length > 0 || (draws && ASKS.minP(sample)),
    passes,
    logprobs: sample.logprobs !== undefined,
  };
}
