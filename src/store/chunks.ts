/**
 * Chunks of files in memory: each read from the store or fetched, verified, and kept. One whose download is cut is kept
 * as far as it came, and goes on there. Memory: CACHED of them.
 */
import { NibbleError } from '../errors';
import { gitName, sha256 } from '../platform/sha256';
import { changedFile } from '../sources/versions';
import { type ChunkCache, createChunkCache, type Stay } from './chunk-cache';
import { begunKey, CHUNK_BYTES, chunkKey, MOST_AHEAD, type ModelRecord } from './chunk-store';
import type { FileVersions } from './file-versions';
import type { ModelFiles } from './model-files';
import type { Origin } from './origin';
import type { PartReader } from './part-reader';
import { isWeights } from './progress';
import { takeFrom } from './version-samples';

type Bytes = Uint8Array<ArrayBuffer>;

/** the chunk in use, and one for each kind of statistics that lies elsewhere in the file; those ahead come to them */
const CACHED = 3;
/** of headers, before weights are read: as many as are read side by side */
const CACHED_FIRST = 6;

export interface Chunks {
  /** @throws network, integrity-mismatch, quota-exceeded, storage-unavailable, aborted: from what holds a chunk */
  readonly cache: ChunkCache;
  /** names of those that have been counted: one that was here for a header is read again for its weights */
  readonly met: ReadonlySet<string>;
  /**
   * Bytes of chunks that were asked for and have not come; without the one at a place, if this source does not tell
   * what has come.
   */
  missing(path?: string, index?: number): number;
}

/**
 * @param onPart told when bytes come, from wherever it is
 * @param onStored told of bytes that came from the store
 */
export function createChunks(
  files: ModelFiles,
  { source, inTurn, isUntold, signal }: Origin,
  versions: FileVersions,
  parts: PartReader | null,
  onPart: () => void,
  onStored?: (path: string, bytes: number) => void,
): Chunks {
  const { record, key, store, sound, put } = files;
  const met = new Set<string>();
  /** by name: of the chunks under way, the bytes that have not come */
  const coming = new Map<string, number>();
  let inPieces = false;
  const cache = createChunkCache(load, () => (files.streaming ? CACHED + MOST_AHEAD : CACHED_FIRST));

  function comes(path: string, index: number, missing: number): void {
    coming.set(chunkKey(key, path, index), missing);
    onPart();
  }

  /** What is missing of a chunk, put behind what of it came before. */
  async function fetchChunk(path: string, index: number, start: number, end: number, before: Bytes | null) {
    let part: Bytes | null = null;
    const { version } = record.files[path];
    // of a model that was all here nothing has been asked yet
    if (files.complete && version && !record.manifest) source.versions?.set(path, version);
    try {
      const from = start + (before?.length ?? 0);
      const came = (bytes: number) => {
        inPieces = true;
        comes(path, index, end - from - bytes);
      };
      const keepPart = (bytes: Bytes) => {
        part = bytes;
      };
      const rest = await inTurn(() => source.read(path, from, end, signal, keepPart, came));
      return join(before, rest);
    } catch (error) {
      files.sourceFailed = true;
      files.noteChange(error);
      // the error of the read is what counts, whether or not its beginning can be kept
      if (files.isKept(path) && part) await put(begunKey(key, path, index), join(before, part)).catch(() => {});
      throw error;
    }
  }

  async function load(path: string, index: number, stay: Stay): Promise<Bytes> {
    const start = index * CHUNK_BYTES;
    const end = Math.min(start + CHUNK_BYTES, record.files[path].bytes!);
    coming.set(chunkKey(key, path, index), end - start);
    try {
      return await bring(path, index, start, end, stay);
    } finally {
      coming.delete(chunkKey(key, path, index));
    }
  }

  /** One that was read for a header and cannot be kept would be fetched again for its weights. */
  function stayUntilKept(path: string, index: number, written: Promise<void>): void {
    cache.pin(path, index);
    const isOver = () => {
      if (!files.keeper.full) cache.unpin(path, index);
    };
    written.then(isOver, isOver);
  }

  async function bring(path: string, index: number, start: number, end: number, stay: Stay): Promise<Bytes> {
    const { chunks } = record.files[path];
    const name = chunkKey(key, path, index);
    const here = await sound(name, (length) => {
      comes(path, index, 0);
      return length === end - start;
    });
    if (here) {
      if (!(await mismatch(record.files[path], index, here.bytes, here.sha256))) {
        await parts?.compare(path, index, here.bytes);
        chunks[index] = here.sha256;
        if (!met.has(name)) onStored?.(path, here.bytes.length);
        met.add(name);
        return here.bytes;
      }
      await store!.chunks.delete(name);
    }
    let before = (await sound(begunKey(key, path, index), (length) => length < end - start))?.bytes ?? null;
    if (before) onStored?.(path, before.length);
    met.add(name);
    for (let attempt = before ? -1 : 0; ; attempt++) {
      const { made } = files;
      const bytes =
        path === made?.path ? await made.make(start, end) : await fetchChunk(path, index, start, end, before);
      comes(path, index, 0);
      // where nothing is kept and nothing is known there is nothing to compare
      const digest = store || chunks[index] || record.files[path].digest ? await sha256(bytes) : null;
      const wrong = await mismatch(record.files[path], index, bytes, digest);
      if (before) await store!.chunks.delete(begunKey(key, path, index));
      before = null;
      if (!wrong) {
        await parts?.compare(path, index, bytes);
        if (isUntold(path)) await versions.sample(path, (samples) => takeFrom(samples, index, bytes));
        if (digest) {
          if (files.isKept(path)) {
            const written = put(name, bytes, digest);
            stay(written);
            const others = files.keeper.behind(written);
            // headers and small files are few, and weights wait for their writes
            if (isWeights(path)) {
              if (files.streaming) await others;
              else stayUntilKept(path, index, written);
            }
          }
          chunks[index] = digest;
        }
        return bytes;
      }
      if (attempt > 0) {
        if (await versions.isPublishedAnew(path, index)) throw changedFile(path);
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

  function missingOf(path = '', index = 0): number {
    const at = chunkKey(key, path, index);
    return [...coming].reduce((sum, [name, missing]) => sum + (name === at && !inPieces ? 0 : missing), 0);
  }

  return { cache, met, missing: missingOf };
}

function join(before: Bytes | null, rest: Bytes): Bytes {
  if (!before) return rest;
  const bytes = new Uint8Array(before.length + rest.length);
  bytes.set(before);
  bytes.set(rest, before.length);
  return bytes;
}

/**
 * What a chunk's digest is and must be, or null where it is right or nothing says what it must be.
 * @param file of one chunk: its author's digest counts, where no earlier arrival or manifest says more
 */
async function mismatch(file: ModelRecord['files'][string], index: number, bytes: Bytes, actual: string | null) {
  const { chunks, digest, bytes: size } = file;
  if (!actual) return null;
  if (chunks[index]) return chunks[index] === actual ? null : { expected: chunks[index], actual };
  if (!digest || size! > CHUNK_BYTES) return null;
  const whole = digest.length === 64 ? actual : await gitName(bytes);
  return whole === digest ? null : { expected: digest, actual: whole };
}
