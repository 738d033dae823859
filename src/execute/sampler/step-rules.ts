/**
 * Rules that need the order of the ids, or how many there are: what may come at one step, and what is taken from single
 * logits there. Both executors ask them before a draw, when they know all ids before it, so that on the GPU no draw is
 * made ahead of such a step (decode.ts): these few comparisons over thousands of ids are a processor's work.
 *
 *   - forced tokens: an answer begins with them; forced ends: one of them is its last id, where it gets that long
 *     (transformers' forced_bos_token_id and forced_eos_token_id).
 *   - minTokens: no id that ends the answer comes before it has so many (min_new_tokens).
 *   - begin_suppress_tokens do not begin the answer.
 *   - bad words: the last id of a sequence does not come behind all others of it (bad_words_ids; a sequence of one is
 *     a ban, which is a bias).
 *   - no-repeat-n-gram: no id that would end an n-gram that prompt and answer have already (Paulus et al. 2017, 2.5).
 *   - DRY (p-e-w, github.com/oobabooga/text-generation-webui/pull/5677): with L the length of the longest end of the
 *     ids so far that stood earlier, and was followed by this id, multiplier * base^(L - allowedLength) is taken from
 *     its logit where L >= allowedLength. No repetition reaches over a breaker, and breakers are not penalised.
 *     llama.cpp's breakers are texts that may be parts of several tokens; here a token is one or is not. Of more than
 *     MOST_EDITS ids the most repeated are penalised.
 *
 * A ban is the weaker word beside a mask: where both together allow nothing, the mask alone counts, and where bans
 * alone allow nothing, nothing is banned.
 */
import { MOST_EDITS } from '../../memory/gpu-scratch';
import { History } from './history';
import { maskWords, nextMask, type SampleOptions, type TokenMask } from './options';

/** What is taken away from a logit stays a number that a logit can lose. */
const MOST_TAKEN = 1e30;

const minTokensOf = ({ minTokens = 0, stopIds = [] }: SampleOptions) => (stopIds.length > 0 ? minTokens : 0);
/** Rules that are asked at every step, as any id may bring them. */
const asksEachStep = ({ dryMultiplier = 0, noRepeatNgram = 0, badWords = [] }: SampleOptions): boolean =>
  dryMultiplier > 0 || noRepeatNgram > 0 || badWords.length > 0;

/** Whether a request has any of these rules. */
export const asksStepRules = (sample: SampleOptions): boolean =>
  asksEachStep(sample) ||
  minTokensOf(sample) > 0 ||
  [sample.beginSuppressTokens, sample.forcedTokens, sample.forcedEndIds].some((ids) => ids && ids.length > 0);

/** What holds for one draw. */
export interface StepState {
  mask: TokenMask | null;
  less: ReadonlyMap<number, number>;
}

const NONE: ReadonlyMap<number, number> = new Map();

export class StepRules {
  readonly history: History;
  readonly #sample: SampleOptions;
  readonly #vocab: number;
  readonly #bans: TokenMask;

  constructor(sample: SampleOptions, vocab: number) {
    this.#sample = sample;
    this.#vocab = vocab;
    this.history = new History(sample);
    this.#bans = new Uint32Array(maskWords(vocab));
  }

