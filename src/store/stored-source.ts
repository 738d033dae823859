/**
 * A Source that reads another one in verified chunks of 4 MiB and keeps them in a ModelStore. A chunk is stored as soon
 * as it is here, and so is the beginning of one whose download was cut, so that a load goes on where it stopped; a
 * stored chunk that fails its digest is dropped and fetched again. What a chunk must be is said by the folder's
 * manifest.json, else by its first arrival; what a whole file must be, by its author's digest where the source lists
 * one: checked when all of the file has been here.
 *
 * Where neither says it, a file is of the version that its server tells (versions.ts), or else of the one that samples of
 * it show (samples.ts): both are compared when a later load goes on with what is kept, and when all has been read. What
 * is kept of another version goes, and all that was made of it; a load that is under way has to be begun anew.
 *
 * Where the digests are those of first arrival, small parts that a header needs from all over a file are fetched alone,
 * and must be what their chunks say when those arrive: else both go, and the load has to be begun anew.
 *
 * Memory: at most CACHED chunks and those parts; IN_FLIGHT requests for chunks.
 */
import { NibbleError } from '../errors';
import { createGate } from '../platform/gate';
import { gitName, sha256 } from '../platform/sha256';
import type { Sha256 } from '../platform/sha256-in-pieces';
import type { Source } from '../sources/source';
import { changedFile, isChange, isSameVersion, isTold } from '../sources/versions';
import { createChunkCache, type Held } from './chunk-cache';
import {
  begunKey,
  CHUNK_BYTES,
  type Chunk,
  chunkKey,
  deleteFile,
  filePrefix,
  isForeign,
  isWhole,
  keptBytes,
  type ModelRecord,
  type ModelStore,
  partsKey,
  RECORD_FORMAT,
  samplesKey,
} from './chunk-store';
import { createKeeper } from './keeper';
import { readManifest } from './manifest';
import { findPart, firstDifference, type Part, packParts, unpackParts } from './parts';
import { isWeights } from './progress';
import {
  beginningOf,
  isEmpty,
  partsIn,
  placesIn,
  type Samples,
  samplesOf,
  spreadOver,
  takeFirst,
  takeFrom,
  thinned,
} from './samples';

/** the chunk in use, those ahead of it, and one for each kind of statistics that lies elsewhere in the file */
const CACHED = 4;
/** of headers, before weights are read: as many as are read side by side */
const CACHED_FIRST = 6;
const IN_FLIGHT = 3;
/** two take 25 MiB more of the renderer while weights stream, and are no faster (bench/load-1gb.md) */
const AHEAD = 1;
/** the browser copies what it stores or gives back, twice: one chunk at a time each way */
const STORE_IN_FLIGHT = 1;
/** shorter reads are statistics, which come out of turn: nothing is fetched ahead for them */
const SEQUENTIAL_BYTES = 32 << 10;

export interface StoredSource extends Source {
  /**
   * Set to the weight files, in the order they are read, when that is about to begin: chunks are then fetched ahead,
   * past the end of a file too, and shared without a store too.
   */
  streaming: readonly string[] | null;
  /** Set, before that, to the places from which the first samples are to be (samples.ts). */
  places: ReadonlyMap<string, readonly [number, number]>;
  /** everything was here when the source was opened: no request will be made */
  readonly complete: boolean;
  /** what is kept of the model is the files as they are served, all of them */
  readonly original: boolean;
  /** what was kept had been made for another choice, and was dropped */
  readonly anew: boolean;
  /**
   * From now on a file that is made of others is kept in their place: of those only the chunks that have been read.
   * Their author's digests are compared, as ever, when all of them has been here: so not after a load that was cut.
   * @param bytes its size
   * @param make brings any of its bytes
   */
  keepInstead(path: string, bytes: number, of: readonly string[], make: MakeBytes): Promise<void>;
  /** the browser ran out of room and the load goes on without keeping the rest (`ifRoom`) */
  readonly full: boolean;
  /** the sentence of why nothing can be written, where that is another; else empty */
  readonly unwritable: string;
  /**
   * Asks the server once more about every file that has been read and that nothing else vouches for.
   * @throws integrity-mismatch (isChange) when one has changed meanwhile; network, aborted
   */
  unchanged(): Promise<void>;
  /**
   * Compares files with their author's digests and the server's versions, and says in the ledger that the model is installed. Call it only when
   * all of it has been read. @throws integrity-mismatch, and that file is then no longer kept; network, aborted
   */
  markComplete(): Promise<void>;
  /**
   * Deletes what is kept of a model that is not installed and whose chunks no manifest vouches for, unless it was the
   * source that failed.
   */
  dropUnproven(): Promise<void>;
  /** what had arrived was dropped, and another load may find it whole */
  readonly dropped: boolean;
  /** Stops what is under way; when it resolves, nothing more will be written, and what has changed is dropped. */
  close(): Promise<void>;
}

