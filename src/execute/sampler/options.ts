/** What a request asks of the sampler: what is not named is off. */
import { NibbleError } from '../../errors';

export interface SampleOptions extends Partial<Keeping>, Partial<Penalties>, Partial<StepRules> {
  /** 0 = greedy */
  temperature: number;
  /** 0 = off */
  topK: number;
  /** 1 = off */
  topP: number;
  /** 32-bit */
  seed: number;
  /** number of the first sample for the random generator; 0 when absent */
  firstStep?: number;
  /** added to logits, by id: finite numbers, or BANNED */
  bias?: ReadonlyMap<number, number>;
  /** ids before the first draw that are not the answer's: what penalties for repetition look back on */
  before?: ArrayLike<number>;
  /** ids that count as drawn before the first draw, each as often as it stands here */
  counted?: ArrayLike<number>;
  /** ids that end the answer: nothing is drawn after one of them */
  stopIds?: readonly number[];
  /** the caller may leave after any id, by what it reads in it (a stop string): few steps are made ahead of it */
  watched?: boolean;
  /**
   * Asked before each draw which ids may come; by then the caller has had all ids before it. One bit an id (id i: bit
   * i % 32 of word i / 32, as many words as that takes), null where all may. The words are read before it is asked
   * again. While it is asked, the pass that makes the logits may run, but no draw is made ahead.
   */
  mask?: () => TokenMask | null | Promise<TokenMask | null>;
  /**
   * Proposes the ids that may come next, the likeliest way on. Asked before a pass, when the caller has had all ids so
   * far; the same ids are drawn with it and without it, those that were proposed right at the price of one pass. As
   * many of them are tried as there is room for; none: the next ids are drawn one by one.
   */
  draft?: () => readonly number[];
  /** how many alternatives of each draw are told, 0 to 20; absent: nothing is told */
  logprobs?: number;
  /** told of each draw before its id is yielded, where `logprobs` says so */
  onLogprobs?: (logprobs: Logprobs) => void;
}

/** What an answer's options say once it has had more ids. */
export const goingOn = (sample: SampleOptions, made: readonly number[]): SampleOptions => ({
  ...sample,
  firstStep: (sample.firstStep ?? 0) + made.length,
  counted: [...Array.from(sample.counted ?? []), ...made],
});

/** What of the vocabulary a draw is made from, and how flat: see chain.ts. */
export interface Keeping {
  /** the temperature is this much lower where the model is sure, and higher where it is not; 0 = off */
  dynatempRange: number;
  dynatempExponent: number;
  /** 0 = off */
  topNSigma: number;
  /** 0 = off */
  topH: number;
  /** 0 = off */
  minP: number;
  /** 1 = off */
  typicalP: number;
  /** 0 = off */
  xtcProbability: number;
  /** above 0.5: off, as no two ids have as much */
  xtcThreshold: number;
  /** 0 and 1 = off */
  epsilonCutoff: number;
  /** 0 and 1 = off */
  etaCutoff: number;
}

/** What an id costs because it came before: see adjustments.ts. */
export interface Penalties {
  /** 1 = off; above 0 */
  repetitionPenalty: number;
  /** 0 = off */
  presencePenalty: number;
  /** 0 = off */
  frequencyPenalty: number;
  /** ids that the repetition penalty looks back on; 0 = all */
  repeatLastN: number;
}

/** What depends on the order of ids, or on how many there are: see step-rules.ts. */
export interface StepRules {
  /** 0 = off */
  dryMultiplier: number;
  dryBase: number;
  dryAllowedLength: number;
  /** ids that it looks back on; 0 = all */
  dryLastN: number;
  /** ids over which no repetition reaches */
  dryBreakerIds: Pick<ReadonlySet<number>, 'has'>;
  /** 0 = off */
  noRepeatNgram: number;
  /** sequences whose last id may not come behind the others */
  badWords: readonly (readonly number[])[];
  /** ids that may not begin the answer */
  beginSuppressTokens: readonly number[];
  /** ids that the answer begins with */
  forcedTokens: readonly number[];
  /** ids of which one ends an answer of `lastStep` + 1 ids */
  forcedEndIds: readonly number[];
  /** number of the sample that comes last, where the answer gets so long */
  lastStep: number;
  /** samples before which none of stopIds may come */
  minTokens: number;
}

/** What is told of one draw: natural logarithms of softmax over the logits as the model gave them. */
export interface Logprobs {
  id: number;
  logprob: number;
  /** the likeliest, whether or not they were drawn, the likeliest first, the lowest id first where they tie */
  top: readonly { id: number; logprob: number }[];
}

export type TokenMask = Uint32Array<ArrayBuffer>;

/** Words of a mask over so many ids. */
export const maskWords = (vocab: number): number => Math.ceil(vocab / 32);

/**
 * The mask of the next draw.
 * @throws invalid-option for one of another length, or that allows nothing
 */
export async function nextMask({ mask }: SampleOptions, vocab: number): Promise<TokenMask | null> {
  const words = (await mask?.()) ?? null;
  if (!words) return null;
  if (words.length !== maskWords(vocab))
    throw new NibbleError(
      'invalid-option',
      `A mask over ${vocab} ids has ${maskWords(vocab)} words, not ${words.length}.`,
    );
  const rest = vocab % 32;
  const allows = words.some((word, i) => (rest && i === words.length - 1 ? word << (32 - rest) : word) !== 0);
  if (!allows) throw new NibbleError('invalid-option', `The mask allows none of the ${vocab} ids.`);
  return words;
}

/**
 * What is proposed to come next: `most` ids at most.
 * @throws invalid-option for an id that does not exist
 */
export function nextDraft({ draft }: SampleOptions, most: number, vocab: number): number[] {
  const ids = draft?.().slice(0, Math.max(0, most)) ?? [];
  const wrong = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocab));
  if (wrong === undefined) return ids;
  throw new NibbleError('invalid-option', `A draft proposes id ${wrong}: ids are 0 to ${vocab - 1}.`);
}

/** The logit of what may not come: in the order of logits below all others, and finite, as WGSL knows no infinity. */
export const MASKED = -3.4e38;
/** A bias that bans an id: less than any logit, and more than MASKED, as a mask is the stronger word. */
export const BANNED = -3.3e38;
/** What is that far below the largest logit is banned or masked, and counts for nothing. */
export const GONE = 5e36;

/** @throws invalid-option for an id that does not exist, or a bias that is no finite number */
export function checkIds(sample: SampleOptions, vocab: number): void {
  const wrong = (name: string, id: number) =>
    new NibbleError('invalid-option', `${name} has id ${id}: ids are 0 to ${vocab - 1}.`);
  const isId = (id: number) => Number.isInteger(id) && id >= 0 && id < vocab;
  for (const [id, by] of sample.bias ?? []) {
    if (isId(id) && Number.isFinite(Math.fround(by))) continue;
    if (by === BANNED) throw wrong('A list of tokens that may not come', id);
    throw new NibbleError('invalid-option', `bias has ${by} for id ${id}: ids are 0 to ${vocab - 1}, numbers finite.`);
  }
  const { badWords = [], beginSuppressTokens = [], forcedTokens = [], forcedEndIds = [] } = sample;
  const named = { badWords: badWords.flat(), beginSuppressTokens, forcedTokens, forcedEos: forcedEndIds };
  for (const [name, ids] of Object.entries(named)) {
    const id = ids.find((one) => !isId(one));
    if (id !== undefined) throw wrong(name, id);
  }
}
