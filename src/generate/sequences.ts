/**
 * A sequence is the tokens of one conversation with the cache that was made from them; a loaded model has one for each
 * of its conversations. Room is made in a stated order: first snapshots go, then the caches of other sequences, the one
 * used longest ago first, then the sequence's own, and only then does the answer get shorter. What went is computed
 * again when it is asked for.
 */
import { NibbleError } from '../errors';
import type { Executor, KvCache } from '../execute/executor';
import { growthPeak, shiftSpare } from '../memory/growth';
import { type MemoryPlan, reachedTokens } from '../memory/plan';
import { canShift, type Shift } from '../memory/shift';
import { isLong } from '../model/rope';
import type { ModelSpec } from '../model/spec';
import { seenOf } from './overflow';

const NO_SNAPSHOTS = 'There was no room for snapshots, so what is asked again may be computed again.';
const RENEWED = 'There was no room to grow this conversation where it was, so it was computed again.';

/** Caches that are kept, at most, where no budget says less. */
const KEPT = 8;

/** The tokens of one conversation, and the cache that was made from them. */
export interface Sequence {
  readonly cache: KvCache;
  /** the id at each position that the cache holds, from 0 */
  ids: number[];
  /** what the sequence says between ids[keep - 1] and ids[keep], which the cache no longer holds */
  dropped: { keep: number; ids: readonly number[] };
  /** keys were turned with the frequencies of long conversations */
  long: boolean;
  /** the largest plan that the cache has been reserved for */
  plan: MemoryPlan | null;
}

/** A request's place in memory. */
export interface Reserved {
  sequence: Sequence;
  plan: MemoryPlan;
  newTokens: number;
  /** what had to change to make room, beside a shorter answer, for the person; null: nothing that they would notice */
  note: string | null;
}

export class Sequences {
  readonly #executor: Pick<Executor, 'createCache'>;
  readonly #spec: ModelSpec;
  /** by number, the one used longest ago first */
  readonly #open = new Map<number, Sequence>();
  /** those whose answers are under way: nobody makes room at their cost */
  readonly #answered = new Set<number>();

  constructor(executor: Pick<Executor, 'createCache'>, spec: ModelSpec) {
    this.#executor = executor;
    this.#spec = spec;
  }

