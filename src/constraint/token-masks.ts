/** Which tokens may come next, by state: found by walks over the vocabulary's tries, and kept. */
import { FIRST_TOKEN } from './nodes';
import { DEAD, type States } from './states';
import type { Trie, Vocabulary } from './vocabulary';

/** Bytes of masks that are kept. */
const MAX_KEPT = 8_000_000;

/** One bit an id, as SampleOptions.mask has it. */
export type TokenMask = Uint32Array<ArrayBuffer>;

interface Kept {
  words: TokenMask;
  /** after the worst token of the mask, bytes of the shortest end */
  mostLeft: number;
}

export class TokenMasks {
  readonly #states: States;
  readonly #vocabulary: Vocabulary;
  readonly #tokens: readonly number[];
  readonly #ends: readonly number[];
  readonly #weigh: (node: number) => number;
  readonly #kept = new Map<number, Kept>();
  readonly #way: Int32Array;
  #age = 0;
  /** nodes of the vocabulary that were looked at, for tests */
  steps = 0;

  /**
   * @param tokens ids of the program's control tokens
   * @param ends ids that end an answer
   * @param weigh about how many tokens the shortest end of a rule takes from a node on
   */
  constructor(
    states: States,
    vocabulary: Vocabulary,
    tokens: readonly number[],
    ends: readonly number[],
    weigh: (node: number) => number,
  ) {
    this.#states = states;
    this.#vocabulary = vocabulary;
    this.#tokens = tokens;
    this.#ends = ends;
    this.#weigh = weigh;
    this.#way = new Int32Array(vocabulary.longest + 2);
  }

  /**
   * The tokens that may come after a state.
   * @param left tokens that may still be drawn, this one included: those after which the answer could not end in time
   * are left out, if there are others
   */
  mask(state: number, left: number): TokenMask {
    const states = this.#states;
    if (this.#age !== states.age) this.#kept.clear();
    this.#age = states.age;
    const alike = states.alike(state, this.#vocabulary.longest);
    let kept = this.#kept.get(alike);
    if (kept) this.#kept.delete(alike);
    else {
      const words: TokenMask = new Uint32Array(this.#vocabulary.words);
      const mostLeft = this.#fill(words, alike, null).most;
      kept = { words, mostLeft };
      while ((this.#kept.size + 1) * words.byteLength > MAX_KEPT) this.#kept.delete(this.#kept.keys().next().value!);
    }
    this.#kept.set(alike, kept);
    // the answer ends with one token more, unless nothing else can come
    const room = left - 2;
    if (kept.mostLeft <= room) return kept.words;
    const words: TokenMask = new Uint32Array(this.#vocabulary.words);
    const { fits, least } = this.#fill(words, state, room);
    const mayEnd = states.ends(state) && this.#ends.length > 0;
    if (fits === 0 && least < Number.POSITIVE_INFINITY && !mayEnd) this.#fill(words, state, least);
    return words;
  }

  /**
   * Sets the bits of the tokens that may come.
   * @param room tokens that the shortest end after a token may have; null: it does not matter
   * @returns how many fit; the bytes of the longest of the shortest ends; the fewest tokens of one
   */
  #fill(words: TokenMask, state: number, room: number | null): { fits: number; most: number; least: number } {
    const states = this.#states;
    const found = { fits: 0, most: 0, least: Number.POSITIVE_INFINITY };
    const ends = states.ends(state);
    if (ends) for (const id of this.#ends) words[id >> 5] |= 1 << (id & 31);
    const costs = new Map<number, number>();
    const fits = (next: number): boolean => {
      const bytes = states.bytesLeft[next];
      if (room === null) {
        if (bytes > found.most) found.most = bytes;
        return true;
      }
      let cost = bytes;
      if (cost > room) {
        cost = costs.get(next) ?? Math.min(bytes, states.tokensLeft(next, this.#weigh));
        costs.set(next, cost);
      }
      if (cost < found.least) found.least = cost;
      return cost <= room;
    };
    // plain characters, as far as all of them do the same
    const after: number[] = [];
    const { longestPlain, plainLengths } = this.#vocabulary;
    let [at, uniform, loops] = [state, true, false];
    while (after.length < longestPlain) {
      const next = states.afterPlain(at);
      uniform = next >= 0;
      if (next <= DEAD) break;
      after.push(next);
      loops = next === at;
      if (loops) break;
      at = next;
    }
    if (!uniform) this.#walk(this.#vocabulary.plain, words, state, fits, found);
    else if (after.length > 0) {
      const lengths = after.map((next, i) => (plainLengths[i + 1] > 0 || loops) && fits(next));
      for (let n = 0; n < lengths.length; n++) {
        if (!lengths[n]) continue;
        let last = n;
        while (last + 1 < lengths.length && lengths[last + 1]) last++;
        const upper = this.#vocabulary.plainUpTo(loops && last === lengths.length - 1 ? longestPlain : last + 1);
        const lower = n > 0 ? this.#vocabulary.plainUpTo(n) : null;
        for (let i = 0; i < words.length; i++) words[i] |= lower ? upper[i] & ~lower[i] : upper[i];
        found.fits++;
        n = last;
      }
    }
    this.#walk(this.#vocabulary.others, words, state, fits, found);
    this.#tokens.forEach((id, i) => {
      const next = states.step(state, FIRST_TOKEN + i);
      if (next === DEAD || !fits(next)) return;
      words[id >> 5] |= 1 << (id & 31);
      found.fits++;
    });
    return found;
  }

  #walk(
    { bytes, depths, ends, ids }: Trie,
    words: TokenMask,
    state: number,
    fits: (next: number) => boolean,
    found: { fits: number },
  ): void {
    const states = this.#states;
    const { classes, classCount } = states;
    const { same } = this.#vocabulary;
    const way = this.#way;
    way[0] = state;
    let { table } = states;
    let last = -1;
    let lastFits = false;
    for (let i = 0; i < bytes.length; ) {
      this.steps++;
      const depth = depths[i];
      const kind = classes[bytes[i]];
      let next = table[way[depth] * classCount + kind];
      if (next < 0) {
        next = states.compute(way[depth], kind);
        table = states.table;
      }
      if (next === DEAD) {
        i = ends[i];
        continue;
      }
      way[depth + 1] = next;
      let id = ids[i];
      if (id >= 0) {
        if (next !== last) lastFits = fits(next);
        last = next;
        if (lastFits) {
          found.fits++;
          for (; id >= 0; id = same[id]) words[id >> 5] |= 1 << (id & 31);
        }
      }
      i++;
    }
  }
}
