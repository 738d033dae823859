/**
 * Prompt lookup: what followed the same tokens earlier in the conversation is proposed to follow them again, and the
 * executor tries several ids in one pass (Saxena 2023, github.com/apoorvumang/prompt-lookup-decoding). It pays where a
 * text repeats itself or its prompt, and costs where it does not: so it goes on only while it wins.
 */

/** Tokens that must have stood together before; more are taken first. */
const LEAST_MATCH = 2;
const MATCH = 3;
/** Proposed ids: a pass of four tokens costs the CPU about 1.4 of one, a pass of eight about twice that. */
const SHORT = 3;
const LONG = 7;
/** Steps that are timed without a draft before the first one. */
const PLAIN = 4;
/** Tokens that it rests for after it lost, twice as many after each time on end. */
const REST = 32;
const LONGEST_REST = 512;
/** What a measurement still counts after another one: the last dozen passes decide. */
const KEEP = 0.85;

/** The ids that followed the latest place where the last few ids stood before; none where they never did. */
export function lookUp(ids: readonly number[], most: number): number[] {
  const end = ids.length - 1;
  let found = -1;
  for (let at = end - 1; at >= LEAST_MATCH - 1; at--) {
    let same = 0;
    while (same < MATCH && same <= at && ids[at - same] === ids[end - same]) same++;
    if (same === MATCH) return ids.slice(at + 1, at + 1 + most);
    if (same >= LEAST_MATCH && found < 0) found = at;
  }
  return found < 0 ? [] : ids.slice(found + 1, found + 1 + most);
}

/** Tokens a millisecond, of the last passes. */
class Rate {
  tokens = 0;
  ms = 0;

  add(tokens: number, ms: number): void {
    this.tokens = this.tokens * KEEP + tokens;
    this.ms = this.ms * KEEP + ms;
  }

  get value(): number {
    return this.ms > 0 ? this.tokens / this.ms : 0;
  }
}

export class Speculation {
  readonly #ids: number[];
  readonly #now: () => number;
  readonly #plain = new Rate();
  readonly #drafted = new Rate();
  /** the last pass: when it was asked for, ids known then, ids proposed */
  #asked: { at: number; known: number; proposed: number } | null = null;
  #size = SHORT;
  /** nothing is proposed before there are so many ids */
  #from: number;
  #rest = REST;

  /**
   * @param ids of the prompt
   * @param now a clock, ms
   */
  constructor(ids: readonly number[], now = () => performance.now()) {
    this.#ids = [...ids];
    this.#now = now;
    this.#from = ids.length + PLAIN;
  }

  /** An id has come. */
  push(id: number): void {
    this.#ids.push(id);
  }

  /** As SampleOptions.draft. */
  readonly propose = (): number[] => {
    const at = this.#now();
    const known = this.#ids.length;
    this.#judge(at, known);
    const ids = known < this.#from ? [] : lookUp(this.#ids, this.#size);
    this.#asked = { at, known, proposed: ids.length };
    return ids;
  };

  #judge(at: number, known: number): void {
    if (!this.#asked) return;
    const { at: began, known: before, proposed } = this.#asked;
    const [tokens, ms] = [known - before, at - began];
    if (proposed === 0) {
      this.#plain.add(tokens, ms);
      return;
    }
    this.#drafted.add(tokens, ms);
    // one id comes of every pass
    this.#size = tokens - 1 === proposed ? LONG : SHORT;
    if (this.#drafted.value >= this.#plain.value) {
      this.#rest = REST;
      return;
    }
    this.#from = known + this.#rest;
    this.#rest = Math.min(2 * this.#rest, LONGEST_REST);
    this.#drafted.tokens = this.#drafted.ms = 0;
  }
}
