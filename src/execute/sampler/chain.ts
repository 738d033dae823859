/**
 * How a token is chosen from logits: the definition that both executors follow, a chain of links (WGSL:
 * shaders/sample-*.wgsl, which name the same links in the same order).
 *
 *   1. ADJUSTMENTS (adjustments.ts) change single logits, by what is known of their tokens: bias (l + bias), mask (what
 *      may not come gets MASKED, less than any logit).
 *   2. temperature 0 or topP 0: the largest logit, the lowest id on ties. Nothing below applies.
 *   3. temperature: z = l / temperature.
 *   4. KEEPS leave the likeliest: top-k (0 = off) { l >= the k-th largest l }, ties are kept; top-p (1 = off), with
 *      p = softmax(z) over what is kept, the fewest largest whose sum is >= topP. Ties with the smallest of them are
 *      kept, and at least one always is.
 *   5. Gumbel-max: the id with the largest z + g(seed, step, id), lowest id on ties. That is a draw from softmax(z)
 *      over what is kept, without a sum, a division or an order of evaluation (Gumbel 1954; Maddison et al. 2014);
 *      g: noise.ts.
 *
 * A new rule is a link of one of the two lists, its line in shaders/sample-adjust.wgsl or its passes before
 * sample-draw.wgsl (links.ts says which of them a request needs), and its number, where it has one, in REQUEST_WORDS
 * (memory/gpu-scratch.ts).
 */
import { ADJUSTMENTS, type TokenState } from './adjustments';
import { asksTopK, asksTopP, isGreedy } from './links';
import { gumbel, stepKey } from './noise';
import type { SampleOptions } from './options';

/** A link that leaves the likeliest. */
interface Keep {
  asked(sample: SampleOptions, vocab: number): boolean;
  /** @returns the smallest logit that is kept, of the logits in rising order, of which those below `least` are gone */
  least(rising: Float32Array, least: number, sample: SampleOptions): number;
}

const topK: Keep = {
  asked: asksTopK,
  least: (rising, _, sample) => rising[rising.length - sample.topK],
};

const topP: Keep = {
  asked: asksTopP,
  least(rising, least, { temperature, topP }) {
    const n = rising.length;
    const top = rising[n - 1];
    let total = 0;
    for (let i = n - 1; i >= 0 && rising[i] >= least; i--) total += Math.exp((rising[i] - top) / temperature);
    let mass = 0;
    let i = n;
    while (i > 0 && rising[i - 1] >= least && mass < topP * total) mass += Math.exp((rising[--i] - top) / temperature);
    return rising[Math.min(i, n - 1)];
  },
};

const KEEPS: readonly Keep[] = [topK, topP];

/** Index of the largest value, the lowest on ties. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** The smallest logit that the links keep; -Infinity when none of them is asked for. */
export function keepThreshold(logits: Float32Array, sample: SampleOptions): number {
  const asked = KEEPS.filter((link) => link.asked(sample, logits.length));
  if (asked.length === 0) return Number.NEGATIVE_INFINITY;
  const rising = logits.slice().sort();
  return asked.reduce((least, link) => link.least(rising, least, sample), rising[0]);
}

const NOTHING: TokenState = { counts: new Map(), mask: null };

/** Chooses an id from logits [vocab], which stay as they are. */
export function sampleToken(
  logits: Float32Array,
  sample: SampleOptions,
  step: number,
  state: TokenState = NOTHING,
): number {
  const adjustments = ADJUSTMENTS.filter((link) => link.asked(sample));
  const adjusted = adjustments.length ? logits.slice() : logits;
  for (const link of adjustments) link.apply(adjusted, sample, state);
  return draw(adjusted, sample, step);
}

/** Steps 2 to 5. */
function draw(logits: Float32Array, sample: SampleOptions, step: number): number {
  const { temperature, seed } = sample;
  if (isGreedy(sample)) return argmax(logits);
  const threshold = keepThreshold(logits, sample);
  const key = stepKey(seed, step);
  let best = -1;
  let bestScore = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id++) {
    if (!(logits[id] >= threshold)) continue;
    const score = logits[id] / temperature + gumbel(key, id);
    if (score > bestScore) {
      best = id;
      bestScore = score;
    }
  }
  return best < 0 ? argmax(logits) : best;
}
