/**
 * The links of the sampler's chain (chain.ts) that change single logits, in their order. Apart from the others because
 * the GPU's side asks whether a request needs one of them.
 */
import type { SampleOptions, TokenMask } from './options';

/** What the sampler knows of single tokens at one draw. */
export interface TokenState {
  /** how often each id was drawn or counted before */
  counts: ReadonlyMap<number, number>;
  mask: TokenMask | null;
}

/** The logit of what may not come: in the order of logits below all others, and finite, as WGSL knows no infinity. */
const MASKED = -3.4e38;

/** A link that changes single logits, [vocab], in place. */
interface Adjustment {
  asked(sample: SampleOptions): boolean;
  apply(logits: Float32Array, sample: SampleOptions, state: TokenState): void;
}

const bias: Adjustment = {
  asked: (sample) => !!sample.bias?.size,
  apply(logits, sample) {
    for (const [id, by] of sample.bias ?? []) logits[id] += Math.fround(by);
  },
};

const mask: Adjustment = {
  asked: (sample) => sample.mask !== undefined,
  apply(logits, _, state) {
    if (!state.mask) return;
    for (let id = 0; id < logits.length; id++) if (!((state.mask[id >> 5] >>> (id & 31)) & 1)) logits[id] = MASKED;
  },
};

export const ADJUSTMENTS: readonly Adjustment[] = [bias, mask];

/** Whether a request changes single logits: the GPU then has a buffer and a dispatch for it. */
export const adjusts = (sample: SampleOptions): boolean => ADJUSTMENTS.some((link) => link.asked(sample));
