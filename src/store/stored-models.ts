/** The models that are kept here: which, how large, whether they are still what was stored; and their deletion. */

import { sha256 } from '../platform/sha256';
import type { StoredModel, VerifyResult } from '../protocol';
import { CHUNK_BYTES, deleteFile, filePrefix, isForeign, isWhole, keptBytes, type ModelStore } from './chunk-store';
import { lastAttempt } from './load-attempt';
import { deleteSaved } from './saved-caches';

/** Everything in the ledger, the model used last first. */
export async function listModels(store: ModelStore): Promise<StoredModel[]> {
  const models = await Promise.all((await store.ledger.keys()).map((key) => describeStored(store, key)));
  return models.filter((model) => model !== null).sort((a, b) => b.lastUsed - a.lastUsed);
}

/** @returns null when nothing is kept under that key, or a later version keeps it */
export async function describeStored(store: ModelStore, key: string): Promise<StoredModel | null> {
  const record = await store.ledger.get(key);
  if (!record || isForeign(record)) return null;
  let storedBytes = 0;
  for (const [path, { bytes }] of Object.entries(record.files)) {
    storedBytes += keptBytes(await store.chunks.keys(filePrefix(key, path)), bytes ?? 0);
  }
  const { name, revision, complete, lastUsed } = record;
  return { key, name, revision, complete, storedBytes, lastUsed, lastAttempt: await lastAttempt(store, key) };
}

/**
 * Frees the space of a model and of what conversations with it have saved. Its ledger entry goes last, so that a cut
 * deletion can be repeated. What a later version has stored stays.
 */
export async function deleteModel(store: ModelStore, key: string): Promise<void> {
  const record = await store.ledger.get(key);
  if (!record || isForeign(record)) return;
  // where there is no room left even for this, deleting is what makes room
  await store.ledger.put({ ...record, complete: false }).catch(() => {});
  for (const path of Object.keys(record.files)) await deleteFile(store, key, path);
  await deleteSaved(store, { model: key });
  await store.ledger.delete(key);
}

/**
 * Reads every chunk of a model and compares it with its digest. What is altered is deleted, and the model is then no
 * longer complete: the next load fetches what is missing.
 * @returns null when nothing is kept under that key, or a later version keeps it
 */
export async function verifyModel(store: ModelStore, key: string): Promise<VerifyResult | null> {
  const record = await store.ledger.get(key);
  if (!record || isForeign(record)) return null;
  const result: VerifyResult = { checkedBytes: 0, alteredChunks: 0, missingChunks: 0 };
  let whole = 0;
  for (const [path, { bytes, chunks }] of Object.entries(record.files)) {
    const prefix = filePrefix(key, path);
    for (const name of await store.chunks.keys(prefix)) {
      const index = isWhole(name) ? Number(name.slice(prefix.length)) : null;
      const chunk = await store.chunks.get(name);
      if (!chunk) continue;
      if (index !== null) whole++;
      const length = index === null ? chunk.bytes.length : Math.min(CHUNK_BYTES, bytes! - index * CHUNK_BYTES);
      const digest = await sha256(chunk.bytes);
      const expected = (index !== null && chunks[index]) || chunk.sha256;
      result.checkedBytes += chunk.bytes.length;
      if (digest === expected && chunk.bytes.length === length) continue;
      result.alteredChunks++;
      await store.chunks.delete(name);
    }
  }
  if (record.complete) result.missingChunks = Math.max(0, record.kept - whole);
  if (result.alteredChunks + result.missingChunks > 0) await store.ledger.put({ ...record, complete: false });
  return result;
}