export type MakeBytes = (start: number, end: number) => Promise<Uint8Array<ArrayBuffer>>;

export interface StoredOptions {
  /** what the person chose that decides what is made of the files (keepInstead()); absent: what is kept will do */
  choice?: string;
  signal?: AbortSignal;
  /** told of bytes that came from the store */
  onStored?: (path: string, bytes: number) => void;
  /** told of the size of every file that belongs to the model, as soon as it is known */
  onSize?: (path: string, bytes: number) => void;
  /** go on without keeping the rest when there is no room for it, or nothing can be written */
  ifRoom?: boolean;
}

const FOREIGN =
  'What is kept of this model was stored by a later version of this page or program: it is left as it is, and nothing is kept by this one.';

/** The key under which all that is kept of a source's model is filed. */
export const modelKey = (source: Pick<Source, 'name' | 'revision'>) => `${source.name}@${source.revision ?? ''}`;

interface ChunkPlace {
  path: string;
  index: number;
}

/** The digest of a file of several chunks, taken in the order of the file as they pass. */
interface FileCheck {
  hash: Promise<Sha256>;
  /** the chunk that the hash takes next */
  next: number;
  done: Promise<void>;
}

/**
 * @param given null: nothing is kept, but what arrives is still verified
 * @throws network, storage-unavailable, aborted; quota-exceeded, here and from size(), before anything is downloaded for
 * which the browser says that it has no room
 */
