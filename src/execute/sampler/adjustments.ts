/**
 * The links of the sampler's chain (chain.ts) that change single logits, in their order. Apart from the others because
 * the GPU's side asks whether a request needs one of them. All numbers are f32.
 *
 *   1. bias: l + bias. A ban is a bias of BANNED.
 *   2. repetition penalty r, of an id that came in prompt or answer, or in the last `repeatLastN` ids of both:
 *      l * r where l < 0, else l / r (Keskar et al. 2019, CTRL, 4.1; transformers). llama.cpp's looks at the last 64
 *      ids where nothing is said, and its presence and frequency penalties at the same ones.
 *   3. presence and frequency penalty, of an id that came n > 0 times in the answer: l - (presence + n * frequency)
 *      (OpenAI's API reference).
 *   4. what the rules of this step take from single logits (step-rules.ts: DRY).
 *   5. mask: what may not come gets MASKED, less than any logit.
 */
import { History } from './history';
import { MASKED, type SampleOptions, type TokenMask } from './options';
import { asksStepRules } from './step-rules';

/** What the sampler knows of single tokens at one draw. */
export interface TokenState {
  history: Pick<History, 'counts' | 'repeated'>;
  /** what is taken from logits, by id */
  less: ReadonlyMap<number, number>;
  mask: TokenMask | null;
}

export const NOTHING_KNOWN: TokenState = {
  history: new History({ temperature: 0, topK: 0, topP: 1, seed: 0 }),
  less: new Map(),
  mask: null,
};

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

const repetition: Adjustment = {
  asked: ({ repetitionPenalty: by = 1 }) => by !== 1,
  apply(logits, { repetitionPenalty = 1 }, { history }) {
    const by = Math.fround(repetitionPenalty);
    for (const [id, count] of history.repeated)
      if (count > 0 && !isBanned(logits[id])) logits[id] = logits[id] < 0 ? logits[id] * by : logits[id] / by;
  },
};

const repeatedOften: Adjustment = {
  asked: ({ presencePenalty = 0, frequencyPenalty = 0 }) => presencePenalty !== 0 || frequencyPenalty !== 0,
  apply(logits, { presencePenalty = 0, frequencyPenalty = 0 }, { history }) {
    for (const [id, count] of history.counts)
      if (!isBanned(logits[id]))
        logits[id] -= Math.fround(Math.fround(presencePenalty) + Math.fround(Math.fround(frequencyPenalty) * count));
  },
};

const rules: Adjustment = {
  asked: asksStepRules,
  apply(logits, _, { less }) {
    for (const [id, by] of less) if (!isBanned(logits[id])) logits[id] -= Math.fround(by);
  },
};

const mask: Adjustment = {
  asked: (sample) => sample.mask !== undefined || asksStepRules(sample),
  apply(logits, _, state) {
    if (!state.mask) return;
    for (let id = 0; id < logits.length; id++) if (!((state.mask[id >> 5] >>> (id & 31)) & 1)) logits[id] = MASKED;
  },
};

/** A product with it would not be finite, and it cannot come in any case. */
const isBanned = (logit: number) => logit < -1e38;

export const ADJUSTMENTS: readonly Adjustment[] = [bias, repetition, repeatedOften, rules, mask];

/** Whether a request changes single logits: the GPU then has a buffer and a dispatch for it. */
export const adjusts = (sample: SampleOptions): boolean => ADJUSTMENTS.some((link) => link.asked(sample));
