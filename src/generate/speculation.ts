/**
 * Prompt lookup: what followed the same tokens earlier in the conversation is proposed to follow them again, and the
 * executor tries several ids in one pass (Saxena 2023, github.com/apoorvumang/prompt-lookup-decoding). It pays where a
 * text repeats itself or its prompt, and costs where it does not: so it begins with what is likeliest and costs least,
 * and goes on only while it wins.
 */

/** Tokens that must have stood together before; two are enough after a proposal that came true. */
const MATCH = 3;
const MATCH_AGAIN = 2;
/**
 * Ids of a proposal: the more, the more of the last ones came true. A row more costs the CPU 0.5 to 0.3 of a step, the
 * less the more there are (bench/cpu.md).
 */
const SIZES = [1, 3, 7, 15];
/** Steps that are timed without a draft before the first one. */
const PLAIN = 4;
/** Proposals that may come true as a whole and be slower all the same: a clock alone is no proof. */
const TRIES = 2;
/** Tokens that it rests for after it lost, twice as many after each time on end. */
const REST = 32;
const LONGEST_REST = 512;
/** What a measurement still counts after another one: the last dozen passes decide. */
const KEEP = 0.85;

/** More than any id, and small enough that a pair of ids is exact as one number. */
const IDS = 2 ** 26;

/** The ids of a conversation, and where each two and three of them stood together last. */
export class Lookup {
  readonly #ids: number[] = [];
  /** by the two ids: the place of the later one, and a number for the two */
  readonly #pairs = new Map<number, { at: number; number: number }>();
  /** by the number of the first two ids, and the third: the place of the third */
  readonly #triples = new Map<number, number>();

  constructor(ids: readonly number[]) {
    for (const id of ids) this.push(id);
  }

  get length(): number {
    return this.#ids.length;
  }

  /** The last three ids, the newest first. */
  #newest(): number[] {
    return this.#ids.slice(-3).reverse();
  }

  push(id: number): void {
    const end = this.#ids.length - 1;
    const [a, b, c] = this.#newest();
    // what stood last stands earlier from now on
    if (end > 0) {
      const pair = this.#pairs.get(b * IDS + a);
      if (pair) pair.at = end;
      else this.#pairs.set(b * IDS + a, { at: end, number: this.#pairs.size });
    }
    if (end > 1) this.#triples.set(this.#pairs.get(c * IDS + b)!.number * IDS + a, end);
    this.#ids.push(id);
  }

  /**
   * The ids that followed the latest place where the last three ids stood before, or else the last two.
   *
   * @param most so many at most
   * @param least 3: the last two are not enough
   * @returns none where they never did
   */
  after(most: number, least: number): number[] {
    const [a, b, c] = this.#newest();
    const before = this.#pairs.get(c * IDS + b);
    const three = before && this.#triples.get(before.number * IDS + a);
    const found = three ?? (least > 2 ? undefined : this.#pairs.get(b * IDS + a)?.at);
    return found === undefined ? [] : this.#ids.slice(found + 1, found + 1 + most);
  }
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
  readonly #lookup: Lookup;
  readonly #now: () => number;
  readonly #plain = new Rate();
  readonly #drafted = new Rate();
  /** the last pass: when it was asked for, ids known then, ids proposed */
  #asked: { at: number; known: number; proposed: number } | null = null;
  /** which of SIZES is next */
  #size = 0;
  /** some of the last proposal came true */
  #won = false;
  /** proposals since the last rest */
  #tries = 0;
  /** nothing is proposed before there are so many ids */
  #from: number;
  #rest = REST;

  /**
   * @param ids of the prompt
   * @param now a clock, ms
   */
  constructor(ids: readonly number[], now = () => performance.now()) {
    this.#lookup = new Lookup(ids);
    this.#now = now;
    this.#from = ids.length + PLAIN;
  }

  /** An id has come. */
  push(id: number): void {
    this.#lookup.push(id);
  }

  /** The next pass tries something else: it is nobody's proof. */
  rest(): void {
    this.#asked = null;
  }

  /** As SampleOptions.draft. */
  readonly propose = (): number[] => {
    const at = this.#now();
    const known = this.#lookup.length;
    this.#judge(at, known);
    const ids = known < this.#from ? [] : this.#lookup.after(SIZES[this.#size], this.#won ? MATCH_AGAIN : MATCH);
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
    this.#tries++;
    // one id comes of every pass
    this.#won = tokens > 1;
    const whole = tokens > proposed;
    if (this.#drafted.value > this.#plain.value) {
      this.#size = whole ? Math.min(this.#size + 1, SIZES.length - 1) : Math.min(this.#size, this.#won ? 1 : 0);
      this.#rest = REST;
    } else if (!whole || this.#tries >= TRIES) {
      this.#from = known + this.#rest;
      this.#rest = Math.min(2 * this.#rest, LONGEST_REST);
      this.#drafted.tokens = this.#drafted.ms = 0;
      this.#tries = this.#size = 0;
      this.#won = false;
    }
  }
}
