/**
 * The links of the sampler's chain (chain.ts) that say what of the vocabulary a draw is made from, in their order:
 * that of transformers 5.24 (GenerationMixin._get_logits_processor), with those that it lacks where they belong.
 * z = l / temperature, p = softmax(z) over what the links before have kept, l the adjusted logits; what is banned or
 * masked is not there. Ties with the last that is kept are kept, and at least one always is.
 *
 *   1. dynamic temperature, in the place of the fixed one: with H the entropy of softmax(l), n the number of ids and
 *      lowest, highest = temperature -+ range (0 at least): lowest + (highest - lowest) * (H / ln n) ^ exponent
 *      (koboldcpp, llama.cpp; there it comes last, and H is that of what is kept).
 *   2. top-n-sigma: l >= max - n * sigma, the standard deviation of all logits (Tang et al. 2024, "Top-n-sigma";
 *      llama.cpp). The same at any temperature.
 *   3. top-h: of the 100 likeliest, as many as have a share h of their entropy together, and not more; with h = 1 all
 *      100 (Potraghloo et al. 2025; transformers).
 *   4. top-k: the k largest.
 *   5. top-p: the fewest largest whose p are top-p together (Holtzman et al. 2020).
 *   6. min-p: p >= min-p * the largest p (Nguyen et al. 2024).
 *   7. typical: the fewest whose p are typical-p together, those first whose surprise -ln p is the nearest to the
 *      entropy (Meister et al. 2023), that is, whose z is the nearest to its own mean.
 *   8. XTC, with a chance of xtcProbability a draw: of those with p >= threshold all but the least go (p-e-w,
 *      github.com/oobabooga/text-generation-webui/pull/6335; llama.cpp has it before the temperature).
 *   9. epsilon: p >= epsilon (Hewitt et al. 2022).
 *  10. eta: p >= min(eta, sqrt(eta) * exp(-entropy)) (Hewitt et al. 2022).
 *
 * llama.cpp's usual chain is top-k, typical, top-p, min-p, XTC, then the temperature, so that its probabilities are
 * those at temperature 1. Mirostat is left out: it steers by what it drew, so that no seed draws the same twice over
 * a pause, and top-n-sigma and min-p have taken its place.
 *
 * Whatever they leave is one piece of the logits in rising order: all but XTC and typical keep the largest, XTC cuts
 * off the top, and what is near to a value is near to it on both sides.
 */
import { ASKS, MOST_OF_TOP_H, type Rule } from './links';
import { chanceOf } from './noise';
import type { SampleOptions } from './options';

/** What is kept: logits in rising order, from one place to before another, and the temperature. */
export class Kept {
  from = 0;
  end: number;

  constructor(
    readonly rising: Float32Array,
    public temperature: number,
  ) {
    this.end = rising.length;
  }

  get least(): number {
    return this.rising[this.from];
  }

  get most(): number {
    return this.rising[this.end - 1];
  }

  /** z of a place, less the largest of all. */
  z(place: number): number {
    const difference = this.rising[place] - this.rising[this.rising.length - 1];
    return difference === 0 ? 0 : difference / this.temperature;
  }

  /** Sums over what is kept: of exp(z), and of exp(z) * z. */
  sums(): { mass: number; moment: number } {
    let [mass, moment] = [0, 0];
    for (let i = this.from; i < this.end; i++) {
      const z = this.z(i);
      const e = Math.exp(z);
      mass += e;
      if (e > 0) moment += e * z;
    }
    return { mass, moment };
  }

  /** Entropy of softmax(z) over what is kept. */
  entropy(): number {
    const { mass, moment } = this.sums();
    return Math.log(mass) - moment / mass;
  }

  /** Keeps from this place on, and what ties with it; at least the largest. */
  cut(place: number): void {
    this.from = Math.max(this.from, Math.min(place, this.end - 1));
    const least = this.least;
    while (this.from > 0 && this.rising[this.from - 1] === least) this.from--;
  }

  /** Keeps what has a probability of at least this. */
  likely(p: number): void {
    const { mass } = this.sums();
    let place = this.from;
    while (place < this.end - 1 && Math.exp(this.z(place)) / mass < p) place++;
    this.cut(place);
  }
}

type Narrow = (kept: Kept, sample: SampleOptions, step: number) => void;

const dynatemp: Narrow = (kept, { temperature, dynatempRange = 0, dynatempExponent = 1 }) => {
  const n = kept.end - kept.from;
  if (n < 2) return;
  kept.temperature = 1;
  const share = Math.min(1, Math.max(0, kept.entropy() / Math.log(n)));
  const lowest = Math.max(0, temperature - dynatempRange);
  kept.temperature = Math.max(
    LEAST_TEMPERATURE,
    lowest + (temperature + dynatempRange - lowest) * share ** dynatempExponent,
  );
};

