/** What of a prompt the KV cache already holds. Pure. */
import { type MemoryPlan, reachedTokens } from '../memory/plan';
import { isLong } from '../model/rope';
import type { ModelSpec } from '../model/spec';

export interface KvPrefix {
  /** the id at each cached position, from 0 */
  ids: number[];
  /** slots of the sliding layers' rings, the largest reserved so far */
  ringSlots: number;
  /** keys were turned with the frequencies of long conversations */
  long: boolean;
}

export const emptyPrefix = (): KvPrefix => ({ ids: [], ringSlots: 0, long: false });

/** Remembers what a reserved plan gave the rings (capacities only grow), and forgets keys that are turned otherwise. */
export function noteReserved(cached: KvPrefix, plan: MemoryPlan, spec: ModelSpec): void {
  const long = isLong(spec, reachedTokens(plan.request));
  if (long !== cached.long) cached.ids = [];
  cached.long = long;
  const ring = plan.kvByLayer.find(({ kind }) => kind === 'sliding');
  cached.ringSlots = Math.max(cached.ringSlots, ring?.slots ?? 0);
}

/**
 * How many of `ids` need no prefill: the longest common prefix, but never the last id, whose logits are wanted.
 * A ring of C slots that holds positions up to `last` still has all that position n sees of a window W only if
 * last - n <= C - W (nf4-and-models.md §1.7); `last` counts the chunk - 1 steps that may have been encoded ahead.
 * @param window the sliding layers' window, null where there are none
 */
export function reusablePrefix(cached: KvPrefix, ids: ArrayLike<number>, window: number | null, chunk: number): number {
  const most = Math.min(cached.ids.length, ids.length - 1);
  let n = 0;
  while (n < most && cached.ids[n] === ids[n]) n++;
  if (window === null) return n;
  const last = cached.ids.length + chunk - 1;
  return last <= cached.ringSlots || last - n <= cached.ringSlots - window ? n : 0;
}