  /** Whether the draw of this number, of the request's draws from 0, has to wait for the ids before it. */
  due(draw: number): boolean {
    const { mask, firstStep = 0, beginSuppressTokens = [], forcedTokens = [], forcedEndIds = [] } = this.#sample;
    const step = firstStep + draw;
    return (
      mask !== undefined ||
      asksEachStep(this.#sample) ||
      step < minTokensOf(this.#sample) ||
      step < forcedTokens.length ||
      (step === 0 && beginSuppressTokens.length > 0) ||
      (step === this.#sample.lastStep && forcedEndIds.length > 0)
    );
  }

  /**
   * What holds for the draw of this number, when all ids before it are in the history.
   * @throws invalid-option for a mask of another length, or that allows nothing
   */
  async next(draw: number): Promise<StepState> {
    const mask = await nextMask(this.#sample, this.#vocab);
    if (!this.due(draw) || !asksStepRules(this.#sample)) return { mask, less: NONE };
    const step = (this.#sample.firstStep ?? 0) + draw;
    return { mask: this.#with(mask, step), less: dryOf(this.history.ids, this.#sample) };
  }

  /** A mask without what is banned at this step. */
  #with(mask: TokenMask | null, step: number): TokenMask | null {
    const forced = this.#forced(step);
    const banned = forced ? [] : [...this.#banned(step)];
    if (!forced && banned.length === 0) return mask;
    const all = this.#bans.fill(forced ? 0 : 0xffffffff);
    for (const id of forced ?? []) all[id >> 5] |= 1 << (id & 31);
    for (const id of banned) all[id >> 5] &= ~(1 << (id & 31));
    if (mask) for (let i = 0; i < all.length; i++) all[i] &= mask[i];
    const last = this.#vocab & 31;
    if (last) all[all.length - 1] &= 2 ** last - 1;
    return all.some((word) => word !== 0) ? all : mask;
  }

  #forced(step: number): readonly number[] | null {
    const { forcedTokens = [], forcedEndIds = [], lastStep } = this.#sample;
    if (step < forcedTokens.length) return [forcedTokens[step]];
    return step === lastStep && forcedEndIds.length > 0 ? forcedEndIds : null;
  }

  *#banned(step: number): Generator<number> {
    const { badWords = [], beginSuppressTokens = [], noRepeatNgram = 0, stopIds = [] } = this.#sample;
    const { ids } = this.history;
    if (step < minTokensOf(this.#sample)) yield* stopIds.filter((id) => id < this.#vocab);
    if (step === 0) yield* beginSuppressTokens;
    for (const word of badWords) if (endsWith(ids, ids.length, word, word.length - 1)) yield word[word.length - 1];
    const begin = noRepeatNgram - 1;
    if (noRepeatNgram > 0 && ids.length > begin) {
      const prefix = ids.slice(ids.length - begin);
      for (let at = begin; at < ids.length; at++) if (endsWith(ids, at, prefix, begin)) yield ids[at];
    }
  }
}

/** Whether ids[..end] end with the first `count` of others. */
function endsWith(ids: readonly number[], end: number, others: readonly number[], count: number): boolean {
  if (end < count) return false;
  for (let i = 1; i <= count; i++) if (ids[end - i] !== others[count - i]) return false;
  return true;
}

/** By id, what DRY takes from its logit. */
export function dryOf(ids: readonly number[], sample: SampleOptions): ReadonlyMap<number, number> {
  const { dryMultiplier = 0, dryBase = 1.75, dryAllowedLength = 2, dryLastN = 0, dryBreakerIds } = sample;
  const n = dryLastN > 0 ? Math.min(dryLastN, ids.length) : ids.length;
  if (dryMultiplier === 0 || n <= dryAllowedLength) return NONE;
  /** the i-th id from the end */
  const back = (i: number) => ids[ids.length - 1 - i];
  let reach = 0;
  while (reach < n && !dryBreakerIds?.has(back(reach))) reach++;
  if (reach < dryAllowedLength) return NONE;
  const longest = new Map<number, number>();
  // z[i]: how many ids from the i-th from the end on, backwards, are those from the end on (Gusfield 1997, 1.4)
  const z = new Int32Array(n);
  for (let i = 1, left = 0, right = 0; i < n; i++) {
    let length = i < right ? Math.min(right - i, z[i - left]) : 0;
    while (i + length < n && back(length) === back(i + length)) length++;
    z[i] = length;
    if (i + length > right) [left, right] = [i, i + length];
    const repeated = Math.min(length, reach);
    const after = back(i - 1);
    if (repeated < dryAllowedLength || dryBreakerIds?.has(after)) continue;
    if (repeated > (longest.get(after) ?? 0)) longest.set(after, repeated);
  }
  let repeats = [...longest];
  if (repeats.length > MOST_EDITS)
    repeats = repeats.sort(([a, one], [b, other]) => other - one || a - b).slice(0, MOST_EDITS);
  return new Map(
    repeats.map(([id, length]) => [
      id,
      Math.min(MOST_TAKEN, dryMultiplier * dryBase ** Math.min(length - dryAllowedLength, 1e4)),
    ]),
  );
}
