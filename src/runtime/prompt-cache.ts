/** A conversation's cache, saved and put back: what of it, for which model, and whether it still serves. */
import { NibbleError, throwIfAborted } from '../errors';
import type { Sequence } from '../generate/sequences';
import { kvBytes } from '../memory/kv';
import { isLong } from '../model/rope';
import { hex, sha256 } from '../platform/sha256';
import type { SavedCache } from '../protocol';
import type { ModelStore } from '../store/chunk-store';
import { checkName, openSaved, readSaved, type SavedHeader, writeSaved } from '../store/saved-caches';
import { choiceOfWeights } from './engine-options';
import type { Fingerprint, Model } from './model';
import { checkFits, planFor, within } from './planning';

export { deleteSaved, listSaved } from '../store/saved-caches';

/** What is read and stored at once, at most. */
const PIECE_BYTES = 4 << 20;

async function storeOf(model: Model): Promise<ModelStore> {
  const { store, reason } = await model.openStore();
  if (store) return store;
  throw new NibbleError('storage-unavailable', `Conversations cannot be saved here. ${reason}`, { reason });
}

const digestOf = async (text: string) => (await sha256(new TextEncoder().encode(text)))!;

/** One digest for all, in whichever order they came. */
const digestOfAll = (fingerprint: Fingerprint) =>
  digestOf(
    [...fingerprint]
      .map(([place, bytes]) => `${place} ${hex(bytes)}`)
      .sort()
      .join('\n'),
  );

/** Everything that keys and values depend on but the tokens. The prefill chunk is not among it, nor the backend. */
async function computedWith({ key, checkpoint, graph, options, fingerprint, lora, loraFingerprint }: Model) {
  const { layers, kvHeads, headSize } = graph.spec;
  return {
    model: key,
    revision: checkpoint.revision ?? 'none',
    'choice of weights': choiceOfWeights(options),
    'set of weights': await digestOfAll(fingerprint),
    'set of LoRA adapters': [
      ...lora.map(({ name, scale }) => `${name} × ${scale}`),
      await digestOfAll(loraFingerprint),
    ].join(', '),
    'KV type': options.kv,
    // what was saved before there was a choice has none
    ...(options.activations === 'int8' ? { 'rounding of activations': 'int8' } : {}),
    geometry: `${layers.length} layers, ${kvHeads} heads of ${headSize}`,
    // such as the base of its rotary embeddings, or its windows
    configuration: await digestOf(JSON.stringify(graph.spec)),
  };
}

/**
 * Saves what a conversation's cache holds, under a name, in the place of what was saved under it before.
 * @throws invalid-option when it holds nothing, quota-exceeded, storage-unavailable, device-lost, aborted
 */
export async function saveCache(
  model: Model,
  conversation: number,
  name: string,
  signal?: AbortSignal,
): Promise<SavedCache> {
  checkName(name);
  const store = await storeOf(model);
  const sequence = model.sequences.get(conversation);
  if (!sequence?.plan || sequence.ids.length === 0) {
    const text =
      'There is nothing to save: ask something first. A cache goes with the device, and where others need room.';
    throw new NibbleError('invalid-option', text, { name, tokens: 0 });
  }
  const { cache, plan, ...talk } = sequence;
  const tokens = talk.ids.length;
  const { oldest } = cache.held;
  const { kvHeads, headSize } = model.graph.spec;
  const row = 2 * kvBytes(plan.request.kvType, headSize, kvHeads, 1);
  const most = Math.max(1, Math.floor(PIECE_BYTES / row));

  async function* rows() {
    for (const [layer, first] of oldest.entries()) {
      for (let from = first; from < tokens; from += most) {
        const end = Math.min(tokens, from + most);
        yield { layer, from, end, bytes: await cache.read(layer, from, end) };
      }
    }
  }
  const { key, checkpoint } = model;
  const header = { computedWith: await computedWith(model), talk, oldest: [...oldest] } satisfies SavedHeader;
  return writeSaved(store, { name, model: key, revision: checkpoint.revision }, header, rows(), signal);
}

/**
 * Puts a saved cache in the place of a conversation's. What is refused before room is made leaves the conversation as
 * it was; after a failure from there on it holds nothing, and what it is asked next is computed from the beginning.
 * @param maxContext of the conversation, where that is less than the model's
 * @returns tokens that it holds now; null when nothing was saved under that name
 * @throws integrity-mismatch (altered, cut short), invalid-option (of another model, revision, KV type, …),
 * context-overflow, out-of-memory, storage-unavailable
 */
export function restoreCache(
  model: Model,
  conversation: number,
  name: string,
  maxContext?: number,
): Promise<number | null> {
  return restore(within(model, maxContext), conversation, name);
}

/**
 * @param reach tokens that the conversation is about to have; absent: that is not known yet
 * @throws also aborted
 */
async function restore(
  model: Model,
  conversation: number,
  name: string,
  reach?: number,
  signal?: AbortSignal,
): Promise<number | null> {
  checkName(name);
  const store = await storeOf(model);
  const saved = await openSaved(store, name);
  if (!saved) return null;
  checkSame(name, saved.computedWith, await computedWith(model));
  const { talk, oldest } = saved;
  const tokens = talk.ids.length;
  const planOf = (newTokens: number, snapshots?: 0) =>
    planFor(model, Math.max(tokens, reach ?? 0), newTokens, snapshots);
  await checkFits(model, planOf(1));
  const { long } = talk as unknown as Pick<Sequence, 'ids' | 'long'>;
  if (reach !== undefined && long !== isLong(model.graph.spec, Math.max(tokens, reach))) {
    const text = `The saved conversation “${name}” has keys for ${long ? 'longer' : 'shorter'} conversations.`;
    throw new NibbleError('invalid-option', text, { name, tokens, reach });
  }
  model.sequences.use(conversation).ids = [];
  const reserved = await model.sequences.reserve(conversation, 1, planOf);
  const { cache } = reserved.sequence;
  // from here on the rings hold some of this and some of that
  cache.held.adopt({ last: -1, oldest });
  for await (const { layer, from, end, bytes } of readSaved(store, name, saved)) {
    throwIfAborted(signal);
    await cache.write(layer, from, end, bytes);
  }
  cache.held.adopt({ last: tokens - 1, oldest });
  Object.assign(reserved.sequence, talk);
  return tokens;
}

function checkSame(name: string, saved: Record<string, string>, own: Record<string, string>): void {
  const what = Object.keys({ ...saved, ...own }).find((field) => saved[field] !== own[field]);
  if (!what) return;
  const text = `The saved conversation “${name}” was computed with another ${what}: ${saved[what] ?? 'none'}, and this is ${own[what] ?? 'none'}.`;
  throw new NibbleError('invalid-option', text, { name, what, saved: saved[what] ?? null, loaded: own[what] ?? null });
}

/**
 * As restore(), for a conversation that is about to be asked something and holds nothing: what cannot be restored is
 * computed. @returns a sentence for the person, where what was saved could not be used
 */
export async function tryRestore(
  model: Model,
  conversation: number,
  name: string,
  reach: number,
  signal?: AbortSignal,
): Promise<string | null> {
  if ((model.sequences.get(conversation)?.ids.length ?? 0) > 0) return null;
  try {
    await restore(model, conversation, name, reach, signal);
    return null;
  } catch (error) {
    if (signal?.aborted) return null;
    const usual = ['integrity-mismatch', 'invalid-option', 'context-overflow', 'out-of-memory', 'storage-unavailable'];
    if (!(error instanceof NibbleError) || !usual.includes(error.code)) throw error;
    return `${error.message} The conversation was computed again.`;
  }
}
