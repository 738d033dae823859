/**
 * How a token is chosen from logits: the definition that both executors follow, a chain of links (WGSL:
 * shaders/sample-*.wgsl, which name the same links in the same order).
 *
 *   1. ADJUSTMENTS (adjustments.ts) change single logits, by what is known of their tokens: bias, penalties, the rules
 *      of single steps (step-rules.ts), the mask.
 *   2. temperature 0 or topP 0: the largest logit, the lowest id on ties. Nothing below applies.
 *   3. temperature: z = l / temperature.
 *   4. KEEPS (keeps.ts) say from what is drawn.
 *   5. Gumbel-max: the id with the largest z + g(seed, step, id), lowest id on ties. That is a draw from softmax(z)
 *      over what is kept, without a sum, a division or an order of evaluation (Gumbel 1954; Maddison et al. 2014);
 *      g: noise.ts.
 *
 * Log-probabilities (logprobs.ts) are those of the raw logits, before all of this.
 *
 * A new rule is a link of one of the two lists, its line in shaders/sample-adjust.wgsl or its passes (links.ts) and its
 * case in shaders/lib/kept.wgsl, and its number, where it has one, in REQUEST_WORDS (memory/gpu-scratch.ts).
 */
import { ADJUSTMENTS, NOTHING_KNOWN, type TokenState } from './adjustments';
import { asksKeeps, keep } from './keeps';
import { isGreedy } from './links';
import { gumbel, stepKey } from './noise';
import { GONE, type SampleOptions } from './options';

/** Index of the largest value, the lowest on ties. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** From what a draw is made: logits from `least` to `most`, over the temperature. */
export interface Range {
  least: number;
  most: number;
  temperature: number;
}

/** What the links keep of logits that are adjusted: all where none of them is asked for. */
export function keptOf(logits: Float32Array, sample: SampleOptions, step: number): Range {
  const { temperature } = sample;
  if (!asksKeeps(sample, logits.length))
    return { least: Number.NEGATIVE_INFINITY, most: Number.POSITIVE_INFINITY, temperature };
  const sorted = logits.slice().sort();
  const gone = sorted[sorted.length - 1] - GONE;
  const rising = sorted.subarray(sorted.findIndex((logit) => logit >= gone));
  return keep(rising, sample, step);
}

/** Logits [vocab] with what is known of their tokens; the same array where nothing is asked for. */
export function adjusted(logits: Float32Array, sample: SampleOptions, state: TokenState): Float32Array {
  const adjustments = ADJUSTMENTS.filter((link) => link.asked(sample));
  const own = adjustments.length ? logits.slice() : logits;
  for (const link of adjustments) link.apply(own, sample, state);
  return own;
}

/** Chooses an id from logits [vocab], which stay as they are. */
export const sampleToken = (
  logits: Float32Array,
  sample: SampleOptions,
  step: number,
  state: TokenState = NOTHING_KNOWN,
): number => draw(adjusted(logits, sample, state), sample, step);

/** Steps 2 to 5. */
function draw(logits: Float32Array, sample: SampleOptions, step: number): number {
  if (isGreedy(sample)) return argmax(logits);
  const { least, most, temperature } = keptOf(logits, sample, step);
  const key = stepKey(sample.seed, step);
  let best = -1;
  let bestScore = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id++) {
    if (!(logits[id] >= least && logits[id] <= most)) continue;
    const score = logits[id] / temperature + gumbel(key, id);
    if (score > bestScore) {
      best = id;
      bestScore = score;
    }
  }
  return best < 0 ? argmax(logits) : best;
}
