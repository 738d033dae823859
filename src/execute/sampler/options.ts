/** What a request asks of the sampler: what is not named is off. */
import { NibbleError } from '../../errors';

export interface SampleOptions {
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
  /** added to logits, by id: finite numbers */
  bias?: ReadonlyMap<number, number>;
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

/** @throws invalid-option for a bias of an id that does not exist, or that is no finite number */
export function checkBias(bias: SampleOptions['bias'], vocab: number): void {
  for (const [id, by] of bias ?? []) {
    if (Number.isInteger(id) && id >= 0 && id < vocab && Number.isFinite(Math.fround(by))) continue;
    throw new NibbleError('invalid-option', `bias has ${by} for id ${id}: ids are 0 to ${vocab - 1}, numbers finite.`);
  }
}