  /** The one used last; null before the first request. */
  get latest(): Sequence | null {
    return [...this.#open.values()].at(-1) ?? null;
  }

  /** How many have a cache. */
  get count(): number {
    return [...this.#open.values()].filter(({ cache }) => cache.bytes > 0).length;
  }

  /** A sequence by its conversation's number, where there is one. */
  get(id: number): Sequence | null {
    return this.#open.get(id) ?? null;
  }

  /** All that there are, the one used longest ago first. */
  all(): Iterable<Sequence> {
    return this.#open.values();
  }

  /** Whether its answer is under way. */
  isHeld(id: number): boolean {
    return this.#answered.has(id);
  }

  /** A sequence by its number, with an empty cache where there was none; from now on the one used last. */
  use(id: number): Sequence {
    const known = this.#open.get(id);
    const sequence = known ?? emptySequence(this.#executor.createCache());
    this.#open.delete(id);
    this.#open.set(id, sequence);
    return sequence;
  }

  /** From here until release() nobody makes room at the cost of this sequence. */
  hold(id: number): void {
    this.#answered.add(id);
  }

  release(id: number): void {
    this.#answered.delete(id);
  }

  /** Frees a sequence's cache; numbers without one are ignored. */
  close(id: number): void {
    this.#open.get(id)?.cache.dispose();
    this.#open.delete(id);
  }

  /**
   * Frees snapshots, then caches, the one used longest ago first, until no more than `bytes` are left of them.
   * @returns whether that could be reached
   */
  shrink(bytes: number): boolean {
    if (this.#bytes > bytes) this.#dropSnapshots();
    for (const id of [...this.#open.keys()]) if (this.#bytes > bytes) this.close(id);
    return this.#bytes <= bytes;
  }

  /** Of all caches. */
  get #bytes(): number {
    return [...this.#open.values()].reduce((sum, { cache }) => sum + cache.bytes, 0);
  }

  /** What the caches hold was computed with other weights. */
  forget(): void {
    for (const sequence of this.#open.values()) sequence.ids = [];
  }

  /**
   * The most bytes that there are at once when a sequence is reserved for a plan, with what others hold.
   * @param id of the sequence, which need not exist
   */
  peak(id: number, plan: MemoryPlan): number {
    const own = this.#open.get(id)?.cache;
    const others = this.#bytes - (own?.bytes ?? 0);
    return plan.weights + plan.scratch + others + growthPeak(own?.layerBytes ?? [], plan.kvByLayer);
  }

  /**
   * Makes room for a request and reserves it.
   * @param planOf the plan for an answer of so many new tokens, with as many snapshots as were asked for or with none;
   * it fits the budget if it is alone
   * @throws out-of-memory when there is no room for one new token even alone; the sequence stays usable
   */
  async reserve(
    id: number,
    newTokens: number,
    planOf: (newTokens: number, snapshots?: 0) => MemoryPlan,
  ): Promise<Reserved> {
    const reserved = await this.tryReserve(id, newTokens, planOf);
    if (!reserved) throw new Error('others are being answered: tryReserve() says so');
    return reserved;
  }

  /**
   * As reserve(), where others may be held: rather than to do with less, it waits for them.
   * @returns null: there is no room until one of those that are held is released
   */
  async tryReserve(
    id: number,
    newTokens: number,
    planOf: (newTokens: number, snapshots?: 0) => MemoryPlan,
  ): Promise<Reserved | null> {
    const budget = planOf(newTokens).request.budget ?? Number.POSITIVE_INFINITY;
    let noSnapshots = false;
    let renewed = false;
    let sequence = this.use(id);
    for (const other of [...this.#open.keys()].slice(0, -KEPT)) if (!this.#answered.has(other)) this.close(other);
    const waits = () => [...this.#answered].some((other) => other !== id && (this.get(other)?.cache.bytes ?? 0) > 0);
    let allowed = newTokens;
    for (;;) {
      const plan = planOf(allowed, noSnapshots ? 0 : undefined);
      const spare = () => {
        if (noSnapshots || !(this.#dropSnapshots() || plansSnapshots(plan))) return false;
        noSnapshots = true;
        return true;
      };
      const over = this.peak(id, plan) > budget;
      if (over && (spare() || this.#evict(id))) continue;
      if (over && waits()) return null;
      const grows = sequence.cache.bytes > 0;
      if (over && grows) {
        sequence = this.#renew(id);
        renewed = true;
        continue;
      }
      try {
        await sequence.cache.reserve(plan);
        this.#note(sequence, plan);
        const notes = [noSnapshots && NO_SNAPSHOTS, renewed && allowed === newTokens && RENEWED];
        return { sequence, plan, newTokens: allowed, note: notes.filter(Boolean).join(' ') || null };
      } catch (error) {
        if (!(error instanceof NibbleError) || error.code !== 'out-of-memory') throw error;
        if (spare() || this.#evict(id)) continue;
        if (waits()) return null;
        sequence = this.#renew(id);
        if (grows) renewed = true;
        else if (allowed === 1) throw error;
        else allowed = Math.floor(allowed / 2);
      }
    }
  }

  /**
   * Shifts the cache of a sequence that has been reserved, where that can be done exactly and where there is room for
   * what it takes meanwhile: snapshots and others' caches go for it.
   * @param now the plan of the request that asks for it: adapters may have come since the cache was reserved for its
   * own
   * @returns whether it was; else nothing has changed
   */
  async shift(id: number, shift: Shift, now: Pick<MemoryPlan, 'request' | 'weights' | 'scratch'>): Promise<boolean> {
    const { cache, plan } = this.use(id);
    if (!plan || !canShift(cache.held, shift)) return false;
    const budget = now.request.budget ?? Number.POSITIVE_INFINITY;
    const beside = now.weights + now.scratch + shiftSpare(plan.kvByLayer);
    if (beside + cache.bytes > budget) this.#dropSnapshots();
    if (beside + cache.bytes > budget) return false;
    do {
      if (beside + this.#bytes > budget) continue;
      try {
        await cache.shift(shift);
        return true;
      } catch (error) {
        if (!(error instanceof NibbleError) || error.code !== 'out-of-memory') throw error;
      }
    } while (this.#dropSnapshots() || this.#evict(id));
    return false;
  }

  /** Frees the copies of all sequences. @returns whether there were any */
  #dropSnapshots(): boolean {
    const before = this.#bytes;
    for (const { cache } of this.#open.values()) cache.dropSnapshots();
    return this.#bytes < before;
  }

  /** Frees the cache of the sequence, other than `id`, that was used longest ago. @returns whether there was one */
  #evict(id: number): boolean {
    for (const [other, { cache }] of this.#open) {
      if (other === id || cache.bytes === 0 || this.#answered.has(other)) continue;
      this.close(other);
      return true;
    }
    return false;
  }

  #renew(id: number): Sequence {
    this.close(id);
    return this.use(id);
  }

  #note(sequence: Sequence, plan: MemoryPlan): void {
    const long = isLong(this.#spec, reachedTokens(plan.request));
    if (long !== sequence.long) sequence.ids = [];
    sequence.long = long;
    if (plan.contextTokens > (sequence.plan?.contextTokens ?? 0)) sequence.plan = plan;
  }
}

const plansSnapshots = ({ kvByLayer }: MemoryPlan): boolean => kvByLayer.some(({ snapshots }) => snapshots > 0);

export const emptySequence = (cache: KvCache): Sequence => ({
  cache,
  ids: [],
  dropped: { keep: 0, ids: [] },
  long: false,
  plan: null,
});

/**
 * How many leading ids are those that the cache was made from, dropped ones included; never the last: its logits are
 * wanted.
 */
export function sharedPrefix({ ids: held, dropped: { keep, ids: gone } }: Sequence, ids: readonly number[]): number {
  const at = (n: number) => (n < keep ? held[n] : n < keep + gone.length ? gone[n - keep] : held[n - gone.length]);
  let n = 0;
  while (n < ids.length - 1 && at(n) === ids[n]) n++;
  return n;
}

/**
 * Makes the most of a sequence's cache for `ids`, of which `drop` from the `keep`-th on are not to be seen: it is
 * shifted where it holds more than that, and taken back to where they part. What the sequence holds is true to the
 * cache afterwards.
 * @param shift see Sequences.shift()
 * @returns how many of the ids that are seen need no prefill: never the last
 */
export async function reuse(
  sequence: Sequence,
  ids: readonly number[],
  keep: number,
  drop: number,
  shift: (shift: Shift) => Promise<boolean>,
): Promise<number> {
  const { cache, dropped } = sequence;
  const gone = dropped.ids.length;
  const shared = sharedPrefix(sequence, ids);
  let reused = Math.min(shared, gone > 0 ? dropped.keep : shared, drop > 0 ? keep : shared);
  const fits = drop === 0 ? gone === 0 : shared >= keep + drop && (gone === 0 || dropped.keep === keep);
  const more = drop - gone;
  if (fits && (more === 0 || (more > 0 && (await shift({ keep, drop: more, end: shared - gone }))))) {
    reused = shared - drop;
  }
  reused = cache.rewind(reused);
  sequence.ids = seenOf(ids, keep, drop).slice(0, reused);
  sequence.dropped = { keep, ids: ids.slice(keep, keep + drop) };
  return reused;
}