export async function openStored(
  inner: Source,
  given: ModelStore | null,
  { choice: wanted, signal, onStored, onSize, ifRoom = false }: StoredOptions = {},
): Promise<StoredSource> {
  const key = modelKey(inner);
  const found = await given?.ledger.get(key);
  const foreign = isForeign(found);
  const store = foreign ? null : given;
  const old = foreign ? undefined : found;
  const choice = wanted ?? old?.made?.choice ?? '';
  const complete = isInstalled(old, choice);
  const anew = old?.made !== undefined && old.made.choice !== choice;
  /** what is known from earlier loads: it counts until this one has an answer about the file */
  const earlier = { ...old?.files };
  if (anew && store) {
    await deleteFile(store, key, old.made!.path);
    delete earlier[old.made!.path];
  }
  const listing = complete ? null : ((await inner.list?.(signal)) ?? null);
  const manifest = complete || inner.gguf ? null : await readManifest(inner, listing, signal);
  const record: ModelRecord = complete
    ? { ...old!, lastUsed: Date.now() }
    : {
        format: RECORD_FORMAT,
        key,
        name: inner.name,
        revision: manifest?.revision ?? listing?.revision ?? inner.revision,
        files: manifest?.files ?? {},
        manifest: manifest !== null,
        closed: manifest !== null || listing !== null,
        complete: false,
        kept: 0,
        lastUsed: Date.now(),
      };
  const cache = createChunkCache(load, () => (streaming ? CACHED : CACHED_FIRST));
  const checks = new Map<string, FileCheck>();
  /** sizes that are being asked for, by path */
  const sizes = new Map<string, Promise<number | null>>();
  /** chunks that have been counted: one that was here for a header is read again for its weights */
  const met = new Set<string>();
  /** what was read apart, by path: as it comes from the store, and then all of it */
  const apart = new Map<string, Promise<Part[]>>();
  /** files of which more was read apart than is stored */
  const unsaved = new Set<string>();
  /** of files whose server tells nothing of versions */
  const sampled = new Map<string, Promise<Samples>>();
  /** files that have become others since this load began to read them */
  const changed = new Set<string>();
  /** something was not what had been read before: everything that was made of that may be wrong */
  let refuted: NibbleError | null = null;
  let streaming: readonly string[] | null = null;
  let making: { path: string; of: readonly string[]; make: MakeBytes; headers: ReadonlySet<string> } | null = null;
  const stop = new AbortController();
  const onAbort = () => stop.abort();
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort);
  const gate = createGate(IN_FLIGHT);
  const readGate = createGate(STORE_IN_FLIGHT);
  const keeper = createKeeper(store, ifRoom, missingBytes, foreign ? FOREIGN : '');
  const { write } = keeper;
  let dropped = false;
  let sourceFailed = false;
  let saving = Promise.resolve();
  for (const [path, { bytes }] of Object.entries(record.files)) {
    if (!complete) await forgetOther(path, bytes, null);
    if (bytes !== null) await expectFile(path, bytes);
  }
  // known before this load has come to it: another choice must find it
  if (!complete && !anew && old?.made) {
    record.made = old.made;
    record.files[old.made.path] = earlier[old.made.path];
  }
  // a model that is all here can be read where nothing can be written
  await (complete ? write(() => store!.ledger.put(record)).catch(() => {}) : saveRecord());

  async function saveRecord(): Promise<void> {
    const files = record.complete ? record.files : { ...earlier, ...record.files };
    if (store) await write(() => store.ledger.put({ ...record, files }));
  }

  /**
   * A file of another size or digest than last time is another file: what is kept of it goes; and so does what is kept
   * of one of which nothing is known, unless a manifest says what it must be.
   */
  async function forgetOther(path: string, bytes: number | null, digest: string | null) {
    const before = earlier[path];
    if (!store || (!before && record.files[path])) return;
    if (!before) return deleteAll(path);
    const same = before.bytes === bytes && (!before.digest || !digest || before.digest === digest);
    if (same) return;
    await dropKept(path);
  }

  /** Deletes what is kept of a file, and of what was made of it. */
  async function dropKept(path: string): Promise<void> {
    for (const name of [path, old?.made?.path, making?.path]) if (name) await deleteAll(name);
  }

  async function deleteAll(path: string): Promise<void> {
    if (store) await deleteFile(store, key, path);
    for (const known of [apart, sampled, unsaved]) known.delete(path);
  }

  /** Whether a file is kept as it is served. */
  function isKept(path: string): boolean {
    return store !== null && !making?.of.includes(path);
  }

  async function missingOf(path: string, bytes: number): Promise<number> {
    return bytes - keptBytes(await store!.chunks.keys(filePrefix(key, path)), bytes);
  }

  /** of all files that are known by now */
  async function missingBytes(): Promise<number> {
    let sum = 0;
    for (const [path, { bytes }] of Object.entries(record.files)) {
      if (bytes && isKept(path)) sum += await missingOf(path, bytes);
    }
    return sum;
  }

  /** @throws quota-exceeded, unless the rest need not be kept */
  async function expectFile(path: string, bytes: number): Promise<void> {
    onSize?.(path, bytes);
    if (store && !complete) await keeper.expect(await missingOf(path, bytes));
  }

  async function size(path: string): Promise<number | null> {
    const known = record.files[path];
    if (known) return known.bytes;
    // once: what is kept may go before the answer, what is fetched after it must not
    const asking = sizes.get(path) ?? findSize(path).finally(() => sizes.delete(path));
    sizes.set(path, asking);
    return asking;
  }

  async function findSize(path: string): Promise<number | null> {
    const listed = listing?.files[path];
    if (record.manifest || (record.closed && !listed)) return null;
    if (complete) return inner.size(path, stop.signal).catch(() => null);
    const bytes = listed ? listed.bytes : await askSize(path);
    const digest = listed?.digest ?? null;
    await forgetOther(path, bytes, digest);
    if (bytes && !listed) await forgetUnproven(path);
    record.files[path] = { bytes, chunks: [], digest, version: inner.versions?.get(path) };
    await saveRecord();
    if (bytes !== null) await expectFile(path, bytes);
    return bytes;
  }

  /** A file's size; if it is no longer of the version that is kept of it, that goes. */
  async function askSize(path: string): Promise<number | null> {
    const ask = () => inner.size(path, stop.signal);
    inner.versions?.set(path, earlier[path]?.version ?? null);
    try {
      return await ask();
    } catch (error) {
      if (!isChange(error)) throw error;
      inner.versions!.set(path, null);
      return ask();
    }
  }

  /** What is kept of a file from another visit goes unless it is still the same. */
  async function forgetUnproven(path: string): Promise<void> {
    const before = earlier[path];
    const now = inner.versions?.get(path);
    if (!store || !before || !now) return;
    const same = (before.version && isSameVersion(before.version, now)) ?? (await matches(path, await keptParts(path)));
    if (!same) await dropKept(path);
  }

  /** What of a file is to be compared: samples of weights, all that is kept of a small file. */
  async function keptParts(path: string): Promise<Part[]> {
    const samples = await samplesFor(path);
    if (isWeights(path) && samples.first.some((part) => !isEmpty(part))) return partsIn(samples);
    // a small file, or weights whose matrices no load has come to, or an earlier version of Nibble
    const prefix = filePrefix(key, path);
    const parts: Part[] = [];
    for (const name of await store!.chunks.keys(prefix)) {
      const index = Number.parseInt(name.slice(prefix.length), 10);
      const chunk = index >= 0 ? await sound(name, () => true) : null;
      if (chunk && isWeights(path)) {
        takeFrom(samples, index, chunk.bytes);
        parts.push(...spreadOver(index, chunk.bytes));
      } else if (chunk) parts.push({ start: index * CHUNK_BYTES, bytes: chunk.bytes });
    }
    return [...(isWeights(path) ? thinned(parts) : parts), ...partsIn(samples)];
  }

  /** Whether the place still says the same. */
  async function matches(path: string, parts: readonly Part[]): Promise<boolean> {
    const some = parts.filter((part) => !isEmpty(part));
    // to come to one further on, the file would be downloaded anew
    for (const { start, bytes } of inner.inOrder?.(path) ? some.slice(0, 1) : some) {
      const again = await gate(() => inner.read(path, start, start + bytes.length, stop.signal));
      if (firstDifference([{ start, bytes }], start, again) !== null) return false;
    }
    return true;
  }

  /** Whether nothing but its bytes tells one version of a file from another. */
  function isUntold(path: string): boolean {
    const version = inner.versions?.get(path);
    return version !== undefined && !(version && isTold(version));
  }

  function samplesFor(path: string): Promise<Samples> {
    const known =
      sampled.get(path) ??
      sound(samplesKey(key, path), () => true).then((kept) => samplesOf(kept ? unpackParts(kept.bytes) : []));
    sampled.set(path, known);
    return known;
  }

  /** Takes samples, and stores them before what they are to vouch for. */
  async function sample(path: string, take: (samples: Samples) => void): Promise<void> {
    const samples = await samplesFor(path);
    take(samples);
    const bytes = packParts(partsIn(samples));
    const digest = store && (await sha256(bytes));
    if (digest) await write(() => store.chunks.put(samplesKey(key, path), { sha256: digest, bytes }));
  }

  async function sampleFirst(path: string, places: readonly number[], index: number, chunk: Uint8Array): Promise<void> {
    const which = placesIn(await samplesFor(path), places, index);
    if (which.length > 0) await sample(path, (samples) => takeFirst(samples, places, which, index, chunk));
  }

  /** Notes that a file has changed, if that is what an error says: all that was read of it counts no more. */
  function noteChange(error: unknown): void {
    if (!isChange(error)) return;
    changed.add(String(error.details.path));
    refuted ??= error;
    dropped = true;
  }

  async function unchanged(): Promise<void> {
    if (refuted) throw refuted;
    const asked = [...(inner.versions ?? [])].filter(([path, version]) => version && record.files[path]?.bytes);
    try {
      await Promise.all(
        asked.map(async ([path]) => {
          if (!isUntold(path)) await gate(() => inner.confirm!(path, stop.signal));
          if (!(await matches(path, partsIn(await samplesFor(path))))) throw changedFile(path);
        }),
      );
    } catch (error) {
      noteChange(error);
      throw error;
    }
  }

  /** A chunk, or the beginning of one, whose bytes are still those that were stored. */
  async function sound(name: string, fits: (bytes: number) => boolean): Promise<Chunk | null> {
    const kept = store && (await readGate(() => store.chunks.get(name)));
    if (!kept) return null;
    if (fits(kept.bytes.length) && (await sha256(kept.bytes)) === kept.sha256) return kept;
    await store!.chunks.delete(name);
    return null;
  }

  /** Says whether a chunk's bytes are what they must be; a file of one chunk has its author's digest. */
  async function mismatch(path: string, index: number, bytes: Uint8Array<ArrayBuffer>, actual: string | null) {
    const { chunks, digest, bytes: size } = record.files[path];
    if (!actual) return null;
    if (chunks[index]) return chunks[index] === actual ? null : { expected: chunks[index], actual };
    if (!digest || size! > CHUNK_BYTES) return null;
    const whole = digest.length === 64 ? actual : await gitName(bytes);
    return whole === digest ? null : { expected: digest, actual: whole };
  }

  /** Whether the folder's manifest says otherwise by now. A model that was all here is then here in part. */
  async function isPublishedAnew(path: string, index: number): Promise<boolean> {
    const now = record.manifest ? await readManifest(inner, null, stop.signal).catch(() => null) : null;
    if (!now || now.files[path]?.chunks[index] === record.files[path].chunks[index]) return false;
    if (complete) await forgetComplete();
    return true;
  }

  async function forgetComplete(): Promise<void> {
    await write(() => store!.ledger.put({ ...record, complete: false })).catch(() => {});
  }

  /** What is missing of a chunk, put behind what of it came before. */
  async function fetchChunk(path: string, index: number, start: number, end: number, part: Uint8Array | null) {
    const have = part?.length ?? 0;
    const join = (rest: Uint8Array<ArrayBuffer>) => {
      if (!part) return rest;
      const bytes = new Uint8Array(have + rest.length);
      bytes.set(part);
      bytes.set(rest, have);
      return bytes;
    };
    let came: Uint8Array<ArrayBuffer> | null = null;
    const { version } = record.files[path];
    // of a model that was all here nothing has been asked yet
    if (complete && version && !record.manifest) inner.versions?.set(path, version);
    try {
      return join(
        await gate(() =>
          inner.read(path, start + have, end, stop.signal, (bytes) => {
            came = bytes;
          }),
        ),
      );
    } catch (error) {
      sourceFailed = true;
      noteChange(error);
      // the error of the read is what counts, whether or not its beginning can be kept
      if (isKept(path) && came) await keepPart(path, index, join(came)).catch(() => {});
      throw error;
    }
  }

  async function keepPart(path: string, index: number, bytes: Uint8Array<ArrayBuffer>) {
    const digest = await sha256(bytes);
    await write(() => store!.chunks.put(begunKey(key, path, index), { sha256: digest!, bytes }));
  }

  /** What is known of a file's parts. */
  function partsOf(path: string): Promise<Part[]> {
    const known =
      apart.get(path) ?? sound(partsKey(key, path), () => true).then((kept) => (kept ? unpackParts(kept.bytes) : []));
    apart.set(path, known);
    return known;
  }

  async function saveParts(): Promise<void> {
    for (const path of unsaved) {
      unsaved.delete(path);
      const bytes = packParts(await partsOf(path));
      const digest = store && (await sha256(bytes));
      if (digest) await write(() => store.chunks.put(partsKey(key, path), { sha256: digest, bytes }));
    }
  }

  /**
   * A chunk must say what its parts said. Which of them arrived altered nobody knows: both go.
   * @throws integrity-mismatch
   */
  async function compare(path: string, index: number, bytes: Uint8Array): Promise<void> {
    const at = apart.has(path) ? firstDifference(await partsOf(path), index * CHUNK_BYTES, bytes) : null;
    if (at === null) return;
    const message = `Byte ${at} of ${path} was not the same when it arrived twice. It was deleted; load the model again.`;
    refuted = new NibbleError('integrity-mismatch', message, { path, chunk: index, byte: at });
    dropped = true;
    apart.delete(path);
    unsaved.delete(path);
    record.files[path].chunks[index] = '';
    for (const name of [partsKey(key, path), chunkKey(key, path, index)]) await store?.chunks.delete(name);
    throw refuted;
  }

  async function load(path: string, index: number): Promise<Uint8Array<ArrayBuffer>> {
    const { chunks, bytes: size } = record.files[path];
    const name = chunkKey(key, path, index);
    const start = index * CHUNK_BYTES;
    const end = Math.min(start + CHUNK_BYTES, size!);
    const kept = await sound(name, (length) => length === end - start);
    if (kept) {
      if (!(await mismatch(path, index, kept.bytes, kept.sha256))) {
        await compare(path, index, kept.bytes);
        chunks[index] = kept.sha256;
        if (!met.has(name)) onStored?.(path, kept.bytes.length);
        met.add(name);
        return kept.bytes;
      }
      await store!.chunks.delete(name);
    }
    let part = (await sound(begunKey(key, path, index), (length) => length < end - start))?.bytes ?? null;
    if (part) onStored?.(path, part.length);
    met.add(name);
    for (let attempt = part ? -1 : 0; ; attempt++) {
      const bytes =
        path === making?.path ? await making.make(start, end) : await fetchChunk(path, index, start, end, part);
      // where nothing is kept and nothing is known there is nothing to compare
      const digest = store || chunks[index] || record.files[path].digest ? await sha256(bytes) : null;
      const wrong = await mismatch(path, index, bytes, digest);
      if (part) await store!.chunks.delete(begunKey(key, path, index));
      part = null;
      if (!wrong) {
        await compare(path, index, bytes);
        if (isUntold(path)) await sample(path, (samples) => takeFrom(samples, index, bytes));
        if (digest) {
          if (isKept(path)) await write(() => store!.chunks.put(name, { sha256: digest, bytes }));
          // read for a header: its weights would be fetched again
          if (keeper.full && !streaming && isWeights(path)) cache.pin(path, index);
          chunks[index] = digest;
        }
        return bytes;
      }
      if (attempt > 0) {
        if (await isPublishedAnew(path, index)) throw changedFile(path);
        const said = record.manifest
          ? 'its manifest says'
          : chunks[index]
            ? 'was first downloaded'
            : 'its author lists';
        const message = `Bytes ${start}-${end - 1} of ${path} are not what ${said}. Delete the model and download it again, or tell who serves it.`;
        throw new NibbleError('integrity-mismatch', message, { path, chunk: index, ...wrong });
      }
    }
  }

  /** A chunk of the cache, which the file's digest takes as it passes. */
  function hold(path: string, index: number): Held {
    const held = cache.hold(path, index);
    follow(path, index, held);
    return held;
  }

  /** Lets the file's digest take a chunk when it is the next one. */
  function follow(path: string, index: number, held: Held) {
    const { digest, bytes: size } = record.files[path];
    if (complete || record.manifest || digest?.length !== 64 || size! <= CHUNK_BYTES) return;
    const check = checks.get(path) ?? { hash: newSha256(), next: 0, done: Promise.resolve() };
    checks.set(path, check);
    if (check.next !== index) return;
    check.next++;
    const before = check.done;
    check.done = cache.use(held, async (bytes) => {
      await before;
      (await check.hash).update(bytes);
    });
    check.done.catch(() => checks.delete(path));
  }

  /** @throws integrity-mismatch when all of a file has been here and is not what its author says */
  async function checkFile(path: string): Promise<void> {
    const { bytes: size, digest } = record.files[path];
    const count = Math.ceil(size! / CHUNK_BYTES);
    const here = new Set(await store?.chunks.keys(filePrefix(key, path)));
    const begun = checks.get(path)?.next ?? 0;
    for (let i = begun; i < count; i++) if (!here.has(chunkKey(key, path, i))) return;
    for (let i = begun; i < count; i++) await cache.use(hold(path, i), () => {});
    const check = checks.get(path)!;
    await check.done;
    const actual = (await check.hash).digest();
    checks.delete(path);
    if (actual === digest) return;
    await forget(path);
    if (making) await forget(making.path);
    dropped = true;
    const message = `${path} arrived altered: its SHA-256 is not what its author lists. It was deleted; load the model again.`;
    throw new NibbleError('integrity-mismatch', message, { path, bytes: size, expected: digest!, actual });
  }

  async function forget(path: string): Promise<void> {
    await deleteAll(path);
    record.files[path].chunks = [];
  }

  /** The chunk that is read after this one, null after the last. */
  function following({ path, index }: ChunkPlace): ChunkPlace | null {
    // what is made asks for what it is made of
    if (path === making?.path) return null;
    if ((index + 1) * CHUNK_BYTES < record.files[path].bytes!) return { path, index: index + 1 };
    const order = streaming ?? [];
    const next = order[order.indexOf(path) + 1];
    return next && order.includes(path) ? { path: next, index: 0 } : null;
  }

  /** @returns the file's size @throws corrupt-checkpoint when it is less */
  async function expectBytes(path: string, end: number): Promise<number> {
    const bytes = await size(path);
    if (bytes !== null && end <= bytes) return bytes;
    const message = `${path} has ${bytes ?? 'no'} bytes where ${end} are needed. Get the model again.`;
    throw new NibbleError('corrupt-checkpoint', message, { path, bytes, expected: end });
  }

  async function readApart(path: string, start: number, end: number, until?: AbortSignal) {
    const bytes = await expectBytes(path, end);
    const here = cache.has(path, Math.floor(start / CHUNK_BYTES));
    if (record.manifest || bytes <= CHUNK_BYTES || here || inner.inOrder?.(path)) return read(path, start, end, until);
    const parts = await partsOf(path);
    const known = findPart(parts, start, end);
    if (known) return known;
    if (complete) return read(path, start, end, until);
    const got = await inner.read(path, start, end, until ?? stop.signal).catch((error) => {
      sourceFailed = true;
      noteChange(error);
      throw error;
    });
    parts.push({ start, bytes: got.slice() });
    unsaved.add(path);
    return got;
  }

  /** Whether a chunk is here, or will be kept once it is. */
  async function hasChunk(path: string, index: number): Promise<boolean> {
    if (cache.has(path, index) || (store && !keeper.full)) return true;
    const name = chunkKey(key, path, index);
    return store !== null && (await store.chunks.keys(name)).includes(name);
  }

  async function read(path: string, start: number, end: number, until?: AbortSignal) {
    const bytes = await expectBytes(path, end);
    // headers of a model that is not kept: whole chunks would be thrown away and fetched twice
    if (!complete && !streaming && bytes > CHUNK_BYTES && !(await hasChunk(path, Math.floor(start / CHUNK_BYTES)))) {
      const got = await gate(() => inner.read(path, start, end, until ?? stop.signal));
      if (start === 0 && isUntold(path)) await sample(path, (samples) => (samples.header = beginningOf(got, 0)));
      return got;
    }
    const result = new Uint8Array(end - start);
    const sequential = streaming !== null && end - start >= SEQUENTIAL_BYTES;
    const places = isUntold(path) ? source.places.get(path) : undefined;
    const first = Math.floor(start / CHUNK_BYTES);
    const last = Math.ceil(end / CHUNK_BYTES);
    const copy = (i: number) =>
      cache.use(
        hold(path, i),
        async (got) => {
          const from = i * CHUNK_BYTES;
          if (places) await sampleFirst(path, places, i, got);
          const part = got.subarray(Math.max(0, start - from), Math.min(got.length, end - from));
          result.set(part, Math.max(0, from - start));
        },
        until,
      );
    let piece = first < last ? copy(first) : null;
    for (let i = first; piece; i++) {
      // claimed before this one is waited for: a later read may be done with it sooner, and drop it
      const after: Promise<void> | null = i + 1 < last ? copy(i + 1) : null;
      after?.catch(() => {});
      let next: ChunkPlace | null = { path, index: i };
      for (let ahead = 0; ahead < AHEAD && next; ahead++) {
        next = sequential || next.index + 1 < last ? following(next) : null;
        if (next) hold(next.path, next.index);
      }
      await piece;
      // what was read in order to its end is not read again
      if (sequential && end >= Math.min((i + 1) * CHUNK_BYTES, bytes)) cache.drop(path, i);
      piece = after;
    }
    if (refuted) throw refuted;
    return result;
  }

  const source: StoredSource = {
    name: inner.name,
    revision: record.revision,
    gguf: inner.gguf,
    names: inner.names,
    complete,
    original: complete && !record.made,
    anew,
    places: new Map(),
    async keepInstead(path, bytes, of, make) {
      making = { path, of, make, headers: new Set(met) };
      if (complete && record.files[path]?.bytes !== bytes) {
        // an older version of this program made another of the same files, such as one without a head of its own
        await store!.ledger.put({ ...record, complete: false });
        dropped = true;
        throw new NibbleError('integrity-mismatch', `${path} was made otherwise. Load the model again.`, {
          path,
          bytes,
        });
      }
      if (complete) return;
      await forgetOther(path, bytes, null);
      record.files[path] = { bytes, chunks: [], digest: null };
      record.made = { path, choice };
      await saveRecord();
    },
    get streaming() {
      return streaming;
    },
    set streaming(files) {
      streaming = files;
      // a write that fails is told of by the next one
      saving = saveParts().catch(() => {});
    },
    get full() {
      return keeper.full;
    },
    get unwritable() {
      return keeper.unwritable;
    },
    get dropped() {
      return dropped;
    },
    size,
    read,
    readApart,
    refusal: (path) => inner.refusal?.(path),
    unchanged,
    async markComplete() {
      if (refuted) throw refuted;
      if (complete) return;
      await unchanged();
      for (const [path, { bytes, digest }] of Object.entries(record.files)) {
        if (!record.manifest && digest?.length === 64 && bytes! > CHUNK_BYTES) await checkFile(path);
      }
      if (!store || keeper.full) return;
      for (const path of making?.of ?? []) {
        for (const name of await store.chunks.keys(filePrefix(key, path))) {
          if (!making!.headers.has(name)) await store.chunks.delete(name);
        }
      }
      for (const path of Object.keys(record.files)) {
        await store.chunks.delete(samplesKey(key, path));
        record.kept += (await store.chunks.keys(filePrefix(key, path))).filter(isWhole).length;
      }
      for (const path of Object.keys(earlier)) if (!record.files[path]) await deleteAll(path);
      record.complete = true;
      await saveRecord();
    },
    async dropUnproven() {
      if (complete || record.manifest || sourceFailed) return;
      stop.abort();
      await Promise.allSettled([...cache.running, saving]);
      for (const path of Object.keys({ ...earlier, ...record.files })) await deleteAll(path);
      for (const file of Object.values(record.files)) file.chunks = [];
      await store?.ledger.delete(key);
      dropped = listing !== null;
    },
    async close() {
      await saveParts().catch(() => {});
      stop.abort();
      signal?.removeEventListener('abort', onAbort);
      await Promise.allSettled([...cache.running, saving]);
      // not before nothing more of it can be written
      for (const path of changed) await dropKept(path).catch(() => {});
      if (complete && changed.size > 0) await forgetComplete();
      cache.clear();
      await inner.close?.();
    },
  };
  return source;
}

/** Whether a model is all here, for that choice. */
export const isInstalled = (record: ModelRecord | undefined, choice: string): boolean =>
  record?.complete === true && !isForeign(record) && (record.made?.choice ?? choice) === choice;

const newSha256 = async () => (await import('../platform/sha256-in-pieces')).createSha256();