const topNSigma: Narrow = (kept, { topNSigma = 0 }) => {
  const { rising, from, end, most } = kept;
  let [mean, squares] = [0, 0];
  for (let i = from; i < end; i++) mean += rising[i] / (end - from);
  for (let i = from; i < end; i++) squares += (rising[i] - mean) ** 2;
  const least = most - topNSigma * Math.sqrt(squares / (end - from));
  let place = from;
  while (place < end - 1 && rising[place] < least) place++;
  kept.cut(place);
};

const topH: Narrow = (kept, { topH = 0 }) => {
  kept.cut(kept.end - MOST_OF_TOP_H);
  if (topH >= 1) return;
  const { mass, moment } = kept.sums();
  const goal = topH * (Math.log(mass) - moment / mass);
  let [sum, place] = [0, kept.end];
  while (place > kept.from) {
    const z = kept.z(place - 1);
    const p = Math.exp(z) / mass;
    sum += p > 0 ? p * (Math.log(mass) - z) : 0;
    if (sum > goal) break;
    place--;
  }
  // none of those that tie with the first that is too much
  const { rising, end, most } = kept;
  while (place > kept.from && place < end && rising[place - 1] === rising[place] && rising[place] !== most) place++;
  kept.cut(place);
};

const topK: Narrow = (kept, { topK }) => kept.cut(kept.end - topK);

const topP: Narrow = (kept, { topP }) => {
  const { mass } = kept.sums();
  let [sum, place] = [0, kept.end];
  while (place > kept.from && sum < topP * mass) sum += Math.exp(kept.z(--place));
  kept.cut(place);
};

const minP: Narrow = (kept, { minP = 0 }) => {
  let place = kept.from;
  while (place < kept.end - 1 && Math.exp(kept.z(place)) < minP) place++;
  kept.cut(place);
};

const typical: Narrow = (kept, { typicalP = 1 }) => {
  const { mass, moment } = kept.sums();
  const center = moment / mass;
  const far = (place: number) => Math.abs(kept.z(place) - center);
  let upper = kept.from;
  while (upper < kept.end && kept.z(upper) < center) upper++;
  let lower = upper;
  let [sum, radius] = [0, 0];
  while (sum < typicalP * mass && upper - lower < kept.end - kept.from) {
    const below = lower > kept.from ? far(lower - 1) : Number.POSITIVE_INFINITY;
    const above = upper < kept.end ? far(upper) : Number.POSITIVE_INFINITY;
    radius = Math.min(below, above);
    sum += Math.exp(kept.z(below < above ? --lower : upper++));
  }
  while (lower > kept.from && far(lower - 1) <= radius) lower--;
  while (upper < kept.end && far(upper) <= radius) upper++;
  [kept.from, kept.end] = [lower, upper];
};

const xtc: Narrow = (kept, { seed, xtcProbability = 0, xtcThreshold = 0.1 }, step) => {
  if (chanceOf(seed, step) >= Math.fround(xtcProbability)) return;
  const { mass } = kept.sums();
  let likely = kept.end;
  while (likely > kept.from && Math.exp(kept.z(likely - 1)) / mass >= xtcThreshold) likely--;
  if (likely === kept.end) return;
  const least = kept.rising[likely];
  while (kept.most > least) kept.end--;
};

const epsilon: Narrow = (kept, { epsilonCutoff = 0 }) => kept.likely(epsilonCutoff);

const eta: Narrow = (kept, { etaCutoff = 0 }) =>
  kept.likely(Math.min(etaCutoff, Math.sqrt(etaCutoff) * Math.exp(-kept.entropy())));

/** Where a dynamic temperature comes to 0, the likeliest is all but certain. */
const LEAST_TEMPERATURE = 1e-20;

const KEEPS: readonly (readonly [Rule, Narrow])[] = Object.entries({
  dynatemp,
  topNSigma,
  topH,
  topK,
  topP,
  minP,
  typical,
  xtc,
  epsilon,
  eta,
} satisfies Record<Rule, Narrow>) as [Rule, Narrow][];

/** Whether a request asks for any of them. */
export const asksKeeps = (sample: SampleOptions, vocab: number): boolean =>
  KEEPS.some(([rule]) => ASKS[rule](sample, vocab));

/**
 * What the links that a request asks for leave.
 * @param rising all logits that are not banned or masked, in rising order
 */
export function keep(rising: Float32Array, sample: SampleOptions, step: number): Kept {
  const kept = new Kept(rising, sample.temperature);
  for (const [rule, narrow] of KEEPS) if (ASKS[rule](sample, rising.length)) narrow(kept, sample, step);
  return kept;
}
