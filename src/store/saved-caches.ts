/**
 * Saved caches: what a conversation's rings held, in the models' database, to be put back after a reload. A save is
 * pieces of at most 4 MiB with their digests, and one record, which is written last and names them: a save that was cut
 * has no record, and the one before it stays whole until the new one is. What the rows mean is for who saved them.
 */
import { NibbleError, throwIfAborted } from '../errors';
import { sha256 } from '../platform/sha256';
import type { SavedCache } from '../protocol';
import type { ModelStore } from './chunk-store';
import { whileSaving } from './locks';

/** Of the record and the pieces. */
const FORMAT = 1;

/** Rows of one layer: positions from..end-1. */
export interface SavedRows {
  layer: number;
  from: number;
  end: number;
}

interface SavedPiece extends SavedRows {
  bytes: number;
  sha256: string;
}

/** What is said of a save beside its rows; it must survive JSON. */
export interface SavedHeader {
  /** what it was computed with, in words and numbers: it serves where all of them are the same */
  computedWith: Record<string, string>;
  /** the conversation but for its cache */
  talk: { ids: number[] } & Record<string, unknown>;
  /** by layer, the oldest position that was held */
  oldest: number[];
}

export type SavedContents = SavedHeader & { pieces: SavedPiece[] };

interface SavedRecord extends SavedCache {
  format: number;
  /** of the pieces' keys: another one each time */
  generation: string;
  /** SavedContents as JSON, and its digest */
  contents: string;
  sha256: string;
}

export const SAVED_PREFIX = '@saved/';
/** @param generation null: of all of them */
const prefixOf = (name: string, generation: string | null) =>
  `${SAVED_PREFIX}${encodeURIComponent(name)}/${generation === null ? '' : `${generation}#`}`;

const damaged = (name: string, what: string, details: Record<string, string | number | null>, next = 'Save it anew.') =>
  new NibbleError('integrity-mismatch', `The saved conversation “${name}” cannot be used: ${what}. ${next}`, {
    name,
    ...details,
  });

const digestOf = async (text: string) => sha256(new TextEncoder().encode(text));

/** @throws invalid-option */
export function checkName(name: unknown): asserts name is string {
  if (typeof name === 'string' && name !== '' && name.length <= 200) return;
  throw new NibbleError('invalid-option', 'A saved conversation has a name of 1 to 200 characters.', {
    name: String(name).slice(0, 200),
  });
}

/**
 * Saves, in the place of what was saved under this name.
 * @param about its tokens, model and revision
 * @param rows brings the pieces; each is written before the next is asked for
 * @param signal is looked at before each piece
 * @throws quota-exceeded, storage-unavailable (a later version's stands there), aborted, and what `rows` throws: what
 * was saved before is then still there
 */
export function writeSaved(
  store: ModelStore,
  about: Pick<SavedCache, 'name' | 'model' | 'revision'>,
  header: SavedHeader,
  rows: AsyncIterable<SavedRows & { bytes: Uint8Array<ArrayBuffer> }>,
  signal?: AbortSignal,
): Promise<SavedCache> {
  return whileSaving(async () => {
    if (isLater(await store.saved.get(about.name))) {
      const text = `A later version of this page or program has saved the conversation “${about.name}”: it is left as it is. Save under another name.`;
      throw new NibbleError('storage-unavailable', text, { name: about.name, reason: 'later-version' });
    }
    const generation = crypto.randomUUID();
    const prefix = prefixOf(about.name, generation);
    const pieces: SavedPiece[] = [];
    let total = 0;
    try {
      for await (const { bytes, ...piece } of rows) {
        throwIfAborted(signal);
        const digest = (await sha256(bytes))!;
        total += bytes.length;
        await store.chunks.put(prefix + pieces.length, { sha256: digest, bytes });
        pieces.push({ ...piece, bytes: bytes.length, sha256: digest });
      }
      const contents = JSON.stringify({ ...header, pieces } satisfies SavedContents);
      const saved: SavedCache = { ...about, tokens: header.talk.ids.length, bytes: total, savedAt: Date.now() };
      const digest = (await digestOf(contents))!;
      const record: SavedRecord = { ...saved, format: FORMAT, generation, contents, sha256: digest };
      await store.saved.put(about.name, record);
      return saved;
    } catch (error) {
      if (!(error instanceof NibbleError) || error.code !== 'quota-exceeded') throw error;
      const text = `There is no room to save this conversation: ${Math.ceil(total / 1e6)} MB and more are needed. Delete a model or a saved conversation; what was saved before is still there.`;
      throw new NibbleError('quota-exceeded', text, { ...error.details, neededBytes: total }, { cause: error });
    } finally {
      // what was here before, or this, or what a tab left that was closed in between
      await sweep(store).catch(() => {});
    }
  }, signal);
}

