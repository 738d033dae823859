/** A conversation's cache, copied for another one that goes on from there. */
import { NibbleError } from '../errors';
import { kvBytes } from '../memory/kv';
import type { Model } from './model';
import { planFor } from './planning';

/** What is copied at once, at most. */
const PIECE_BYTES = 4 << 20;

/**
 * Gives a conversation a copy of another one's cache. Where there is none, or no room for two, it has none.
 * @throws device-lost
 */
export async function cloneCache(model: Model, from: number, to: number): Promise<void> {
  const { sequences, graph } = model;
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
    const { cache } = sequence;
    const oldest = [...source.cache.held.oldest];
    cache.held.adopt({ last: -1, oldest });
    const { kvHeads, headSize } = graph.spec;
    const most = Math.max(1, Math.floor(PIECE_BYTES / (2 * kvBytes(plan.request.kvType, headSize, kvHeads, 1))));
    for (const [layer, first] of oldest.entries()) {
      for (let at = first; at < tokens; at += most) {
        const end = Math.min(tokens, at + most);
        await cache.write(layer, at, end, await source.cache.read(layer, at, end));
      }
    }
    cache.held.adopt({ last: tokens - 1, oldest });
    Object.assign(sequence, { ids: [...ids], dropped, long });
  } catch (error) {
    sequences.close(to);
    if (!(error instanceof NibbleError) || error.code !== 'out-of-memory') throw error;
  }
}
