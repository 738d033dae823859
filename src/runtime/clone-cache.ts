/** A conversation's cache, or what it begins with, copied for another one that goes on from there. */
import { NibbleError } from '../errors';
import { type Sequence, sharedPrefix } from '../generate/sequences';
import type { Model } from './model';
import { planFor } from './planning';

/**
 * Gives a conversation a copy of another one's cache. Where there is none, or no room for two, it has none.
 * @throws device-lost
 */
export async function cloneCache(model: Model, from: number, to: number): Promise<void> {
  const { sequences } = model;
  const source = sequences.get(from);
  if (!source?.plan || source.ids.length === 0) return;
  const { ids, dropped, long, plan } = source;
  const tokens = ids.length;
  try {
    const planOf = (newTokens: number) => planFor(model, tokens, newTokens, 0);
    if (sequences.peak(to, planOf(1)) > (plan.request.budget ?? Number.POSITIVE_INFINITY)) return;
    const { sequence } = await sequences.reserve(to, 1, planOf);
    // the room may have been the other's
    if (sequences.get(from) !== source || source.ids.length !== tokens) return sequences.close(to);
    sequence.cache.take(source.cache, tokens);
    Object.assign(sequence, { ids: [...ids], dropped, long });
  } catch (error) {
    sequences.close(to);
    if (!(error instanceof NibbleError) || error.code !== 'out-of-memory') throw error;
  }
}

/** Fewer tokens are as soon computed as copied. */
const WORTH = 16;

/** That of some conversations that begins as the ids do for longest; the first of them where it is all one. */
export function likest({ sequences }: Model, among: readonly number[], ids: readonly number[]): number {
  const shared = (id: number) => {
    const sequence = sequences.get(id);
    return sequence ? sharedPrefix(sequence, ids) : 0;
  };
  return among.reduce((best, id) => (shared(id) > shared(best) ? id : best));
}

/**
 * Copies into a reserved cache what another one holds of the beginning of these ids, where that is more than it holds
 * itself.
 */
export function copyBeginning({ sequences }: Model, to: Sequence, ids: readonly number[]): void {
  let [from, most]: [Sequence | null, number] = [
    null,
    (to.dropped.ids.length > 0 ? 0 : sharedPrefix(to, ids)) + WORTH - 1,
  ];
  for (const other of sequences.all()) {
    if (other === to || other.dropped.ids.length > 0 || other.long !== to.long) continue;
    const shared = sharedPrefix(other, ids);
    if (shared > most && other.cache.held.canResume(shared)) [from, most] = [other, shared];
  }
  if (!from) return;
  to.cache.take(from.cache, most);
  Object.assign(to, { ids: ids.slice(0, most), dropped: { keep: 0, ids: [] } });
}
