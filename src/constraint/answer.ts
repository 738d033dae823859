/**
 * An answer under a constraint, what is thought before it included: the constraint begins behind the thought, whether
 * the prompt has opened it or the model does; within it, only what ends an answer may not come.
 */
import { NibbleError } from '../errors';
import type { Constraint } from './constraint';
import type { TokenMask } from './token-masks';
import { Written } from './written';

/** What an answer is made of; each part is asked for when it begins. */
export interface AnswerParts {
  /** null: the answer may be anything */
  answer: Constraint | null;
  /** null: the model does not think, or has done so */
  thought: {
    /** the prompt has opened it */
    begun: boolean;
    opening: () => Constraint;
    rest: () => Constraint;
    closing: () => Constraint;
    /** the answer behind it */
    answer: () => Constraint | null;
    /** tokens of it, its closing mark not included */
    most: number;
  } | null;
  forces: boolean;
}

export class ConstrainedAnswer {
  readonly #parts: AnswerParts;
  /** the opening mark, while it may still come */
  #opening: Written | null = null;
  #thought: Written | null = null;
  /** null: before it begins, or where it may be anything */
  #answer: Written | null = null;
  #thinking = 0;

  constructor(parts: AnswerParts) {
    this.#parts = parts;
    const { thought, answer, forces } = parts;
    if (thought?.begun) this.#think();
    else {
      if (thought) this.#opening = new Written(thought.opening(), false);
      if (answer) this.#answer = new Written(answer, forces && !thought);
    }
  }

  #think(): void {
    const { rest, closing, most } = this.#parts.thought!;
    this.#answer = null;
    this.#opening = null;
    this.#thought = most > 0 ? new Written(rest(), false) : new Written(closing(), this.#parts.forces);
  }

  /** Whether the answer is complete: nothing can come any more. */
  get complete(): boolean {
    return !this.#opening && this.#answer?.mustEnd === true;
  }

  /** Ids that must come next; none where there is a choice. */
  get next(): readonly number[] {
    return this.#opening ? [] : ((this.#thought ?? this.#answer)?.next ?? []);
  }

  /**
   * Which tokens may come next; the words hold until it is asked again. null: all.
   * @param left tokens that may still be drawn
   */
  mask(left: number): TokenMask | null {
    // a thought may take all there is: the limit cuts it
    if (this.#thought) return this.#thought.mask(Number.POSITIVE_INFINITY);
    if (!this.#opening) return this.#answer?.mask(left) ?? null;
    if (!this.#parts.answer) return null;
    const opening = this.#opening.mask(Number.POSITIVE_INFINITY);
    return this.#answer ? this.#answer.mask(left).map((word, i) => word | opening[i]) : opening;
  }

  /** How many of these ids may come one after the other, as far as that is known. */
  fits(ids: readonly number[]): number {
    if (this.#opening) return this.#parts.answer ? 0 : ids.length;
    const now = this.#thought ?? this.#answer;
    return now ? now.fits(ids) : ids.length;
  }

  /** An id has come. @throws invalid-option for one that may not come here */
  push(id: number): void {
    if (this.#thought) {
      if (!this.#thought.push(id)) throw refused(id);
      this.#thinking++;
      const { most, closing, answer } = this.#parts.thought!;
      if (this.#thought.mustEnd) {
        this.#thought = null;
        const behind = answer();
        this.#answer = behind && new Written(behind, this.#parts.forces);
      } else if (this.#thinking === most) this.#thought = new Written(closing(), this.#parts.forces);
      return;
    }
    if (this.#opening) {
      const opens = this.#opening.push(id);
      if (opens && this.#opening.mustEnd) {
        this.#think();
        return;
      }
      if (this.#answer && !this.#answer.push(id)) this.#answer = null;
      if (!opens) this.#opening = null;
      if (!opens && !this.#answer && this.#parts.answer) throw refused(id);
      return;
    }
    if (this.#answer && !this.#answer.push(id)) throw refused(id);
  }
}

const refused = (id: number): NibbleError =>
  new NibbleError(
    'invalid-option',
    `Token ${id} is not what the constraint allows here. Go on with an answer ("made") under the options that it was made with.`,
    { option: 'made', id },
  );