/** Deletes all pieces that no record names; what a later version has saved keeps all that bears its name. */
async function sweep(store: ModelStore): Promise<void> {
  const names = await store.saved.keys();
  const found = await Promise.all(names.map((name) => store.saved.get(name)));
  const named = found.map((record, i) => prefixOf(names[i], isKnown(record) ? record.generation : null));
  for (const key of await store.chunks.keys(SAVED_PREFIX)) {
    if (!named.some((prefix) => key.startsWith(prefix))) await store.chunks.delete(key);
  }
}

/** Of this format. */
async function records(store: ModelStore): Promise<SavedRecord[]> {
  const all = await Promise.all((await store.saved.keys()).map((name) => store.saved.get(name)));
  return all.filter(isKnown);
}

const isRecord = (value: unknown): value is SavedRecord =>
  typeof value === 'object' && value !== null && 'generation' in value && 'contents' in value;

/** A later version wrote it: it is left as it is. */
const isLater = (value: unknown): boolean => isRecord(value) && Number(value.format) > FORMAT;

const isKnown = (value: unknown): value is SavedRecord => isRecord(value) && value.format === FORMAT;

/** A save as it was found; another tab may put a newer one in its place meanwhile. */
export type OpenedSave = SavedContents & Pick<SavedRecord, 'generation'>;

/**
 * What was saved under a name, without its rows.
 * @returns null when nothing was
 * @throws integrity-mismatch when it is altered or of another version of the format
 */
export async function openSaved(store: ModelStore, name: string): Promise<OpenedSave | null> {
  const record = await store.saved.get(name);
  if (record === undefined) return null;
  if (!isRecord(record)) throw damaged(name, 'it is no saved conversation', {});
  const { format, contents } = record;
  if (format !== FORMAT) {
    const what = `it has version ${format} of the format, and this is ${FORMAT}`;
    throw damaged(name, what, { format, known: FORMAT }, 'Save under another name.');
  }
  const found = await digestOf(String(contents));
  if (found !== record.sha256) throw damaged(name, 'it has been altered', { expected: String(record.sha256), found });
  return { ...(JSON.parse(contents) as SavedContents), generation: record.generation };
}

/**
 * The rows of a save, piece by piece.
 * @throws integrity-mismatch at a piece that is missing, cut short or altered
 */
export async function* readSaved(
  store: ModelStore,
  name: string,
  { pieces, generation }: OpenedSave,
): AsyncGenerator<SavedRows & { bytes: Uint8Array<ArrayBuffer> }> {
  const prefix = prefixOf(name, generation);
  for (const [piece, { bytes: length, sha256: expected, ...rows }] of pieces.entries()) {
    const chunk = await store.chunks.get(prefix + piece);
    const bytes = chunk?.bytes;
    if (!(bytes instanceof Uint8Array) || bytes.length !== length) {
      const found = bytes?.length ?? 0;
      throw damaged(name, `piece ${piece} has ${found} bytes of ${length}`, { piece, bytes: found, expected: length });
    }
    const found = await sha256(bytes);
    if (found !== expected) throw damaged(name, `piece ${piece} has been altered`, { piece, expected, found });
    yield { ...rows, bytes };
  }
}

/** All saves, the newest first. */
export async function listSaved(store: ModelStore): Promise<SavedCache[]> {
  return (await records(store))
    .map(({ name, model, revision, tokens, bytes, savedAt }) => ({ name, model, revision, tokens, bytes, savedAt }))
    .sort((a, b) => b.savedAt - a.savedAt);
}

/** Deletes saves by their name, or all of a model; what a later version has saved stays. */
export function deleteSaved(store: ModelStore, which: { name: string } | { model: string }): Promise<void> {
  return whileSaving(async () => {
    const names =
      'name' in which
        ? [which.name]
        : (await records(store)).filter(({ model }) => model === which.model).map(({ name }) => name);
    for (const name of names) if (!isLater(await store.saved.get(name))) await store.saved.delete(name);
    await sweep(store);
  });
}
