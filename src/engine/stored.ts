/**
 * What this browser keeps, of models and of conversations: listed, checked, deleted, each time by a worker of its own.
 */
import { STORED_OPTIONS } from '../options/load';
import { checkOptions } from '../options/spec';
import type { LoadAttempt, SavedCache, StoredModel, StoredRef, VerifyResult } from '../protocol';
import { textOf } from './arguments';
import type { HubOptions } from './hub-options';
import { unlessLeft } from './leaving';
import { describeModel, type ModelInput } from './model-source';
import { type RunningWorker, startWorker } from './start-worker';
import type { WorkerOptions } from './worker-options';
import { workersFrom } from './workers-from';

/** A model as load() takes it, or one of storedModels(). */
export type StoredInput = ModelInput | Pick<StoredModel, 'key'>;

/** @param options checked */
async function askWorker<T>(options: WorkerOptions, question: (api: RunningWorker['api']) => Promise<T>): Promise<T> {
  const worker = await startWorker(workersFrom(options));
  try {
    return await worker.call(question(worker.api));
  } finally {
    worker.end();
  }
}

const checked = (options: WorkerOptions & HubOptions) =>
  checkOptions<WorkerOptions & HubOptions>(STORED_OPTIONS, options);

async function askAbout<T>(
  model: StoredInput,
  given: WorkerOptions & HubOptions,
  question: (api: RunningWorker['api'], ref: StoredRef) => Promise<T>,
): Promise<T> {
  const options = checked(given);
  const ref = await refOf(model, options);
  return askWorker(options, (api) => question(api, ref));
}

async function refOf(model: StoredInput, { revision, token, hub }: HubOptions): Promise<StoredRef> {
  if (typeof model === 'object' && model !== null && 'key' in model) return { kind: 'stored', key: model.key };
  return describeModel(model, { revision, token, hub });
}

/**
 * The size in bytes of a model that this browser keeps whole, so that loading it needs no network; else null.
 * `lastAttempt`: the tab died when it was loaded last, so ask before it is loaded again.
 * @throws invalid-option, storage-unavailable, worker-failed
 */
export async function isStored(
  model: StoredInput,
  options: WorkerOptions & HubOptions = {},
): Promise<{ bytes: number; lastAttempt: LoadAttempt | null } | null> {
  const stored = await askAbout(model, options, (api, ref) => api.stored(ref));
  return stored?.complete ? unlessLeft({ bytes: stored.storedBytes, lastAttempt: stored.lastAttempt }) : null;
}

/**
 * Every model that this browser keeps, whole or in part, the one used last first.
 * @throws storage-unavailable, worker-failed
 */
export async function storedModels(options: WorkerOptions = {}): Promise<StoredModel[]> {
  return (await askWorker(checked(options), (api) => api.storedModels())).map(unlessLeft);
}

/**
 * Compares what this browser keeps of a model with its digests. Altered pieces are deleted; the next load fetches them.
 * @returns null when nothing of it is kept
 * @throws storage-unavailable while the model is loaded here or in another tab
 */
export async function verifyStored(
  model: StoredInput,
  options: WorkerOptions & HubOptions = {},
): Promise<VerifyResult | null> {
  return askAbout(model, options, (api, ref) => api.verify(ref));
}

/**
 * Deletes what this browser keeps of a model.
 * @throws storage-unavailable while the model is loaded here or in another tab
 */
export async function deleteStored(model: StoredInput, options: WorkerOptions & HubOptions = {}): Promise<void> {
  return askAbout(model, options, (api, ref) => api.forget(ref));
}

/**
 * The conversations' caches that this browser keeps, with their sizes, the newest first; see Conversation.save().
 * @throws storage-unavailable, worker-failed
 */
export async function savedCaches(options: WorkerOptions = {}): Promise<SavedCache[]> {
  return askWorker(checked(options), (api) => api.savedCaches());
}

/**
 * Deletes a conversation's saved cache; nothing happens where there is none of that name.
 * @throws invalid-option for a name that is no text, storage-unavailable
 */
export async function deleteSavedCache(name: string, options: WorkerOptions = {}): Promise<void> {
  return askWorker(checked(options), (api) => api.deleteSavedCache(textOf('name', name)));
}
